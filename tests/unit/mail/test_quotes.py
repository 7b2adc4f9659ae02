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


@pytest.mark.parametrize(
    "introduction",
    [
        "ср, 25 нояб. 2026 г. в 10:11, Support <support@desk.example>:",
        "2026年11月25日(水) 10:11 Support <support@desk.example>:",
        "Support <support@desk.example> 于2026年11月25日周三 10:11写道：",
        "25 Kas 2026 Çar 10:11 tarihinde Support <support@desk.example> şunu yazdı:",
        "W dniu śr., 25 lis 2026 o 10:11\nSupport <support@desk.example> napisał(a):",
        "> On 25 Nov 2026, at 10:11, Support <support@desk.example> wrote:\n> ",
    ],
)
def test_quotations_are_introduced_in_many_languages(introduction: str) -> None:
    sections = divide(f"my new words\n\n{introduction}\n> old words\n> more")
    assert sections.own == "my new words"
    assert "old words" in sections.quoted


@pytest.mark.parametrize(
    "text",
    [
        "The log at 10:11 says:\n> ERROR 5\n> ERROR 6",
        "See what <nobody> said:\n> it works",
        "I mean this part:\n> set the clock",
    ],
)
def test_a_quotation_that_belongs_to_the_words_stays(text: str) -> None:
    assert divide(text).own == text
