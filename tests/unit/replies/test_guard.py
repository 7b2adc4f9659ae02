"""What stops an answer before it leaves."""

from __future__ import annotations

import dataclasses

import pytest

from veildesk.core.contact import Contact, decode_contact, encode_contact
from veildesk.core.finding import Finding
from veildesk.core.work import Reason
from veildesk.replies.guard import guard_contact, guard_text

CONTACT = Contact("a@b.example", "Subject", wrote_encrypted=True, certificate=b"key", fingerprint="AB" * 20)


@pytest.mark.parametrize(
    ("contact", "reason"),
    [
        (CONTACT, Reason.NONE),
        (dataclasses.replace(CONTACT, certificate=None), Reason.NO_KEY),
        (dataclasses.replace(CONTACT, certificate=None, wrote_encrypted=False), Reason.NONE),
        (dataclasses.replace(CONTACT, address=""), Reason.NO_CONTACT),
        (None, Reason.NO_CONTACT),
    ],
)
def test_who_may_be_answered(contact: Contact | None, reason: Reason) -> None:
    assert guard_contact(contact) is reason


def test_a_secret_stops_an_answer_and_an_address_does_not() -> None:
    assert guard_text([Finding(0, 5, "EMAIL")]) is Reason.NONE
    assert guard_text([Finding(0, 5, "EMAIL"), Finding(6, 9, "SEED", secret=True)]) is Reason.GUARD


def test_a_contact_survives_being_stored() -> None:
    assert decode_contact(encode_contact(CONTACT)) == CONTACT
    with pytest.raises(ValueError):
        decode_contact(encode_contact(CONTACT).replace(b'"v": 1', b'"v": 9'))
