"""Which headers count: protected ones from the right place, nothing else, and none passes on."""

from __future__ import annotations

import pytest

from veildesk.core.message import Encryption, Integrity, OpenedMessage, Scope, Signature, Verdict
from veildesk.mail.headers import is_placeholder_subject
from veildesk.mail.normalise import normalise

OUTER = (
    b"Received: from laptop.home by mx\r\nReceived: by x\r\nX-Originating-IP: 192.0.2.7\r\nUser-Agent: U\r\n"
    b"From: outer@example.org\r\nReply-To: evil@example.net\r\nTo: support@desk.example\r\nSubject: [...]\r\n"
    b"Message-ID: <outer@id>\r\nReferences: <outer@ref>\r\nDate: Mon, 1 Jan 2024 12:34:56 +0200\r\n"
    b"X-Veildesk-Priority: high\r\nMIME-Version: 1.0\r\nContent-Type: multipart/encrypted; boundary=b\r\n"
    b"\r\n--b--\r\n"
)
WHOLE = Encryption(Scope.WHOLE, Integrity.MDC)
VALID = Signature(Verdict.VALID, scope=Scope.WHOLE)


def inside(parameters: str, *fields: str) -> bytes:
    return "\r\n".join([f"Content-Type: text/plain{parameters}", *fields, "", "text"]).encode()


INNER = ("Subject: true", "From: inner@example.org", "Message-ID: <inner@id>")


def opened(payload: bytes, encryption: Encryption = WHOLE, *signatures: Signature) -> OpenedMessage:
    return normalise(OUTER, payload, encryption=encryption, signatures=signatures)


def test_with_hp_nothing_outside_counts() -> None:
    message = opened(inside('; hp="cipher"', *INNER))
    assert (message.subject, message.subject_protected) == ("true", True)
    assert message.from_address == message.reply_address == "inner@example.org"
    assert message.message_id == "inner@id"
    assert message.references == ()


def test_with_hp_a_missing_field_is_missing() -> None:
    message = opened(inside('; hp="cipher"', "Subject: true"))
    assert message.from_address is None
    assert message.reply_address is None
    assert message.message_id is None


def test_v1_fills_up_from_outside_but_keeps_addresses_together() -> None:
    message = opened(inside('; protected-headers="v1"', "Subject: true", "From: inner@example.org"))
    assert (message.subject, message.subject_protected) == ("true", True)
    assert message.reply_address == "inner@example.org"
    assert message.message_id == "outer@id"
    assert message.references == ("outer@ref",)
    only_subject = opened(inside('; protected-headers="v1"', "Subject: true"))
    assert only_subject.from_address == "outer@example.org"
    assert only_subject.reply_address == "evil@example.net"


def test_without_a_mark_headers_inside_count_for_nothing() -> None:
    message = opened(inside("", *INNER))
    assert (message.subject, message.subject_protected) == ("[...]", False)
    assert message.from_address == "outer@example.org"


def test_mutt_left_dots_outside_and_no_mark_inside() -> None:
    raw = OUTER.replace(b"[...]", b"...")
    message = normalise(raw, inside("", *INNER), encryption=WHOLE)
    assert (message.subject, message.subject_protected) == ("true", True)
    assert message.from_address == "outer@example.org"


def test_marks_below_the_root_count_for_nothing() -> None:
    child = inside('; hp="cipher"', *INNER)
    payload = b"Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n" + child + b"\r\n--c--\r\n"
    assert opened(payload).subject == "[...]"


def test_marks_in_mail_without_envelope_count_for_nothing() -> None:
    message = normalise(
        b'From: a@example.org\r\nSubject: plain\r\nContent-Type: text/plain; hp="clear"\r\n\r\nx'
    )
    assert (message.subject, message.subject_protected) == ("plain", False)


@pytest.mark.parametrize(
    ("encryption", "signatures", "protected"),
    [
        (WHOLE, (), True),
        (Encryption(), (VALID,), True),
        (Encryption(), (), False),
        (Encryption(), (Signature(Verdict.INVALID, scope=Scope.WHOLE),), False),
        (Encryption(), (Signature(Verdict.VALID, scope=Scope.PART),), False),
        (Encryption(), (Signature(Verdict.UNKNOWN_KEY, scope=Scope.WHOLE),), False),
    ],
)
def test_a_subject_is_protected_only_by_what_holds(
    encryption: Encryption, signatures: tuple[Signature, ...], protected: bool
) -> None:
    message = opened(inside('; hp="clear"', *INNER), encryption, *signatures)
    assert message.subject == "true"
    assert message.subject_protected is protected


def test_removed_headers_are_names_of_all_that_does_not_reach_agents() -> None:
    message = opened(inside('; hp="cipher"', *INNER, "HP-Outer: Subject: [...]", "X-Inner: secret"))
    assert message.removed_headers == (
        *("Received", "X-Originating-IP", "User-Agent", "From", "Reply-To", "To", "Subject", "Message-ID"),
        *("References", "Date", "X-Veildesk-Priority", "HP-Outer", "X-Inner"),
    )


def test_subject_that_is_used_is_not_removed() -> None:
    message = normalise(b"From: a@example.org\r\nSubject: s\r\nMIME-Version: 1.0\r\n\r\nx")
    assert message.removed_headers == ("From",)


@pytest.mark.parametrize("value", ["", "...", "[...]", "Encrypted Message", "encrypted message "])
def test_placeholders(value: str) -> None:
    assert is_placeholder_subject(value)
    assert not is_placeholder_subject(f"{value} about my bill")


def test_two_from_fields_name_nobody() -> None:
    message = normalise(b"From: a@example.org\r\nFrom: b@example.org\r\n\r\nx")
    assert message.from_address is None
    assert message.reply_address is None


def test_reply_to_with_several_addresses_gives_no_address() -> None:
    message = normalise(b"From: a@example.org\r\nReply-To: b@example.org, c@example.org\r\n\r\nx")
    assert message.from_address == "a@example.org"
    assert message.reply_address is None
