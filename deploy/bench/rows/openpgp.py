"""OpenPGP: opening and sealing beside a plain python-gnupg loop, and beside the bare operations.

The loop does what a few lines of python-gnupg do, with all keys in one keyring. Ours checks structure,
integrity and every signature's certificate besides, and the verdicts are asserted on both sides.
"""

from __future__ import annotations

import asyncio
import bz2
import hashlib
import os
import secrets
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import gnupg
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from measure import ROOT, Row, measure, seconds

from testbed.openpgp_lab import Lab, literal, new_lab, packet
from veildesk.core.contact import KnownKey, Provenance
from veildesk.core.errors import LimitExceeded
from veildesk.core.limits import Limits
from veildesk.core.ports import Engine
from veildesk.openpgp.key_index import index_of
from veildesk.openpgp.pool import InProcessEngine
from veildesk.ops.clock import SystemClock
from veildesk.service.engines import from_home, in_front_of
from veildesk.spool.keyring import KeyRing
from veildesk.spool.store import SqlSpool

__all__ = ["GROUPS"]

LOOP = "a plain python-gnupg loop"
SIZES = {"5 kB": 5_000, "1 MB": 1_000_000}
MIB = 1024 * 1024


async def in_memory() -> list[Row]:
    """Keys in the workers' memory: the ratios that matter, with their goal."""
    async with AsyncExitStack() as stack:
        lab = stack.enter_context(new_lab())
        engine = await combined(lab, stack, memory=True)
        rows = await pair(lab, engine, "5 kB", "", 10.0, repeat=10)
        return rows + await pair(lab, engine, "1 MB", ".1mb", None, repeat=2)


async def with_agent() -> list[Row]:
    """Keys with gpg-agent: two questions to it for each operation."""
    async with AsyncExitStack() as stack:
        lab = stack.enter_context(new_lab())
        engine = await combined(lab, stack, memory=False)
        return await pair(lab, engine, "5 kB", ".agent", 3.0, repeat=10)


async def with_gpg_alone() -> list[Row]:
    """`[keys] engine = "gpg"`."""
    async with AsyncExitStack() as stack:
        lab = stack.enter_context(new_lab())
        engine = lab.engine("desk")
        await engine.start()
        stack.push_async_callback(engine.close)
        return await pair(lab, engine, "5 kB", ".gpg", None, repeat=5)


async def with_rsa() -> list[Row]:
    """RSA 3072 on both sides; the secret keys stay with gpg-agent."""
    async with AsyncExitStack() as stack:
        lab = stack.enter_context(new_lab())
        for who, name in (("desk", "Support <support@desk.example>"), ("user", "Rosa <rosa@example.org>")):
            home = f"rsa-{who}"
            lab.gpg(home, "--passphrase=", "--quick-generate-key", "--", name, "rsa3072", "default")
            listing = lab.gpg(home, "--with-colons", "--list-keys").decode()
            made = next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr"))
            lab.gpg(home, "--passphrase=", "--quick-add-key", made, "rsa3072", "encr")
            lab.fingerprints[home] = made
        engine = await combined(lab, stack, memory=True, desk="rsa-desk")
        return await pair(lab, engine, "5 kB", ".rsa3072", None, repeat=3, desk="rsa-desk", user="rsa-user")


async def combined(lab: Lab, stack: AsyncExitStack, *, memory: bool, desk: str = "desk") -> Engine:
    gpg = lab.engine(desk)
    await gpg.start()
    stack.push_async_callback(gpg.close)
    secret = from_home(gpg, [lab.fingerprints[desk]]) if memory else None
    return await in_front_of(gpg, Limits(), stack, secret=secret)


async def pair(
    lab: Lab,
    engine: Engine,
    size: str,
    mark: str,
    goal: float | None,
    *,
    repeat: int,
    desk: str = "desk",
    user: str = "user",
) -> list[Row]:
    """Opening and sealing of one size, one after the other."""
    data = os.urandom(SIZES[size] // 2).hex().encode()
    message = lab.encrypt(data, "--armor", by=user, to=(desk,), sign=True)
    certificate, signer = lab.certificate(user), lab.fingerprints[desk]
    plain = gnupg.GPG(gnupghome=str(lab.home(desk)), options=["--trust-model", "always"])
    plain.import_keys(certificate)

    async def ours() -> None:
        opened = await engine.open(message, [certificate])
        assert opened.data == data
        assert opened.signatures[0].verdict.value == "valid"

    async def theirs() -> None:
        result = plain.decrypt(message)
        assert result.ok
        assert result.valid

    async def seal() -> None:
        await engine.seal(data, [certificate], signer)

    async def their_seal() -> None:
        assert plain.encrypt(data, lab.fingerprints[user], sign=signer).ok

    kind = mark.removeprefix(".") or "keys in memory"
    opening = Row(f"openpgp.open{mark}", f"open {size}, signed and encrypted: {kind}", LOOP, goal=goal)
    sealing = Row(f"openpgp.seal{mark}", f"sign and encrypt {size}: {kind}", LOOP, goal=goal)
    return [
        await measure(opening, times(repeat, ours), times(repeat, theirs)),
        await measure(sealing, times(repeat, seal), times(repeat, their_seal)),
    ]


def times(count: int, work: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        for _ in range(count):
            await work()

    return run


async def physical_limit() -> list[Row]:
    """Opening beside the bare operations that no program can do without, by `cryptography`."""
    async with AsyncExitStack() as stack:
        lab = stack.enter_context(new_lab())
        engine = await combined(lab, stack, memory=True)
        data = os.urandom(2500).hex().encode()
        message, certificate = lab.encrypt(data, "--armor", sign=True), lab.certificate("user")
        secret, peer = X25519PrivateKey.generate(), X25519PrivateKey.generate().public_key()
        signer = Ed25519PrivateKey.generate()
        signature, verifier = signer.sign(b"x" * 64), signer.public_key()
        key = os.urandom(32)

        async def bare() -> None:
            for _ in range(10):
                secret.exchange(peer)
                cipher = Cipher(algorithms.AES(key), CFB(bytes(16))).decryptor()
                hashlib.sha1(cipher.update(data), usedforsecurity=False).digest()
                hashlib.sha512(data).digest()
                verifier.verify(signature, b"x" * 64)

        async def ours() -> None:
            for _ in range(10):
                await engine.open(message, [certificate])

        row = Row("openpgp.open.limit", "open 5 kB: keys in memory", "the bare operations of cryptography")
        row.note = "X25519, AES-CFB, SHA-1, SHA-512, Ed25519; what is missing to 1 is structure and workers"
        return [await measure(row, ours, bare)]


async def contacts() -> list[Row]:
    """Finding the sender's key among all contacts and opening a mail, with 50,000 contacts and with 10."""
    async with AsyncExitStack() as stack:
        lab = stack.enter_context(new_lab())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=ROOT / "var")))
        engine = await combined(lab, stack, memory=True)
        message = lab.encrypt(os.urandom(2500).hex().encode(), "--armor", sign=True)
        found = index_of(lab.certificate("user"))
        rosa = KnownKey(found.certificate, found.fingerprint, found.keys, found.addresses, Provenance.SIGNED)
        sides = [await _store(folder / str(count), count, rosa, stack) for count in (50_000, 10)]

        async def look(spool: SqlSpool) -> None:
            for _ in range(20):
                (known,) = await spool.contacts.by_address("rosa@example.org")
                opened = await engine.open(message, [known.certificate])
                assert opened.signatures[0].verdict.value == "valid"

        row = Row("openpgp.contacts", "find the key among 50,000 and open 5 kB", "among 10", goal=1 / 1.1)
        return [await measure(row, lambda: look(sides[0]), lambda: look(sides[1]), rounds=9)]


async def _store(folder: Path, count: int, rosa: KnownKey, stack: AsyncExitStack) -> SqlSpool:
    """A store with one real contact among `count`."""
    from sqlalchemy import Connection, insert

    from veildesk.spool.contact_tables import contact, contact_name

    folder.mkdir()
    spool = await SqlSpool.open(folder / "state", KeyRing.create(folder / "ring"), SystemClock(), 14)
    stack.push_async_callback(spool.close)
    digests = [secrets.token_bytes(32) for _ in range(count - 1)]

    def fill(connection: Connection) -> None:
        rows = [{"digest": one, "sealed": os.urandom(1000), "last_day": 1} for one in digests]
        connection.execute(insert(contact), rows)
        names = [{"digest": secrets.token_bytes(32), "contact": one} for one in digests for _ in range(3)]
        connection.execute(insert(contact_name), names)

    await spool.contacts._writer.do("contacts", fill)
    await spool.contacts.remember(rosa)
    return spool


async def bomb() -> list[Row]:
    """A message of about 820 octets that would be 600 MB: refused, in time and memory."""
    with new_lab() as lab:
        squeezed, size = bz2.BZ2Compressor(9), 600_000_000
        body = [squeezed.compress(b"\xcb\xff" + (size + 6).to_bytes(4, "big") + b"b\x00" + bytes(4))]
        body += [squeezed.compress(bytes(size // 100)) for _ in range(100)]
        message = lab.enclose(packet(8, b"\x03" + b"".join(body) + squeezed.flush()))
        gpg = lab.engine("desk")
        await gpg.start()
        pool = InProcessEngine(
            [lab.certificate("desk")], secret=from_home(gpg, [lab.fingerprints["desk"]]), workers=1
        )
        await pool.start()
        assert (await pool.open(lab.enclose(literal(b"x")), [])).data == b"x"

        async def refused() -> None:
            try:
                await pool.open(message, [])
            except LimitExceeded:
                return
            raise AssertionError

        spent = [await seconds(refused) for _ in range(5)]
        (worker,) = pool._all
        peak = _peak(worker.pid)
        await pool.close()
        await gpg.close()
    took, peak_mib = round(1000 * max(spent), 1), round(peak / MIB, 1)
    time_row = Row("openpgp.bomb", f"refuse a bomb of {len(message)} octets", "one second", goal=1.0)
    time_row.ours, time_row.other, time_row.ratio = took, 1000.0, round(1000 / took, 2)
    memory_row = Row("openpgp.bomb.memory", "the worker's peak while it does", "64 MiB", unit="MiB", goal=1.0)
    memory_row.ours, memory_row.other, memory_row.ratio = peak_mib, 64.0, round(64 / peak_mib, 2)
    return [time_row, memory_row]


def _peak(pid: int) -> int:
    """Highest resident memory of a process in octets (proc(5), VmHWM)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


async def together() -> list[Row]:
    """Fifty mails at once through both workers, beside the loop one after the other."""
    async with AsyncExitStack() as stack:
        lab = stack.enter_context(new_lab())
        engine = await combined(lab, stack, memory=True)
        message = lab.encrypt(os.urandom(2500).hex().encode(), "--armor", sign=True)
        certificate = lab.certificate("user")
        plain = gnupg.GPG(gnupghome=str(lab.home("desk")), options=["--trust-model", "always"])
        plain.import_keys(certificate)

        async def ours() -> None:
            await asyncio.gather(*(engine.open(message, [certificate]) for _ in range(50)))

        async def theirs() -> None:
            begun = time.perf_counter()
            for _ in range(50):
                assert plain.decrypt(message).valid
            assert time.perf_counter() > begun

        row = Row("openpgp.open.together", "open fifty of 5 kB at once: keys in memory", LOOP)
        return [await measure(row, ours, theirs, rounds=3)]


GROUPS = (in_memory, together, with_agent, with_gpg_alone, with_rsa, physical_limit, contacts, bomb)
