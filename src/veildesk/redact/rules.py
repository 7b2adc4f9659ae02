"""Which rules hold: types switched off per queue, and an operator's own rules with their own tests.

An operator writes, in TOML:

    off = ["TXID"]

    [[rule]]
    type = "CUSTOMER"
    pattern = 'CU-[0-9]{6}'
    flags = "i"                  # optional
    secret = false               # optional
    finds = ["my number is CU-123456"]
    leaves = ["CU-12", "CURRENT"]

A rule whose tests fail, that could match nothing, or that backtracks without bound is refused as a whole,
so that a typo never silently opens a hole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from veildesk.core.errors import ConfigInvalid
from veildesk.redact.masks import WORDS

__all__ = ["OperatorRule", "RuleSet", "rule_set"]

_TYPE = re.compile(r"[A-Z][A-Z0-9_]{0,23}")
_NESTED = re.compile(r"\([^()]*[*+][^()]*\)[*+{]|[*+}][*+]")
_MAX_PATTERN = 500


@dataclass(frozen=True, slots=True)
class OperatorRule:
    """An own pattern. Group 1, if there is one, is what gets masked; else the whole match."""

    type: str
    pattern: re.Pattern[str]
    secret: bool = False


@dataclass(frozen=True, slots=True)
class RuleSet:
    """`off` holds type names that are not reported; secrets cannot be switched off."""

    off: frozenset[str] = frozenset()
    own: tuple[OperatorRule, ...] = field(default=())


def rule_set(table: Mapping[str, Any]) -> RuleSet:
    """A rule set from a parsed TOML table. Raises `ConfigInvalid` with the number of the rule at fault."""
    unknown = set(table) - {"off", "rule"}
    if unknown:
        raise ConfigInvalid(f"redact: unknown keys: {len(unknown)}")
    off = _texts(table.get("off", []), "redact.off")
    wrong = [name for name in off if name not in WORDS]
    if wrong:
        raise ConfigInvalid(f"redact.off: unknown types: {len(wrong)}")
    rules = table.get("rule", [])
    if not isinstance(rules, list):
        raise ConfigInvalid("redact.rule: not a list of tables")
    return RuleSet(frozenset(off), tuple(_rule(item, at) for at, item in enumerate(rules, 1)))


def _texts(value: object, where: str) -> Sequence[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ConfigInvalid(f"{where}: not a list of texts")
    return value


def _rule(item: object, at: int) -> OperatorRule:
    where = f"redact.rule[{at}]"
    if not isinstance(item, Mapping):
        raise ConfigInvalid(f"{where}: not a table")
    if set(item) - {"type", "pattern", "flags", "secret", "finds", "leaves"}:
        raise ConfigInvalid(f"{where}: unknown keys")
    type_ = item.get("type")
    if not isinstance(type_, str) or not _TYPE.fullmatch(type_) or type_ in WORDS:
        raise ConfigInvalid(f"{where}: type must be new, upper-case letters, digits and _")
    secret = item.get("secret", False)
    if not isinstance(secret, bool):
        raise ConfigInvalid(f"{where}: secret must be true or false")
    rule = OperatorRule(type_, _pattern(item, where), secret)
    _run_tests(rule, item, where)
    return rule


def _pattern(item: Mapping[str, Any], where: str) -> re.Pattern[str]:
    source, flags = item.get("pattern"), item.get("flags", "")
    if not isinstance(source, str) or not 0 < len(source) <= _MAX_PATTERN:
        raise ConfigInvalid(f"{where}: pattern missing or longer than {_MAX_PATTERN} characters")
    if flags not in ("", "i"):
        raise ConfigInvalid(f"{where}: flags must be empty or 'i'")
    if _NESTED.search(source):
        raise ConfigInvalid(f"{where}: repeats inside repeats are not allowed")
    try:
        pattern = re.compile(source, re.IGNORECASE if flags else 0)
    except re.error:
        raise ConfigInvalid(f"{where}: pattern is not a regular expression") from None
    if pattern.search("") is not None:
        raise ConfigInvalid(f"{where}: pattern matches nothing at all")
    return pattern


def _run_tests(rule: OperatorRule, item: Mapping[str, Any], where: str) -> None:
    finds = _texts(item.get("finds", []), f"{where}.finds")
    leaves = _texts(item.get("leaves", []), f"{where}.leaves")
    if not finds or not leaves:
        raise ConfigInvalid(f"{where}: needs at least one text in 'finds' and one in 'leaves'")
    missed = sum(rule.pattern.search(text) is None for text in finds)
    hit = sum(rule.pattern.search(text) is not None for text in leaves)
    if missed or hit:
        raise ConfigInvalid(f"{where}: own tests fail: {missed} not found, {hit} wrongly found")
