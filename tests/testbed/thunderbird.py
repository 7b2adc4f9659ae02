"""Thunderbird's way of reading a mail, as rules to run: RNP, its engine, really runs and judges.

Around the engine Thunderbird has rules of its own: what counts as encrypted or signed, which subject is
shown, that From is in the signing key, and that the signature is as old as the mail.
"""

from __future__ import annotations

import base64
import email
import email.policy
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import parseaddr, parsedate_to_datetime
from pathlib import Path

__all__ = ["Shown", "Thunderbird"]

_APART = timedelta(hours=1)
_MADE = re.compile(r"^(Good|BAD) signature made (.+)$", re.MULTILINE)
_UID = re.compile(r"^uid\s+(.+)$", re.MULTILINE)


@dataclass
class Shown:
    """What the reader sees. `faults` are reasons for which the signature is not called good."""

    subject: str = ""
    text: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    encrypted: bool = False
    signed: bool = False
    faults: list[str] = field(default_factory=list)


class Thunderbird:
    """One person's RNP key rings in `folder`. `current` fixes RNP's clock, seconds since 1970."""

    def __init__(self, folder: Path) -> None:
        assert shutil.which("rnp"), "rnp is not installed: scripts/install dev"
        self._folder = folder
        self._rings = folder / "rings"
        self._rings.mkdir(mode=0o700)

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[bytes]:
        """One of RNP's programs."""
        command = [program, "--homedir", str(self._rings), "--notty", *words]
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": str(self._folder)}
        return subprocess.run(command, capture_output=True, timeout=60, env=environment)

    def take_key(self, key: bytes) -> None:
        """Import a key into the rings."""
        done = self.run("rnpkeys", "--import", str(self._file("key", key)))
        assert done.returncode == 0, done.stderr

    def encrypt(self, data: bytes, recipient: str) -> bytes:
        """Signed and encrypted to a key of the rings, with what RNP does by default."""
        words = ["--encrypt", "--sign", "--armor", "--recipient", recipient, "--output", "-"]
        done = self.run("rnp", *words, str(self._file("plain", data)))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def read(self, wire: bytes) -> Shown:
        """A mail as it is shown."""
        mail = email.message_from_bytes(wire, policy=email.policy.default)
        shown = Shown(subject=str(mail["Subject"]))
        kind = mail.get_content_type()
        if kind == "multipart/encrypted":
            self._decrypt(mail, shown)
        elif kind == "multipart/signed":
            self._verify(mail, wire, shown)
        else:
            _display(mail, shown)
        return shown

    def _decrypt(self, mail: EmailMessage, shown: Shown) -> None:
        version, ciphertext = mail.iter_parts()
        assert mail["Content-Type"].params["protocol"] == "application/pgp-encrypted"
        assert version.get_content_type() == "application/pgp-encrypted"
        assert b"Version: 1" in version.get_content()
        assert ciphertext.get_content_type() == "application/octet-stream"
        path = self._file("message.asc", ciphertext.get_content())
        done = self.run("rnp", "--decrypt", "--output", "-", str(path))
        shown.encrypted = bool(done.stdout)
        self._judge(done, mail, shown)
        inner = email.message_from_bytes(done.stdout, policy=email.policy.default)
        # Only marked headers of the root take the place of those outside.
        if inner["Content-Type"].params.get("protected-headers") == "v1" and inner["Subject"]:
            shown.subject = str(inner["Subject"])
        _display(inner, shown)

    def _verify(self, mail: EmailMessage, wire: bytes, shown: Shown) -> None:
        inner, signature = mail.iter_parts()
        params = mail["Content-Type"].params
        assert params["protocol"] == "application/pgp-signature"
        assert signature.get_content_type() == "application/pgp-signature"
        mark = b"\r\n--" + params["boundary"].encode()
        _, content, _ = wire.split(mark)[:3]
        data = self._file("signed", content.removeprefix(b"\r\n"))
        path = self._file("signed.asc", signature.get_content())
        done = self.run("rnp", "--verify", str(path), "--source", str(data))
        self._judge(done, mail, shown)
        listed = self.run("rnp", "--list-packets", str(path)).stdout.decode()
        name = re.search(r"hash algorithm: \d+ \((\S+)\)", listed)
        if name is None or params["micalg"] != f"pgp-{name[1].lower()}":
            shown.faults.append("micalg")
        _display(inner, shown)

    def _judge(self, done: subprocess.CompletedProcess[bytes], mail: EmailMessage, shown: Shown) -> None:
        """The engine's word, then Thunderbird's own conditions for calling a signature good."""
        told = done.stderr.decode("utf-8", "replace")
        found = _MADE.search(told)
        shown.signed = found is not None
        if found is None or found[1] != "Good" or done.returncode:
            shown.faults.append("signature")
            return
        made = datetime.strptime(found[2].strip(), "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
        if abs(made - parsedate_to_datetime(mail["Date"])) > _APART:
            shown.faults.append("signing-time")
        sender = parseaddr(str(mail["From"]))[1].lower()
        if sender not in {parseaddr(one)[1].lower() for one in _UID.findall(told)}:
            shown.faults.append("from-not-in-key")

    def autocrypt_key(self, wire: bytes) -> bytes:
        """The key that a mail offers in its header, where its address is the sender's."""
        mail = email.message_from_bytes(wire, policy=email.policy.default)
        (header,) = mail.get_all("Autocrypt")
        words = dict(one.strip().split("=", 1) for one in str(header).split(";"))
        assert words["addr"] == parseaddr(str(mail["From"]))[1]
        return base64.b64decode("".join(words["keydata"].split()))

    def _file(self, name: str, content: bytes) -> Path:
        path = self._folder / name
        path.write_bytes(content)
        return path


def _display(entity: EmailMessage, shown: Shown) -> None:
    for part in entity.walk():
        if part.is_multipart():
            continue
        if part.get_filename():
            shown.files[str(part.get_filename())] = part.get_payload(decode=True)
        elif part.get_content_type() == "text/plain":
            shown.text += str(part.get_content())
