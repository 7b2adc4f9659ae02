"""Quotations and signatures in plain text: told apart by form, so that they can be cut. Pure.

Two questions are asked here. What did an agent write himself (`without_quotes`): there every quoted line
goes, since decrypted text must not travel back by accident. And what of a user's answer only repeats
earlier messages (`divide`): there only what is plainly a quotation at the end counts, introduced by the
line that mail programs put above one, since lines that begin with ">" may be anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from veildesk.mail.text import tidy

__all__ = ["Sections", "divide", "without_quotes"]

_ORIGINAL = re.compile(
    r"(?:-{2,}|_{2,}) ?(?:original message|forwarded message|ursprüngliche nachricht|message d'origine"
    r"|mensaje original|messaggio originale|исходное сообщение) ?(?:-{2,}|_{2,})",
    re.IGNORECASE,
)
_ATTRIBUTION = re.compile(
    r"(?:On|Am|Le|El|Il|Em|Op|Den|W dniu|\d)[^\n]{0,300}"
    r"(?:wrote|writes|schrieb|a écrit|escribió|ha scritto|escreveu|schreef|skrev|pisze|написал|пишет)"
    r"[^\n]{0,100}:"
)
# In many languages there is no verb: a date, a name and an address, then a colon.
_NAMED = re.compile(r"(?=[^\n]*\d)[^\n]{0,300}<[^<>\s@]{1,64}@[^<>\s]{1,253}>[^\n]{0,100}[:：]")
_ATTRIBUTION_LINES = 3
_SIGNATURE_LINES = 20


@dataclass(frozen=True, slots=True)
class Sections:
    """A text in its parts: what is new, the signature below "-- ", the quotation at the end."""

    own: str = field(repr=False)
    signature: str = field(default="", repr=False)
    quoted: str = field(default="", repr=False)


def without_quotes(text: str) -> str:
    """The text without quoted lines, the line that introduces them, and quoted originals at the end."""
    kept: list[str] = []
    quoting = False
    for line in text.split("\n"):
        if _ORIGINAL.fullmatch(line.strip()):
            break
        if line.startswith(">"):
            if not quoting:
                _drop_attribution(kept)
                kept.append("")
            quoting = True
        elif line.strip() or not quoting:
            kept.append(line)
            quoting = False
    return tidy(re.sub(r"\n{3,}", "\n\n", "\n".join(kept)))


def _drop_attribution(kept: list[str]) -> bool:
    """Drop "On ... somebody wrote:" before a quotation; it may be folded to three lines."""
    while kept and not kept[-1].strip():
        kept.pop()
    for count in range(1, _ATTRIBUTION_LINES + 1):
        lines = " ".join(kept[-count:]).strip()
        if len(kept) >= count and _introduces(lines):
            del kept[-count:]
            return True
    return False


def _introduces(line: str) -> bool:
    return _ATTRIBUTION.fullmatch(line) is not None or _NAMED.fullmatch(line) is not None


def _introduced_inside(quoted: str) -> bool:
    """Whether the quotation begins with the line that introduces it, as Apple's programs write."""
    lines = [line.lstrip("> ") for line in quoted.split("\n")[:_ATTRIBUTION_LINES]]
    return any(_introduces(" ".join(lines[:count])) for count in range(1, len(lines) + 1))


def divide(text: str) -> Sections:
    """Take a text apart. Without a line above it that introduces a quotation, nothing counts as one."""
    lines = tidy(text).split("\n")
    end = len(lines)
    while end and (not lines[end - 1].strip() or lines[end - 1].startswith(">")):
        end -= 1
    kept = lines[:end]
    quoted = "\n".join(lines[end:]).strip("\n")
    if not quoted or not (_drop_attribution(kept) or _introduced_inside(quoted)):
        kept, quoted = lines, ""
    own, signature = _signature(kept)
    return Sections(tidy("\n".join(own)), tidy("\n".join(signature)), quoted)


def _signature(lines: list[str]) -> tuple[list[str], list[str]]:
    """Cut at the last "-- " (RFC 3676 § 4.3) if at most twenty lines stand below it."""
    for index in range(len(lines) - 1, max(-1, len(lines) - _SIGNATURE_LINES - 2), -1):
        if lines[index].rstrip() == "--":
            return lines[:index], lines[index + 1 :]
    return lines, []
