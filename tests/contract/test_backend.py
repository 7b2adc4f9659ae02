"""What every connector must do. Runs over the Maildir and the helpdesk in memory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from veildesk.core.errors import BackendUnavailable, ConfigInvalid
from veildesk.core.ports import Backend
from veildesk.core.ticket import AgentReply, Erased, File, Level, TicketEntry
from veildesk.deliver.backends.maildir import MaildirBackend
from veildesk.deliver.backends.memory import MemoryBackend
from veildesk.deliver.registry import backend_names, load_backend

THREAD = "a1" * 16
OTHER = "b2" * 16
KEYS = [f"{n:032x}" for n in range(1, 9)]
PICTURE = bytes(range(256)) * 40


@dataclass
class Desk:
    """A connector under test, and how to look at and act in its helpdesk."""

    backend: Backend
    texts: Callable[[str], list[str]]
    files: Callable[[str], list[bytes]]
    answer: Callable[[str, str], None]


def _memory_desk(tmp_path: Path) -> Desk:
    backend = MemoryBackend("desk")
    return Desk(
        backend,
        lambda thread: [e.text for e in backend.tickets.get(thread, [])],
        lambda thread: [f.content for e in backend.tickets.get(thread, []) for f in e.files],
        lambda thread, text: backend.answer(thread, text) and None,
    )


def _maildir_desk(tmp_path: Path) -> Desk:
    backend = MaildirBackend(
        "desk",
        tmp_path / "box",
        tmp_path / "answers",
        sender="t@x.invalid",
        recipient="a@x.invalid",
        domain="x.invalid",
    )

    def mails(thread: str) -> list[EmailMessage]:
        paths = [p for part in ("new", "cur") for p in (tmp_path / "box" / part).glob(f"{thread}.*")]
        return [message_from_bytes(p.read_bytes(), policy=policy.default) for p in sorted(paths)]

    def answer(thread: str, text: str) -> None:
        mail = EmailMessage()
        mail["From"], mail["Subject"] = "agent@x.invalid", "Re: it"
        mail["In-Reply-To"] = mails(thread)[-1]["Message-ID"]
        mail.set_content(text)
        folder = tmp_path / "answers"
        number = len(list(folder.glob("*.eml")))
        (folder / f".{number}").write_bytes(mail.as_bytes())
        (folder / f".{number}").rename(folder / f"{number}.eml")

    return Desk(
        backend,
        lambda thread: [m.get_body(("plain",)).get_content() for m in mails(thread)],
        lambda thread: [p.get_content() for m in mails(thread) for p in m.iter_attachments()],
        answer,
    )


@pytest.fixture(params=[_memory_desk, _maildir_desk], ids=["memory", "maildir"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Desk:
    return request.param(tmp_path)


def entry(key: str = KEYS[0], thread: str = THREAD, **changes: object) -> TicketEntry:
    return replace(
        TicketEntry(thread=thread, key=key, subject="Ünder", text="Text with [email-1]."), **changes
    )


async def collected(backend: Backend, cursor: str | None = None) -> list[AgentReply]:
    return [reply async for reply in backend.replies(cursor)]


async def test_an_entry_arrives_whole(desk: Desk) -> None:
    delivered = await desk.backend.deliver(entry(files=(File("photo.png", "image/png", PICTURE),)))
    assert delivered.fresh
    assert delivered.ref
    (text,) = desk.texts(THREAD)
    assert "Text with [email-1]." in text
    assert desk.files(THREAD) == [PICTURE]


async def test_the_same_key_twice_leaves_one_message(desk: Desk) -> None:
    first = await desk.backend.deliver(entry())
    again = await desk.backend.deliver(entry())
    assert (first.fresh, again.fresh) == (True, False)
    assert first.ref == again.ref
    assert len(desk.texts(THREAD)) == 1


async def test_a_second_key_goes_into_the_same_ticket(desk: Desk) -> None:
    first = await desk.backend.deliver(entry())
    second = await desk.backend.deliver(entry(KEYS[1], ref=first.ref, text="More."))
    assert second.ref == first.ref
    assert len(desk.texts(THREAD)) == 2
    assert not desk.texts(OTHER)


async def test_answers_come_once_in_order_with_their_thread(desk: Desk) -> None:
    await desk.backend.deliver(entry())
    desk.answer(THREAD, "First answer.")
    desk.answer(THREAD, "Second answer.")
    found = await collected(desk.backend)
    assert [(r.thread, r.text.strip()) for r in found] == [
        (THREAD, "First answer."),
        (THREAD, "Second answer."),
    ]
    assert len({r.reply_id for r in found}) == 2
    for reply in found:
        await desk.backend.acknowledge(reply)
    assert await collected(desk.backend, found[-1].cursor or None) == []


async def test_an_answer_not_acknowledged_comes_again_with_the_same_id(desk: Desk) -> None:
    await desk.backend.deliver(entry())
    desk.answer(THREAD, "An answer.")
    assert [r.reply_id for r in await collected(desk.backend)] == [
        r.reply_id for r in await collected(desk.backend)
    ]


async def test_erase_removes_this_ticket_and_no_other(desk: Desk) -> None:
    delivered = await desk.backend.deliver(entry())
    await desk.backend.deliver(entry(KEYS[2], OTHER))
    assert await desk.backend.erase(delivered.ref, THREAD) is Erased.GONE
    assert not desk.texts(THREAD)
    assert len(desk.texts(OTHER)) == 1


async def test_check_finds_it_sound(desk: Desk) -> None:
    assert {r.level for r in await desk.backend.check()} == {Level.OK}


async def test_maildir_that_cannot_be_written_is_a_passing_fault(tmp_path: Path) -> None:
    (tmp_path / "box").write_text("in the way")
    desk = _maildir_desk(tmp_path)
    with pytest.raises(BackendUnavailable):
        await desk.backend.deliver(entry())


async def test_maildir_entry_moved_by_a_mail_program_is_still_found(tmp_path: Path) -> None:
    desk = _maildir_desk(tmp_path)
    await desk.backend.deliver(entry())
    (seen,) = (tmp_path / "box" / "new").iterdir()
    seen.rename(tmp_path / "box" / "cur" / f"{seen.name}:2,S")
    assert not (await desk.backend.deliver(entry())).fresh


async def test_maildir_keeps_an_answer_to_nothing_aside(tmp_path: Path) -> None:
    desk = _maildir_desk(tmp_path)
    await desk.backend.deliver(entry())
    (tmp_path / "answers" / "stray.eml").write_bytes(b"Subject: hello\n\nwho are you?\n")
    assert await collected(desk.backend) == []
    assert (tmp_path / "answers" / "refused" / "stray.eml").exists()


async def test_maildir_ignores_files_that_are_still_written(tmp_path: Path) -> None:
    desk = _maildir_desk(tmp_path)
    await desk.backend.deliver(entry())
    for name in (".hidden", "half.tmp", "half.part"):
        (tmp_path / "answers" / name).write_bytes(b"In-Reply-To: <x>\n\nhalf")
    assert await collected(desk.backend) == []
    assert (tmp_path / "answers" / ".hidden").exists()


def test_message_ids_fit_a_header_line(tmp_path: Path) -> None:
    """Longer ids are folded or encoded by some programs and the thread is lost."""
    domain = "veildesk.invalid"
    assert len(f"In-Reply-To: <{THREAD}.{KEYS[0][:8]}@{domain}>") <= 78


def test_connectors_are_found_by_name() -> None:
    assert {"maildir", "memory"} <= set(backend_names())
    assert load_backend("memory", "desk", {}).name == "desk"
    with pytest.raises(ConfigInvalid):
        load_backend("telepathy", "desk", {})
    with pytest.raises(ConfigInvalid):
        load_backend("maildir", "desk", {"path": "x", "replies": "y", "colour": "blue"})


async def test_maildir_answer_that_cannot_be_read_holds_up_no_other(tmp_path: Path) -> None:
    desk = _maildir_desk(tmp_path)
    await desk.backend.deliver(entry())
    poison = b"In-Reply-To: <x@x.invalid>\n" + b"A: b\n" * 5000 + b"\nx"
    (tmp_path / "answers" / "a.eml").write_bytes(poison)
    desk.answer(THREAD, "A good answer.")
    assert [r.text.strip() for r in await collected(desk.backend)] == ["A good answer."]
    assert (tmp_path / "answers" / "refused" / "a.eml").exists()


async def test_maildir_takes_no_answer_while_it_is_written(tmp_path: Path) -> None:
    desk = _maildir_desk(tmp_path)
    await desk.backend.deliver(entry())
    desk.answer(THREAD, "First half")
    (path,) = (tmp_path / "answers").glob("*.eml")
    reading = asyncio.create_task(collected(desk.backend))
    await asyncio.sleep(0)
    with path.open("ab") as file:
        file.write(b" and second half.\n")
    os.utime(path, ns=(1, 1))
    first = await reading
    whole = first or await collected(desk.backend)
    assert "second half" in whole[0].text
