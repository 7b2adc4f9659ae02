"""Desks without a server: the helpdesk in memory and the Maildir."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from veildesk.core.ticket import Erased, File
from veildesk.deliver.backends.maildir import MaildirBackend
from veildesk.deliver.backends.memory import MemoryBackend


class MemoryDesk:
    erases = Erased.GONE

    def __init__(self) -> None:
        self.backend = MemoryBackend("desk")

    async def texts(self, thread: str) -> list[str]:
        return self.backend.shown(thread)

    async def files(self, thread: str) -> list[bytes]:
        return [file.content for entry in self.backend.tickets.get(thread, []) for file in entry.files]

    async def answer(self, thread: str, text: str, *, html: str = "", files: Sequence[File] = ()) -> None:
        self.backend.answer(thread, text, tuple(files))

    async def note(self, thread: str, text: str) -> None:
        raise NotImplementedError

    async def close_ticket(self, thread: str) -> None:
        self.backend.closed.add(thread)

    async def merge(self, thread: str, into: str) -> None:
        raise NotImplementedError

    async def is_open(self, thread: str) -> bool:
        return thread not in self.backend.closed

    def leftovers(self, needle: bytes) -> int:
        kept = [self.backend.tickets, self.backend.answers, self.backend.notes]
        texts = [text for thread in self.backend.tickets for text in self.backend.shown(thread)]
        return "\n".join([*texts, *(answer.text for answer in self.backend.answers), repr(kept)]).count(
            needle.decode()
        )


class MaildirDesk:
    erases = Erased.GONE

    def __init__(self, folder: Path) -> None:
        self.box, self.answers = folder / "box", folder / "answers"
        self.backend = MaildirBackend(
            "desk",
            self.box,
            self.answers,
            sender="t@x.invalid",
            recipient="a@x.invalid",
            domain="x.invalid",
        )

    def mails(self, thread: str) -> list[EmailMessage]:
        paths = [p for part in ("new", "cur") for p in (self.box / part).glob(f"{thread}.*")]
        paths.sort(key=lambda path: path.stat().st_mtime_ns)
        return [message_from_bytes(p.read_bytes(), policy=policy.default) for p in paths]

    async def texts(self, thread: str) -> list[str]:
        return [mail.get_body(("plain",)).get_content() for mail in self.mails(thread)]

    async def files(self, thread: str) -> list[bytes]:
        parts = [part for mail in self.mails(thread) for part in mail.iter_attachments()]
        return [part.get_payload(decode=True) for part in parts]

    async def answer(self, thread: str, text: str, *, html: str = "", files: Sequence[File] = ()) -> None:
        mail = EmailMessage()
        mail["From"], mail["Subject"] = "agent@x.invalid", "Re: it"
        mail["In-Reply-To"] = self.mails(thread)[-1]["Message-ID"]
        if html:
            mail.set_content(html, subtype="html")
        else:
            mail.set_content(text)
        for file in files:
            main, _, sub = file.media_type.partition("/")
            mail.add_attachment(file.content, maintype=main, subtype=sub, filename=file.name)
        number = len(list(self.answers.glob("*.eml")))
        (self.answers / f".{number}").write_bytes(mail.as_bytes())
        (self.answers / f".{number}").rename(self.answers / f"{number}.eml")

    async def note(self, thread: str, text: str) -> None:
        raise NotImplementedError

    async def close_ticket(self, thread: str) -> None:
        raise NotImplementedError

    async def merge(self, thread: str, into: str) -> None:
        raise NotImplementedError

    async def is_open(self, thread: str) -> bool:
        return True

    def leftovers(self, needle: bytes) -> int:
        files = [p for folder in (self.box, self.answers) for p in folder.rglob("*") if p.is_file()]
        return sum(path.read_bytes().count(needle) for path in files)


@asynccontextmanager
async def memory_desk(folder: Path) -> AsyncIterator[MemoryDesk]:
    yield MemoryDesk()


@asynccontextmanager
async def maildir_desk(folder: Path) -> AsyncIterator[MaildirDesk]:
    yield MaildirDesk(folder)
