"""How the parts of the service are: as an operator set it, else as a local check saw it, else unknown.

Nobody's silence is taken for health: a state that an operator set ends by itself, and a check counts for a
short time only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from veildesk.core.notice import Component, ComponentState
from veildesk.notices.archive import NoticeRefused, replace_file

__all__ = ["clear_component", "component_states", "set_component", "write_checks"]

_SET, _CHECKED = "components.json", "checks.json"
_MISSED = 3


def set_component(
    folder: Path, names: Sequence[str], name: str, state: ComponentState, now: int, seconds: int
) -> None:
    """Set a state for a time. Raises `NoticeRefused` for a name that is not configured."""
    if name not in names:
        raise NoticeRefused(f"there is no such component; [status] components has: {', '.join(names)}")
    held = _read(folder / _SET)
    held[name] = {"state": state.value, "since": now, "until": now + seconds}
    replace_file(folder / _SET, json.dumps(held).encode())


def clear_component(folder: Path, name: str) -> None:
    """Forget what was set; checks count again."""
    held = _read(folder / _SET)
    held.pop(name, None)
    replace_file(folder / _SET, json.dumps(held).encode())


def write_checks(folder: Path, states: Mapping[str, ComponentState], now: int, interval: float) -> None:
    """Keep what local checks saw just now; `interval` is seconds until the next look."""
    known = _read(folder / _CHECKED).get("states", {})
    fresh = {}
    for name, state in states.items():
        before = known.get(name, {})
        since = before.get("since", now) if before.get("state") == state.value else now
        fresh[name] = {"state": state.value, "since": since}
    body = {"at": now, "good_for": int(interval * _MISSED) + 60, "states": fresh}
    replace_file(folder / _CHECKED, json.dumps(body).encode())


def component_states(folder: Path, names: Sequence[str], now: int) -> tuple[Component, ...]:
    """All components as far as they are known now."""
    held, checked = _read(folder / _SET), _read(folder / _CHECKED)
    current = checked if 0 <= now - checked.get("at", 0) <= checked.get("good_for", 0) else {}
    states = []
    for name in names:
        by_hand, seen = held.get(name), current.get("states", {}).get(name)
        if by_hand and by_hand["since"] - 60 <= now < by_hand["until"]:
            states.append(Component(name, ComponentState(by_hand["state"]), by_hand["since"], "operator"))
        elif seen:
            states.append(Component(name, ComponentState(seen["state"]), seen["since"], "check"))
        else:
            states.append(Component(name, ComponentState.UNKNOWN))
    return tuple(states)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
