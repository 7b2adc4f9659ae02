"""Somebody with Python and gpg only, who writes one encrypted, signed mail with two files."""

from __future__ import annotations

import base64
import secrets
import smtplib
import struct
import subprocess
import zlib
from email.message import EmailMessage
from pathlib import Path

HOME = Path("/root/person-gnupg")
ADDRESS = "person@user.example"
SUPPORT = "support@example.org"


def gpg(*words: str, data: bytes = b"") -> bytes:
    """What gpg writes."""
    command = ["gpg", "--homedir", str(HOME), "--batch", "--trust-model", "always", *words]
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def picture() -> bytes:
    """Two by two pixels and the name of an author."""
    head = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\1\2\3" * 2) * 2)
    parts = chunk(b"IHDR", head) + chunk(b"tEXt", b"Author\0Synthetic Author") + chunk(b"IDAT", rows)
    return b"\x89PNG\r\n\x1a\n" + parts + chunk(b"IEND", b"")


def mail() -> bytes:
    """PGP/MIME (RFC 3156) with the key in an Autocrypt header."""
    inner = EmailMessage()
    inner.set_content("Since 4.2.1 it does not start. Write to other@mail.example, I am at 93.184.216.34.\n")
    inner.add_attachment(picture(), maintype="image", subtype="png", filename="screen.png")
    inner.add_attachment(b"refused by 93.184.216.35\n", maintype="text", subtype="plain", filename="app.log")
    signed = inner.as_bytes().replace(b"\n", b"\r\n")
    sealed = gpg("--armor", "--sign", "--encrypt", "-r", SUPPORT, "-r", ADDRESS, data=signed).decode()
    key = base64.b64encode(gpg("--export", ADDRESS)).decode()
    edge = "edge" + secrets.token_hex(8)
    return "\r\n".join(
        [
            f"From: {ADDRESS}",
            f"To: {SUPPORT}",
            "Subject: ...",
            f"Message-ID: <{secrets.token_hex(12)}@user.example>",
            f"Autocrypt: addr={ADDRESS}; keydata={key}",
            "MIME-Version: 1.0",
            f'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="{edge}"',
            "",
            f"--{edge}",
            "Content-Type: application/pgp-encrypted",
            "",
            "Version: 1",
            "",
            f"--{edge}",
            "Content-Type: application/octet-stream",
            "",
            *sealed.splitlines(),
            "",
            f"--{edge}--",
            "",
        ]
    ).encode()


def main() -> None:
    """Make a key, learn the support key, send."""
    HOME.mkdir(mode=0o700)
    gpg("--passphrase", "", "--quick-gen-key", ADDRESS, "ed25519", "default", "1y")
    (fingerprint,) = [
        line.split(":")[9]
        for line in gpg("--list-keys", "--with-colons").decode().splitlines()
        if line.startswith("fpr:")
    ]
    gpg("--passphrase", "", "--quick-add-key", fingerprint, "cv25519", "encr", "1y")
    gpg("--import", data=Path("/var/lib/veildesk/keys/support.asc").read_bytes())
    with smtplib.SMTP("127.0.0.1", 25) as server:
        server.ehlo("user.example")
        server.sendmail(ADDRESS, [SUPPORT], mail())


if __name__ == "__main__":
    main()
