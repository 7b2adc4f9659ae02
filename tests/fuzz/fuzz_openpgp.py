"""Mutate OpenPGP bytes: `python tests/fuzz/fuzz_openpgp.py --seconds 60 --seed 1 [--target NAME]`.

Each parser is a target with its share of the time. It may refuse with one of our errors or decline; anything
else, and anything slow, is a finding. The last target asks gpg and the in-process engine about the same
mutated message, signature and certificate: there a difference is the finding. Inputs that did it are written
to the folder given by `--out`, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

sys.path.insert(0, str(Path(__file__).parents[1]))

from testbed.differential import DifferentialEngine
from testbed.openpgp_lab import Lab, new_lab
from veildesk.core.errors import VeildeskError
from veildesk.openpgp.armor import find_blocks
from veildesk.openpgp.assuan import AgentConnection
from veildesk.openpgp.certificate_view import read_view
from veildesk.openpgp.content import literal_data, uncompressed
from veildesk.openpgp.declining import Declined
from veildesk.openpgp.decryption import decrypt
from veildesk.openpgp.frames import FrameMalformed, decode_body, read_signatures, read_status
from veildesk.openpgp.in_process import InProcess
from veildesk.openpgp.key_index import index_of
from veildesk.openpgp.key_listing import read_listing
from veildesk.openpgp.message_wire import read_wire
from veildesk.openpgp.own_keys import read_own_keys
from veildesk.openpgp.packets import classify, read_certificate, signature_packets, split_packets
from veildesk.openpgp.secret_keys import read_secret_keys
from veildesk.openpgp.signature_packet import read_signature
from veildesk.openpgp.status import StatusMalformed, judge, read_report

SLOW = 5.0
LIMIT = 1_000_000
ALLOWED = (VeildeskError, Declined, StatusMalformed, FrameMalformed)
Target = Callable[[bytes], object]


@dataclass
class Samples:
    """Sound bytes of every kind, and the keys that belong to them."""

    lab: Lab
    binary: list[bytes]
    armored: list[bytes]
    texts: list[bytes]
    secret: bytes
    certificate: bytes
    own: bytes
    signature: bytes


@contextmanager
def samples() -> Iterator[Samples]:
    """Made with stock gpg at run time."""
    with new_lab() as lab:
        lab.make("other", "Other <other@example.org>")
        lab.gpg("user", "--passphrase=", "--quick-add-key", lab.fingerprints["user"], "ed25519", "sign")
        secret = lab.gpg("desk", "--export-secret-keys")
        data = b"Content-Type: text/plain\r\n\r\nHello\r\n"
        signature = lab.gpg("user", "--detach-sign", stdin=data)
        messages = [lab.encrypt(data, sign=True), lab.encrypt(data), lab.gpg("user", "--sign", stdin=data)]
        certificates = [lab.certificate(one) for one in ("user", "desk", "other")]
        clear = lab.gpg("user", "--clearsign", stdin=b"- one\ntwo\n")
        armored = [lab.encrypt(data, "--armor"), clear]
        armored.append(lab.gpg("user", "--armor", "--export", lab.fingerprints["user"]))
        listing = lab.gpg("desk", "--with-colons", "--list-secret-keys")
        status = lab.gpg("desk", "--status-fd=1", "--output=/dev/null", "--decrypt", stdin=messages[1])
        binary = [*messages, *certificates, secret, signature]
        yield Samples(
            lab, binary, armored, [listing, status], secret, certificates[0], certificates[1], signature
        )


class Answering:
    """The other end of a connection that says what it has and hangs up."""

    def __init__(self, data: bytes) -> None:
        self._pieces = [data[at : at + 700] for at in range(0, len(data), 700)]

    def settimeout(self, seconds: float) -> None: ...

    def sendall(self, data: bytes) -> None: ...

    def recv(self, size: int) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


def mutate(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """A few flips, cuts, repeats and joins; often only one octet."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(7):
            case 0 | 1 | 2 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 3:
                del out[at : at + rng.choice((1, 2, 20, 200))]
            case 4:
                out[at:at] = out[at : at + rng.choice((1, 10, 100))] * rng.choice((1, 2, 40))
            case 5:
                other = rng.choice(others)
                cut = rng.randrange(len(other) + 1)
                out[at:at] = other[cut : cut + rng.choice((10, 200, 4000))]
            case _ if at < len(out):
                out[at] = rng.choice((0, 1, 0x7F, 0x80, 0xC0, 0xFE, 0xFF))
    return bytes(out[:200_000])


def regrouped(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """Whole packets left out, doubled, moved or taken from another: what flips alone never reach."""
    packets = [one.raw for one in split_packets(data)]
    foreign = [one.raw for other in others for one in split_packets(other)]
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(packets) + 1)
        match rng.randrange(4):
            case 0 if packets:
                packets.pop(at - 1)
            case 1 if packets:
                packets.insert(at, rng.choice(packets))
            case 2:
                packets.insert(at, rng.choice(foreign))
            case _:
                rng.shuffle(packets)
    return b"".join(packets)


def targets(made: Samples) -> dict[str, tuple[Target, list[bytes]]]:
    """Every parser by name, with what its inputs are mutated from."""
    keys, now = read_secret_keys(made.secret), int(time.time())
    engine = InProcess([made.own], keys)

    def packets(data: bytes) -> None:
        signature_packets(data)
        for reader in (lambda: classify(data), lambda: read_wire(data), lambda: index_of(data)):
            attempt(reader)

    def content(data: bytes) -> None:
        inner, _ = uncompressed(data, LIMIT)
        literal_data(inner)

    def report(data: bytes) -> None:
        for record in read_report(data).signatures:
            judge(record, now)

    def frames(data: bytes) -> None:
        frame = decode_body(data[:8], data[8:])
        attempt(lambda: read_signatures(frame.header.get("signatures")))
        attempt(lambda: read_status(frame.header.get("status")))

    def decryption(data: bytes) -> None:
        decrypt(list(split_packets(data)), keys.decryption)

    def agent(data: bytes) -> None:
        AgentConnection(cast("socket.socket", Answering(data)), 1.0).sign("A" * 40, 10, bytes(64))

    said = b"OK hello\nOK\nOK\nS INQUIRE_MAXLEN 4\nOK\nD (7:sig-val(5:eddsa(1:r2:ab)(1:s3:%25cd)))\nOK\n"
    both = made.binary + made.armored
    words = b'{"signatures":[["valid","A","B",1,null,"x"]],"sizes":[1]}'
    framed = [len(words).to_bytes(4, "big") + bytes((0, 0, 0, 1)) + words + b"x"]
    return {
        "armor": (find_blocks, made.armored),
        "packets": (packets, both),
        "signature": (read_signature, [one.body for one in split_packets(made.signature)]),
        "certificate": (lambda data: read_view(read_certificate(data), now), [made.certificate, made.own]),
        "secret-keys": (read_secret_keys, [made.secret]),
        "content": (content, [*made.binary[:3], made.lab.gpg("user", "--store", stdin=b"x" * 500)]),
        "status": (report, made.texts),
        "listing": (lambda data: (read_listing(data), read_own_keys(data)), made.texts),
        "frames": (frames, framed),
        "agent": (agent, [said]),
        "decryption": (decryption, made.binary[:2]),
        "open": (lambda data: engine.open(data, [made.certificate], now), both),
        "verify": (
            lambda data: engine.verify_detached(b"x", data, [made.certificate], now),
            [made.signature],
        ),
    }


def attempt(reader: Callable[[], object]) -> None:
    """What is refused in our own words is no finding."""
    try:
        reader()
    except ALLOWED:
        return


def search(
    target: Target, seeds: list[bytes], others: list[bytes], rng: random.Random, end: float, most: int | None
) -> tuple[int, str, bytes]:
    """Rounds made, and the first finding with its input; an empty word when there is none."""
    rounds = 0
    while time.monotonic() < end and rounds != most:
        rounds += 1
        data = mutate(rng.choice(seeds), others, rng)
        start = time.process_time()
        try:
            attempt(lambda data=data: target(data))
            fault = "slow" if time.process_time() - start > SLOW else ""
        except Exception as error:
            fault = type(error).__name__
        if fault:
            return rounds, fault, data
    return rounds, "", b""


async def differential(
    made: Samples, rng: random.Random, end: float, most: int | None
) -> tuple[int, str, bytes]:
    """The same question to gpg and to the in-process engine, until they differ."""
    engine = DifferentialEngine(made.lab.engine("desk"), lambda: made.secret)
    await engine.start()
    data, rounds = b"Content-Type: text/plain\r\n\r\nHello\r\n", 0
    while time.monotonic() < end and rounds != most:
        rounds += 1
        change = regrouped if rng.randrange(2) else mutate
        kind = rng.choice(("certificate", "certificate", "forms", "signature", "message", "status"))
        changed = b""
        try:
            if kind == "message":
                changed = change(rng.choice(made.binary[:3]), made.binary, rng)
                await engine.open(changed, [made.certificate])
            elif kind == "signature":
                changed = change(made.signature, made.binary, rng)
                await engine.verify_detached(data, changed, [made.certificate])
            else:
                changed = change(made.certificate, made.binary[3:6], rng)
                if kind == "certificate":
                    await engine.verify_detached(data, made.signature, [changed])
                elif kind == "forms":
                    await engine.verify_detached(data, made.signature, [made.certificate, changed])
                else:
                    await engine.certificate_status(changed)
        except ALLOWED:
            continue
        except Exception as error:
            await engine.close()
            return rounds, f"differential-{kind}-{type(error).__name__}", changed
    await engine.close()
    return rounds, "", b""


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--target", help="only this one")
    options.add_argument("--rounds", type=int, help="at most so many for each target")
    options.add_argument("--out", type=Path, default=Path("fuzz-findings"))
    chosen = options.parse_args()
    found = 0
    with samples() as made:
        table = targets(made)
        names = [*table, "differential"] if chosen.target is None else [chosen.target]
        share = chosen.seconds / (len(names) + 3 * ("differential" in names))
        for name in names:
            rng = random.Random(f"{chosen.seed} {name}")
            if name == "differential":
                end = time.monotonic() + 4 * share
                rounds, fault, data = asyncio.run(differential(made, rng, end, chosen.rounds))
            else:
                target, seeds = table[name]
                end = time.monotonic() + share
                rounds, fault, data = search(target, seeds, made.binary, rng, end, chosen.rounds)
            print(f"fuzz_openpgp: {name}: {rounds} inputs, {fault or 'nothing found'}, seed {chosen.seed}")
            if fault:
                found += 1
                chosen.out.mkdir(parents=True, exist_ok=True)
                (chosen.out / f"{name}-{fault}-{rounds}.bin").write_bytes(data)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
