"""A mail attached to a mail: its words go on, its header and its files do not."""

from __future__ import annotations

import pytest

from veildesk.attachments.bounds import Bounds
from veildesk.attachments.kind import Kind, tell
from veildesk.attachments.reasons import Refusal
from veildesk.attachments.treat import treat
from veildesk.attachments.wire import Request

HEAD = (
    b"Received: from laptop.example ([192.0.2.7])\r\nFrom: Shop Owner <owner@shop.example>\r\n"
    b"To: rosa@wald.example\r\nMessage-ID: <1@shop.example>\r\nSubject: =?utf-8?q?Your_order_=E2=82=AC?=\r\n"
)
PLAIN = HEAD + b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\nAt the gate, caf\xe9.\r\n"
MIXED = HEAD + (
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>Hello</p>\r\n"
    b"--b\r\nContent-Type: application/pdf; name=../bill.pdf\r\n\r\n%PDF-\r\n--b--\r\n"
)
NOTHING = HEAD.replace(b"Subject: =?utf-8?q?Your_order_=E2=82=AC?=\r\n", b"Date: today\r\n") + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (PLAIN, "Subject: Your order €\n\nAt the gate, café.\n"),
        (
            MIXED,
            "Subject: Your order €\n\nHello\n\n[Attached to this mail and not passed on: bill.pdf]\n",
        ),
    ],
)
def test_subject_and_text_go_on_and_nothing_else(content: bytes, text: str) -> None:
    assert tell(content) is Kind.MAIL
    item = treat(Request(content, Bounds()))
    assert item.text
    assert (item.content or b"").decode() == text
    assert [one.value for one in item.removed] == ["everything but the text"]


def test_a_mail_of_nothing_but_a_header_is_refused() -> None:
    assert treat(Request(NOTHING, Bounds())).refused is Refusal.NOTHING_LEFT


def test_a_mail_that_cannot_be_read_is_refused_by_name() -> None:
    deep = HEAD
    for level in range(40):
        deep += b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
    assert treat(Request(deep, Bounds())).refused is Refusal.MAIL
