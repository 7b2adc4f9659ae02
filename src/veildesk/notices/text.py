"""Statements as text and back. Pure. User action comes first, as readers need it first.

The text is what is signed and served; everything shown on a status page is read back from it, so that
no page can say more than the signature covers. Reading is strict: what would not be written in exactly
this way is not a statement.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from veildesk.core.errors import ConfigInvalid, InputInvalid
from veildesk.core.notice import (
    MAINTENANCE_STATES,
    Handle,
    Heartbeat,
    Identity,
    Impact,
    IncidentState,
    Kind,
    Notice,
    Statement,
    Words,
)

__all__ = [
    "HEADINGS",
    "heartbeat_text",
    "parse_heartbeat",
    "parse_statement",
    "statement_text",
    "written_time",
]

HEADINGS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "action": "What you should do",
        "summary": "Summary",
        "impact": "Impact",
        "affected": "Affected",
        "fix": "Fix",
        "references": "References",
    },
    "ru": {
        "action": "Что вам делать",
        "summary": "Кратко",
        "impact": "Последствия",
        "affected": "Кого касается",
        "fix": "Исправление",
        "references": "Ссылки",
    },
}
"""Section headings by language, in reading order. A language is added here and in the templates."""

_STATEMENT = "Veildesk statement 1"
_HEARTBEAT = "Veildesk heartbeat 1"
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff]"
)
_HEADING_LINE = re.compile(r"\[[^\[\]]+\]\Z")
_TIME = "%Y-%m-%d %H:%M UTC"
_HASH = re.compile(r"[0-9a-f]{64}\Z")
_KEY = re.compile(r"(?:[0-9A-F]{40}|[0-9A-F]{64})\Z")
_PLACE = re.compile(r"[a-z][a-z0-9+.-]*://[^\s]+\Z|-\Z")
_REQUIRED = ("action", "summary")


def statement_text(statement: Statement) -> str:
    """The text to sign, LF line ends.

    Raises `ConfigInvalid` when a text is empty that must not be, or could fake another field.
    """
    lines = [
        _STATEMENT,
        f"Number: {statement.number}",
        f"Kind: {statement.kind.value}",
        f"Issued: {written_time(statement.issued)}",
        f"Valid until: {written_time(statement.valid_until)}",
        f"Previous: {statement.previous or 'none'}",
        f"Addresses: {statement.addresses} {statement.where or '-'}",
    ]
    content = statement.content
    if isinstance(content, Identity):
        lines += _identity_lines(content)
    elif isinstance(content, Notice):
        lines += _notice_lines(content, statement.number)
        lines += _words_lines(content.words)
    else:
        lines += _words_lines(content)
    return "\n".join(lines) + "\n"


def parse_statement(text: str) -> Statement:
    """Read a statement. Raises `ValueError` for anything but exactly what `statement_text` writes."""
    reader = _Reader(text)
    if reader.line() != _STATEMENT:
        raise ValueError("not a statement")
    number, kind = reader.number("Number"), Kind(reader.field("Kind"))
    issued, valid_until = reader.time("Issued"), reader.time("Valid until")
    previous = reader.field("Previous")
    list_number, _, where = reader.field("Addresses").partition(" ")
    content: Notice | Identity | Mapping[str, Words]
    if kind is Kind.IDENTITY:
        content = _read_identity(reader)
    elif kind is Kind.CANARY:
        content = _read_words(reader)
    else:
        content = _read_notice(reader, kind, number)
    statement = Statement(
        number=number,
        kind=kind,
        issued=issued,
        valid_until=valid_until,
        previous="" if previous == "none" else previous,
        addresses=int(list_number),
        where="" if where == "-" else where,
        content=content,
    )
    try:
        same = statement_text(statement) == text
    except ConfigInvalid as error:
        raise ValueError(error.detail) from None
    if not same or number < 1 or (statement.previous and not _HASH.match(statement.previous)):
        raise ValueError("not written as statements are")
    return statement


def heartbeat_text(beat: Heartbeat) -> str:
    """The text of a heartbeat to sign."""
    return (
        f"{_HEARTBEAT}\n"
        f"Number: {beat.number}\n"
        f"Issued: {written_time(beat.issued)}\n"
        f"Next by: {written_time(beat.next_by)}\n"
        f"Head: {beat.head_number} {beat.head_sha256}\n"
        "\n"
        f'Nothing was published after statement {beat.head_number}. If the time in "Next by" has\n'
        "passed, this text is old: look for a newer one, and ask at another official address.\n"
    )


def parse_heartbeat(text: str) -> Heartbeat:
    """Read a heartbeat. Raises `ValueError`."""
    reader = _Reader(text)
    if reader.line() != _HEARTBEAT:
        raise ValueError("not a heartbeat")
    number, issued, next_by = reader.number("Number"), reader.time("Issued"), reader.time("Next by")
    head, _, sha256 = reader.field("Head").partition(" ")
    beat = Heartbeat(number, issued, next_by, int(head), sha256)
    if heartbeat_text(beat) != text or not _HASH.match(sha256):
        raise ValueError("not written as heartbeats are")
    return beat


def written_time(seconds: int) -> str:
    """Seconds since 1970 as it stands in statements."""
    return datetime.fromtimestamp(seconds, UTC).strftime(_TIME)


# ------------------------------------------------------------------------------ writing


def _notice_lines(notice: Notice, number: int) -> list[str]:
    maintenance = notice.kind is Kind.MAINTENANCE
    if (notice.state in MAINTENANCE_STATES) is not maintenance:
        raise InputInvalid(f"the state '{notice.state.value}' does not fit a notice of this kind")
    if (notice.state is IncidentState.POSTMORTEM) is not (notice.kind is Kind.POSTMORTEM):
        raise InputInvalid("the state 'post-mortem' and the kind 'post-mortem' go together")
    lines = [
        f"Incident: {notice.incident or number}",
        f"State: {notice.state.value}",
        f"Severity: {notice.severity.value}",
    ]
    if notice.components:
        lines.append(f"Components: {', '.join(_name(one) for one in notice.components)}")
    if maintenance:
        if notice.starts is None or notice.ends is None or notice.ends <= notice.starts:
            raise InputInvalid("a maintenance needs 'starts' and a later 'ends'")
        lines += [f"Starts: {written_time(notice.starts)}", f"Ends: {written_time(notice.ends)}"]
    return lines


def _identity_lines(identity: Identity) -> list[str]:
    keys = [*identity.signers, identity.support_key, identity.heartbeat_key or "A" * 40]
    if not all(_KEY.match(key) for key in keys):
        raise InputInvalid("keys are named by full fingerprints in upper-case hex")
    if not 1 <= identity.threshold <= len(set(identity.signers)) == len(identity.signers):
        raise InputInvalid("the number of signatures needed must be between 1 and the number of signers")
    if identity.heartbeat_key in identity.signers:
        raise InputInvalid("the heartbeat key must not be one that signs notices")
    lines = [
        f"Signers: {' '.join(identity.signers)}",
        f"Signatures needed: {identity.threshold}",
        f"Heartbeat key: {identity.heartbeat_key or 'none'}",
        f"Support key: {identity.support_key}",
        "",
        "These and no others are our official addresses:",
    ]
    lines += [f"Onion: {_line(one)}" for one in identity.onions]
    lines += [f"Domain: {_line(one)}" for one in identity.domains]
    lines += [f"Mail: {_line(one)}" for one in identity.mails]
    for handle in identity.handles:
        if not re.fullmatch(r"[a-z0-9-]+", handle.service) or " " in handle.name.strip():
            raise InputInvalid("a handle needs a service in lower case and a name without blanks")
        lines.append(f"Handle: {handle.service} {_line(handle.name)} - {_line(handle.risk)}")
    return lines


def _words_lines(words: Mapping[str, Words]) -> list[str]:
    if not words:
        raise InputInvalid("a text in at least one language is needed")
    lines: list[str] = []
    for language, texts in words.items():
        if language not in HEADINGS:
            raise InputInvalid(
                f"there are no section headings for this language; known: {', '.join(HEADINGS)}"
            )
        lines += ["", f"Language: {language}", f"Title: {_line(texts.title)}"]
        for name, heading in HEADINGS[language].items():
            text = _block(getattr(texts, name))
            if not text and name in _REQUIRED:
                raise InputInvalid(f"[{language}] {name}: this text is needed")
            if text:
                lines += ["", f"[{heading}]", text]
    return lines


def _line(text: str) -> str:
    cleaned = unicodedata.normalize("NFC", text).strip()
    if not cleaned or "\n" in cleaned or _CONTROL.search(cleaned):
        raise InputInvalid("a title, name or address must be one line of visible characters")
    return cleaned


def _name(text: str) -> str:
    if "," in text:
        raise InputInvalid("a component's name must not hold a comma")
    return _line(text)


def _block(text: str) -> str:
    cleaned = unicodedata.normalize("NFC", text.replace("\r\n", "\n")).strip()
    if _CONTROL.search(cleaned):
        raise InputInvalid("the text holds control characters or characters that turn its direction")
    # Trailing blanks are not covered by a clear-sign signature (RFC 9580 § 7.2).
    lines = [line.rstrip() for line in cleaned.split("\n")]
    if any(_HEADING_LINE.match(line) or line.startswith("Language: ") for line in lines):
        raise InputInvalid("a line of the text looks like a section heading")
    if any(line.startswith("-----") for line in lines):
        raise InputInvalid("a line of the text looks like the border of a signature")
    return "\n".join(lines)


# ------------------------------------------------------------------------------ reading


class _Reader:
    """Lines of a text, taken one by one."""

    def __init__(self, text: str) -> None:
        if not text.endswith("\n"):
            raise ValueError("no end of line")
        self._lines = text[:-1].split("\n")
        self._at = 0

    def line(self) -> str:
        if self._at >= len(self._lines):
            raise ValueError("ends too early")
        self._at += 1
        return self._lines[self._at - 1]

    def peek(self, ahead: int = 0) -> str | None:
        at = self._at + ahead
        return self._lines[at] if at < len(self._lines) else None

    def field(self, name: str) -> str:
        key, colon, value = self.line().partition(": ")
        if key != name or not colon or not value:
            raise ValueError(f"expected {name}")
        return value

    def optional(self, name: str) -> str | None:
        return self.field(name) if (self.peek() or "").startswith(f"{name}: ") else None

    def all(self, name: str) -> Iterator[str]:
        while (value := self.optional(name)) is not None:
            yield value

    def number(self, name: str) -> int:
        value = self.field(name)
        if not re.fullmatch(r"[0-9]{1,9}", value):
            raise ValueError(f"{name} is no number")
        return int(value)

    def time(self, name: str) -> int:
        return _time(self.field(name))


def _time(text: str) -> int:
    return int(datetime.strptime(text, _TIME).replace(tzinfo=UTC).timestamp())


def _read_notice(reader: _Reader, kind: Kind, number: int) -> Notice:
    incident = reader.number("Incident")
    state, severity = IncidentState(reader.field("State")), Impact(reader.field("Severity"))
    components = reader.optional("Components")
    starts, ends = reader.optional("Starts"), reader.optional("Ends")
    if incident > number:
        raise ValueError("the incident is opened later")
    return Notice(
        kind=kind,
        state=state,
        severity=severity,
        words=_read_words(reader),
        incident=None if incident == number else incident,
        components=tuple(components.split(", ")) if components else (),
        starts=_time(starts) if starts else None,
        ends=_time(ends) if ends else None,
    )


def _read_identity(reader: _Reader) -> Identity:
    signers, threshold = reader.field("Signers"), reader.number("Signatures needed")
    heartbeat, support = reader.field("Heartbeat key"), reader.field("Support key")
    reader.line()
    reader.line()
    onions, domains = tuple(reader.all("Onion")), tuple(reader.all("Domain"))
    mails = tuple(reader.all("Mail"))
    handles = []
    for value in reader.all("Handle"):
        named, dash, risk = value.partition(" - ")
        service, _, name = named.partition(" ")
        if not dash:
            raise ValueError("a handle without its risk")
        handles.append(Handle(service, name, risk))
    return Identity(
        signers=tuple(signers.split(" ")),
        threshold=threshold,
        heartbeat_key=None if heartbeat == "none" else heartbeat,
        support_key=support,
        onions=onions,
        domains=domains,
        mails=mails,
        handles=tuple(handles),
    )


def _read_words(reader: _Reader) -> Mapping[str, Words]:
    words: dict[str, Words] = {}
    while reader.peek() == "":
        reader.line()
        language = reader.field("Language")
        if language not in HEADINGS or language in words:
            raise ValueError("unexpected language")
        words[language] = _read_language(reader, language)
    if reader.peek() is not None or not words:
        raise ValueError("unexpected text")
    return words


def _read_language(reader: _Reader, language: str) -> Words:
    title = reader.field("Title")
    names = {f"[{heading}]": name for name, heading in HEADINGS[language].items()}
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    while (line := reader.peek()) is not None:
        after = reader.peek(1) or ""
        if line == "" and _opens(after):
            if after.startswith("Language: "):
                break
            reader.line()
            name = names.get(reader.line(), "")
            if not name or name in found:
                raise ValueError("unexpected section")
            current = found.setdefault(name, [])
        elif current is None:
            raise ValueError("text before its heading")
        else:
            current.append(reader.line())
    if not all(name in found for name in _REQUIRED):
        raise ValueError("a section is missing")
    return Words(title=title, **{name: "\n".join(lines) for name, lines in found.items()})


def _opens(line: str) -> bool:
    return bool(_HEADING_LINE.match(line)) or line.startswith("Language: ")
