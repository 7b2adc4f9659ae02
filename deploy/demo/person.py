"""A person with stock gpg and an ordinary mailbox. Knows nothing of Veildesk but its public key."""

from __future__ import annotations

import imaplib
import os
import re
import shutil
import smtplib
import ssl
import subprocess
import tempfile
import time
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from testbed.mail_servers import MailServers


@dataclass(frozen=True)
class Opened:
    """What gpg made of a reply."""

    outer_subject: str
    subject: str
    text: str
    signer: str
    valid: bool
    encrypted: bool


class Person:
    """Has a key, writes PGP/MIME or inline mails, reads answers over IMAP."""

    def __init__(self, address: str, servers: MailServers, support: str, support_key: bytes) -> None:
        self.address = address
        self._support = support
        self._servers = servers
        self._home = Path(tempfile.mkdtemp(prefix="vd-"))
        self._gpg("--quick-generate-key", f"A Person <{address}>", "future-default", "default", "1d")
        self._gpg("--import", data=support_key)
        listing = self._gpg("--with-colons", "--list-keys", address).decode()
        self.fingerprint = re.findall(r"^fpr:+([0-9A-F]+):", listing, re.M)[0]

    def close(self) -> None:
        """End the agent and forget the key."""
        subprocess.run(["gpgconf", "--homedir", str(self._home), "--kill", "all"], check=False)
        shutil.rmtree(self._home, ignore_errors=True)

    def _gpg(self, *words: str, data: bytes = b"", check: bool = True, status: Path | None = None) -> bytes:
        command = ["gpg", "--homedir", str(self._home), "--batch", "--quiet", "--trust-model", "always"]
        command += ["--no-auto-key-locate", "--passphrase", "", "--pinentry-mode", "loopback"]
        if status is not None:
            command += ["--status-file", str(status)]
        done = subprocess.run([*command, *words], input=data, capture_output=True, check=False)
        if check and done.returncode:
            raise RuntimeError(f"gpg {words[0]}: {done.stderr.decode(errors='replace')}")
        return done.stdout

    # ------------------------------------------------------------------ write
    def pgp_mime(self, subject: str, text: str, picture: bytes) -> bytes:
        """An RFC 3156 mail, signed and encrypted, with the person's key and a picture inside."""
        inner = EmailMessage(policy=policy.SMTP)
        inner["Subject"] = subject
        inner.set_content(text)
        inner.add_attachment(picture, maintype="image", subtype="jpeg", filename="photo.jpg")
        own = self._gpg("--armor", "--export", self.fingerprint)
        inner.add_attachment(own, maintype="application", subtype="pgp-keys", filename="key.asc")
        sealed = self._gpg("--armor", "--sign", "--encrypt", "-r", self._support, data=inner.as_bytes())
        outer = self._outer("...")
        return outer.as_bytes().rstrip(b"\r\n") + (
            b'\r\nContent-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="=-vd"'
            b"\r\n\r\n--=-vd\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n"
            b"\r\n--=-vd\r\nContent-Type: application/octet-stream\r\n\r\n"
            + sealed.replace(b"\n", b"\r\n")
            + b"\r\n--=-vd--\r\n"
        )

    def inline(self, subject: str, text: str) -> bytes:
        """A mail whose body is one armor block."""
        mail = self._outer(subject)
        sealed = self._gpg("--armor", "--sign", "--encrypt", "-r", self._support, data=text.encode())
        mail.set_content(sealed.decode())
        # Inline mail has no place for a key but a header (Autocrypt Level 1).
        key = "".join(self._autocrypt().split())
        lines = "\r\n ".join(key[i : i + 70] for i in range(0, len(key), 70))
        raw = mail.as_bytes()
        return f"Autocrypt: addr={self.address}; keydata=\r\n {lines}\r\n".encode() + raw

    def _autocrypt(self) -> str:
        import base64

        return base64.b64encode(
            self._gpg("--export-options", "export-minimal", "--export", self.fingerprint)
        ).decode()

    def plain(self, subject: str, text: str) -> bytes:
        """An ordinary mail."""
        mail = self._outer(subject)
        mail.set_content(text)
        return mail.as_bytes()

    def _outer(self, subject: str) -> EmailMessage:
        mail = EmailMessage(policy=policy.SMTP)
        mail["From"] = f"A Person <{self.address}>"
        mail["To"] = self._support
        mail["Subject"] = subject
        mail["Date"] = "Sun, 22 Nov 2026 10:11:12 +0300"
        mail["Message-ID"] = f"<{os.urandom(8).hex()}@laptop.person.example>"
        mail["User-Agent"] = "Person's laptop"
        mail["MIME-Version"] = "1.0"
        return mail

    def send(self, mail: bytes, to: str) -> None:
        """Hand a mail to Postfix, over verified TLS."""
        context = ssl.create_default_context(cafile=str(self._servers.tls_ca))
        with smtplib.SMTP("localhost", self._servers.smtp_port, timeout=30) as server:
            server.starttls(context=context)
            server.sendmail(self.address, [to], mail)

    # ------------------------------------------------------------------- read
    def wait_replies(self, count: int, seconds: float = 90.0) -> list[bytes]:
        """All mails in the person's INBOX once there are at least `count`."""
        context = ssl.create_default_context(cafile=str(self._servers.tls_ca))
        end = time.monotonic() + seconds
        while True:
            with imaplib.IMAP4_SSL(
                "localhost", self._servers.imap_port, ssl_context=context, timeout=30
            ) as box:
                box.login(self.address, self._servers.password(self.address))
                box.select("INBOX", readonly=True)
                found = box.search(None, "ALL")[1][0].split()
                if len(found) >= count:
                    return [box.fetch(number, "(RFC822)")[1][0][1] for number in found]
            if time.monotonic() > end:
                raise TimeoutError(f"{len(found)} of {count} answers arrived")
            time.sleep(0.2)

    def open(self, raw: bytes) -> Opened:
        """Decrypt and verify with stock gpg, as a mail program would."""
        mail = message_from_bytes(raw, policy=policy.default)
        if mail.get_content_type() != "multipart/encrypted":
            raise RuntimeError("an answer is not PGP/MIME encrypted")
        control, cipher = mail.iter_parts()
        if control.get_content_type() != "application/pgp-encrypted":
            raise RuntimeError("an answer is not built as RFC 3156 says")
        status = self._home / "status"
        status.unlink(missing_ok=True)
        plain = self._gpg("--decrypt", data=cipher.get_content(), status=status)
        facts = status.read_text()
        inner = message_from_bytes(plain, policy=policy.default)
        body = inner.get_body(("plain",))
        valid = re.search(r"^\[GNUPG:\] VALIDSIG (?:\S+ ){9}([0-9A-F]{40})", facts, re.M)
        return Opened(
            outer_subject=str(mail["Subject"]),
            subject=str(inner["Subject"]),
            text=body.get_content() if body is not None else "",
            signer=valid[1] if valid else "",
            valid=valid is not None and "GOODSIG" in facts,
            encrypted="DECRYPTION_OKAY" in facts and "GOODMDC" in facts,
        )
