"""Operator rules: their own tests decide, and a bad rule is refused as a whole."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from veildesk.core.errors import ConfigInvalid
from veildesk.core.finding import MaskNumbering
from veildesk.redact.apply import redact_text
from veildesk.redact.engine import find
from veildesk.redact.rules import RuleSet, rule_set

GOOD = r"""
off = ["TXID"]

[[rule]]
type = "CUSTOMER"
pattern = '(?:no\.|number) (CU-[0-9]{6})'
flags = "i"
finds = ["Number CU-123456", "no. cu-000001"]
leaves = ["CU-123456", "number CU-12"]
"""


def test_own_rule_masks_its_group() -> None:
    rules = rule_set(tomllib.loads(GOOD))
    masked = redact_text("my NUMBER cu-123456, again number CU-123456", MaskNumbering(b"k"), rules=rules)
    assert masked.text == "my NUMBER [x-customer-1], again number [x-customer-2]"
    assert masked.counts == {"CUSTOMER": 2}


def test_type_can_be_switched_off() -> None:
    text = "txid " + "a1" * 32
    assert [item.type for item in find(text)] == ["TXID"]
    assert find(text, rules=rule_set({"off": ["TXID"]})) == ()


def test_secrets_cannot_be_switched_off() -> None:
    assert [
        item.type for item in find("password: Sommer2024", rules=RuleSet(off=frozenset({"PASSWORD"})))
    ] == ["PASSWORD"]


_RULE: dict[str, Any] = {"type": "X", "pattern": "q-[0-9]+", "finds": ["q-1"], "leaves": ["q-"]}


@pytest.mark.parametrize(
    "change",
    [
        {"type": "EMAIL"},
        {"type": "lower"},
        {"type": 5},
        {"pattern": "q-("},
        {"pattern": "(a+)+b"},
        {"pattern": "a*"},
        {"pattern": "x" * 501},
        {"pattern": ""},
        {"flags": "s"},
        {"secret": "yes"},
        {"finds": []},
        {"leaves": []},
        {"finds": ["nothing"]},
        {"leaves": ["q-77"]},
        {"extra": 1},
        {"finds": [1]},
    ],
    ids=str,
)
def test_a_bad_rule_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        rule_set({"rule": [{**_RULE, **change}]})
    assert "redact.rule[1]" in caught.value.detail


@pytest.mark.parametrize(
    "table", [{"of": []}, {"off": ["NOPE"]}, {"off": "TXID"}, {"rule": {}}, {"rule": [3]}], ids=str
)
def test_a_bad_table_is_refused(table: dict[str, Any]) -> None:
    with pytest.raises(ConfigInvalid):
        rule_set(table)
