"""Packet sequences that look like mail and are not: exactly the sound ones may yield plaintext."""

from __future__ import annotations

import bz2
import time
import tracemalloc
import zlib

import pytest

from testbed.openpgp_lab import Lab, literal, packet
from veildesk.core.errors import LimitExceeded, NotSoundCiphertext, Undecryptable, Unparsable, VeildeskError
from veildesk.core.message import Integrity, Verdict
from veildesk.openpgp.packets import split_packets

SECRET = b"the plain text"


def signed(lab: Lab) -> list[bytes]:
    """One-pass, literal and signature packets over SECRET."""
    return [one.raw for one in split_packets(lab.gpg("user", "--compress-algo=none", "--sign", stdin=SECRET))]


def build(lab: Lab, name: str) -> bytes:
    encrypted = lab.encrypt(SECRET)
    pkesk, *_, seipd = [one.raw for one in split_packets(encrypted)]
    one_pass, lit, signature = signed(lab)
    unsigned = lab.enclose(literal(SECRET))
    return {
        "enc||lit": lambda: unsigned + literal(b"forged"),
        "lit||enc": lambda: literal(b"forged") + unsigned,
        "enc||sig": lambda: unsigned + signature,
        "enc||signed": lambda: unsigned + one_pass + lit + signature,
        "ops||enc||sig": lambda: one_pass + unsigned + signature,
        "two seipd": lambda: pkesk + seipd + seipd,
        "seipd alone": lambda: seipd,
        "pkesk alone": lambda: pkesk,
        "enc(lit||sig)": lambda: lab.enclose(lit + signature),
        "enc(lit||lit)": lambda: lab.enclose(literal(b"one") + literal(b"two")),
        "enc(signed||lit)": lambda: lab.enclose(one_pass + lit + signature + literal(b"two")),
        "enc(lit||signed)": lambda: lab.enclose(literal(b"two") + one_pass + lit + signature),
        "enc(signed||signed)": lambda: lab.enclose((one_pass + lit + signature) * 2),
        "enc(sig)": lambda: lab.enclose(signature),
        "enc(nothing)": lambda: lab.enclose(b""),
        "enc(enc(lit))": lambda: lab.enclose(lab.enclose(literal(SECRET))),
        "enc(key)": lambda: lab.enclose(lab.certificate("user")),
        "enc(ops||lit)": lambda: lab.enclose(one_pass + lit),
        "trailing garbage": lambda: unsigned + b"garbage",
        "truncated": lambda: encrypted[:-7],
        "literal": lambda: literal(SECRET),
        "compressed literal": lambda: packet(8, b"\x01" + zlib.compress(literal(SECRET), wbits=-15)),
        "certificate": lambda: lab.certificate("user"),
        "unknown tag": lambda: packet(60, b"x"),
        "empty": lambda: b"",
        "text": lambda: b"just text\n",
    }[name]()


HOSTILE = [
    "enc||lit", "lit||enc", "enc||sig", "enc||signed", "ops||enc||sig", "two seipd", "seipd alone",
    "pkesk alone", "enc(lit||sig)", "enc(lit||lit)", "enc(signed||lit)", "enc(lit||signed)",
    "enc(signed||signed)", "enc(sig)", "enc(nothing)", "enc(enc(lit))", "enc(key)", "enc(ops||lit)",
    "trailing garbage", "truncated", "literal", "compressed literal", "certificate", "unknown tag",
    "empty", "text",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_structure_yields_nothing(lab: Lab, name: str) -> None:
    engine = lab.engine()
    await engine.start()
    with pytest.raises(VeildeskError):
        await engine.open(build(lab, name), [lab.certificate("user")])


@pytest.mark.parametrize("wrap", ["plain", "zlib", "zip", "bzip2"])
async def test_sound_structures_open(lab: Lab, wrap: str) -> None:
    engine = lab.engine()
    await engine.start()
    inner = b"".join(signed(lab))
    bodies = {
        "plain": inner,
        "zip": packet(8, b"\x01" + zlib.compress(inner, wbits=-15)),
        "zlib": packet(8, b"\x02" + zlib.compress(inner)),
        "bzip2": packet(8, b"\x03" + bz2.compress(inner)),
    }
    opened = await engine.open(lab.enclose(bodies[wrap]), [lab.certificate("user")])
    assert opened.data == SECRET
    assert opened.encrypted
    assert opened.integrity is Integrity.MDC
    assert [one.verdict for one in opened.signatures] == [Verdict.VALID]
    assert opened.signatures[0].fingerprint == lab.fingerprints["user"]


async def test_broken_integrity_is_final(lab: Lab) -> None:
    engine = lab.engine()
    await engine.start()
    with pytest.raises(NotSoundCiphertext):
        await engine.open(lab.enclose(literal(SECRET), break_mdc=True), [])
    sound = lab.enclose(literal(SECRET))
    with pytest.raises(NotSoundCiphertext):
        await engine.open(sound[:-30] + bytes((sound[-30] ^ 1,)) + sound[-29:], [])


async def test_no_integrity_protection_is_refused(lab: Lab) -> None:
    engine = lab.engine()
    await engine.start()
    pkesk, _ = lab.session()
    with pytest.raises(NotSoundCiphertext):
        await engine.open(pkesk + packet(9, bytes(60)), [])


@pytest.mark.parametrize("method", ["bzip2", "zlib"])
async def test_compression_bomb_costs_little(lab: Lab, method: str) -> None:
    engine = lab.engine(processes=1)
    await engine.start()
    body, size = bytearray(), 500_000_000
    start = literal(b"")[:2] + (size + 6).to_bytes(4, "big") + b"b\x00" + bytes(4)
    squeeze = bz2.BZ2Compressor() if method == "bzip2" else zlib.compressobj(9)
    body += squeeze.compress(start)
    for _ in range(100):
        body += squeeze.compress(bytes(size // 100))
    body += squeeze.flush()
    bomb = lab.enclose(packet(8, (b"\x03" if method == "bzip2" else b"\x02") + bytes(body)))
    # Counted by allocation: the resident size of a process that ran other tests tells of those too.
    tracemalloc.start()
    try:
        begun = time.process_time()
        with pytest.raises(LimitExceeded):
            await engine.open(bomb, [])
        assert time.process_time() - begun < 2
        assert tracemalloc.get_traced_memory()[1] < 100 * 1024 * 1024
    finally:
        tracemalloc.stop()


async def test_many_session_keys_are_not_tried(lab: Lab) -> None:
    engine = lab.engine()
    await engine.start()
    pkesk, seipd = [one.raw for one in split_packets(lab.encrypt(SECRET))]
    with pytest.raises(LimitExceeded):
        await engine.open(pkesk * 101 + seipd, [])


async def test_hidden_and_foreign_recipients_open(lab: Lab) -> None:
    engine = lab.engine()
    await engine.start()
    hidden = lab.encrypt(SECRET, "--throw-keyids", to=("user", "desk"))
    assert (await engine.open(hidden, [])).data == SECRET
    mixed = await engine.open(lab.encrypt(SECRET, to=("user", "desk")), [])
    assert mixed.data == SECRET
    assert len(mixed.recipients) == 2
    with pytest.raises(Undecryptable):
        await engine.open(lab.encrypt(SECRET, to=("user",)), [])


async def test_passphrase_only_message_is_not_for_us(lab: Lab) -> None:
    engine = lab.engine(passphrases=[b"guess"])
    await engine.start()
    message = lab.gpg("user", "--passphrase=guess", "--symmetric", stdin=SECRET)
    with pytest.raises(Undecryptable):
        await engine.open(message, [])


async def test_armor_without_checksum_opens(lab: Lab) -> None:
    engine = lab.engine()
    await engine.start()
    for size in range(1, 12):
        armored = lab.encrypt(b"x" * size, "--armor")
        lines = [line for line in armored.split(b"\n") if not (line.startswith(b"=") and len(line) == 5)]
        assert (await engine.open(b"\n".join(lines), [])).data == b"x" * size


async def test_two_armor_blocks_are_refused(lab: Lab) -> None:
    engine = lab.engine()
    await engine.start()
    armored = lab.encrypt(SECRET, "--armor")
    with pytest.raises(Unparsable):
        await engine.open(armored + armored, [])
