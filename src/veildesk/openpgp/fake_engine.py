"""An `Engine` without cryptography for tests of everything around it; protects nothing.

Follows the contract of `core.ports.Engine` with tokens over JSON: whoever has the bytes can read
them. Keys exist per instance, certificates carry their own name and lifetime, and verdicts come from
an HMAC whose key stands in the certificate.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

from veildesk.core.errors import KeyUnusable, NotSoundCiphertext, Undecryptable, Unparsable
from veildesk.core.message import Integrity, Signature, Verdict
from veildesk.core.ports import CertificateStatus, DecryptedData, DetachedSignature

__all__ = ["FakeEngine"]

_ARMOR = "-----BEGIN PGP {0}-----\n\n{1}\n-----END PGP {0}-----\n"


class FakeEngine:
    """`core.ports.Engine` in memory. `now` is the fixed time of verdicts, seconds since 1970."""

    name = "fake"

    def __init__(self, now: int = 1_700_000_000) -> None:
        self._now = now
        self._keys: dict[str, dict[str, Any]] = {}

    def add_key(self, address: str, *, expires: int | None = None, revoked: bool = False) -> str:
        """Make a key for an address; returns its fingerprint."""
        fingerprint = hashlib.sha1(address.encode(), usedforsecurity=False).hexdigest().upper()
        self._keys[fingerprint] = {
            "fingerprint": fingerprint,
            "address": address.lower(),
            "expires": expires,
            "revoked": revoked,
        }
        return fingerprint

    async def open(self, data: bytes, certificates: Sequence[bytes]) -> DecryptedData:
        """See `core.ports.Engine.open`."""
        if data.startswith(b"-----BEGIN PGP SIGNED MESSAGE-----"):
            _, _, rest = data.partition(b"\n\n")
            text, mark, signature = rest.partition(b"-----BEGIN PGP SIGNATURE-----")
            if not mark:
                raise Unparsable("armor-not-ended")
            found = await self.verify_detached(text, mark + signature, certificates)
            return DecryptedData(text, encrypted=False, integrity=None, signatures=found)
        message = _read(data, "MESSAGE")
        if not set(message["to"]) & set(self._keys):
            raise Undecryptable("no-usable-secret-key")
        plain = base64.b64decode(message["data"])
        if message["check"] != hashlib.sha256(plain).hexdigest():
            raise NotSoundCiphertext("integrity")
        found = (self._judge(plain, message["signature"], certificates),) if message["signature"] else ()
        return DecryptedData(plain, True, Integrity.MDC, found, tuple(message["to"]))

    async def verify_detached(
        self, data: bytes, signature: bytes, certificates: Sequence[bytes]
    ) -> tuple[Signature, ...]:
        """See `core.ports.Engine.verify_detached`."""
        try:
            return (self._judge(data, _read(signature, "SIGNATURE"), certificates),)
        except Unparsable:
            return (Signature(Verdict.INVALID),)

    def _judge(self, data: bytes, token: dict[str, str], certificates: Sequence[bytes]) -> Signature:
        name = token.get("by", "")
        known = [*self._keys.values(), *(_read(one, "PUBLIC KEY BLOCK") for one in certificates)]
        key = next((one for one in known if one["fingerprint"] == name), None)
        if key is None:
            return Signature(Verdict.UNKNOWN_KEY, signing_fingerprint=name)
        if not hmac.compare_digest(token["mac"], _mac(name, data)):
            return Signature(Verdict.INVALID)
        verdict = Verdict.VALID
        if key["revoked"]:
            verdict = Verdict.REVOKED_KEY
        elif key["expires"] is not None and key["expires"] <= self._now:
            verdict = Verdict.EXPIRED_KEY
        return Signature(verdict, name, name, created=self._now, hash_name="sha512")

    async def seal(self, data: bytes, recipients: Sequence[bytes], signer: str) -> bytes:
        """See `core.ports.Engine.seal`."""
        if not recipients:
            raise KeyUnusable("no-recipient")
        names: list[str] = []
        for one in recipients:
            status = await self.certificate_status(one)
            if not status.can_encrypt:
                raise KeyUnusable("recipient-unusable")
            names.append(status.fingerprint)
        message = {
            "to": names,
            "data": base64.b64encode(data).decode(),
            "check": hashlib.sha256(data).hexdigest(),
            "signature": self._token(data, signer),
        }
        return _write(message, "MESSAGE").encode()

    async def sign_detached(self, data: bytes, signer: str) -> DetachedSignature:
        """See `core.ports.Engine.sign_detached`."""
        return DetachedSignature(_write(self._token(data, signer), "SIGNATURE"), "sha512")

    async def clearsign(self, text: str, signer: str) -> str:
        """See `core.ports.Engine.clearsign`."""
        body = text.replace("\r\n", "\n")
        body = body if body.endswith("\n") else body + "\n"
        signature = _write(self._token(body.encode(), signer), "SIGNATURE")
        return f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{body}{signature}"

    def _token(self, data: bytes, signer: str) -> dict[str, str]:
        key = self._keys.get(signer)
        if key is None or key["revoked"]:
            raise KeyUnusable("sign-failed")
        return {"by": signer, "mac": _mac(signer, data)}

    async def certificate_status(self, certificate: bytes, at: int | None = None) -> CertificateStatus:
        """See `core.ports.Engine.certificate_status`."""
        try:
            key = _read(certificate, "PUBLIC KEY BLOCK")
        except Unparsable as error:
            raise KeyUnusable("certificate-unreadable") from error
        moment = self._now if at is None else at
        expired = key["expires"] is not None and key["expires"] <= moment
        usable = not expired and not key["revoked"]
        return CertificateStatus(
            key["fingerprint"],
            (key["address"],),
            usable,
            usable,
            expired,
            key["revoked"],
            key["expires"],
            (key["fingerprint"],),
        )

    async def export(self, fingerprint: str) -> bytes:
        """See `core.ports.Engine.export`."""
        if fingerprint not in self._keys:
            raise KeyUnusable("export-failed")
        return _write(self._keys[fingerprint], "PUBLIC KEY BLOCK").encode()


def _mac(fingerprint: str, data: bytes) -> str:
    return hmac.new(fingerprint.encode(), data, hashlib.sha256).hexdigest()


def _write(value: dict[str, Any], label: str) -> str:
    return _ARMOR.format(label, base64.b64encode(json.dumps(value).encode()).decode())


def _read(data: bytes, label: str) -> Any:
    lines = data.decode("ascii", "replace").split()
    text = " ".join(lines)
    begin, end = f"-----BEGIN PGP {label}-----", f"-----END PGP {label}-----"
    if not text.startswith(begin) or not text.endswith(end):
        raise Unparsable("fake-armor")
    try:
        return json.loads(base64.b64decode(text[len(begin) : -len(end)].strip(), validate=True))
    except (binascii.Error, ValueError) as error:
        raise Unparsable("fake-token") from error
