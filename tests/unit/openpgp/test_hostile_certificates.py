"""Certificates put together by an attacker: no grafted key, name or missing consent may speak for anybody.

The lab asks gpg and the in-process engine about each; a difference fails as well.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from testbed.openpgp_lab import Lab, literal, new_lab, packet
from veildesk.core.message import Verdict
from veildesk.openpgp.packets import Packet, fingerprint_of, split_packets

DATA = b"Content-Type: text/plain\r\n\r\nHello\r\n"
PRIMARY, SUBKEY, SIGNATURE, USER_ID = 6, 14, 2, 13
SIGN, ENCRYPT = b"\x02", b"\x0c"


@dataclass(frozen=True)
class Maker:
    """A primary key whose secret half the test holds, to sign what gpg never would."""

    primary: Packet
    seed: Ed25519PrivateKey

    def sign(self, kind: int, material: bytes, subpackets: bytes) -> bytes:
        hashed = b"\x05\x02" + int(time.time()).to_bytes(4, "big") + subpackets
        issuer = b"\x09\x10" + hashlib.sha1(framed(self.primary), usedforsecurity=False).digest()[-8:]
        head = bytes((4, kind, 22, 8)) + len(hashed).to_bytes(2, "big") + hashed
        digest = hashlib.sha256(material + head + b"\x04\xff" + len(head).to_bytes(4, "big")).digest()
        made = self.seed.sign(digest)
        body = head + len(issuer).to_bytes(2, "big") + issuer + digest[:2] + mpi(made[:32]) + mpi(made[32:])
        return packet(SIGNATURE, body)

    def binding(self, subkey: Packet, flags: bytes) -> bytes:
        return self.sign(0x18, framed(self.primary) + framed(subkey), b"\x02\x1b" + flags)

    def name(self, user_id: bytes) -> bytes:
        material = framed(self.primary) + b"\xb4" + len(user_id).to_bytes(4, "big") + user_id
        return packet(USER_ID, user_id) + self.sign(0x13, material, b"\x02\x1b\x03")


def framed(key: Packet) -> bytes:
    return b"\x99" + len(key.body).to_bytes(2, "big") + key.body


def mpi(octets: bytes) -> bytes:
    stripped = octets.lstrip(b"\0")
    return (len(stripped) * 8 - (8 - stripped[0].bit_length())).to_bytes(2, "big") + stripped


def maker(lab: Lab, who: str) -> Maker:
    secret = next(split_packets(lab.gpg(who, "--export-secret-keys", lab.fingerprints[who])))
    public = next(split_packets(lab.certificate(who)))
    rest = secret.body[len(public.body) :]
    assert rest[0] == 0
    length = (int.from_bytes(rest[1:3], "big") + 7) // 8
    return Maker(public, Ed25519PrivateKey.from_private_bytes(rest[3 : 3 + length].rjust(32, b"\0")))


@dataclass(frozen=True)
class Parts:
    primary: bytes
    names: bytes
    subkeys: bytes

    @classmethod
    def of(cls, certificate: bytes) -> Parts:
        groups: dict[int, bytes] = {PRIMARY: b"", USER_ID: b"", SUBKEY: b""}
        current = PRIMARY
        for one in split_packets(certificate):
            current = one.tag if one.tag != SIGNATURE else current
            groups[current] += one.raw
        return cls(groups[PRIMARY], groups[USER_ID], groups[SUBKEY])

    def joined(self) -> bytes:
        return self.primary + self.names + self.subkeys


@pytest.fixture(scope="module")
def mallory(lab: Lab) -> Maker:
    lab.make("mallory", "Mallory <mallory@example.net>")
    return maker(lab, "mallory")


@pytest.fixture(scope="module")
def alice(lab: Lab) -> Parts:
    """A correspondent who signs with a subkey."""
    lab.make("alice", "Alice <alice@example.org>")
    lab.gpg("alice", "--passphrase=", "--quick-add-key", lab.fingerprints["alice"], "ed25519", "sign")
    return Parts.of(lab.certificate("alice"))


def signing_subkey(parts: Parts) -> Packet:
    return next(one for one in split_packets(parts.subkeys) if one.tag == SUBKEY and one.body[5] == 22)


async def verdict(lab: Lab, signature: bytes, *certificates: bytes) -> tuple[Verdict, str | None]:
    engine = lab.engine()
    await engine.start()
    (found,) = await engine.verify_detached(DATA, signature, certificates)
    return found.verdict, found.fingerprint


async def test_what_the_test_signs_is_sound(lab: Lab, mallory: Maker) -> None:
    certificate = mallory.primary.raw + mallory.name(b"Mallory <mallory@example.net>")
    signature = lab.gpg("mallory", "--detach-sign", stdin=DATA)
    assert await verdict(lab, signature, certificate) == (Verdict.VALID, lab.fingerprints["mallory"])


async def test_self_signatures_older_than_the_key_count_as_gpg_counts_them(
    lab: Lab, mallory: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: int.from_bytes(mallory.primary.body[1:5], "big") - 1)
    old = mallory.name(b"Mallory <mallory@example.net>")
    monkeypatch.undo()
    signature = lab.gpg("mallory", "--detach-sign", stdin=DATA)
    assert (await verdict(lab, signature, mallory.primary.raw + old))[0] is Verdict.UNKNOWN_KEY


async def test_a_signing_subkey_of_hers_bound_by_another_is_not_his(
    lab: Lab, mallory: Maker, alice: Parts
) -> None:
    """Without her consent (the back signature) he could claim what she signed."""
    signature = lab.gpg("alice", "--detach-sign", stdin=DATA)
    stolen = signing_subkey(alice)
    certificate = lab.certificate("mallory") + stolen.raw + mallory.binding(stolen, SIGN)
    found, fingerprint = await verdict(lab, signature, certificate)
    assert found is not Verdict.VALID
    assert fingerprint != lab.fingerprints["mallory"]
    both = await verdict(lab, signature, alice.joined(), certificate)
    assert both[1] in (None, lab.fingerprints["alice"])


async def test_only_subkeys_that_confirm_it_are_known_to_sign_for_a_certificate(
    lab: Lab, mallory: Maker, alice: Parts
) -> None:
    """Any key can be bound for encryption without a word from its owner, her primary key as well."""
    engine = lab.engine()
    await engine.start()
    hers = (lab.fingerprints["alice"], fingerprint_of(signing_subkey(alice)))
    assert (await engine.certificate_status(alice.joined())).signing == hers
    for stolen in (next(split_packets(alice.primary)), signing_subkey(alice)):
        taken = packet(SUBKEY, stolen.body)
        for bound in (b"", mallory.binding(stolen, ENCRYPT), mallory.binding(stolen, SIGN)):
            status = await engine.certificate_status(lab.certificate("mallory") + taken + bound)
            assert status.signing == (lab.fingerprints["mallory"],)


async def test_a_subkey_of_his_grafted_onto_her_key_does_not_sign_for_her(lab: Lab, alice: Parts) -> None:
    lab.make("trudy", "Trudy <trudy@example.net>")
    lab.gpg("trudy", "--passphrase=", "--quick-add-key", lab.fingerprints["trudy"], "ed25519", "sign")
    his = Parts.of(lab.certificate("trudy"))
    signature = lab.gpg("trudy", "--detach-sign", stdin=DATA)
    grafted = alice.joined() + his.subkeys
    found, fingerprint = await verdict(lab, signature, grafted)
    assert found is not Verdict.VALID
    assert fingerprint != lab.fingerprints["alice"]


async def test_an_encryption_subkey_of_his_grafted_onto_her_key_gets_nothing(
    lab: Lab, mallory: Maker, alice: Parts
) -> None:
    his = next(one for one in split_packets(lab.certificate("mallory")) if one.tag == SUBKEY)
    grafted = alice.primary + alice.names + his.raw + mallory.binding(his, ENCRYPT)
    engine = lab.engine()
    await engine.start()
    assert not (await engine.certificate_status(grafted)).can_encrypt
    whole = alice.joined() + his.raw + mallory.binding(his, ENCRYPT)
    sealed = await engine.seal(b"x", [whole], lab.fingerprints["desk"])
    assert lab.gpg("alice", "--decrypt", stdin=sealed, check=False) == b"x"
    assert lab.gpg("mallory", "--decrypt", stdin=sealed, check=False) == b""


async def test_a_name_of_hers_without_or_with_anothers_signature_is_none(
    lab: Lab, mallory: Maker, alice: Parts
) -> None:
    engine = lab.engine()
    await engine.start()
    for names in (
        packet(USER_ID, b"Bank <help@bank.example>"),
        Parts.of(lab.certificate("mallory")).names,
        mallory.name(b"Bank <help@bank.example>"),
    ):
        grafted = alice.primary + alice.names + names + alice.subkeys
        assert (await engine.certificate_status(grafted)).addresses == ("alice@example.org",)


async def test_a_revocation_by_another_does_not_revoke(lab: Lab, mallory: Maker, alice: Parts) -> None:
    forged = mallory.sign(0x20, framed(next(split_packets(alice.primary))), b"")
    engine = lab.engine()
    await engine.start()
    status = await engine.certificate_status(alice.primary + forged + alice.names + alice.subkeys)
    assert not status.revoked
    assert status.can_sign


async def test_a_data_signature_by_an_encryption_key_is_never_valid(lab: Lab, mallory: Maker) -> None:
    """Its key is bound for encryption only, although it could sign."""
    lab.make("carol", "Carol <carol@example.org>")
    carol = maker(lab, "carol")
    as_subkey = Packet(SUBKEY, carol.primary.body, packet(SUBKEY, carol.primary.body))
    certificate = (
        mallory.primary.raw
        + mallory.name(b"Mallory <mallory@example.net>")
        + as_subkey.raw
        + mallory.binding(as_subkey, ENCRYPT)
    )
    signature = lab.gpg("carol", "--detach-sign", stdin=DATA)
    assert (await verdict(lab, signature, certificate))[0] is not Verdict.VALID


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ((), Verdict.VALID),
        (("desk",), Verdict.VALID),
        (("user",), Verdict.INVALID),
        (("user", "desk"), Verdict.VALID),
    ],
)
async def test_what_was_signed_for_another_cannot_be_passed_on_to_us(
    lab: Lab, mallory: Maker, named: tuple[str, ...], expected: Verdict
) -> None:
    recipients = [b"\x16\x23\x04" + bytes.fromhex(lab.fingerprints[one]) for one in named]
    signature = mallory.sign(0, DATA, b"".join(recipients))
    one_pass = packet(4, bytes((3, 0, 8, 22)) + bytes.fromhex(lab.fingerprints["mallory"][-16:]) + b"\x01")
    message = lab.enclose(one_pass + literal(DATA) + signature)
    engine = lab.engine()
    await engine.start()
    opened = await engine.open(message, [lab.certificate("mallory")])
    assert opened.data == DATA
    assert [one.verdict for one in opened.signatures] == [expected]


@pytest.mark.parametrize("place", ["primary", "subkey"])
async def test_a_number_that_claims_another_length_makes_no_other_key(place: str) -> None:
    """Programs put such a number right before they hash it: two readers could know one key by two names."""
    with new_lab() as lab:
        lab.differential = True
        if place == "subkey":
            lab.gpg("user", "--passphrase=", "--quick-add-key", lab.fingerprints["user"], "ed25519", "sign")
        signature = lab.gpg("user", "--detach-sign", stdin=DATA)
        packets = list(split_packets(lab.certificate("user")))
        at = 0 if place == "primary" else max(i for i, one in enumerate(packets) if one.tag == SUBKEY)
        body = bytearray(packets[at].body)
        # Version, time, algorithm, curve of ten octets with its length; then the point with 263 bits.
        assert body[16:18] == b"\x01\x07"
        body[17] = 6
        pieces = [one.raw for one in packets]
        pieces[at] = packet(packets[at].tag, bytes(body))
        engine = lab.engine()
        await engine.start()
        (found,) = await engine.verify_detached(DATA, signature, [b"".join(pieces)])
        assert engine.declined["key-form"] == 1
        assert found.fingerprint in (None, lab.fingerprints["user"])
        await engine.close()
