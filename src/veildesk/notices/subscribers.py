"""Who gets notices by mail: opted in by a mail of their own, sealed at rest, out again at any time.

The portal shows a token; who mails it in is subscribed. No address that someone typed is ever written to.
A record's file name is a keyed digest, its content is sealed; without the key ring the folder tells no more
than how many there are.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from veildesk.notices.archive import replace_file

__all__ = ["Subscribers", "find_token"]

_DAYS = 3
_PER_DAY = 500
_TOKEN = re.compile(r"\b(start|stop)-([a-z2-7]{32,64})\b")
_DAY = 86400


def find_token(text: str) -> tuple[str, str] | None:
    """The first token in a mail, without its first word, and that word: "start" or "stop"."""
    found = _TOKEN.search(text.lower())
    return (found[2], found[1]) if found else None


class Subscribers:
    """Records in `folder` under keys from `secret` (32 bytes). Times are seconds since 1970 UTC."""

    def __init__(
        self, folder: Path, secret: bytes, random_bytes: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._folder = folder
        self._cipher = AESGCMSIV(hmac.digest(secret, b"seal", "sha256"))
        self._secret = secret
        self._random = random_bytes

    # ------------------------------------------------------------------ in

    def start_token(self, now: int) -> str:
        """A token to mail in; good for one subscription within three days."""
        day = (now // _DAY).to_bytes(4, "big")
        return "start-" + _base32(self._tagged(b"start", day + self._random(8)))

    def start(self, token: str, address: str, now: int) -> bool:
        """Subscribe. Returns False if the token is not ours, used up or over, or too many came today."""
        body = self._untagged(b"start", token.removeprefix("start-"))
        if body is None or not 0 <= now // _DAY - int.from_bytes(body[:4], "big") <= _DAYS:
            return False
        used = self._folder / "used" / f"{now // _DAY}-{hashlib.sha256(body).hexdigest()[:32]}"
        used.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._forget_used(now)
        names = os.listdir(used.parent)
        spent = any(name.partition("-")[2] == used.name.partition("-")[2] for name in names)
        today = sum(name.startswith(f"{now // _DAY}-") for name in names)
        if spent or today >= _PER_DAY:
            return False
        sealed_for = self._id(address)
        nonce = self._random(12)
        sealed = nonce + self._cipher.encrypt(nonce, address.encode(), sealed_for)
        for path, content in ((self._folder / sealed_for.hex(), b"\x01" + sealed), (used, b"")):
            replace_file(path, content, 0o600)
            # Not the minute at which somebody wrote.
            os.utime(path, (now // _DAY * _DAY, now // _DAY * _DAY))
        return True

    # ------------------------------------------------------------------ out

    def stop_token(self, address: str) -> str:
        """What this subscriber mails to be taken off; only who gets the mails knows it."""
        return "stop-" + _base32(self._tagged(b"stop", self._id(address)))

    def stop(self, token: str) -> bool:
        """Take a subscriber off. Returns False if the token is not ours."""
        body = self._untagged(b"stop", token.removeprefix("stop-"))
        if body is None:
            return False
        (self._folder / body.hex()).unlink(missing_ok=True)
        return True

    # ------------------------------------------------------------------ reading

    def all(self) -> Iterator[tuple[str, str]]:
        """(record id, address) of everyone, in no order of subscription."""
        if not self._folder.is_dir():
            return
        for path in sorted(self._folder.iterdir()):
            if re.fullmatch(r"[0-9a-f]{32}", path.name):
                with contextlib.suppress(FileNotFoundError, InvalidTag, ValueError):
                    raw = path.read_bytes()
                    plain = self._cipher.decrypt(raw[1:13], raw[13:], bytes.fromhex(path.name))
                    yield path.name, plain.decode()

    def __len__(self) -> int:
        return sum(1 for _ in self.all())

    # ------------------------------------------------------------------ details

    def _id(self, address: str) -> bytes:
        return hmac.digest(self._secret, b"id|" + address.strip().lower().encode(), "sha256")[:16]

    def _tagged(self, purpose: bytes, body: bytes) -> bytes:
        return body + hmac.digest(self._secret, purpose + b"|" + body, "sha256")[:12]

    def _untagged(self, purpose: bytes, token: str) -> bytes | None:
        try:
            raw = base64.b32decode(token.upper() + "=" * (-len(token) % 8))
        except (binascii.Error, ValueError):
            return None
        body = raw[:-12]
        return body if len(raw) > 12 and hmac.compare_digest(self._tagged(purpose, body), raw) else None

    def _forget_used(self, now: int) -> None:
        for path in (self._folder / "used").iterdir():
            day = path.name.partition("-")[0]
            if day.isdigit() and int(day) < now // _DAY - _DAYS - 1:
                path.unlink(missing_ok=True)


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode("ascii").rstrip("=").lower()
