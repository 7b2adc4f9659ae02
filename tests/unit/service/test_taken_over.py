"""A gateway that lost its claim to another one leaves what it delivered where it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.house import mail, open_house
from testbed.openpgp_lab import Lab
from veildesk.core.errors import WorkLost
from veildesk.core.work import State, Work


async def test_what_was_delivered_stays_when_only_the_claim_was_lost(
    tmp_path: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_house(tmp_path, lab) as house:
        await house.take(mail())
        (work,) = await house.spool.claim([State.ACCEPTED])
        real = house.spool.advance

        async def lose(work: Work, to: State, **rest: object) -> Work:
            if to is State.DELIVERED:
                raise WorkLost("another has it")
            return await real(work, to, **rest)  # type: ignore[arg-type]

        monkeypatch.setattr(house.spool, "advance", lose)
        with pytest.raises(WorkLost):
            await house.inbound.run(work)
        assert len(house.entries()) == 1
