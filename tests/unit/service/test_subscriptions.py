"""Mail to the notices' address: a token subscribes its sender, anything else stays a message like others."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.house import SUPPORT, mail, open_house
from testbed.openpgp_lab import Lab
from veildesk.core.errors import ConfigInvalid
from veildesk.service.config import NOTICE_QUEUE, QueueConfig, parse_config
from veildesk.service.subscriptions import subscribers as subscribers_of
from veildesk.service.subscriptions import subscription_handler
from veildesk.spool.keyring import KeyRing

RAW = {
    "gateway": {"name": "Desk", "address": SUPPORT, "domain": "desk.example"},
    "keys": {"home": "keys", "support": "A" * 40, "notice": "B" * 40},
    "backends": {"desk": {"kind": "memory"}},
    "queues": {"support": {"addresses": [SUPPORT], "backend": "desk"}},
    "notices": {"mail": "notices@desk.example"},
}


async def test_a_token_subscribes_its_sender_and_nothing_is_kept(lab: Lab, tmp_path: Path) -> None:
    config = parse_config(RAW, tmp_path)
    assert config.queues[NOTICE_QUEUE] == QueueConfig(("notices@desk.example",), "nothing", "desk")
    queues = dict(config.queues)
    async with open_house(tmp_path, lab, queues) as house:
        ring = KeyRing.load(tmp_path / "ring")
        known, handler = subscribers_of(config, ring), subscription_handler(config, ring)
        object.__setattr__(house.inbound, "subscribe", handler)
        now = __import__("time").time()
        token = known.start_token(int(now))
        await house.deliver(mail(f"Please.\n{token}\n", Reply_To="victim@example.org"), queue=NOTICE_QUEUE)
        assert [address for _, address in known.all()] == ["rosa@example.org"]
        assert house.entries() == []
        assert await house.rows() == []

        await house.deliver(mail(f"{token}\n", Auto_Submitted="auto-replied"), queue=NOTICE_QUEUE)
        stop = known.stop_token("rosa@example.org")
        await house.deliver(mail(f"> {stop}\n"), queue=NOTICE_QUEUE)
        assert list(known.all()) == []

        entries = await house.deliver(
            mail("I need help, and wrote to the wrong address.\n"), queue=NOTICE_QUEUE
        )
        assert [entry.text.strip() for entry in entries] == ["I need help, and wrote to the wrong address."]


def test_the_address_must_be_its_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="an address of its own"):
        parse_config(RAW | {"notices": {"mail": SUPPORT.upper()}}, tmp_path)


@pytest.mark.parametrize(
    "notices",
    [
        {"threshold": 2},
        {"threshold": 0},
        {"valid_days": 0},
        {"webhook": "http://example.org/hook"},
        {"mail": "nobody"},
        {"signers": ["ABC"]},
    ],
)
def test_settings_that_cannot_work_are_refused(tmp_path: Path, notices: dict[str, object]) -> None:
    with pytest.raises(ConfigInvalid):
        parse_config(RAW | {"notices": notices}, tmp_path)
    with pytest.raises(ConfigInvalid, match="nothing else"):
        parse_config(RAW | {"keys": {**RAW["keys"], "heartbeat": "B" * 40}}, tmp_path)
