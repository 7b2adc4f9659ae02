"""The envelope line in front of a payload can only come from us."""

from email.parser import BytesParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veildesk.core.envelope import ENVELOPE_NULL_SENDER, split_envelope, strip_own_headers, with_envelope

CORPUS = Path(__file__).parents[2] / "corpus" / "smtp"
HOSTILE = sorted(CORPUS.glob("own-header-*.eml"))


def test_corpus_is_there():
    assert len(HOSTILE) == 6


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: path.stem)
def test_no_own_header_survives(path):
    raw = path.read_bytes()
    payload = with_envelope(raw, null_sender=False)
    assert split_envelope(payload)[:2] == (payload, False)
    assert not [name for name in BytesParser().parsebytes(payload) if name.lower().startswith("x-veildesk")]
    body = raw.partition(b"\r\n\r\n")[2] or raw.partition(b"\n\n")[2]
    assert payload.endswith(body)


def test_other_headers_stay_byte_for_byte():
    raw = (CORPUS / "own-header-folded.eml").read_bytes()
    assert strip_own_headers(raw) == b"Subject: s\r\nTo: x@example.org\r\n\r\nbody\r\n"


def test_null_sender_is_one_line_and_comes_off_again():
    raw = b"Subject: s\r\n\r\nbody"
    payload = with_envelope(raw, null_sender=True)
    assert payload == ENVELOPE_NULL_SENDER + raw
    assert split_envelope(payload)[:2] == (raw, True)


@given(st.binary(max_size=400))
def test_mail_without_own_headers_is_unchanged(raw):
    if b"veildesk" not in raw.lower():
        assert split_envelope(with_envelope(raw, null_sender=False))[:2] == (raw, False)
        assert split_envelope(with_envelope(raw, null_sender=True))[:2] == (raw, True)


_pieces = st.sampled_from(
    [
        b"X-Veildesk-Envelope",
        b": null-sender",
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b"A: b",
        b"body",
        b"\x00",
        b":",
    ]
)


@given(st.lists(_pieces, max_size=14))
def test_no_mixture_of_line_ends_fakes_the_fact(pieces):
    payload = with_envelope(b"".join(pieces), null_sender=False)
    assert split_envelope(payload)[1] is False
    assert strip_own_headers(payload) == payload


@pytest.mark.parametrize("null_sender", [True, False])
def test_an_extension_is_kept_beside_the_null_sender(null_sender):
    raw = b"X-Veildesk-Extension: forged\r\nSubject: s\r\n\r\nbody"
    payload = with_envelope(raw, null_sender=null_sender, extension="token7")
    assert split_envelope(payload) == (b"Subject: s\r\n\r\nbody", null_sender, "token7")
    for unfit in ("", "a b", "a\r\nX: y", "a" * 65, "ä"):
        assert split_envelope(with_envelope(raw, null_sender=null_sender, extension=unfit)).extension == ""
