"""What 'veildesk doctor' says of signed statements: the series, what ends, the channels."""

from __future__ import annotations

from veildesk.core.errors import VeildeskError
from veildesk.core.ticket import CheckResult, Level
from veildesk.notices.expiry import checks, expiries
from veildesk.notices.lost_end import newest_known
from veildesk.service.config import Config
from veildesk.service.notice_verify import verify_own
from veildesk.service.notices import open_press

__all__ = ["check_notices"]


async def check_notices(config: Config) -> list[CheckResult]:
    """Verify our own series as a reader would, and look at everything that ends."""
    results: list[CheckResult] = []
    try:
        judgement = await verify_own(config)
    except VeildeskError as error:
        return [
            CheckResult("notices.series", "the series is sound", Level.FAIL, error.detail, fix=error.hint)
        ]
    faults = "; ".join(f"{one.defect.value} {one.number}" for one in judgement.faults)
    if not judgement.statements:
        fix = "veildesk identity publish"
        return [
            CheckResult("notices.series", "the series is sound", Level.WARN, "nothing published", fix=fix)
        ]
    level = Level.FAIL if faults else Level.OK
    fix = "look with 'veildesk notice verify'" if faults else ""
    results.append(CheckResult("notices.series", "the series is sound", level, faults, fix=fix))
    async with open_press(config) as press:
        lost = newest_known(press.directory.folder, press.publisher.copies) - len(judgement.statements)
        if lost > 0:
            results.append(_lost(lost))
        board = press.board.board()
        # The keys themselves have checks of their own.
        results += [
            one
            for one in checks(expiries(board, await press.key_expiries()), press.clock.now())
            if one.id not in ("expiry.support-key", "expiry.notice-key")
        ]
        if press.identity_differs():
            fix = "veildesk identity publish"
            results.append(
                CheckResult(
                    "notices.addresses",
                    "the list of official addresses is that of the configuration",
                    Level.WARN,
                    "differs",
                    fix=fix,
                )
            )
        waiting = [one for one in press.distribution.results(board) if one.state != "delivered"]
        found = ", ".join(f"{one.channel} {one.number} {one.state}" for one in waiting[:5]) or "all"
        level = Level.WARN if waiting else Level.OK
        fix = "look with 'veildesk notice channels'" if waiting else ""
        results.append(CheckResult("notices.channels", "every notice is delivered", level, found, fix=fix))
    return results


def _lost(number: int) -> CheckResult:
    title = "the end of the series is here"
    fix = (
        "put the missing statements back from a channel that has them, such as a static export, before "
        "anything is published; until then no heartbeat is signed"
    )
    return CheckResult("notices.end", title, Level.FAIL, f"{number} published statements missing", "", fix)
