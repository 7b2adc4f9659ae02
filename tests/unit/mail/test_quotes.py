"""Quotations and signatures are told by form, and what may be anything else stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veildesk.mail.quotes import Sections, divide, without_quotes

ATTRIBUTION = "On Tuesday, 1 July 2025, Desk wrote:"


@pytest.mark.parametrize(
    ("text", "sections"),
    [
        (
            f"Thanks!\n\n{ATTRIBUTION}\n> All is well.\n> \n> Bye",
            Sections("Thanks!", "", "> All is well.\n>\n> Bye"),
        ),
        (f"Thanks!\n\n-- \nRosa\n\n{ATTRIBUTION}\n\n> Hello", Sections("Thanks!", "Rosa", "> Hello")),
        ("Thanks!\n-- \nRosa\nBerlin", Sections("Thanks!", "Rosa\nBerlin")),
        (
            "Ja.\n\nAm 1. Juli 2025 um 10:00 schrieb Desk\n<support@desk.example>:\n> Geht es?",
            Sections("Ja.", "", "> Geht es?"),
        ),
        # Lines that begin with ">" may be a shell's, a log's or an answer between quotations.
        ("I ran this:\n> npm install\n> failed", Sections("I ran this:\n> npm install\n> failed")),
        (f"{ATTRIBUTION}\n> Does it work?\nNo.", Sections(f"{ATTRIBUTION}\n> Does it work?\nNo.")),
        ("--\nonly a signature", Sections("", "only a signature")),
        ("a\n--\n" + "x\n" * 30, Sections("a\n--\n" + "x\n" * 29 + "x")),
    ],
)
def test_divide(text: str, sections: Sections) -> None:
    assert divide(text) == sections


@given(
    st.lists(
        st.sampled_from(["> a", ">", "", "-- ", "b", ATTRIBUTION, "x wrote:", "\u2028", "--"]), max_size=12
    )
)
def test_nothing_but_the_introducing_line_is_lost(lines: list[str]) -> None:
    sections = divide("\n".join(lines))
    kept = "".join((sections.own, sections.signature, sections.quoted))
    for line in lines:
        if line.strip() and line not in (ATTRIBUTION, "-- ", "--", "x wrote:"):
            assert line.rstrip() in kept
    assert all(not line.startswith(">") for line in without_quotes("\n".join(lines)).split("\n"))
