"""The whole way: signed and encrypted mails of 2 to 5 kB from SMTP accept to the helpdesk's Maildir.

Beside it Schleuder does its own job on the same mails, a plain python-gnupg loop decrypts and verifies them
and does nothing else, and the bare steps are done one by one. Ours decrypts, checks every signature's
certificate, parses, masks, keeps every state durably, and writes the ticket.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import hashlib
import mailbox
import os
import resource
import secrets
import smtplib
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import gnupg
import schleuder_peer
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from measure import ROOT, Row, cpu_seconds, tree

from chaos.outside import Sink
from testbed.openpgp_lab import Lab, new_lab
from veildesk.service.initialise import initialise

__all__ = ["GROUPS", "Whole", "gateway", "letters"]

_MAILS, _ROUNDS, _SESSIONS, _BESIDE, _LOOPED = 60, 5, 10, 2, 30
_MORE = """
[smtp]
listen = "127.0.0.1:{port}"
"""
_SHAPE = (
    "From: {user}\r\nTo: support@desk.example\r\nSubject: ...\r\nMessage-ID: <{name}@example.org>\r\n"
    "Date: Thu, 26 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: multipart/encrypted;"
    ' protocol="application/pgp-encrypted"; boundary=b\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted'
    "\r\n\r\nVersion: 1\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n"
)
_TEXT = "the transfer of yesterday does not show in my wallet and the page says it is confirmed"
_WORDS = _TEXT.split(" ")


@dataclass(frozen=True)
class Whole:
    """A running gateway: its process, SMTP port and Maildir."""

    pid: int
    port: int
    tickets: Path
    folder: Path

    def delivered(self) -> int:
        """How many tickets lie in the Maildir."""
        return sum(1 for path in self.tickets.rglob("*") if path.parent.name in ("new", "cur"))


@asynccontextmanager
async def gateway(folder: Path, lab: Lab, *, before: tuple[str, ...] = ()) -> AsyncIterator[Whole]:
    """A gateway as `init` makes it, with SMTP, keys in memory, and the user's key known."""
    await initialise(folder / "gw", name="Desk", address="support@desk.example")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "gw" / "veildesk.toml"
    (folder / "gw" / "keys" / "contacts").mkdir()
    (folder / "gw" / "keys" / "contacts" / "user.gpg").write_bytes(lab.certificate("user"))
    text = config.read_text().replace('# secret = "memory"', 'secret = "memory"')
    text = text.replace('# contacts = "keys/contacts"', 'contacts = "keys/contacts"')
    config.write_text(text + _MORE.format(port=port))
    words = [*before, sys.executable, "-I", "-m", "veildesk", "run", "--config", str(config)]
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*words, stdout=log, stderr=log)
        try:
            while b"ready" not in (folder / "log").read_bytes():
                if process.returncode is not None:
                    raise RuntimeError((folder / "log").read_text()[-500:])
                await asyncio.sleep(0.1)
            yield Whole(process.pid, port, folder / "gw" / "tickets", folder)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def letters(lab: Lab, count: int, support: str) -> list[tuple[bytes, bytes]]:
    """Mails, and the ciphertext in each; 2 to 5 kB."""
    made = []
    for number in range(count):
        words = (_WORDS[(number + at) % len(_WORDS)] for at in range(20 + 40 * (number % 5)))
        body = f"Content-Type: text/plain\r\n\r\n{' '.join(words)}\r\n{secrets.token_hex(400)}\r\n"
        sealed = lab.gpg(
            *("user", "--armor", "--recipient", support, "--sign", "--encrypt"), stdin=body.encode()
        )
        head = _SHAPE.format(user="rosa@example.org", name=secrets.token_hex(8)).encode()
        made.append((head + sealed.replace(b"\n", b"\r\n") + b"\r\n--b--\r\n", sealed))
    return made


def _renamed(mail: bytes) -> bytes:
    """The same mail as another message."""
    begin = mail.index(b"Message-ID: <") + 13
    return mail[:begin] + secrets.token_hex(8).encode() + mail[mail.index(b"@example.org>", begin) :]


def _send(port: int, mails: list[bytes]) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=120) as client:
        for mail in mails:
            client.sendmail("rosa@example.org", ["support@desk.example"], mail)


async def _through(whole: Whole, mails: list[bytes]) -> tuple[float, float]:
    """Processor and wall seconds until all mails of a batch are delivered."""
    fresh = [_renamed(mail) for mail in mails]
    target = whole.delivered() + len(fresh)
    pids = tree(whole.pid)
    used, begun = cpu_seconds(pids), time.perf_counter()
    await asyncio.gather(
        *(asyncio.to_thread(_send, whole.port, fresh[at::_SESSIONS]) for at in range(_SESSIONS))
    )
    while whole.delivered() < target:
        if time.perf_counter() - begun > 300:
            raise RuntimeError(f"delivered {whole.delivered()} of {target}")
        await asyncio.sleep(0.02)
    wall = time.perf_counter() - begun
    await asyncio.sleep(0.3)  # The commits that say "delivered".
    return cpu_seconds(tree(whole.pid)) - used, wall


@contextmanager
def _used() -> Iterator[list[float]]:
    """Processor and wall seconds of a block, children that ended included."""
    found: list[float] = []
    before, begun = _rusage(), time.perf_counter()
    yield found
    found += [_rusage() - before, time.perf_counter() - begun]


def _rusage() -> float:
    both = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(one.ru_utime + one.ru_stime for one in both)


def _loop(ciphertexts: list[bytes], home: Path) -> tuple[float, float]:
    """Processor time, that of its agent included as on our side, and wall time."""
    gpg = gnupg.GPG(gnupghome=str(home))
    agent = _agent(home)
    before = cpu_seconds(agent)
    with _used() as found:
        for sealed in ciphertexts:
            opened = gpg.decrypt(sealed)
            if not opened.ok or not opened.valid:
                raise RuntimeError(opened.status)
    return found[0] + cpu_seconds(agent) - before, found[1]


def _agent(home: Path) -> list[int]:
    """The process of a home's agent, which is started if need be."""
    words = ["gpg-connect-agent", "--homedir", str(home), "getinfo pid", "/bye"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return [int(line[2:]) for line in said.splitlines() if line.startswith("D ")]


def _bare(folder: Path, mails: list[bytes], plain: bytes) -> float:
    """Processor seconds of the bare steps, for all mails: what any gateway must do.

    The operations of OpenPGP, parsing outside and inside, four durable commits, one file in a Maildir.
    """
    database = sqlite3.connect(folder / "bare.db", isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
        database.execute(f"PRAGMA {pragma}")
    database.execute("CREATE TABLE IF NOT EXISTS mail (id INTEGER PRIMARY KEY, data BLOB)")
    target = mailbox.Maildir(folder / "bare-maildir")
    secret, peer = X25519PrivateKey.generate(), X25519PrivateKey.generate().public_key()
    signer, key = Ed25519PrivateKey.generate(), os.urandom(32)
    signature, verifier = signer.sign(b"x" * 64), signer.public_key()
    with _used() as found:
        for mail in mails:
            secret.exchange(peer)
            data = Cipher(algorithms.AES(key), CFB(bytes(16))).decryptor().update(mail)
            hashlib.sha1(data, usedforsecurity=False).digest()
            hashlib.sha512(data).digest()
            verifier.verify(signature, b"x" * 64)
            email.message_from_bytes(mail, policy=email.policy.default)
            inner = email.message_from_bytes(plain, policy=email.policy.default)
            for blob in (mail, plain, b"", b""):
                database.execute("INSERT INTO mail (data) VALUES (?)", (blob,))
            target.add(inner)
    database.close()
    return found[0]


@asynccontextmanager
async def _empty_server(folder: Path) -> AsyncIterator[tuple[int, int]]:
    """Port and process of aiosmtpd with a handler that does nothing."""
    server = Path(__file__).resolve().parents[1] / "mail_server.py"
    words = [sys.executable, "-I", str(server), "empty", str(folder)]
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline()), process.pid
    finally:
        process.kill()
        await process.wait()


async def _taken(port: int, pid: int, mails: list[bytes]) -> float:
    """Processor seconds of the empty server for all mails."""
    before = cpu_seconds([pid])
    await asyncio.gather(*(asyncio.to_thread(_send, port, mails[at::_SESSIONS]) for at in range(_SESSIONS)))
    return cpu_seconds([pid]) - before


async def beside_peers() -> list[Row]:
    """Ours, Schleuder, a python-gnupg loop and the bare steps, in turn."""
    with new_lab() as lab, tempfile.TemporaryDirectory(dir=ROOT / "var") as name:
        folder = Path(name)
        async with gateway(folder, lab) as whole:
            home = folder / "gw" / "keys" / "gnupg"
            support, secret = _support(home)
            lab.gpg("user", "--import", stdin=(folder / "gw" / "keys" / "support.asc").read_bytes())
            made = letters(lab, _MAILS, support)
            mails, ciphertexts = [one[0] for one in made], [one[1] for one in made]
            for who in ("desk", "peer"):
                lab.gpg(who, "--import", stdin=secret)
                lab.gpg(who, "--import", stdin=lab.certificate("user"))
            ours, loop, bare, schleuder = [], [], [], []
            plain = b"Content-Type: text/plain\n\n" + b"x" * 900
            async with _empty_server(folder) as (port, pid):
                with _schleuder(lab, secret, support) as peer:
                    await _through(whole, mails[:10])
                    for _ in range(_ROUNDS):
                        ours.append(await _through(whole, mails))
                        loop.append(await asyncio.to_thread(_loop, ciphertexts[:_LOOPED], lab.home("peer")))
                        taken = await _taken(port, pid, mails)
                        bare.append(taken + await asyncio.to_thread(_bare, folder, mails, plain))
                        if peer is not None and len(schleuder) < _BESIDE:
                            schleuder.append(await asyncio.to_thread(peer.work, mails[len(schleuder)]))
    return _rows(ours, loop, bare, schleuder)


def _rows(
    ours: list[tuple[float, float]],
    loop: list[tuple[float, float]],
    bare: list[float],
    schleuder: list[float],
) -> list[Row]:
    cpu = 1000 * statistics.median(one[0] for one in ours) / _MAILS
    wall = 1000 * statistics.median(one[1] for one in ours) / _MAILS
    each = 1000 / _LOOPED
    what = f"whole way, {_MAILS} PGP mails of 2 to 5 kB"
    rows = [
        _row("whole.loop", f"{what}: processor", cpu, each * statistics.median(one[0] for one in loop), 2.0,
             "a plain python-gnupg loop, decrypt and verify only"),
        _row("whole.loop.wall", f"{what}: wall, {_SESSIONS} sessions", wall,
             each * statistics.median(one[1] for one in loop), 2.0, "the same loop"),
        _row("whole.limit", f"{what}: processor", cpu, 1000 * statistics.median(bare) / _MAILS, 0.5,
             "the bare steps: SMTP, OpenPGP, parsing, commits, Maildir"),
    ]  # fmt: skip
    if schleuder:
        peer = f"Schleuder {schleuder_peer.version()}, its own job"
        rows.insert(
            0,
            _row(
                "whole.schleuder", f"{what}: processor", cpu, 1000 * statistics.median(schleuder), 100.0, peer
            ),
        )
    else:
        rows.insert(0, Row("whole.schleuder", "not measured: 'apt-get install schleuder'"))
    return rows


def _row(name: str, what: str, ours: float, other: float, goal: float | None, said: str) -> Row:
    row = Row(name, what, said, round(ours, 2), round(other, 2), ratio=round(other / ours, 2), goal=goal)
    row.note = "per mail"
    return row


def _support(home: Path) -> tuple[str, bytes]:
    """Fingerprint and secret key of the gateway's support key."""
    base = ["gpg", "--homedir", str(home), "--batch"]
    listing = subprocess.run([*base, "--with-colons", "--list-secret-keys", "support@desk.example"],
                             capture_output=True, text=True, check=True).stdout  # fmt: skip
    found = next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr"))
    exported = subprocess.run(
        [*base, "--armor", "--export-secret-keys", found], capture_output=True, check=True
    )
    return found, exported.stdout


@contextmanager
def _schleuder(lab: Lab, secret: bytes, support: str) -> Iterator[schleuder_peer.Schleuder | None]:
    if not schleuder_peer.installed():
        yield None
        return
    sink = Sink()
    # Its agent's socket lies there: the path must be short.
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        peer = schleuder_peer.Schleuder(Path(name), sink.port)
        try:
            user = lab.fingerprints["user"]
            peer.set_up(secret, support, lab.gpg("user", "--armor", "--export", user), user)
            yield peer
        finally:
            peer.close()
            sink.close()


GROUPS = (beside_peers,)
