"""A notice as text and back. Pure. User action comes first, as readers need it first.

The text is what is signed and served; everything shown on the status page is read back from it, so
that the page cannot say more than the signature covers.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime

from veildesk.core.errors import ConfigInvalid
from veildesk.core.notice import Impact, IncidentState, Notice

__all__ = ["notice_text", "parse_notice_text"]

_HEAD = re.compile(r"Notice (\d+)\n")
_FIELDS = ("Issued", "State", "Impact", "Title", "Previous")
_SECTIONS = ("What you should do", "Summary", "Affected")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def notice_text(number: int, issued: int, notice: Notice, previous: str) -> str:
    """The text to sign. `issued` is seconds since 1970 UTC, `previous` the sha256 of the notice before.

    Raises `ConfigInvalid` when a field is empty or holds characters that could fake another field.
    """
    title = _line(notice.title)
    when = datetime.fromtimestamp(issued, UTC).strftime("%Y-%m-%d %H:%M UTC")
    parts = [
        f"Notice {number}",
        f"Issued: {when}",
        f"State: {notice.state.value}",
        f"Impact: {notice.impact.value}",
        f"Title: {title}",
        f"Previous: {previous or 'none'}",
    ]
    for name, text in zip(_SECTIONS, (notice.action, notice.summary, notice.affected), strict=True):
        parts += ["", f"[{name}]", _block(text) or "-"]
    return "\n".join(parts) + "\n"


def parse_notice_text(text: str) -> tuple[int, int, Notice, str]:
    """Number, issue time, notice and hash of the previous one. Raises `ValueError` if malformed."""
    head = _HEAD.match(text)
    if head is None:
        raise ValueError("not a notice")
    lines = text[head.end() :].split("\n")
    fields: dict[str, str] = {}
    for name in _FIELDS:
        key, colon, value = (lines.pop(0) if lines else "").partition(": ")
        if key != name or not colon:
            raise ValueError(f"expected {name}")
        fields[name] = value
    sections = _read_sections(lines)
    issued = datetime.strptime(fields["Issued"], "%Y-%m-%d %H:%M UTC").replace(tzinfo=UTC)
    notice = Notice(
        title=fields["Title"],
        state=IncidentState(fields["State"]),
        impact=Impact(fields["Impact"]),
        action=sections["What you should do"],
        summary=sections["Summary"],
        affected=sections["Affected"],
    )
    previous = "" if fields["Previous"] == "none" else fields["Previous"]
    return int(head[1]), int(issued.timestamp()), notice, previous


def _read_sections(lines: list[str]) -> dict[str, str]:
    sections: dict[str, list[str]] = {}
    names = list(_SECTIONS)
    current: list[str] = []
    for line in lines:
        if names and line == f"[{names[0]}]":
            current = sections.setdefault(names.pop(0), [])
        else:
            current.append(line)
    if names:
        raise ValueError("a section is missing")
    return {
        name: "" if (text := "\n".join(body).strip("\n")) == "-" else text for name, body in sections.items()
    }


def _line(text: str) -> str:
    cleaned = unicodedata.normalize("NFC", text).strip()
    if not cleaned or "\n" in cleaned or _CONTROL.search(cleaned):
        raise ConfigInvalid("the title must be one line of visible characters")
    return cleaned


def _block(text: str) -> str:
    cleaned = unicodedata.normalize("NFC", text.replace("\r\n", "\n")).strip()
    if _CONTROL.search(cleaned):
        raise ConfigInvalid("the text holds control characters")
    if any(line in {f"[{name}]" for name in _SECTIONS} for line in cleaned.split("\n")):
        raise ConfigInvalid("a line of the text looks like a section heading")
    # Trailing blanks are not covered by a clear-sign signature (RFC 9580 § 7.2).
    return "\n".join(line.rstrip() for line in cleaned.split("\n"))
