"""What the configuration says about redaction and attachments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from veildesk.attachments.clamd import ScannedCleaner
from veildesk.attachments.sandbox import SandboxCleaner
from veildesk.core.errors import ConfigInvalid
from veildesk.service.build import cleaner_from
from veildesk.service.config import AttachmentsConfig, Config, parse_config

RULE = {"type": "CUSTOMER", "pattern": "CU-[0-9]{6}", "finds": ["CU-123456"], "leaves": ["CU-12"]}


def parsed(**more: Any) -> Config:
    raw: dict[str, Any] = {
        "gateway": {"name": "Desk", "address": "a@desk.example", "domain": "desk.example"},
        "keys": {"home": "gnupg", "support": "A" * 40, "notice": "B" * 40},
        "queues": {"support": {"backend": "maildir", **more.pop("queue", {})}},
        "backends": {"maildir": {"kind": "maildir"}},
    }
    return parse_config({**raw, **more}, Path("/etc/veildesk"))


def test_rules_and_types_are_read() -> None:
    config = parsed(redact={"off": ["TXID"], "rule": [RULE]}, queue={"unmasked": ["XPUB"]})
    assert config.redact.off == {"TXID"}
    assert [rule.type for rule in config.redact.own] == ["CUSTOMER"]
    assert config.queues["support"].unmasked == ("XPUB",)
    assert parsed().redact.own == ()


@pytest.mark.parametrize(
    "more",
    [
        {"redact": {"rule": [{**RULE, "finds": ["nothing"]}]}},
        {"redact": {"of": ["TXID"]}},
        {"queue": {"unmasked": ["SEED"]}},
        {"queue": {"unmasked": ["TXIDS"]}},
    ],
    ids=["a rule whose own test fails", "a typing mistake", "a secret type", "an unknown type"],
)
def test_what_would_open_a_hole_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ConfigInvalid):
        parsed(**more)


def test_the_scan_stands_before_the_cleaner_only_if_asked_for() -> None:
    assert isinstance(cleaner_from(AttachmentsConfig()), SandboxCleaner)
    config = parsed(attachments={"clamd": "/run/clamav/clamd.ctl"})
    assert config.attachments is not None
    assert isinstance(cleaner_from(config.attachments), ScannedCleaner)
