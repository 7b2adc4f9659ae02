"""What a gateway answers a portal process: a status and fields.

The portal takes the gateway's word, so reading checks the form only. No reply tells a ticket's or message's
id, and no error tells more than its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Final, NoReturn

from veildesk.core.errors import (
    EngineUnavailable,
    FilesUnavailable,
    KeyUnusable,
    LimitExceeded,
    SpoolUnavailable,
    VeildeskError,
    WorkLost,
)
from veildesk.core.ports import ThreadView
from veildesk.core.ticket import Deletion, Erased, Erasure
from veildesk.link.frames import BadFrame, Bounds, Frame

__all__ = [
    "REPLY_BOUNDS",
    "Status",
    "deletion_fields",
    "erasure_fields",
    "failure",
    "raise_failure",
    "read_deletion",
    "read_erasure",
    "read_flag",
    "read_maybe",
    "read_one",
    "read_thread",
    "status_of",
    "thread_fields",
]

REPLY_BOUNDS: Final = Bounds(65_535, 256 * 1024 * 1024)


class Status(IntEnum):
    """How a request ended. All but `DONE` come without fields."""

    DONE = 0
    UNAVAILABLE = 1
    FILES_UNAVAILABLE = 2
    LOST = 3
    KEY_UNUSABLE = 4
    ENGINE_UNAVAILABLE = 5
    BUSY = 6
    REFUSED = 7
    FAILED = 8


_ERRORS: Final[Sequence[tuple[type[VeildeskError], Status]]] = (
    (FilesUnavailable, Status.FILES_UNAVAILABLE),
    (SpoolUnavailable, Status.UNAVAILABLE),
    (WorkLost, Status.LOST),
    (KeyUnusable, Status.KEY_UNUSABLE),
    (EngineUnavailable, Status.ENGINE_UNAVAILABLE),
    (LimitExceeded, Status.REFUSED),
)
_RAISED: Final[dict[int, Callable[[], VeildeskError]]] = {
    Status.UNAVAILABLE: lambda: SpoolUnavailable("gateway-cannot-keep"),
    Status.FILES_UNAVAILABLE: lambda: FilesUnavailable("gateway-files"),
    Status.LOST: lambda: WorkLost("gateway-lost"),
    Status.KEY_UNUSABLE: lambda: KeyUnusable("gateway-key"),
    Status.ENGINE_UNAVAILABLE: lambda: EngineUnavailable("gateway-engine"),
    Status.BUSY: lambda: SpoolUnavailable("gateway-busy"),
    Status.REFUSED: lambda: LimitExceeded("gateway-refused"),
    Status.FAILED: lambda: VeildeskError("gateway-failed"),
}


def status_of(error: BaseException) -> Status:
    """What is told of an error."""
    return next((status for kind, status in _ERRORS if isinstance(error, kind)), Status.FAILED)


def failure(status: Status) -> Frame:
    """The reply that tells it."""
    return Frame(status)


def raise_failure(status: int) -> NoReturn:
    """Raise what a status other than `DONE` stands for."""
    made = _RAISED.get(status)
    if made is None:
        raise BadFrame("status")
    raise made()


# -------------------------------------------------------------------- fields
def thread_fields(view: ThreadView | None) -> tuple[bytes, ...]:
    """State, last day and sealed entries of a thread; nothing when there is none."""
    if view is None:
        return ()
    return (view.state.encode(), _number(view.expires_day), *view.entries)


def read_thread(fields: tuple[bytes, ...]) -> ThreadView | None:
    """The inverse of `thread_fields`; the ticket's own id stays with the gateway."""
    if not fields:
        return None
    if len(fields) < 2:
        raise BadFrame("thread")
    return ThreadView("", fields[2:], state=_text(fields[0]), expires_day=_int(fields[1]))


def deletion_fields(deletion: Deletion) -> tuple[bytes, ...]:
    """What became of a ticket."""
    return (deletion.outcome.value.encode(), deletion.code.encode(), deletion.kept_until.encode())


def read_deletion(fields: tuple[bytes, ...]) -> Deletion:
    """The inverse of `deletion_fields`."""
    outcome, code, kept_until = _exactly(fields, 3)
    try:
        return Deletion(Erased(_text(outcome)), _text(code), _text(kept_until))
    except ValueError:
        raise BadFrame("outcome") from None


def erasure_fields(job: Erasure | None) -> tuple[bytes, ...]:
    """How far a deletion came; nothing for an unknown code."""
    if job is None:
        return ()
    words = (job.helpdesk.encode(), job.mailbox.encode(), job.why.encode())
    return (*words, bytes([job.finished]), _number(job.attempts), _number(job.asked_day))


def read_erasure(fields: tuple[bytes, ...]) -> Erasure | None:
    """The inverse of `erasure_fields`."""
    if not fields:
        return None
    helpdesk, mailbox, why, finished, attempts, day = _exactly(fields, 6)
    return Erasure(
        _text(helpdesk), _text(mailbox), _text(why), read_flag((finished,)), _int(attempts), _int(day)
    )


def read_flag(fields: tuple[bytes, ...]) -> bool:
    """One byte, 0 or 1."""
    (value,) = _exactly(fields, 1)
    if value not in (b"\0", b"\1"):
        raise BadFrame("flag")
    return value == b"\1"


def read_maybe(fields: tuple[bytes, ...]) -> bytes | None:
    """One field, or none for "there is none"."""
    return None if not fields else read_one(fields)


def read_one(fields: tuple[bytes, ...]) -> bytes:
    """The only field."""
    return _exactly(fields, 1)[0]


def _exactly(fields: tuple[bytes, ...], count: int) -> tuple[bytes, ...]:
    if len(fields) != count:
        raise BadFrame("fields")
    return fields


def _number(value: int) -> bytes:
    return value.to_bytes(8, "big")


def _int(value: bytes) -> int:
    if len(value) != 8:
        raise BadFrame("number")
    return int.from_bytes(value, "big")


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise BadFrame("text") from None
