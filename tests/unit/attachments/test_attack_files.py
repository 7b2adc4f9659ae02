"""Every file of tests/corpus/attachments meets the end that its manifest tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from veildesk.attachments.assemble import assemble
from veildesk.attachments.bounds import Bounds
from veildesk.attachments.kind import Kind, tell
from veildesk.attachments.reasons import Refusal
from veildesk.attachments.render import find_renderer
from veildesk.attachments.scan import leftovers
from veildesk.attachments.texts import is_plain
from veildesk.attachments.treat import treat
from veildesk.attachments.wire import Request
from veildesk.core.ports import Cleaned

CORPUS = Path(__file__).parents[2] / "corpus" / "attachments"
ROWS = [line.split("\t")[:2] for line in (CORPUS / "MANIFEST.tsv").read_text().splitlines()[1:]]


def cleaned(name: str) -> Cleaned:
    content = (CORPUS / name).read_bytes()
    return assemble(name, treat(Request(content), find_renderer()), Bounds())


def check_delivered(result: Cleaned) -> None:
    """Whatever comes out is told by its bytes to be what it is called, and holds nothing planted."""
    assert "/" not in result.name
    assert "\\" not in result.name
    assert not result.name.startswith((".", "CON"))
    assert result.name.isprintable()
    for member in result.members:
        check_delivered(member)
    if result.content is None:
        assert result.refused
        return
    assert b"PLANT" not in result.content
    if result.text:
        assert is_plain(result.content.decode())
        assert result.media_type == "text/plain"
    elif result.media_type.startswith("image/"):
        assert leftovers(tell(result.content), result.content) == ()


@pytest.mark.parametrize(("name", "expected"), ROWS)
def test_attack_file(name: str, expected: str) -> None:
    result = cleaned(name)
    check_delivered(result)
    if expected == "archive":
        assert result.members
    elif expected == "document":
        assert result.rendered is not None
        assert len(result.rendered) < 1_000_000
    elif expected == "text":
        assert result.text
        assert result.content
    elif expected == "image":
        assert tell(result.content or b"") in (Kind.JPEG, Kind.PNG)
    else:
        assert result.refused == Refusal(expected).sentence


def test_the_manifest_is_whole() -> None:
    assert {name for name, _ in ROWS} == {path.name for path in CORPUS.iterdir()} - {"MANIFEST.tsv"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("html-with-script.txt", "Visible\n"),
        ("text-utf16-unmarked.log", "Fehler 42: Verbindung verloren\n"),
        ("text-direction-override.txt", "user gnp.exe and x\n"),
        ("text-terminal-escapes.log", "red ok\n"),
        ("mail-attached.eml", "Subject: x\n\nbody\n"),
        ("invitation.ics", "METHOD: REQUEST\nSUMMARY: Call, then fix\nDTSTART: 20260102T030405Z\n"),
    ],
)
def test_the_text_that_stays(name: str, content: str) -> None:
    assert (cleaned(name).content or b"").decode() == content
