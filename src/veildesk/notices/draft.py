"""Drafts: what a person edits before anything is signed, as a small TOML file.

Templates are drafts too: one for each kind of trouble, in every language, prepared ahead. A team's own
templates stand in a folder of its own and win over the ones that come along.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from veildesk.core.errors import InputInvalid
from veildesk.core.notice import MAINTENANCE_STATES, Impact, IncidentState, Kind, Notice, Words
from veildesk.notices.text import HEADINGS

__all__ = [
    "Draft",
    "draft_text",
    "next_draft",
    "placeholders",
    "read_draft",
    "template_names",
    "template_text",
]

_TEXTS = tuple(one.name for one in fields(Words))
_HEAD = ("kind", "state", "severity", "components", "incident", "starts", "ends")
_NAME = re.compile(r"[a-z0-9-]{1,60}\Z")
_PLACEHOLDER = re.compile(r"<[^<>\n]{1,80}>")


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be said. `notice` is None for a canary, which has words only."""

    kind: Kind
    words: Mapping[str, Words]
    notice: Notice | None


def read_draft(text: str) -> Draft:
    """Read a draft. Raises `ConfigInvalid` with the place and what is expected."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputInvalid(f"the draft: {error}") from None
    for name in raw:
        if name not in _HEAD and name not in HEADINGS:
            known = ", ".join([*_HEAD, *HEADINGS])
            raise InputInvalid(f"the draft: '{name[:40]}' is unknown; known: {known}")
    kind = _choice(Kind, raw, "kind")
    words = {language: _words(language, raw[language]) for language in raw if language in HEADINGS}
    if not words:
        raise InputInvalid(f"the draft: a section such as [{next(iter(HEADINGS))}] with the texts is needed")
    if kind is Kind.IDENTITY:
        raise InputInvalid("the list of official addresses is made by 'veildesk identity', not by a draft")
    if kind is Kind.CANARY:
        return Draft(kind, words, None)
    notice = Notice(
        kind=kind,
        state=_choice(IncidentState, raw, "state"),
        severity=_choice(Impact, raw, "severity"),
        words=words,
        incident=_number(raw.get("incident")),
        components=_names(raw.get("components", [])),
        starts=_time(raw.get("starts"), "starts"),
        ends=_time(raw.get("ends"), "ends"),
    )
    return Draft(kind, words, notice)


def draft_text(notice: Notice) -> str:
    """A draft file that says the same as a notice."""
    lines = [
        f'kind = "{notice.kind.value}"',
        f'state = "{notice.state.value}"',
        f'severity = "{notice.severity.value}"',
        f"components = [{', '.join(_quoted(one) for one in notice.components)}]",
    ]
    if notice.incident is not None:
        lines.append(f"incident = {notice.incident}")
    for name in ("starts", "ends"):
        seconds = getattr(notice, name)
        if seconds is not None:
            lines.append(f'{name} = "{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"')
    for language, words in notice.words.items():
        lines += ["", f"[{language}]"]
        for name in _TEXTS:
            text = getattr(words, name)
            if text or name in ("title", "action", "summary"):
                lines.append(f"{name} = {_quoted(text)}")
    return "\n".join(lines) + "\n"


def next_draft(
    latest: Notice,
    incident: int,
    *,
    state: IncidentState | None = None,
    severity: Impact | None = None,
    texts: Mapping[str, Mapping[str, str]] | None = None,
) -> Notice:
    """The next notice of a story. With `texts` only the languages that have a new summary are kept.

    An old translation beside a new text would say something else than it.
    """
    words = dict(latest.words)
    if texts:
        if not set(texts) <= set(words):
            raise InputInvalid("a text in a language that the story does not have; write a draft instead")
        words = {
            name: replace(words[name], **texts[name]) for name in words if "summary" in texts.get(name, {})
        }
        if not words:
            raise InputInvalid("an update needs a new summary: what changed?")
    new_state = state or latest.state
    kind = latest.kind
    if new_state is IncidentState.POSTMORTEM:
        kind = Kind.POSTMORTEM
    elif kind is Kind.POSTMORTEM:
        kind = Kind.MAINTENANCE if new_state in MAINTENANCE_STATES else Kind.INCIDENT
    window = kind is Kind.MAINTENANCE
    return replace(
        latest,
        kind=kind,
        state=new_state,
        severity=severity or latest.severity,
        words=words,
        incident=incident,
        starts=latest.starts if window else None,
        ends=latest.ends if window else None,
    )


def template_names(own: Path | None = None) -> list[str]:
    """Names of all templates."""
    names = {Path(one.name).stem for one in files("veildesk.notices").joinpath("templates").iterdir()}
    if own is not None and own.is_dir():
        names |= {path.stem for path in own.glob("*.toml")}
    return sorted(name for name in names if _NAME.match(name))


def template_text(name: str, languages: Sequence[str] = (), own: Path | None = None) -> str:
    """A template as a draft file, in the wanted languages only. Raises `ConfigInvalid` if unknown."""
    if not _NAME.match(name) or name not in template_names(own):
        raise InputInvalid(f"there is no such template; known: {', '.join(template_names(own))}")
    if own is not None and (own / f"{name}.toml").is_file():
        text = (own / f"{name}.toml").read_text(encoding="utf-8")
    else:
        text = files("veildesk.notices").joinpath("templates", f"{name}.toml").read_text(encoding="utf-8")
    if not languages:
        return text
    sections = re.split(r"(?m)^(?=\[[a-z]{2}\]$)", text)
    wanted = [one for one in sections[1:] if one[1:3] in languages]
    if len(wanted) != len(set(languages)):
        raise InputInvalid("the template does not have all of these languages")
    return sections[0] + "".join(wanted)


def placeholders(words: Mapping[str, Words]) -> list[str]:
    """Places of a template that nobody filled in, such as "<what is affected>"."""
    texts = [getattr(one, name) for one in words.values() for name in _TEXTS]
    return sorted({found for text in texts for found in _PLACEHOLDER.findall(text)})


def _words(language: str, section: Any) -> Words:
    if not isinstance(section, dict):
        raise InputInvalid(f"the draft: [{language}] must be a section")
    for name, value in section.items():
        if name not in _TEXTS or not isinstance(value, str):
            raise InputInvalid(
                f"the draft: [{language}] '{name[:40]}' must be a text; known: {', '.join(_TEXTS)}"
            )
    missing = [name for name in ("title", "action", "summary") if not section.get(name, "").strip()]
    if missing:
        raise InputInvalid(f"the draft: [{language}] {missing[0]}: this text is needed")
    return Words(**section)


def _choice(kind: Any, raw: Mapping[str, Any], name: str) -> Any:
    known = [one.value for one in kind]
    if raw.get(name) not in known:
        raise InputInvalid(f"the draft: '{name}' must be one of: {', '.join(known)}")
    return kind(raw[name])


def _number(value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputInvalid("the draft: 'incident' must be the number of the notice that opened the story")
    return value


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InputInvalid("the draft: 'components' must be a list of names")
    return tuple(value)


def _time(value: Any, name: str) -> int | None:
    if value is None:
        return None
    try:
        return int(datetime.strptime(value, "%Y-%m-%d %H:%M UTC").replace(tzinfo=UTC).timestamp())
    except (TypeError, ValueError):
        raise InputInvalid(f"the draft: '{name}' must look like \"2026-11-30 22:00 UTC\"") from None


def _quoted(text: str) -> str:
    """A TOML string; texts of several lines as they are read."""
    plain = text.replace("\\", "\\\\")
    if "\n" in text:
        return '"""\n' + plain.replace('"""', '\\"\\"\\"') + '"""'
    return '"' + plain.replace('"', '\\"') + '"'
