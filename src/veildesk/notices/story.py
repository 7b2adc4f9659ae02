"""The next notice of a running incident or maintenance, from what was published before."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from veildesk.core.errors import InputInvalid
from veildesk.core.notice import MAINTENANCE_STATES, Impact, IncidentState, Notice
from veildesk.notices.archive import NoticeDirectory, NoticeRefused
from veildesk.notices.draft import next_draft, read_draft

__all__ = ["next_notice"]


def next_notice(
    directory: NoticeDirectory,
    incident: int,
    file: Path | None,
    state: IncidentState | None,
    severity: str | None,
    texts: Mapping[str, Sequence[str]],
    read_text: Callable[[Path], str],
) -> Notice:
    """The next notice of a story, from a draft or from options. Raises `NoticeRefused`, `ConfigInvalid`."""
    story = [
        item
        for item in directory.published()
        if isinstance(item.statement.content, Notice) and item.incident == incident
    ]
    if not story:
        raise NoticeRefused(f"no notice {incident} opened a story; 'veildesk notice list' shows them")
    latest = story[-1].notice
    if state is IncidentState.RESOLVED and latest.state in MAINTENANCE_STATES:
        state = IncidentState.COMPLETED
    if file is not None:
        made = read_draft(read_text(file)).notice
        if made is None:
            raise InputInvalid("a canary belongs to no story")
        return replace(made, incident=incident, state=state or made.state)
    if state is IncidentState.POSTMORTEM and not texts["summary"]:
        raise InputInvalid(
            "a post-mortem needs a FILE; 'veildesk notice draft --template post-mortem' starts one"
        )
    main = next(iter(latest.words))
    by_language: dict[str, dict[str, str]] = {}
    for name, values in texts.items():
        for value in values:
            found = re.match(r"([a-z]{2}):\s*(.*)", value, re.DOTALL)
            language, text = (found[1], found[2]) if found and found[1] in latest.words else (main, value)
            by_language.setdefault(language, {})[name] = text
    if not by_language:
        raise InputInvalid("an update needs --summary: what changed?")
    severity_now = Impact(severity) if severity else None
    return next_draft(latest, incident, state=state, severity=severity_now, texts=by_language)
