"""From opened mail to message: attachments, keys, limits."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veildesk.core.errors import LimitExceeded, Unparsable
from veildesk.core.limits import Limits
from veildesk.mail.normalise import normalise


def mail(*parts: bytes) -> bytes:
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts)
    return b"From: a@example.org\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + body + b"--b--\r\n"


def test_attachments_get_safe_names_and_keep_their_bytes() -> None:
    evil = b"Content-Type: image/png\r\nContent-Disposition: attachment; "
    evil += b'filename="../x\xe2\x80\xaegnp.exe"\r\n\r\nBYTES'
    nameless = b"Content-Type: application/pdf\r\n\r\nPDF"
    message = normalise(mail(b"\r\nhello", evil, nameless))
    assert message.text == "hello"
    assert [(item.name, item.content) for item in message.attachments] == [
        ("xgnp.exe", b"BYTES"),
        ("attachment-2.pdf", b"PDF"),
    ]
    assert not any(item.cleaned for item in message.attachments)


def test_charset_of_text_files_goes_with_them() -> None:
    part = b"Content-Type: text/plain; charset=koi8-r; name=a.txt\r\n\r\n\xd4\xc5\xd3\xd4"
    assert (
        normalise(mail(b"\r\nsee the file", part)).attachments[0].media_type == "text/plain; charset=koi8-r"
    )


def test_attached_keys_are_candidates_and_still_attachments() -> None:
    key = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\r\n\r\nabc\r\n-----END PGP PUBLIC KEY BLOCK-----"
    message = normalise(mail(b"\r\nx", b"Content-Type: application/pgp-keys\r\n\r\n" + key))
    assert message.certificates == (key,)
    assert len(message.attachments) == 1


def test_too_many_attachments_are_refused() -> None:
    part = b"Content-Type: image/png\r\n\r\nx"
    with pytest.raises(LimitExceeded):
        normalise(mail(*[part] * 3), limits=Limits(attachments=2))


def test_payload_that_is_the_mail_itself_is_no_envelope() -> None:
    raw = b'From: a@example.org\r\nSubject: s\r\nContent-Type: text/plain; hp="clear"\r\n\r\nx'
    assert normalise(raw, raw) == normalise(raw)


def test_text_is_nfc_with_lf_and_no_controls() -> None:
    head = "From: a@example.org\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    raw = f"{head}e\u0301\0\x1b[0m \r\nb\r\n".encode()
    assert normalise(raw).text == "é[0m\nb"


def test_an_author_who_cannot_be_told_is_noted() -> None:
    several = [b"a@example.org\nFrom: b@example.org", b"a@example.org, b@example.org", b"a@b@example.org"]
    for value in [*several, b"<a@example.org> <b@example.org>"]:
        assert "ambiguous-sender" in normalise(b"From: " + value + b"\n\nx").notes
    for value in [b"a@example.org", b"", b"Ann <>", b"Ann", b'"b@example.org" <a@example.org>']:
        assert normalise(b"From: " + value + b"\n\nx").notes == ()


@given(
    st.binary(max_size=400),
    st.sampled_from(
        [b"", b"Subject: ", b"From: ", b"References: ", b"Content-Type: multipart/mixed; boundary="]
    ),
)
@settings(max_examples=300)
def test_any_bytes_give_a_clean_message_or_a_refusal(data: bytes, prefix: bytes) -> None:
    try:
        message = normalise(prefix + data)
    except (LimitExceeded, Unparsable):
        return
    message.text.encode("utf-8")
    assert unicodedata.is_normalized("NFC", message.text)
    assert "\n" not in message.subject
    assert all(item.name for item in message.attachments)
