"""A whole gateway without listeners: real store, real gpg, a helpdesk and a mail server in memory."""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from testbed.openpgp_lab import Lab
from veildesk.attachments.inprocess import InProcessCleaner
from veildesk.core.envelope import with_envelope
from veildesk.core.limits import Limits
from veildesk.core.submission import Accepted, Channel, Submission, dedup_key
from veildesk.core.ticket import File, TicketEntry
from veildesk.core.work import State, Work
from veildesk.deliver.backends.memory import MemoryBackend
from veildesk.mail.reply_address import ReplyAddresses
from veildesk.openpgp.gnupg_engine import GnuPGEngine
from veildesk.redact.rules import RuleSet
from veildesk.replies.collect import collect_replies
from veildesk.replies.fake_mailer import FakeMailer
from veildesk.replies.guard import AnswerRules
from veildesk.service.config import QueueConfig
from veildesk.service.erasure import place_in
from veildesk.service.inbound import Inbound
from veildesk.service.known_keys import KnownKeys
from veildesk.service.outbound import Outbound
from veildesk.service.workers import Worker
from veildesk.spool.keyring import KeyRing
from veildesk.spool.store import SqlSpool
from veildesk.spool.thread_cipher import WordsCipher

__all__ = ["House", "SUPPORT", "USER", "mail", "open_house", "pgp_mail"]

SUPPORT = "support@desk.example"
USER = "rosa@example.org"


@dataclass
class SteppedClock:
    """A clock that a test moves."""

    seconds: int = 1_795_000_000
    steps: float = field(default=0.0)

    def now(self) -> int:
        return self.seconds

    def monotonic(self) -> float:
        return self.steps


@dataclass
class House:
    """The parts, and shortcuts to use them."""

    lab: Lab
    spool: SqlSpool
    engine: GnuPGEngine
    backend: MemoryBackend
    mailer: FakeMailer
    inbound: Inbound
    outbound: Outbound
    worker: Worker
    clock: SteppedClock
    state_dir: Path

    async def take(
        self, raw: bytes, *, queue: str = "support", null_sender: bool = False, extension: str = ""
    ) -> Accepted:
        """Accept a mail as the listener does."""
        payload = with_envelope(raw, null_sender=null_sender, extension=extension)
        return await self.spool.accept(
            Submission(Channel.LMTP, dedup_key(b"s" * 32, queue.encode(), raw), payload, queue=queue)
        )

    async def work(self) -> None:
        """Run everything that is due."""
        states = (State.ACCEPTED, State.DELIVERING, State.COLLECTED, State.SENDING)
        for _ in range(100):
            claimed = await self.spool.claim(states)
            if not claimed:
                return
            for one in claimed:
                await self.worker.step(one)
        raise AssertionError("work does not end")

    async def deliver(self, raw: bytes, **options: object) -> list[TicketEntry]:
        """Accept, run, and return the entries of the helpdesk, newest last."""
        await self.take(raw, **options)  # type: ignore[arg-type]
        await self.work()
        return self.entries()

    def entries(self) -> list[TicketEntry]:
        """Everything the helpdesk holds."""
        return [entry for entries in self.backend.tickets.values() for entry in entries]

    async def answer(self, thread: str, text: str, *files: File) -> None:
        """An agent answers, and the answer goes as far as it can."""
        reply = self.backend.answer(thread, text)
        self.backend.answers[-1] = replace(reply, files=files)
        await collect_replies(self.backend, self.spool, b"s" * 32, place_in, Limits())
        await self.work()

    async def rows(self, *states: State) -> list[Work]:
        """Messages in these states."""
        return await self.spool.listing(states or None)

    def sent(self) -> list[bytes]:
        """Every mail handed to the mail server."""
        return [one.wire for hand_overs in self.mailer.sent.values() for one in hand_overs]


@asynccontextmanager
async def open_house(
    root: Path, lab: Lab, queues: dict[str, QueueConfig] | None = None, rules: RuleSet | None = None
) -> AsyncIterator[House]:
    """Open a house in `root`; `lab` has the homes "desk" and "user"."""
    clock = SteppedClock()
    ring_path = root / "ring"
    ring = KeyRing.load(ring_path) if ring_path.exists() else KeyRing.create(ring_path)
    spool = await SqlSpool.open(root / "state", ring, clock, 14)
    engine = lab.engine("desk")
    await engine.start()
    backend, mailer = MemoryBackend("desk"), FakeMailer()
    inbound = Inbound(
        spool=spool,
        engine=engine,
        cleaner=InProcessCleaner(),
        backends={"desk": backend},
        queues=queues or {"support": QueueConfig(addresses=(SUPPORT,), backend="desk")},
        secret=b"s" * 32,
        random_bytes=os.urandom,
        domain="example.test",
        replies=ReplyAddresses(SUPPORT),
        keys=KnownKeys(contacts=spool.contacts),
        clock=clock,
        rules=rules or RuleSet(),
    )
    outbound = Outbound(
        spool=spool,
        engine=engine,
        mailer=mailer,
        cipher=WordsCipher(b"p" * 32),
        clock=clock,
        signer=lab.fingerprints["desk"],
        address=SUPPORT,
        name="Desk",
        domain="example.test",
        secret=b"s" * 32,
        random_bytes=os.urandom,
        rules=AnswerRules(own=frozenset({SUPPORT, "example.test"})),
    )
    worker = Worker(spool, inbound, outbound, retry_seconds=10)
    try:
        yield House(lab, spool, engine, backend, mailer, inbound, outbound, worker, clock, root / "state")
    finally:
        await spool.close()


def mail(text: str = "Hello.\n", **headers: str) -> bytes:
    """A plain mail from the user."""
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"] = f"A User <{USER}>", SUPPORT
    message["Subject"] = headers.pop("Subject", "Help")
    message["Message-ID"] = headers.pop("Message_ID", f"<{os.urandom(8).hex()}@user.test>")
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message.as_bytes()


def pgp_mail(
    lab: Lab, text: str = "Hello.\n", *, sign: bool = True, with_key: bool = True, **headers: str
) -> bytes:
    """An RFC 3156 encrypted mail from the user, with the key in an Autocrypt header."""
    inner = EmailMessage(policy=SMTP)
    inner["Subject"] = headers.pop("Subject", "Secret help")
    inner.set_content(text)
    words = ["--sign"] if sign else []
    words += ["--recipient-file", lab.certificate_file("desk")]
    sealed = lab.gpg("user", "--armor", *words, "--encrypt", stdin=inner.as_bytes())
    outer = mail(**{"Subject": "...", **headers}).partition(b"\r\n\r\n")[0]
    kept = [line for line in outer.split(b"\r\n") if not line.lower().startswith((b"content-", b"mime-"))]
    head = b"\r\n".join(kept)
    if with_key:
        data = base64.b64encode(lab.certificate("user"))
        folded = b"\r\n ".join(data[i : i + 70] for i in range(0, len(data), 70))
        head += b"\r\nAutocrypt: addr=" + USER.encode() + b"; keydata=\r\n " + folded
    return (
        head
        + b'\r\nMIME-Version: 1.0\r\nContent-Type: multipart/encrypted; boundary="b"; '
        + b'protocol="application/pgp-encrypted"\r\n\r\n'
        + b"--b\r\nContent-Type: application/pgp-encrypted\r\n\r\n"
        + b"Version: 1\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n"
        + sealed.replace(b"\n", b"\r\n")
        + b"\r\n--b--\r\n"
    )
