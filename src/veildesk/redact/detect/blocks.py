# ruff: noqa: E501 -- word tables and patterns are read best unbroken

"""Armored blocks: PEM (RFC 7468), OpenSSH keys and OpenPGP armor (RFC 9580 § 6), cut-off ones too.

Blocks may be quoted with `> `, stand in JSON with literal `\\n`, or lack their end; then everything
that looks like their body is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from veildesk.core.finding import Finding
from veildesk.redact.rule import Rule, finding, pattern_search

__all__ = ["RULES"]

_BEGIN = re.compile(r"(?P<dashes>-{4,6}) ?BEGIN (?P<label>[A-Z0-9][A-Z0-9 ]{1,40}?) ?-{4,6}")
_LINE = re.compile(
    r"[ \t]*(?:\r?\n|\\r\\n|\\n|\r)(?:[ \t]*[>|])*[ \t]*(?:(?P<data>[A-Za-z0-9+/=]{1,2000})(?=[ \t]*(?:[\r\n\"'\\]|\Z))"
    r"|(?P<head>(?:Version|Comment|Hash|MessageID|Charset|Proc-Type|DEK-Info|Key-ID|Fingerprint)\s?:[^\n\\]{0,200})"
    r"|(?=[ \t]*(?:[\r\n]|\\[rn]|-{4,6} ?END)))"
)
_INLINE_BODY = re.compile(r"[ \t]*[A-Za-z0-9+/=]{16,}(?:[ \t]+[A-Za-z0-9+/=]{4,}(?![\w.:,@-]))*")
_KEEP = ("PGP SIGNED MESSAGE", "DH PARAMETERS", "EC PARAMETERS", "X509 CRL")
_MAX = 400_000
_FAR = 6_000


def _blocks(text: str, start: int, end: int) -> Iterator[Finding]:
    position = start
    while (begin := _BEGIN.search(text, position, min(len(text), end + 60))) is not None:
        position = begin.end()
        label = begin["label"].strip()
        if begin.start() >= end or label in _KEEP:
            continue
        stop = _end_of(text, begin.end(), label)
        pgp = label.startswith("PGP")
        secret = "PRIVATE" in label or "SECRET" in label
        yield finding(begin.start(), stop, "PGP" if pgp else "PEM", "armor", 1.0, secret)
        position = max(position, stop)


def _end_of(text: str, start: int, label: str) -> int:
    """Where the block whose head ends at `start` ends."""
    foot = re.compile(
        rf"[\s>|]{{0,40}}(?:\\[rn]){{0,4}}[\s>|]{{0,8}}-{{4,6}} ?END {re.escape(label)} ?-{{4,6}}"
    )
    stop = _body_end(text, start)
    inline = _INLINE_BODY.match(text, start, start + _MAX)
    if inline and inline.end() > stop:
        stop = inline.end()
    found = foot.match(text, stop) or _far_foot(text, stop, label)
    return found.end() if found else start + len(text[start:stop].rstrip(" \t\r\n>"))


def _far_foot(text: str, start: int, label: str) -> re.Match[str] | None:
    """A foot a little further on, with armor and no prose and no other head before it."""
    found = re.compile(rf"-{{4,6}} ?END {re.escape(label)} ?-{{4,6}}").search(text, start, start + _FAR)
    between = text[start : found.start()] if found else ""
    return found if found and "BEGIN " not in between and _is_body(between) else None


def _body_end(text: str, start: int) -> int:
    """Where the lines of a body without foot end: after the first one shorter than those before."""
    stop, width, short = start, 0, False
    while (line := _LINE.match(text, stop, start + _MAX)) is not None and line.end() > stop:
        data = line["data"]
        if data and (short and not data.startswith("=")):
            break
        if data:
            short, width = len(data) < width, max(width, len(data))
        elif short and line["head"] is None:
            nearby = _LINE.match(text, line.end())
            if nearby is None or not (nearby["data"] or "").startswith("="):
                break
        stop = line.end()
    return stop


def _is_body(body: str) -> bool:
    """Whether what stands between head and foot is armor and no prose."""
    words = [word for word in body.replace("\\r", " ").replace("\\n", " ").split() if word.strip(">|")]
    prose = sum(1 for word in words if not re.fullmatch(r"[>|]*[A-Za-z0-9+/=:\"',.()<>@-]+", word))
    return prose * 4 <= len(words) + 8


_SSH = re.compile(
    r"(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-nistp[0-9]{3}|sk-[a-z0-9-]{5,30}@openssh\.com) (?P<key>AAAA[A-Za-z0-9+/]{16,2000}={0,3}(?: (?P<comment>[\w.+-]{1,64}@[\w.-]{1,64}))?)"
)


def _ssh(match: re.Match[str], text: str) -> Iterator[Finding]:
    """A public key names its owner as surely as an address does, and often says so in its comment."""
    yield finding(match.start("key"), match.end("key"), "PEM", "ssh-key", 0.95, False)


RULES = (
    Rule("ssh-key", (rb" AAAA[a-z0-9+/]{16}",), pattern_search(_SSH, _ssh), back=70, ahead=2100),
    Rule("armor", (rb"BEGIN [A-Z0-9]",), _blocks, back=16, ahead=8),
)
