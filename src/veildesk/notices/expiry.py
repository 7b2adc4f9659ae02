"""Everything that ends: watched, with warnings 30, 15 and 5 days before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from veildesk.core.notice import Board, Kind
from veildesk.core.ticket import CheckResult, Level
from veildesk.notices.identity import security_txt_expires
from veildesk.notices.signing import signed_body
from veildesk.notices.text import parse_heartbeat

__all__ = ["WARN_DAYS", "Expiry", "checks", "expiries"]

WARN_DAYS = (30, 15, 5)
_DAY = 86400


@dataclass(frozen=True, slots=True)
class Expiry:
    """Something that ends at `at` (seconds since 1970 UTC; None: it is not there at all)."""

    id: str
    what: str
    at: int | None
    fix: str
    days: tuple[int, ...] = WARN_DAYS

    def left(self, now: int) -> int | None:
        """Whole days left, negative when it is over."""
        return None if self.at is None else (self.at - now) // _DAY

    def stage(self, now: int) -> int | None:
        """The smallest of `days` that is reached; 0 when it is over; None while there is time."""
        left = self.left(now)
        if left is None or self.at is None or self.at <= now:
            return 0
        return min((day for day in self.days if left < day), default=None)


def expiries(board: Board, keys: Mapping[str, int | None]) -> list[Expiry]:
    """All that ends. `keys` are names ("notice key") with the time of their expiry, None for never."""
    found = [
        Expiry(
            f"expiry.{name.replace(' ', '-')}", name, at, "renew it ('gpg --quick-set-expire'), or rotate it"
        )
        for name, at in keys.items()
        if at is not None
    ]
    listed = board.latest(Kind.IDENTITY)
    at = listed.statement.valid_until if listed else None
    found.append(Expiry("expiry.addresses", "list of official addresses", at, "veildesk identity publish"))
    fix = "veildesk identity security-txt"
    text = board.security_txt
    found.append(
        Expiry("expiry.security-txt", "security.txt", security_txt_expires(text) if text else None, fix)
    )
    canary = board.latest(Kind.CANARY)
    if canary is not None:
        fix = "veildesk notice draft --template canary, then sign and publish it"
        found.append(Expiry("expiry.canary", "canary", canary.statement.valid_until, fix, (15, 5)))
    if board.heartbeat is not None:
        fix = "see that 'veildesk status-site run' is running, or run 'veildesk notice heartbeat'"
        found.append(Expiry("expiry.heartbeat", "heartbeat", _next_by(board.heartbeat), fix, ()))
    return found


def checks(found: list[Expiry], now: int) -> list[CheckResult]:
    """The same for 'veildesk doctor'."""
    results = []
    for one in found:
        left, stage = one.left(now), one.stage(now)
        level = Level.OK if stage is None else Level.FAIL if stage <= min(WARN_DAYS) else Level.WARN
        said = (
            "missing"
            if left is None
            else "over"
            if one.at is not None and one.at <= now
            else f"{left} days left"
        )
        if one.at is None:
            level = Level.WARN
        fix = "" if level is Level.OK else one.fix
        results.append(CheckResult(one.id, f"{one.what} is in time", level, said, fix=fix))
    return results


def _next_by(signed: str) -> int | None:
    try:
        return parse_heartbeat(signed_body(signed)).next_by
    except ValueError:
        return 0
