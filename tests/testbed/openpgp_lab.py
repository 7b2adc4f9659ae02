"""Makes keys, messages and hostile packet structures with stock gpg and a few lines of its own."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testbed.differential import DifferentialEngine
from veildesk.openpgp.gnupg_engine import GnuPGEngine
from veildesk.openpgp.packets import split_packets

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from cryptography.hazmat.decrepit.ciphers.modes import CFB
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

SHM = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())
BASE = ["gpg", "--no-options", "--batch", "--no-tty", "--trust-model=always", "--pinentry-mode=loopback"]


@dataclass
class Lab:
    """One support desk and some correspondents, each with an own home below `root`."""

    root: Path
    fingerprints: dict[str, str] = field(default_factory=dict)
    differential: bool = False

    def home(self, who: str) -> Path:
        home = self.root / who
        if not home.exists():
            home.mkdir(mode=0o700)
            (home / "gpg-agent.conf").write_text("disable-scdaemon\ns2k-count 65536\n")
        return home

    def gpg(self, who: str, *words: str, stdin: bytes = b"", check: bool = True) -> bytes:
        command = [*BASE, "--homedir", str(self.home(who)), *words]
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=60)
        if check and done.returncode:
            raise AssertionError(done.stderr.decode(errors="replace"))
        return done.stdout

    def make(self, who: str, user_id: str, *options: str, expires: str = "never") -> str:
        self.gpg(
            who,
            *options,
            "--passphrase=",
            "--quick-generate-key",
            "--",
            user_id,
            "future-default",
            "default",
            expires,
        )
        listing = self.gpg(who, "--with-colons", "--list-keys").decode("utf-8", "replace")
        self.fingerprints[who] = re.findall(r"^fpr:+([0-9A-F]{40}):", listing, re.MULTILINE)[0]
        return self.fingerprints[who]

    def certificate(self, who: str) -> bytes:
        return self.gpg(who, "--export", self.fingerprints[who])

    def certificate_file(self, who: str) -> str:
        path = self.root / f"{who}.pgp"
        path.write_bytes(self.certificate(who))
        return str(path)

    def encrypt(
        self, data: bytes, *words: str, by: str = "user", to: Sequence[str] = ("desk",), sign: bool = False
    ) -> bytes:
        recipients = [word for one in to for word in ("-f", self.certificate_file(one))]
        return self.gpg(by, *words, *recipients, *(["--sign"] if sign else []), "--encrypt", stdin=data)

    def engine(self, who: str = "desk", **options: object) -> Any:
        """The gpg engine; in a differential lab, one that asks the in-process engine as well."""
        gpg = GnuPGEngine(self.home(who), runtime_dir=self.root / "run", **options)  # type: ignore[arg-type]
        if not self.differential or options:
            return gpg
        return DifferentialEngine(gpg, lambda: self.gpg(who, "--export-secret-keys"))

    def session(self) -> tuple[bytes, bytes]:
        """A PKESK packet to the desk and its AES-256 session key."""
        message = self.encrypt(b"x", "--cipher-algo=AES256")
        command = [*BASE, "--homedir", str(self.home("desk")), "--show-session-key", "--status-fd=1", "-d"]
        out = subprocess.run(command, input=message, capture_output=True, timeout=60).stdout
        key = re.search(rb"SESSION_KEY 9:([0-9A-F]{64})", out)
        assert key is not None
        return next(one.raw for one in split_packets(message) if one.tag == 1), bytes.fromhex(key[1].decode())

    def enclose(self, inner: bytes, *, break_mdc: bool = False) -> bytes:
        """`inner` packets as they are inside a sound SEIPD version 1 message to the desk."""
        pkesk, key = self.session()
        prefix = os.urandom(16)
        plain = prefix + prefix[-2:] + inner + b"\xd3\x14"
        digest = hashlib.sha1(plain, usedforsecurity=False).digest()
        digest = bytes(20) if break_mdc else digest
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            encryptor = Cipher(algorithms.AES(key), CFB(bytes(16))).encryptor()
        return pkesk + packet(18, b"\x01" + encryptor.update(plain + digest) + encryptor.finalize())

    def close(self) -> None:
        for home in self.root.iterdir():
            if home.is_dir():
                subprocess.run(
                    ["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"], capture_output=True
                )
        shutil.rmtree(self.root, ignore_errors=True)


def packet(tag: int, body: bytes) -> bytes:
    """A new-format packet with a five-octet length."""
    return bytes((0xC0 | tag, 255)) + len(body).to_bytes(4, "big") + body


def literal(data: bytes, name: bytes = b"") -> bytes:
    return packet(11, b"b" + bytes((len(name),)) + name + bytes(4) + data)


@contextmanager
def new_lab() -> Iterator[Lab]:
    lab = Lab(Path(tempfile.mkdtemp(prefix="lab-", dir=SHM)))
    (lab.root / "run").mkdir(mode=0o700)
    try:
        lab.make("desk", "Support <support@desk.example>")
        lab.make("user", "Rosa Example <rosa@example.org>")
        yield lab
    finally:
        lab.close()
