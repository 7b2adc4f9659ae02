"""Each attack is a file under tests/corpus/mail, named after its defect, with what must come of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from veildesk.core.errors import VeildeskError
from veildesk.core.message import OpenedMessage
from veildesk.mail.normalise import normalise

FOLDER = Path(__file__).parents[2] / "corpus" / "mail"
EXPECTED: dict[str, dict[str, Any]] = json.loads((FOLDER / "expected.json").read_text("utf-8"))


def test_every_file_has_an_expectation() -> None:
    assert {path.stem for path in FOLDER.glob("*.eml")} == set(EXPECTED)


def found(message: OpenedMessage, what: str) -> Any:
    match what:
        case "attachments":
            return [item.name for item in message.attachments]
        case "notes":
            return list(message.notes)
        case _:
            return getattr(message, what)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_attack(name: str) -> None:
    raw = (FOLDER / f"{name}.eml").read_bytes()
    expected = dict(EXPECTED[name])
    if "refused" in expected:
        with pytest.raises(VeildeskError) as caught:
            normalise(raw)
        assert caught.value.code == expected["refused"]
        return
    message = normalise(raw)
    assert set(expected.pop("removed", [])) <= set(message.removed_headers)
    assert {what: found(message, what) for what in expected} == expected
