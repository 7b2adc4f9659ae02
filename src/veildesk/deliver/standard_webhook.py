"""Signing and verifying of HTTP calls by Standard Webhooks 1.0: HMAC-SHA256 ("v1") and Ed25519 ("v1a").

What is signed is `id.timestamp.body`. Keys come as the specification writes them: "whsec_" and base64 for a
shared secret of 24 to 64 bytes, "whsk_" and base64 for an Ed25519 private key (its 32 byte seed, or seed and
public key).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from veildesk.deliver.http import read_secret
from veildesk.deliver.settings import Settings

__all__ = ["TOLERANCE", "SharedSecret", "SigningKey", "read_key", "shared_secret", "signed_headers"]

TOLERANCE: Final = 300
"""Seconds that a time stamp may differ from our clock, either way."""
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")
_TIME: Final = re.compile(r"[0-9]{1,12}\Z")


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """A secret that both sides have."""

    secret: bytes = field(repr=False)

    def sign(self, signed: bytes) -> str:
        """One entry for `webhook-signature`."""
        digest = hmac.new(self.secret, signed, hashlib.sha256).digest()
        return f"v1,{base64.b64encode(digest).decode()}"

    def verifies(self, headers: Mapping[str, str], body: bytes, now: int) -> bool:
        """Whether the call is genuine and of now. Header names in lower case; `now` in seconds since 1970."""
        identity, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not _ID.match(identity) or not _TIME.match(stamp) or abs(int(stamp) - now) > TOLERANCE:
            return False
        wanted = self.sign(f"{identity}.{stamp}.".encode() + body).encode()
        given = headers.get("webhook-signature", "").encode().split(b" ")
        return any(hmac.compare_digest(one, wanted) for one in given[:10])


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 key of which only we have the private half."""

    key: Ed25519PrivateKey = field(repr=False)

    def sign(self, signed: bytes) -> str:
        """One entry for `webhook-signature`."""
        return f"v1a,{base64.b64encode(self.key.sign(signed)).decode()}"


def read_key(text: str) -> SharedSecret | SigningKey:
    """The key that a file holds. Raises `ValueError`."""
    kind, _, encoded = text.partition("_")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
    if kind == "whsec" and 24 <= len(raw) <= 64:
        return SharedSecret(raw)
    if kind == "whsk" and len(raw) in (32, 64):
        return SigningKey(Ed25519PrivateKey.from_private_bytes(raw[:32]))
    raise ValueError("expected whsec_ or whsk_ and base64")


def shared_secret(read: Settings, setting: str) -> SharedSecret | None:
    """The secret in the file that a setting names, None when it is not set. Raises `ConfigInvalid`."""
    if setting not in read.values:
        return None
    try:
        key = read_key(read_secret(read.name, read.values, setting))
    except ValueError:
        key = None
    if not isinstance(key, SharedSecret):
        raise read.wrong(setting, "a file with whsec_ and the base64 of 24 to 64 random bytes")
    return key


def signed_headers(key: SharedSecret | SigningKey, identity: str, now: int, body: bytes) -> dict[str, str]:
    """The three headers of a call with this body."""
    return {
        "webhook-id": identity,
        "webhook-timestamp": str(now),
        "webhook-signature": key.sign(f"{identity}.{now}.".encode() + body),
    }
