"""Web Key Directory: where to ask, and what of an answer counts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.openpgp_lab import Lab
from veildesk.openpgp.wkd_address import WkdPlace, published_keys, wkd_hash, wkd_places

ROSA = "rosa@example.org"


def test_the_example_of_the_draft() -> None:
    assert wkd_places("Joe.Doe@Example.ORG") == (
        WkdPlace(
            "openpgpkey.example.org",
            "/.well-known/openpgpkey/example.org/hu/iy9q119eutrkn8s1mk4r39qejnbu3n5q?l=Joe.Doe",
        ),
        WkdPlace("example.org", "/.well-known/openpgpkey/hu/iy9q119eutrkn8s1mk4r39qejnbu3n5q?l=Joe.Doe"),
    )


@pytest.mark.parametrize(
    "address", ["", "a", "a@", "@b.c", "a@localhost", '"a b"@b.example', "a@b.example\r\nX: y"]
)
def test_what_is_no_plain_address_is_not_asked_for(address: str) -> None:
    assert wkd_places(address) is None


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_address_leaves_its_place(local: str, domain: str) -> None:
    assert re.fullmatch("[a-z0-9]{32}", wkd_hash(local))
    for place in wkd_places(f"{local}@{domain}") or ():
        assert re.fullmatch(r"[a-z0-9.-]+", place.host, re.IGNORECASE) or "_" in place.host
        assert re.fullmatch(r"/\.well-known/openpgpkey/[!-~]+", place.target)


def test_only_user_ids_that_were_asked_for_are_kept(lab: Lab) -> None:
    lab.make("many", f"Rosa <{ROSA}>")
    for other in ("boss@example.org", "support@desk.example"):
        lab.gpg("many", "--passphrase=", "--quick-add-uid", "--", lab.fingerprints["many"], other)
    (key,) = published_keys(lab.certificate("many"), "Rosa@example.org")
    assert key.addresses == (ROSA,)
    assert b"boss@example.org" not in key.certificate
    assert b"support@desk.example" not in key.certificate


async def test_a_reduced_key_can_be_used(lab: Lab) -> None:
    (key,) = published_keys(lab.certificate("user"), ROSA)
    engine = lab.engine("desk")
    await engine.start()
    status = await engine.certificate_status(key.certificate)
    await engine.close()
    assert status.can_encrypt
    assert status.addresses == (ROSA,)


def test_several_keys_are_taken_apart(lab: Lab) -> None:
    lab.make("other-rosa", f"Rosa <{ROSA}>")
    both = lab.certificate("user") + lab.certificate("other-rosa") + lab.certificate("desk")
    assert [key.fingerprint for key in published_keys(both, ROSA)] == [
        lab.fingerprints["user"],
        lab.fingerprints["other-rosa"],
    ]


def test_whatever_is_no_public_key_gives_none(lab: Lab) -> None:
    secret = lab.gpg("user", "--passphrase=", "--export-secret-keys", lab.fingerprints["user"])
    assert published_keys(secret, ROSA) == ()
    assert published_keys(b"<html>", ROSA) == ()
    assert published_keys(lab.certificate("desk"), ROSA) == ()


@given(st.binary(max_size=200))
def test_any_bytes_give_keys_or_none(data: bytes) -> None:
    assert isinstance(published_keys(data, ROSA), tuple)
