"""Message ids, and telling automatic mail by structure alone."""

from __future__ import annotations

import pytest

from veildesk.mail.parse import parse_mail
from veildesk.mail.thread import (
    MAX_HOPS,
    first_message_id,
    is_automatic,
    list_address,
    message_ids,
    references,
)


def automatic(header: str, *, return_path: str | None = None) -> bool:
    return is_automatic(
        parse_mail(f"From: a@example.org\n{header}\n\ntext".encode()), return_path=return_path
    )


@pytest.mark.parametrize(
    "header",
    [
        "Auto-Submitted: auto-replied",
        "Auto-Submitted: auto-generated (rejected)",
        "auto-submitted: AUTO-NOTIFIED; x=y",
        "Precedence: bulk",
        "Precedence: Junk",
        "Precedence: list",
        "Precedence: auto_reply",
        "X-Precedence: bulk",
        "X-Auto-Response-Suppress: All",
        "List-Id: <list.example.org>",
        "List-Unsubscribe: <mailto:x@example.org>",
        "X-Autoreply: yes",
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b",
        "Content-Type: multipart/report; report-type=disposition-notification; boundary=b",
        "Return-Path: <>",
        "Received: by x\n" * (MAX_HOPS - 1) + "Received: by x",
    ],
)
def test_machines_are_told_by_structure(header: str) -> None:
    assert automatic(header)


@pytest.mark.parametrize(
    "header",
    [
        "Subject: Undelivered Mail Returned to Sender",
        "Subject: Out of office: user unknown, mailbox is full",
        "Auto-Submitted: no",
        "Precedence: normal",
        "Return-Path: <a@example.org>",
        "Disposition-Notification-To: a@example.org",
        "Received: by x\nReceived: by y",
        "X-Auto-Response-Suppress: DR, RN, NRN, OOF, AutoReply",
    ],
)
def test_people_are_not_machines(header: str) -> None:
    assert not automatic(header)


def test_a_list_that_stands_in_front_of_us_makes_nobody_a_machine() -> None:
    head = "From: a@example.org\nList-Id: <support.example.org>\nList-Post: <mailto:Support@example.org>\n"
    mail = parse_mail(f"{head}Precedence: list\n\ntext".encode())
    assert list_address(mail) == "support@example.org"
    assert is_automatic(mail)
    assert not is_automatic(mail, through_list=True)
    for more in ("Auto-Submitted: auto-replied", "X-Autoreply: yes", "Return-Path: <>"):
        assert is_automatic(parse_mail(f"{head}{more}\n\ntext".encode()), through_list=True)


def test_words_in_the_text_never_count() -> None:
    text = b"From: a@example.org\n\nuser unknown. This is a permanent error. Address rejected."
    assert not is_automatic(parse_mail(text))


def test_null_return_path_of_the_envelope() -> None:
    assert automatic("Subject: x", return_path="")
    assert automatic("Subject: x", return_path="<>")
    assert not automatic("Return-Path: <>", return_path="a@example.org")


def test_message_ids() -> None:
    assert message_ids([b"<a@b> text <c@d>\r\n <a@b>", b"bare@id", b"not an id", b"<no good>"]) == (
        "a@b",
        "c@d",
        "bare@id",
    )
    assert len(message_ids([b"<%d@x>" % n for n in range(1000)])) == 100
    assert first_message_id([]) is None


def test_references_come_oldest_first() -> None:
    root = parse_mail(b"In-Reply-To: <c@x>\nReferences: <a@x> <b@x>\n\n")
    assert references(root) == ("a@x", "b@x", "c@x")
