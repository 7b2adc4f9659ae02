"""A mailer that keeps what it is given, for tests and for a gateway without an outgoing server."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

from veildesk.core.errors import SendRefused, VeildeskError
from veildesk.replies.wire import check_address, check_wire

__all__ = ["FakeMailer", "SentMail"]

_MESSAGE_ID = re.compile(rb"^Message-ID:[ \t]*(?:\r\n[ \t]+)?(<[^<>\r\n]+>)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SentMail:
    """One mail as handed over, with its envelope."""

    wire: bytes = field(repr=False)
    sender: str
    recipient: str


class FakeMailer:
    """A `veildesk.core.ports.Mailer` that records mails by Message-ID (angle brackets included).

    `sent` maps a Message-ID to every hand-over of it, so that a test sees a mail sent twice. Errors in
    `next_errors` are raised one for each call, before anything is recorded. `unknown` are recipients to
    refuse for good.
    """

    def __init__(self) -> None:
        self.sent: dict[str, list[SentMail]] = {}
        self.next_errors: deque[VeildeskError] = deque()
        self.unknown: set[str] = set()

    async def send(self, wire: bytes, sender: str, recipient: str) -> None:
        """Record a mail. Raises like the real one."""
        check_wire(wire)
        check_address(sender, null_allowed=True)
        check_address(recipient)
        if self.next_errors:
            raise self.next_errors.popleft()
        if recipient in self.unknown:
            raise SendRefused("smtp-550")
        header = wire.partition(b"\r\n\r\n")[0] + b"\r\n"
        match = _MESSAGE_ID.search(header)
        key = match[1].decode("ascii", "replace") if match else ""
        self.sent.setdefault(key, []).append(SentMail(wire, sender, recipient))
