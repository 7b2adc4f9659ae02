"""What a queue of Request Tracker needs, how to mend what is missing, and how an answer came in. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from veildesk.core.ticket import CheckResult, Level

__all__ = ["KEY", "THREAD", "came_by_mail", "check_queue"]

THREAD: Final = "veildesk-thread"
"""Ticket field with the thread."""
KEY: Final = "veildesk-key"
"""Transaction field with a message's key."""
_INTERFACE: Final = re.compile(r"^X-RT-Interface:[ \t]*([\w.-]+)", re.IGNORECASE | re.MULTILINE)
_FIX = "on RT's host: rt-setup-database-5 --action insert --datafile veildesk.initialdata"


def check_queue(place: str, queue: str, found: Mapping[str, Any] | None) -> list[CheckResult]:
    """`found` is RT's record of the queue, None when it does not show it to us."""
    place = f"{place}.{queue}"
    if found is None:
        fix = f"grant our user SeeQueue on the queue {queue}, or correct its name"
        return [CheckResult(f"{place}.queue", f"queue {queue} is visible", Level.FAIL, "not shown", fix=fix)]
    results = [CheckResult(f"{place}.queue", f"queue {queue} is visible", Level.OK)]
    may_create = any(link.get("ref") == "create" for link in found.get("_hyperlinks") or ())
    results.append(
        CheckResult(
            f"{place}.create",
            f"we may create tickets in {queue}",
            Level.OK if may_create else Level.FAIL,
            fix="" if may_create else "grant our user CreateTicket, ReplyToTicket and CommentOnTicket there",
        )
    )
    for name, record in ((THREAD, "TicketCustomFields"), (KEY, "TicketTransactionCustomFields")):
        good = any(field.get("name") == name for field in found.get(record) or ())
        results.append(
            CheckResult(
                f"{place}.{name}",
                f"field {name} is there in {queue}",
                Level.OK if good else Level.FAIL,
                "" if good else "missing, or we may not see it",
                fix="" if good else f"{_FIX}; and grant SeeCustomField and ModifyCustomField",
            )
        )
    return results


def came_by_mail(parts: Sequence[Mapping[str, Any]]) -> bool:
    """Whether RT took an answer from a mail, for which it goes by the From that anybody can write.

    RT writes X-RT-Interface into the first part itself, over what a mail brings along.
    """
    found = _INTERFACE.search(str(parts[0].get("Headers") or "")) if parts else None
    return bool(parts) and (found is None or found[1].lower() == "email")
