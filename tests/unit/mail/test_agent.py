"""Ticket mail to agents, and their answers."""

from __future__ import annotations

import dataclasses
import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veildesk.core.errors import SendRefused
from veildesk.core.ticket import File, TicketEntry
from veildesk.mail.agent import compose_ticket, read_agent_reply
from veildesk.mail.quotes import without_quotes

ENTRY = TicketEntry(
    thread="T1",
    key="K1",
    subject="Mein Gerät",
    text="Hello from [email-1]\nÜber mich",
    protection="Mail: encrypted; signed",
    removed={"EMAIL": 2, "IPV4": 1},
    notices=("Attachment run.exe not passed on: Kind of file not supported.",),
    files=(File("photo.jpg", "image/jpeg", b"\xff\xd8x"),),
)


def compose(entry: TicketEntry = ENTRY, **more: object) -> bytes:
    options = {
        "sender": "veildesk@desk.example",
        "recipient": "agents@desk.example",
        "message_id": "T1.K1@desk.example",
    }
    return compose_ticket(entry, **{**options, **more})  # type: ignore[arg-type]


def test_golden_header_of_a_ticket() -> None:
    head = compose(in_reply_to="T1.K0@desk.example", day=0).partition(b"\n\n")[0].decode()
    assert head.split("\n") == [
        "From: veildesk@desk.example",
        "To: agents@desk.example",
        "Subject: =?utf-8?B?TWVpbiBHZXLDpHQ=?=",
        "Message-ID: <T1.K1@desk.example>",
        "Date: Thu, 01 Jan 1970 00:00:00 +0000",
        "In-Reply-To: <T1.K0@desk.example>",
        "References: <T1.K0@desk.example>",
        "MIME-Version: 1.0",
        'Content-Type: multipart/mixed; boundary="=veildesk-K1="',
    ]


def test_body_begins_with_what_was_done() -> None:
    parsed = email.message_from_bytes(compose(), policy=email.policy.default)
    body, photo = parsed.iter_parts()
    text = body.get_content()
    assert text.split("\n")[:4] == [
        "Mail: encrypted; signed",
        "Attachment run.exe not passed on: Kind of file not supported.",
        "Hidden: 2 × email, 1 × ip",
        "-" * 40,
    ]
    assert text.endswith("Hello from [email-1]\nÜber mich\n")
    assert photo.get_content() == b"\xff\xd8x"
    assert photo.get_filename() == "photo.jpg"


@pytest.mark.parametrize("subject", [" ", "[...]", "Encrypted Message"])
def test_ticket_without_files_is_one_text_part(subject: str) -> None:
    wire = compose(dataclasses.replace(ENTRY, files=(), subject=subject))
    parsed = email.message_from_bytes(wire, policy=email.policy.default)
    assert parsed.get_content_type() == "text/plain"
    assert parsed["Subject"] == "(no subject)"


def test_lines_stay_short_enough_for_mail() -> None:
    wire = compose(dataclasses.replace(ENTRY, text="ü" * 5000, files=()))
    assert all(len(line) <= 998 for line in wire.split(b"\n"))
    assert wire.decode().count("ü") == 5000


def test_header_injection_is_refused() -> None:
    with pytest.raises(SendRefused):
        compose(message_id="a\nb@desk.example")
    assert b"\nBcc:" not in compose(dataclasses.replace(ENTRY, subject="a\nBcc: x@example.org"))


def test_answer_is_read_without_the_original() -> None:
    raw = (
        b"From: agent@desk.example\nIn-Reply-To: <T1.K1@desk.example>\nReferences: <T1.K0@desk.example>\n\n"
        b"Please restart.\n\nOn Monday, the gateway wrote:\n> secret of the user\n>\n> more\n\nBye\n"
    )
    answer = read_agent_reply(raw)
    assert answer.references == ("T1.K0@desk.example", "T1.K1@desk.example")
    assert answer.text == "Please restart.\n\nBye"
    assert answer.files == ()


def test_html_answers_become_text_and_files_come_along() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n\n"
        b"<p>Hi<blockquote>secret</blockquote>\n--b\nContent-Type: application/pdf; "
        b"name=../a.pdf\n\nPDF\n--b--\n"
    )
    answer = read_agent_reply(raw)
    assert answer.text == "Hi"
    assert answer.files == (File("a.pdf", "application/pdf", b"PDF"),)


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("a\n> q\nb", "a\n\nb"),
        ("Steps 1-3:\n> q", "Steps 1-3:"),
        ("Am Mo., 1. Jan. 2024 um 10:00 schrieb\nX <x@example.org>:\n> q\nneu", "neu"),
        ("neu\n\n-----Original Message-----\nFrom: x\nsecret", "neu"),
        ("neu\n-------- Ursprüngliche Nachricht --------\nsecret", "neu"),
        ("> only\n> quotes", ""),
        ("no quotes", "no quotes"),
    ],
)
def test_quotes_are_cut(text: str, own: str) -> None:
    assert without_quotes(text) == own


@given(
    st.lists(st.sampled_from(["> q secret", ">", "mine", "", "On x wrote:", ">> deep secret"]), max_size=20)
)
def test_no_quoted_line_ever_stays(lines: list[str]) -> None:
    own = without_quotes("\n".join(lines))
    assert "secret" not in own
    assert own.count("mine") == lines.count("mine")
