"""All that a portal process can ask of its gateway, and how it is written down.

Decoding trusts nothing: every field has a fixed or bounded length, every number a range, every word a closed
list, and whatever does not fit raises `BadFrame`. There is no request that lists anything, names a ticket
otherwise than by an id that only its words give, or brings a text to sign.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar, Final

from veildesk.core.portal_receipts import LodgedFile, LodgedMessage
from veildesk.core.submission import PortalEntry, SpareCode
from veildesk.link.entry import FILES, entry_head, read_entry, read_head
from veildesk.link.frames import BadFrame, Bounds, Frame
from veildesk.link.strict import ascii_text, at_most, exactly, of_length

__all__ = [
    "HELLO",
    "Accept",
    "CountAnswer",
    "DeletionReceipt",
    "Erase",
    "FindErasure",
    "FindSpare",
    "FindThread",
    "GetPiece",
    "LodgingReceipt",
    "News",
    "Request",
    "Reword",
    "Settings",
    "Token",
    "Verb",
    "decode_request",
    "is_code",
    "request_bounds",
]

HELLO: Final = Frame(0, (b"veildesk portal link 1",))
"""The first frame of both sides. Another version has another text."""

_KIB, _MIB = 1024, 1024 * 1024
_ID: Final = 32
_SPARE_DIGEST: Final = 16
_LONGEST_KEY, _LONGEST_SPARE, _LONGEST_ENTRY = 4 * _KIB, 1 * _KIB, 4 * _MIB
_ENTRIES: Final = 4096
_SPARES: Final = 4
_PLACE: Final = re.compile(r"[0-9a-f]{16}")
_CODE: Final = re.compile(r"[\x21-\x7e]{1,60}")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
CHOICES: Final = ("yes", "partly", "no")


class Verb(IntEnum):
    """The kinds of requests."""

    SETTINGS = 1
    NEWS = 2
    ACCEPT = 3
    THREAD = 4
    PIECE = 5
    SPARE = 6
    REWORD = 7
    ERASE = 8
    ERASURE = 9
    LODGING = 10
    DELETION = 11
    COUNT = 12
    TOKEN = 13


class Request:
    """Base of all requests. `verb` names it, `bounds` is what its frame may hold at most."""

    __slots__ = ()
    verb: ClassVar[Verb]
    bounds: ClassVar[Bounds]

    def fields(self) -> tuple[bytes, ...]:
        """The fields of its frame."""
        return ()

    @classmethod
    def read(cls, fields: tuple[bytes, ...]) -> Request:
        """The inverse of `fields`. Raises `BadFrame`."""
        exactly(fields, 0)
        return cls()


@dataclass(frozen=True, slots=True)
class Settings(Request):
    """What the portal works by."""

    verb = Verb.SETTINGS
    bounds = Bounds(0, 0)


@dataclass(frozen=True, slots=True)
class News(Request):
    """Whether new tickets wait, and the board of notices unless the portal has it (by its digest)."""

    verb = Verb.NEWS
    bounds = Bounds(1, _ID)
    have: bytes = b""

    def fields(self) -> tuple[bytes, ...]:
        """As in the base class."""
        return (self.have,)

    @classmethod
    def read(cls, fields: tuple[bytes, ...]) -> News:
        """As in the base class."""
        exactly(fields, 1)
        if len(fields[0]) not in (0, _ID):
            raise BadFrame("digest")
        return cls(fields[0])


@dataclass(frozen=True, slots=True)
class Accept(Request):
    """A message of a new or known thread. `dedup` is its idempotency key, `thread_entry` the visitor's copy.

    Its queue follows from its topic, and its payload is written by the gateway.
    """

    verb = Verb.ACCEPT
    bounds = Bounds(5 + 2 * _SPARES + FILES, 48 * _MIB)
    dedup: bytes
    lookup_id: bytes
    public_key: bytes = field(repr=False)
    thread_entry: bytes = field(repr=False)
    spares: tuple[SpareCode, ...] = field(repr=False)
    entry: PortalEntry = field(repr=False)

    def fields(self) -> tuple[bytes, ...]:
        """As in the base class."""
        head = json.dumps(entry_head(self.entry), ensure_ascii=False).encode()
        contents = tuple(content for _, _, content in self.entry.attachments)
        fixed = (self.dedup, self.lookup_id, self.public_key, self.thread_entry, head)
        return (*fixed, *_spare_fields(self.spares), *contents)

    @classmethod
    def read(cls, fields: tuple[bytes, ...]) -> Accept:
        """As in the base class."""
        if len(fields) < 5:
            raise BadFrame("fields")
        dedup, lookup_id, public_key, thread_entry, head = fields[:5]
        told = read_head(head)
        spares, odd = divmod(len(fields) - 5 - len(told["files"]), 2)
        if odd or not 0 <= spares <= _SPARES:
            raise BadFrame("fields")
        middle = 5 + 2 * spares
        entry = read_entry(told, fields[middle:])
        return cls(
            of_length(dedup, _ID),
            of_length(lookup_id, _ID),
            at_most(public_key, _LONGEST_KEY),
            at_most(thread_entry, _LONGEST_ENTRY),
            _spares(fields[5:middle]),
            entry,
        )


@dataclass(frozen=True, slots=True)
class _ByLookup(Request):
    bounds = Bounds(1, _ID)
    lookup_id: bytes

    def fields(self) -> tuple[bytes, ...]:
        """As in the base class."""
        return (self.lookup_id,)

    @classmethod
    def read(cls, fields: tuple[bytes, ...]) -> _ByLookup:
        """As in the base class."""
        exactly(fields, 1)
        return cls(of_length(fields[0], _ID))


@dataclass(frozen=True, slots=True)
class FindThread(_ByLookup):
    """The sealed entries of a thread."""

    verb = Verb.THREAD


@dataclass(frozen=True, slots=True)
class Erase(_ByLookup):
    """Delete the ticket of a thread."""

    verb = Verb.ERASE


@dataclass(frozen=True, slots=True)
class GetPiece(Request):
    """One sealed piece of a file of a thread."""

    verb = Verb.PIECE
    bounds = Bounds(3, 64)
    lookup_id: bytes
    place: str
    number: int

    def fields(self) -> tuple[bytes, ...]:
        """As in the base class."""
        return (self.lookup_id, self.place.encode(), self.number.to_bytes(4, "big"))

    @classmethod
    def read(cls, fields: tuple[bytes, ...]) -> GetPiece:
        """As in the base class."""
        exactly(fields, 3)
        number = int.from_bytes(of_length(fields[2], 4), "big")
        if number >= 100_000:
            raise BadFrame("number")
        return cls(of_length(fields[0], _ID), ascii_text(fields[1], _PLACE), number)


@dataclass(frozen=True, slots=True)
class FindSpare(Request):
    """What is sealed under a spare code."""

    verb = Verb.SPARE
    bounds = Bounds(1, _SPARE_DIGEST)
    digest: bytes

    def fields(self) -> tuple[bytes, ...]:
        """As in the base class."""
        return (self.digest,)

    @classmethod
    def read(cls, fields: tuple[bytes, ...]) -> FindSpare:
        """As in the base class."""
        exactly(fields, 1)
        return cls(of_length(fields[0], _SPARE_DIGEST))


@dataclass(frozen=True, slots=True)
class Reword(Request):
    """New words for a thread: all its entries, sealed anew."""

    verb = Verb.REWORD
    bounds = Bounds(4 + 2 * _SPARES + _ENTRIES, 32 * _MIB)
    lookup_id: bytes
    new_lookup_id: bytes
    public_key: bytes = field(repr=False)
    spares: tuple[SpareCode, ...] = field(repr=False)
    entries: tuple[bytes, ...] = field(repr=False)

    def fields(self) -> tuple[bytes, ...]:
        """As in the base class."""
        fixed = (self.lookup_id, self.new_lookup_id, self.public_key, bytes([len(self.spares)]))
        return (*fixed, *_spare_fields(self.spares), *self.entries)

    @classmethod
    def read(cls, fields: tuple[bytes, ...]) -> Reword:
        """As in the base class."""
        if len(fields) < 4:
            raise BadFrame("fields")
        count = of_length(fields[3], 1)[0]
        first = 4 + 2 * count
        if count > _SPARES or len(fields) < first:
            raise BadFrame("spares")
        return cls(
            of_length(fields[0], _ID),
            of_length(fields[1], _ID),
            at_most(fields[2], _LONGEST_KEY),
            _spares(fields[4:first]),
            tuple(at_most(entry, _LONGEST_ENTRY) for entry in fields[first:]),
        )


@dataclass(frozen=True, slots=True)
class _ByCode(Request):
    bounds = Bounds(1, 60)
    code: str

    def fields(self) -> tuple[bytes, ...]:
        """As in the base class."""
        return (self.code.encode(),)

    @classmethod
    def read(cls, fields: tuple[bytes, ...]) -> _ByCode:
        """As in the base class."""
        exactly(fields, 1)
        return cls(ascii_text(fields[0], _CODE))


@dataclass(frozen=True, slots=True)
class FindErasure(_ByCode):
    """How far a deletion came."""

    verb = Verb.ERASURE


@dataclass(frozen=True, slots=True)
class DeletionReceipt(_ByCode):
    """A signed receipt of a deletion."""

    verb = Verb.DELETION


@dataclass(frozen=True, slots=True)
class LodgingReceipt(Request):
    """A signed receipt of lodging. A field for each message: day (10), SHA-256 (32), then for each file its
    size (8) and SHA-256 (32)."""

    verb = Verb.LODGING
    bounds = Bounds(1 + _ENTRIES, 2 * _MIB)
    lookup_id: bytes
    messages: tuple[LodgedMessage, ...]

    def fields(self) -> tuple[bytes, ...]:
        """As in the base class."""
        return (self.lookup_id, *map(_lodged_field, self.messages))

    @classmethod
    def read(cls, fields: tuple[bytes, ...]) -> LodgingReceipt:
        """As in the base class."""
        if not fields:
            raise BadFrame("fields")
        return cls(of_length(fields[0], _ID), tuple(map(_lodged, fields[1:])))


@dataclass(frozen=True, slots=True)
class CountAnswer(Request):
    """Whether an answer helped."""

    verb = Verb.COUNT
    bounds = Bounds(1, 10)
    choice: str

    def fields(self) -> tuple[bytes, ...]:
        """As in the base class."""
        return (self.choice.encode(),)

    @classmethod
    def read(cls, fields: tuple[bytes, ...]) -> CountAnswer:
        """As in the base class."""
        exactly(fields, 1)
        choice = next((one for one in CHOICES if one.encode() == fields[0]), None)
        if choice is None:
            raise BadFrame("choice")
        return cls(choice)


@dataclass(frozen=True, slots=True)
class Token(Request):
    """A token that a visitor mails in to get notices."""

    verb = Verb.TOKEN
    bounds = Bounds(0, 0)


_KINDS: Final[Mapping[int, type[Request]]] = {
    kind.verb: kind
    for kind in (
        Settings, News, Accept, FindThread, GetPiece, FindSpare, Reword, Erase, FindErasure, LodgingReceipt,
        DeletionReceipt, CountAnswer, Token,
    )
}  # fmt: skip


def request_bounds(kind: int) -> Bounds | None:
    """What a request of this kind may hold, None if there is no such kind."""
    found = _KINDS.get(kind)
    return None if found is None else found.bounds


def decode_request(frame: Frame) -> Request:
    """Read a request, trusting nothing. Raises `BadFrame`."""
    kind, bounds = _KINDS.get(frame.kind), request_bounds(frame.kind)
    if kind is None or bounds is None:
        raise BadFrame("kind")
    if len(frame.fields) > bounds.fields or frame.size > bounds.size:
        raise BadFrame("size")
    return kind.read(frame.fields)


def is_code(text: str) -> bool:
    """Whether a text can be the code of a deletion at all."""
    return _CODE.fullmatch(text) is not None


def _spare_fields(spares: Sequence[SpareCode]) -> list[bytes]:
    return [part for spare in spares for part in (spare.digest, spare.sealed)]


def _spares(fields: Sequence[bytes]) -> tuple[SpareCode, ...]:
    pairs = zip(fields[::2], fields[1::2], strict=True)
    return tuple(SpareCode(of_length(one, _SPARE_DIGEST), at_most(two, _LONGEST_SPARE)) for one, two in pairs)


def _lodged_field(message: LodgedMessage) -> bytes:
    files = b"".join(item.size.to_bytes(8, "big") + item.sha256 for item in message.files)
    return message.day.encode() + message.sha256 + files


def _lodged(value: bytes) -> LodgedMessage:
    files = value[10 + _ID :]
    if len(value) < 10 + _ID or len(files) % (8 + _ID) or len(files) // (8 + _ID) > FILES:
        raise BadFrame("message")
    cut = [files[at : at + 8 + _ID] for at in range(0, len(files), 8 + _ID)]
    return LodgedMessage(
        ascii_text(value[:10], _DAY),
        value[10 : 10 + _ID],
        tuple(LodgedFile(int.from_bytes(one[:8], "big"), one[8:]) for one in cut),
    )
