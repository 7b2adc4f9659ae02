"""A notice survives the way into text and back, and cannot fake another field."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veildesk.core.errors import ConfigInvalid
from veildesk.core.notice import Impact, IncidentState, Notice
from veildesk.notices.text import notice_text, parse_notice_text

words = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"]), max_size=80)


@given(title=words, action=words, summary=words, affected=words, number=st.integers(1, 10**6))
def test_round_trip(title: str, action: str, summary: str, affected: str, number: int) -> None:
    notice = Notice(title, IncidentState.MONITORING, Impact.MAJOR, action, summary, affected)
    try:
        text = notice_text(number, 1_763_850_000, notice, "ab" * 32)
    except ConfigInvalid:
        return
    assert text.startswith(f"Notice {number}\n")
    got_number, issued, got, previous = parse_notice_text(text)
    assert (got_number, previous) == (number, "ab" * 32)
    assert issued == 1_763_850_000 - 1_763_850_000 % 60
    assert got.state is IncidentState.MONITORING
    assert got.impact is Impact.MAJOR
    assert notice_text(number, issued, got, previous) == text


@pytest.mark.parametrize(
    "notice",
    [
        Notice("", IncidentState.RESOLVED, Impact.NONE, "a", "b"),
        Notice("two\nlines", IncidentState.RESOLVED, Impact.NONE, "a", "b"),
        Notice("turned \u202e round", IncidentState.RESOLVED, Impact.NONE, "a", "b"),
        Notice("t", IncidentState.RESOLVED, Impact.NONE, "a\n[Summary]\nb", "c"),
        Notice("t", IncidentState.RESOLVED, Impact.NONE, "a\x1b[2J", "c"),
    ],
    ids=["empty-title", "title-with-line-end", "title-with-bidi", "section-in-text", "terminal-escape"],
)
def test_refuses_what_could_mislead(notice: Notice) -> None:
    with pytest.raises(ConfigInvalid):
        notice_text(1, 0, notice, "")


@pytest.mark.parametrize("text", ["", "Notice x\n", "Notice 1\nIssued: now\n", "Notice 1\nState: resolved\n"])
def test_malformed_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_notice_text(text)
