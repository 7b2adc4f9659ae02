"""RFC 9580 version 6 keys and AEAD, which GnuPG does not read: made by the library, judged by our rules."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest
from openpgp.composed import (
    EncryptionCaps,
    KeyType,
    MessageBuilder,
    SecretKeyParamsBuilder,
    SignedSecretKey,
    SubkeyParamsBuilder,
)

from testbed.differential import DirectEngine
from veildesk.core.errors import NotSoundCiphertext
from veildesk.core.message import Integrity, Verdict
from veildesk.openpgp.declining import Declined
from veildesk.openpgp.packets import classify, split_packets
from veildesk.openpgp.secret_keys import read_secret_keys

DATA = b"Content-Type: text/plain\r\n\r\nHello\r\n"


@dataclass
class Party:
    key: SignedSecretKey
    certificate: bytes
    engine: DirectEngine

    @property
    def fingerprint(self) -> str:
        return self.key.fingerprint.upper()


def party(name: str, *, version: int = 6) -> Party:
    subkey = (
        SubkeyParamsBuilder()
        .version(version)
        .key_type(KeyType.x25519())
        .can_encrypt(EncryptionCaps.all())
        .build()
    )
    key = (
        SecretKeyParamsBuilder()
        .version(version)
        .key_type(KeyType.ed25519())
        .can_certify(True)
        .can_sign(True)
        .feature_seipd_v2(True)
        .primary_user_id(f"{name} <{name}@example.org>")
        .subkey(subkey)
        .build()
        .generate()
    )
    certificate = key.to_public_key().to_bytes()
    return Party(key, certificate, DirectEngine([certificate], read_secret_keys(key.to_bytes())))


@pytest.fixture(scope="module", params=[4, 6])
def pair(request: pytest.FixtureRequest) -> tuple[Party, Party]:
    return party("desk", version=request.param), party("rosa", version=request.param)


async def test_sealed_and_opened(pair: tuple[Party, Party]) -> None:
    desk, rosa = pair
    sealed = await rosa.engine.seal(DATA, [desk.certificate], rosa.fingerprint)
    opened = await desk.engine.open(sealed, [rosa.certificate])
    assert (opened.data, opened.integrity) == (DATA, Integrity.AEAD)
    (signature,) = opened.signatures
    assert (signature.verdict, signature.fingerprint) == (Verdict.VALID, rosa.fingerprint)
    unknown = await desk.engine.open(sealed, [])
    assert [one.verdict for one in unknown.signatures] == [Verdict.UNKNOWN_KEY]
    status = await desk.engine.certificate_status(rosa.certificate)
    assert (status.addresses, status.can_encrypt) == (("rosa@example.org",), True)


async def test_detached_and_changed(pair: tuple[Party, Party]) -> None:
    desk, rosa = pair
    made = await rosa.engine.sign_detached(DATA, rosa.fingerprint)
    (found,) = await desk.engine.verify_detached(DATA, made.armored.encode(), [rosa.certificate])
    assert found.verdict is Verdict.VALID
    changed = desk.engine.verify_detached(DATA + b"x", made.armored.encode(), [rosa.certificate])
    if rosa.key.version == 4:
        # What is wrong with a version 4 signature is for gpg to say.
        with pytest.raises(Declined):
            await changed
    else:
        assert [one.verdict for one in await changed] == [Verdict.INVALID]


@pytest.mark.parametrize("mode", ["ocb", "gcm"])
@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 5000])
async def test_chunks_of_every_length(pair: tuple[Party, Party], mode: str, size: int) -> None:
    desk, _ = pair
    (subkey,) = desk.key.to_public_key().public_subkeys
    message = (
        MessageBuilder.from_bytes("", b"x" * size).seipd_v2("aes256", mode, 0).encrypt_to_key(subkey).to_vec()
    )
    assert (await desk.engine.open(message, [])).data == b"x" * size


async def test_every_damage_is_final(pair: tuple[Party, Party]) -> None:
    desk, _ = pair
    (subkey,) = desk.key.to_public_key().public_subkeys
    message = (
        MessageBuilder.from_bytes("", b"x" * 300).seipd_v2("aes256", "ocb", 0).encrypt_to_key(subkey).to_vec()
    )
    *keys, container = split_packets(message)
    start = len(message) - len(container.raw)
    body = start + len(container.raw) - len(container.body)
    for at in (body + 4, body + 36, body + 140, len(message) - 1, len(message) - 17):
        damaged = message[:at] + bytes((message[at] ^ 1,)) + message[at + 1 :]
        with pytest.raises(NotSoundCiphertext):
            await desk.engine.open(damaged, [])
    # A whole chunk cut out, with the length of the packet mended.
    chunk = 64 + 16
    shorter = container.body[: 36 + chunk] + container.body[36 + 2 * chunk :]
    cut = b"".join(one.raw for one in keys) + b"\xd2\xff" + len(shorter).to_bytes(4, "big") + shorter
    with pytest.raises(NotSoundCiphertext):
        await desk.engine.open(cut, [])


async def test_session_key_versions_do_not_mix(pair: tuple[Party, Party]) -> None:
    desk, _ = pair
    (subkey,) = desk.key.to_public_key().public_subkeys
    old = MessageBuilder.from_bytes("", DATA).seipd_v1("aes256").encrypt_to_key(subkey).to_vec()
    new = MessageBuilder.from_bytes("", DATA).seipd_v2("aes256", "ocb").encrypt_to_key(subkey).to_vec()
    assert (await desk.engine.open(old, [])).data == DATA
    first = [[one.raw for one in split_packets(message)] for message in (old, new)]
    for mixed in (first[0][0] + first[1][1], first[1][0] + first[0][1]):
        assert classify(mixed).recipients
        with pytest.raises(Declined):
            await desk.engine.open(mixed, [])


async def test_expired_key_is_told() -> None:
    desk, rosa = party("desk"), party("rosa")
    made = await rosa.engine.sign_detached(DATA, rosa.fingerprint)
    early = DirectEngine(now=lambda: int(time.time()) - 86400)
    with pytest.raises(Declined):
        await early.verify_detached(DATA, made.armored.encode(), [rosa.certificate])
    assert (await desk.engine.certificate_status(rosa.certificate)).expires is None
