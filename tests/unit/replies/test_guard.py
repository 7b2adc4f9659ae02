"""What stops an answer before it leaves."""

from __future__ import annotations

import dataclasses

import pytest

from veildesk.core.contact import Contact, decode_contact, encode_contact
from veildesk.core.finding import Finding
from veildesk.core.work import Reason
from veildesk.redact.engine import find
from veildesk.replies.guard import AnswerRules, guard_contact, guard_reply, guard_text

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


RULES = AnswerRules(
    own=frozenset({"help@example.org", "example.org"}),
    helpdesks=frozenset({"rt.example.org", "10.1.2.3"}),
    internal=("corp.example.org",),
    allowed=frozenset({"+4930123456", "192.168.1.1"}),
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Please update to 4.2 and write to help@example.org or shop@example.org.", Reason.NONE),
        ("You wrote from a@b.example, is that right?", Reason.NONE),
        ("Ask victim@elsewhere.test, they had it too.", Reason.OTHER_PEOPLE),
        ("Their number is +49 171 2345678.", Reason.OTHER_PEOPLE),
        ("Call our line: +49 30 123456.", Reason.NONE),
        ("See https://rt.example.org/Ticket/Display.html?id=7", Reason.HELPDESK_LINK),
        ("See RT.example.org.", Reason.HELPDESK_LINK),
        ("Our server db1.internal is down.", Reason.INTERNAL_ADDRESS),
        ("Our server wiki.corp.example.org is down.", Reason.INTERNAL_ADDRESS),
        ("The proxy 10.9.8.7 refused it.", Reason.INTERNAL_ADDRESS),
        ("The proxy fd12:3456::1 refused it.", Reason.INTERNAL_ADDRESS),
        ("Open http://127.0.0.1:9050 or localhost, and 192.168.1.1 for the router.", Reason.NONE),
        ("Tor Browser listens on 127.0.0.1:9150; version 13.0.1 at 12:30:15 is fine.", Reason.NONE),
        ("Read https://www.torproject.org/download/ first.", Reason.NONE),
    ],
)
def test_what_an_answer_may_name(text: str, reason: Reason) -> None:
    assert guard_reply(text, find(text), CONTACT, RULES) is reason


def test_a_portal_ticket_has_no_address_of_its_own() -> None:
    text = "We write to a@b.example."
    assert guard_reply(text, find(text), None, RULES) is Reason.OTHER_PEOPLE
