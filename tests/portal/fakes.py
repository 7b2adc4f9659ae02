"""Stand-ins for everything the portal gets from outside, and a portal built on them."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from veildesk.core.errors import AuthenticationFailed, SpoolUnavailable
from veildesk.core.notice import (
    MAINTENANCE_STATES,
    Board,
    Component,
    Identity,
    Impact,
    IncidentState,
    Kind,
    Notice,
    PublishedNotice,
    Statement,
    Words,
)
from veildesk.core.ports import Cleaned, ThreadKeys, ThreadView
from veildesk.core.spare_code import from_bytes
from veildesk.core.submission import Accepted, PortalAnchor, SpareCode, Submission
from veildesk.core.thread_entry import SealedFile, ThreadEntry, encode_thread_entry, piece_name
from veildesk.core.ticket import Deletion, Erased, Erasure, File
from veildesk.portal.ports import PortalPorts, PortalSettings
from veildesk.service.answer_files import seal_files
from veildesk.service.portal_receipts import SupportReceipts

HOST = "p" * 56 + ".onion"
SUPPORT = "A" * 40
NOTICES = "B" * 40


class FakeClock:
    def __init__(self) -> None:
        self.wall, self.steady = 1_790_000_000, 1000.0

    def now(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return self.steady

    def advance(self, seconds: int) -> None:
        self.wall += seconds
        self.steady += seconds


class FakeCipher:
    """Symmetric in disguise: the public key is the private one's hash, kept in a table."""

    def __init__(self) -> None:
        self.derivations: list[str] = []
        self._private: dict[bytes, bytes] = {}
        self._recalled: dict[str, ThreadKeys] = {}

    async def derive(self, words: str) -> ThreadKeys:
        self.derivations.append(words)
        private = hashlib.sha256(b"private" + words.encode()).digest()
        public = hashlib.sha256(b"public" + private).digest()
        self._private[public] = private
        lookup = hashlib.sha256(b"lookup" + words.encode()).digest()
        codes = (from_bytes(lookup[:13]), from_bytes(lookup[13:26]))
        return ThreadKeys(lookup, public, private, codes)

    def seal_file(self, content: bytes) -> SealedFile:
        key = os.urandom(32)
        halves = (content[: len(content) // 2], content[len(content) // 2 :] + b"\0\0")
        pieces = (
            AESGCM(key).encrypt(bytes(11) + bytes([number]), half, None) for number, half in enumerate(halves)
        )
        return SealedFile(key, tuple(pieces))

    def open_piece(self, key: bytes, number: int, pieces: int, sealed: bytes) -> bytes:
        assert pieces == 2
        try:
            return AESGCM(key).decrypt(bytes(11) + bytes([number]), sealed, None)
        except InvalidTag:
            raise AuthenticationFailed("piece") from None

    def spares(self, keys: ThreadKeys) -> tuple[SpareCode, ...]:
        made = []
        for code in keys.spare_codes:
            self._recalled[code] = keys
            made.append(SpareCode(self.spare_digest(code), code[::-1].encode()))
        return tuple(made)

    def spare_digest(self, code: str) -> bytes:
        return hashlib.sha256(b"spare" + code.encode()).digest()[:16]

    def recall(self, code: str, sealed: bytes) -> ThreadKeys:
        if sealed != code[::-1].encode():
            raise AuthenticationFailed("spare-code")
        return replace(self._recalled[code], spare_codes=())

    def seal(self, public_key: bytes, data: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + AESGCM(self._private[public_key]).encrypt(nonce, data, None)

    def unseal(self, keys: ThreadKeys, sealed: bytes) -> bytes:
        try:
            return AESGCM(keys.private_key).decrypt(sealed[:12], sealed[12:], None)
        except InvalidTag:
            raise AuthenticationFailed("thread-entry") from None


@dataclass
class FakeSpool:
    """Keeps submissions by key and threads by lookup id."""

    submissions: dict[bytes, Submission] = field(default_factory=dict)
    threads: dict[bytes, list[bytes]] = field(default_factory=dict)
    attempts: int = 0
    full: bool = False
    erased: list[bytes] = field(default_factory=list)
    outcome: Erased = Erased.REQUESTED
    spares: dict[bytes, bytes] = field(default_factory=dict)
    pieces: dict[str, bytes] = field(default_factory=dict)
    between: bool = False

    async def accept(self, submission: Submission) -> Accepted:
        self.attempts += 1
        if self.full:
            raise SpoolUnavailable("test")
        fresh = submission.dedup not in self.submissions
        if fresh:
            assert submission.anchor is not None
            assert submission.thread_entry is not None
            self.submissions[submission.dedup] = submission
            self.threads.setdefault(submission.anchor.lookup_id, []).append(submission.thread_entry)
            self.spares |= {spare.digest: spare.sealed for spare in submission.spares}
        return Accepted("m1", "t1", fresh)

    async def thread(self, lookup_id: bytes) -> ThreadView | None:
        entries = self.threads.get(lookup_id)
        return None if entries is None else ThreadView("t1", tuple(entries), expires_day=20_800)

    async def thread_piece(self, lookup_id: bytes, place: str, number: int) -> bytes | None:
        return self.pieces.get(piece_name(place, number)) if lookup_id in self.threads else None

    async def spare(self, digest: bytes) -> bytes | None:
        return self.spares.get(digest)

    async def reword(
        self,
        lookup_id: bytes,
        anchor: PortalAnchor,
        entries: Sequence[bytes],
        spares: Sequence[SpareCode],
    ) -> bool:
        if self.between:
            return False
        del self.threads[lookup_id]
        self.threads[anchor.lookup_id] = list(entries)
        self.spares = {spare.digest: spare.sealed for spare in spares}
        return True

    async def erase(self, lookup_id: bytes) -> Deletion:
        self.erased.append(lookup_id)
        if self.outcome is Erased.KEPT:
            return Deletion(self.outcome, kept_until="2030-12-31")
        self.threads.pop(lookup_id, None)
        return Deletion(self.outcome, code="abcdefghij234567")

    @property
    def only(self) -> Submission:
        assert len(self.submissions) == 1
        return next(iter(self.submissions.values()))


class FakeCleaner:
    """Refuses what is empty or called .exe, cuts off what follows the word GPS elsewhere."""

    async def clean(self, name: str, media_type: str, content: bytes) -> Cleaned:
        if name.endswith(".exe"):
            return Cleaned(name, media_type, None, refused="Programs are not accepted.")
        if not content:
            return Cleaned(name, media_type, None, refused="The file is empty.")
        if b"GPS" in content:
            return Cleaned(name, media_type, content.split(b"GPS")[0], removed=("metadata", "location"))
        return Cleaned(name, media_type, content, text=name.endswith(".txt"))


class FakeNotices:
    """A board that a test fills; statements are numbered from 1 and never really signed."""

    def __init__(self) -> None:
        self.items: list[PublishedNotice] = []
        self.components: tuple[Component, ...] = ()
        self.broken = False
        self.heartbeat: str | None = None
        self.security_txt: str | None = None
        self.support_next = b""
        self.transitions: dict[str, str] = {}

    def board(self) -> Board:
        if self.broken:
            raise OSError("unreadable")
        return Board(
            statements=tuple(self.items),
            heartbeat=self.heartbeat,
            components=self.components,
            security_txt=self.security_txt,
            keys=b"-----BEGIN PGP PUBLIC KEY BLOCK-----\nnotices\n",
            verifier=b"#!/usr/bin/env python3\n",
            support_next=self.support_next,
            transitions=self.transitions,
        )

    def add(
        self,
        title: str,
        state: IncidentState,
        impact: Impact = Impact.MAJOR,
        *,
        starts: int | None = None,
    ) -> PublishedNotice:
        """The next notice of the story with this title."""
        before = [
            item
            for item in self.items
            if isinstance(item.statement.content, Notice) and item.notice.title == title
        ]
        kind = Kind.POSTMORTEM if state is IncidentState.POSTMORTEM else Kind.INCIDENT
        kind = Kind.MAINTENANCE if state in MAINTENANCE_STATES else kind
        notice = Notice(
            kind,
            state,
            impact,
            {"en": Words(title, "Do nothing.", "Mail waits for an hour.", affected="Everybody.")},
            incident=before[0].number if before else None,
            starts=starts,
            ends=None if starts is None else starts + 3600,
        )
        return self._append(kind, notice, title)

    def add_everything(self) -> None:
        """A list of addresses, a canary, a heartbeat, a security.txt and keys that are being replaced."""
        key = "C" * 40
        mails = ("support@example.org",)
        self._append(Kind.IDENTITY, Identity((NOTICES,), 1, key, SUPPORT, (HOST,), mails=mails), "list")
        self._append(Kind.CANARY, {"en": Words("Canary", "Look for the next one.", "Nothing.")}, "canary")
        self.heartbeat = self.security_txt = "-----BEGIN PGP SIGNED MESSAGE-----\n"
        self.support_next = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\nnext\n"
        self.transitions = dict.fromkeys(("support", "notice"), "-----BEGIN PGP SIGNED MESSAGE-----\n")

    def _append(self, kind: Kind, content: object, word: str) -> PublishedNotice:
        signed = f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{word}\n-----END PGP SIGNATURE-----\n"
        number, issued = len(self.items) + 1, 1_790_000_000
        statement = Statement(number, kind, issued, issued + 86400 * 30, "", 1, "", content)  # type: ignore[arg-type]
        item = PublishedNotice(statement, signed, hashlib.sha256(signed.encode()).hexdigest())
        self.items.append(item)
        return item


@dataclass
class World:
    """A portal's surroundings, all fake, all to be looked at."""

    settings: PortalSettings
    clock: FakeClock = field(default_factory=FakeClock)
    cipher: FakeCipher = field(default_factory=FakeCipher)
    spool: FakeSpool = field(default_factory=FakeSpool)
    notices: FakeNotices = field(default_factory=FakeNotices)
    cleaner: FakeCleaner = field(default_factory=FakeCleaner)
    counted: Counter[str] = field(default_factory=Counter)
    parked: bool = False
    deletions: dict[str, Erasure] = field(default_factory=dict)

    async def erasure(self, code: str) -> Erasure | None:
        return self.deletions.get(code)

    async def count(self, choice: str) -> None:
        self.counted[choice] += 1

    async def sign(self, text: str) -> str:
        return f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{text}-----BEGIN PGP SIGNATURE-----\n"

    def change(self, **changes: object) -> None:
        """Other settings from the next visitor on."""
        self.settings = replace(self.settings, **changes)  # type: ignore[arg-type]

    async def token(self) -> str:
        return "start-" + "a" * 40

    @property
    def receipts(self) -> SupportReceipts:
        return SupportReceipts("Example", self.sign, self.spool, self.erasure, self.clock)

    @property
    def ports(self) -> PortalPorts:
        return PortalPorts(
            intake=self.spool,
            threads=self.spool,
            cipher=self.cipher,
            cleaner=self.cleaner,
            notices=self.notices,
            clock=self.clock,
            erase=self.spool.erase,
            random_bytes=os.urandom,
            receipts=self.receipts,
            count=self.count,
            parking=lambda: self.parked,
            erasure=self.erasure,
            subscription=self.token,
        )

    async def answer(self, words: str, text: str, signed: str, *files: File) -> None:
        """What the delivery side does with an agent's answer."""
        keys = await self.cipher.derive(words)
        sealed = seal_files(files, self.cipher, os.urandom)
        self.spool.pieces |= sealed.parts
        entry = ThreadEntry("support", "2026-09-21", text, files=sealed.listed, signed=signed)
        self.spool.threads[keys.lookup_id].append(
            self.cipher.seal(keys.public_key, encode_thread_entry(entry))
        )
        self.cipher.derivations.pop()


def settings(**changes: object) -> PortalSettings:
    values: dict[str, object] = {
        "organisation": "Example",
        "hosts": (HOST,),
        "form_secret": b"s" * 32,
        "support_key": b"-----BEGIN PGP PUBLIC KEY BLOCK-----\nsupport\n",
        "support_fingerprint": SUPPORT,
        "notices_key": b"-----BEGIN PGP PUBLIC KEY BLOCK-----\nnotices\n",
        "notices_fingerprint": NOTICES,
        "support_address": "support@example.org",
        "notices_address": "notices@example.org",
    }
    return PortalSettings(**(values | changes))  # type: ignore[arg-type]
