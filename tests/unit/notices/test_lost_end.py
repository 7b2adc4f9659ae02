"""The end of our own series is gone here: no fork, and no heartbeat that calls the rest the whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from veildesk.notices.archive import NoticeRefused
from veildesk.service.config import load_config
from veildesk.service.initialise import initialise
from veildesk.service.notice_checks import check_notices
from veildesk.service.notices import open_press, wanted_identity


@pytest.mark.parametrize("witness", ["heartbeat", "ledger", "export"])
async def test_no_heartbeat_and_no_statement_while_a_published_one_is_missing(
    tmp_path: Path, witness: str
) -> None:
    await initialise(tmp_path / "gw", name="Desk", address="support@desk.example")
    toml = tmp_path / "gw" / "veildesk.toml"
    toml.write_text(toml.read_text() + '\n[notices]\nexports = ["www"]\n')
    config = load_config(toml)
    notices = config.gateway.state_dir / "notices"
    before = (notices / "heartbeat.asc").read_bytes()
    async with open_press(config) as press:
        await press.publish(wanted_identity(config))
        (notices / "000002.asc").unlink()
        if witness != "heartbeat":
            (notices / "heartbeat.asc").write_bytes(before)
        if witness != "ledger":
            for ledger in (notices / "delivery").glob("*/000002.json"):
                ledger.unlink()
        if witness != "export":
            for copy in (tmp_path / "gw").glob("www*/**/2.asc"):
                copy.unlink()
        kept = (notices / "heartbeat.asc").read_bytes()
        with pytest.raises(NoticeRefused, match="statement 2 was published and is missing here"):
            await press.beat(due_only=False)
        with pytest.raises(NoticeRefused, match="statement 2 was published and is missing here"):
            await press.publish(wanted_identity(config))
    assert (notices / "heartbeat.asc").read_bytes() == kept
    assert not (notices / "000002.asc").exists()
    assert "notices.end" in {one.id for one in await check_notices(config)}
