# ruff: noqa: E501 -- patterns are read best unbroken

"""Keys people are given to write down: groups of characters that tell what they are by their form.

BitLocker recovery passwords (eight numbers divisible by eleven), recovery keys of FileVault, Matrix and
Threema, product keys, application passwords in five groups, accounts of VPN services that are their own password.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from veildesk.core.finding import Finding
from veildesk.redact.detect.prefixes import drawn
from veildesk.redact.rule import Rule, before, finding, pattern_search

__all__ = ["RULES"]

_GAP = r"(?:[ ]?-[ ]?|[ ]|-?\r?\n(?:> ?)*)"
_BITLOCKER = re.compile(rf"(?<![0-9A-Za-z-])[0-9]{{6}}(?:{_GAP}[0-9]{{6}}){{7}}(?![0-9A-Za-z]|-[0-9])")


def _bitlocker(match: re.Match[str], text: str) -> Iterator[Finding]:
    groups = re.findall(r"[0-9]{6}", match[0])
    if sum(int(group) % 11 == 0 for group in groups) >= 6:
        yield finding(match.start(), match.end(), "RECOVERY", "bitlocker")


_SIXES = re.compile(r"(?<![0-9A-Za-z-])[A-Z0-9]{4}(?:-[A-Z0-9]{4}){5}(?![0-9A-Za-z]|-[A-Z0-9])")
_FIVES = re.compile(
    r"(?<![0-9A-Za-z-])(?:[A-Z0-9]{5}(?:-[A-Z0-9]{5}){4}|[A-Za-z0-9]{5}(?:-[A-Za-z0-9]{5}){4})(?![0-9A-Za-z]|-[A-Za-z0-9])"
)
_FOURS = re.compile(r"(?<![0-9A-Za-z-])[A-Z2-7]{4}(?:[ -][A-Z2-7]{4}){11,23}(?![0-9A-Za-z])")
_MATRIX = re.compile(
    r"(?<![0-9A-Za-z])Es[A-Za-z0-9]{2}(?:(?:[ ]|\r?\n(?:> ?)*)?[1-9A-HJ-NP-Za-km-z]{4}){10,12}(?![0-9A-Za-z])"
)


def _mixed(value: str) -> bool:
    """Letters and digits as chance mixes them, not words or numbers in a row."""
    digits, letters = sum(char.isdigit() for char in value), sum(char.isalpha() for char in value)
    return digits >= 3 and letters >= 4


def _grouped(type_: str, name: str) -> Callable[[re.Match[str], str], Iterator[Finding]]:
    def judge(match: re.Match[str], text: str) -> Iterator[Finding]:
        plain = re.sub(r"[^A-Za-z0-9]", "", match[0])
        if _mixed(plain) and (plain.isupper() or drawn(plain)):
            yield finding(match.start(), match.end(), type_, name, 0.85)

    return judge


_VPN = re.compile(
    r"(?<![0-9A-Za-z-])(?:i-(?:[A-Z0-9]{4}-){2}[A-Z0-9]{4}|ivpn[A-Za-z0-9]{7,8}|[0-9]{4}(?:[ -]?[0-9]{4}){3})(?![0-9A-Za-z]|[.-][0-9])"
)
_VPN_NAMES = re.compile(r"mullvad|ivpn", re.IGNORECASE)


def _vpn(match: re.Match[str], text: str) -> Iterator[Finding]:
    """The account is all that is needed to log in there."""
    near = before(text, match.start(), 80) + " " + text[match.end() : match.end() + 24].partition("\n")[0]
    if _VPN_NAMES.search(near):
        yield finding(match.start(), match.end(), "PASSWORD", "vpn-account", 0.85)


RULES = (
    Rule("bitlocker", (rb"[0-9]{6}[ -][0-9]{6}[ -][0-9]{6}[ -][0-9]{6}",), pattern_search(_BITLOCKER, _bitlocker), back=60, ahead=40),
    Rule("groups", (rb"[^0-9A-Za-z-](?:[A-Z0-9]{4}-){4}[A-Z0-9]{4}",), pattern_search(_SIXES, _grouped("RECOVERY", "six-groups")), back=26, ahead=10, cased=True),
    Rule("groups", (rb"[^0-9A-Za-z-](?:[A-Za-z0-9]{5}-){4}[A-Za-z0-9]{5}",), pattern_search(_FIVES, _grouped("API_TOKEN", "five-groups")), back=32, ahead=4, cased=True),
    Rule("groups", (rb"[A-Z2-7]{4}[ -][A-Z2-7]{4}[ -][A-Z2-7]{4}[ -][A-Z2-7]{4}",), pattern_search(_FOURS, _grouped("RECOVERY", "four-groups")), back=24, ahead=102, cased=True),
    Rule("groups", (rb"[^0-9A-Za-z]Es[A-Za-z0-9]{2}[ ]?[1-9A-HJ-NP-Za-km-z]{4}[ ]?[1-9A-HJ-NP-Za-km-z]{4}[ ]?[1-9A-HJ-NP-Za-km-z]{4}",), pattern_search(_MATRIX, _grouped("RECOVERY", "matrix-key")), back=24, ahead=70, cased=True),
    Rule("vpn-account", (rb"mullvad", rb"ivpn"), pattern_search(_VPN, _vpn), back=30, ahead=120),
)  # fmt: skip
