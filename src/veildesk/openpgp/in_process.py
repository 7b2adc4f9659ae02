"""OpenPGP in this very process: the same answers as the gpg engine, or `Declined`.

Structure is judged by the same code as for gpg (`packets`, `armor`, `content`). Signatures and certificates
are verified, and messages sealed, by rPGP (`openpgp`); the encryption is taken off by `decryption`. Runs in
worker processes (see `worker`): everything here is synchronous and bound to the processor.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from openpgp.composed import ArmorOptions, CleartextSignedMessage, MessageBuilder
from openpgp.composed import DetachedSignature as LibrarySignature
from openpgp.errors import Error as LibraryError
from openpgp.packet import Packet as LibraryPacket

from veildesk.core.errors import KeyUnusable, Undecryptable, Unparsable
from veildesk.core.limits import Limits
from veildesk.core.message import Signature, Verdict
from veildesk.core.ports import CertificateStatus, DecryptedData, DetachedSignature
from veildesk.openpgp.agent_keys import AgentSigner
from veildesk.openpgp.armor import Block
from veildesk.openpgp.certificate_view import CertificateView, KeyPart, key_fingerprints, read_view
from veildesk.openpgp.content import literal, uncompressed
from veildesk.openpgp.declining import Declined
from veildesk.openpgp.decryption import decrypt
from veildesk.openpgp.message_wire import read_wire
from veildesk.openpgp.packets import (
    MARKER,
    ONE_PASS,
    PADDING,
    SIGNATURE,
    SKESK,
    Certificate,
    Kind,
    Packet,
    read_certificate,
    signature_packets,
    split_packets,
)
from veildesk.openpgp.secret_keys import SecretKeys
from veildesk.openpgp.signature_packet import (
    HASHES,
    STRONG_HASHES,
    SignatureFields,
    intended_recipients,
    read_signature,
)
from veildesk.openpgp.status import CLOCK_SKEW
from veildesk.openpgp.writing import clear_signed, detached, sealed

__all__ = ["InProcess"]

_BINARY, _TEXT = 0, 1
_VERSION_4 = 4
_MAX_CACHED = 512
_TRAILING = re.compile(rb"[ \t]\r?(?:\n|\Z)")
_BARE_CR = re.compile(rb"\r(?!\n)")


class InProcess:
    """Operations of `core.ports.Engine`, synchronous; each raises `Declined` besides what the port says.

    `own` are our own certificates, known to every verification as they are to gpg. `now` of each call is
    seconds since 1970.
    """

    def __init__(self, own: Sequence[bytes], keys: SecretKeys, limits: Limits | None = None) -> None:
        self._own = [read_certificate(one) for one in own]
        self._names = frozenset((*(one.fingerprint for one in self._own), *keys.signing))
        self._ours = [(name, one) for one in self._own for name in key_fingerprints(one.data, ours=True)]
        self._keys = keys
        self._limits = limits or Limits()
        self._cache: OrderedDict[bytes, tuple[Certificate, tuple[str, ...]]] = OrderedDict()
        self._views: OrderedDict[bytes, CertificateView | str] = OrderedDict()

    # ------------------------------------------------------------------ reading

    def open(self, data: bytes, certificates: Sequence[bytes], now: int) -> DecryptedData:
        """See `core.ports.Engine.open`."""
        message = read_wire(data)
        if message.clear is not None:
            return self._open_clear(message.clear, certificates, now)
        wire, shape = message.data, message.shape
        if shape.kind is not Kind.ENCRYPTED:
            if shape.kind not in (Kind.SIGNED, Kind.COMPRESSED):
                raise Unparsable("not-a-message")
            plain, found = self.content(wire, certificates, now)
            if not found:
                raise Unparsable("not-a-message")
            return DecryptedData(plain, encrypted=False, integrity=None, signatures=found)
        if not shape.recipients:
            raise Undecryptable("passphrase-only")
        packets = [one for one in split_packets(wire) if one.tag not in (MARKER, PADDING, SKESK)]
        inner = decrypt(packets, self._keys.decryption)
        plain, found = self.content(inner, certificates, now, encrypted=True)
        return DecryptedData(plain, True, shape.integrity, found, shape.recipients)

    def content(
        self, data: bytes, certificates: Sequence[bytes], now: int, *, encrypted: bool = False
    ) -> tuple[bytes, tuple[Signature, ...]]:
        """The content of a literal or signed message, perhaps compressed, and verdicts on its signatures.

        In an `encrypted` one signatures that name other recipients than us are invalid.
        """
        inner, shape = uncompressed(data, self._limits.plaintext_size)
        packets = list(split_packets(inner))
        mode, plain = literal(packets)
        if shape.kind is Kind.LITERAL:
            return plain, ()
        if mode != b"b" and b"\r" in plain:
            # gpg gives text out with native line ends.
            raise Declined("literal-text")
        signatures = [one for one in packets if one.tag == SIGNATURE]
        if shape.kind is not Kind.SIGNED or len(signatures) != shape.signatures:
            raise Declined("signed-form")
        announced = [one for one in packets if one.tag == ONE_PASS]
        # The first announces the last (RFC 9580 § 5.4); gpg minds when the two do not fit.
        if announced and not all(map(_fits, reversed(announced), signatures)):
            raise Declined("one-pass")
        found = self._verdicts(plain, signatures, certificates, now)
        if encrypted:
            found = tuple(map(self._meant, found, signatures))
        return plain, found

    def _meant(self, signature: Signature, packet: Packet) -> Signature:
        intended = intended_recipients(packet.body)
        return signature if not intended or intended & self._names else Signature(Verdict.INVALID)

    def verify_detached(
        self, data: bytes, signature: bytes, certificates: Sequence[bytes], now: int
    ) -> tuple[Signature, ...]:
        """See `core.ports.Engine.verify_detached`."""
        packets = signature_packets(signature)
        if not packets:
            return (Signature(Verdict.INVALID),)
        return self._verdicts(data, packets, certificates, now)

    def _open_clear(self, block: Block, certificates: Sequence[bytes], now: int) -> DecryptedData:
        """Clear-signed text (RFC 9580 § 7): what is given out is what was hashed, with LF line ends."""
        packets = signature_packets(block.data)
        if any(line.endswith((b" ", b"\t")) for line in block.lines):
            raise Declined("cleartext-trailing")
        lines = [line[2:] if line.startswith(b"- ") else line for line in block.lines]
        found = self._verdicts(b"\r\n".join(lines), packets, certificates, now, text=True)
        return DecryptedData(b"\n".join(lines) + b"\n", encrypted=False, integrity=None, signatures=found)

    # ------------------------------------------------------------------ verdicts

    def _verdicts(
        self,
        data: bytes,
        packets: Sequence[Packet],
        certificates: Sequence[bytes],
        now: int,
        *,
        text: bool = False,
    ) -> tuple[Signature, ...]:
        known = self._known(certificates)
        return tuple(self._verdict(data, one, known, now, text=text) for one in packets)

    def _verdict(
        self, data: bytes, packet: Packet, known: Sequence[tuple[str, Certificate]], now: int, *, text: bool
    ) -> Signature:
        fields = read_signature(packet.body)
        kinds = (_TEXT,) if text else (_BINARY, _TEXT)
        if fields.kind not in kinds or fields.hash_id not in STRONG_HASHES:
            raise Declined("signature-form")
        if fields.kind == _TEXT and (_TRAILING.search(data) or _BARE_CR.search(data)):
            raise Declined("signature-text")
        name = HASHES[fields.hash_id]
        forms = _issuers(fields, known)
        if not forms:
            full = fields.issuer if len(fields.issuer) > 16 else None
            return Signature(
                Verdict.UNKNOWN_KEY, signing_fingerprint=full, created=fields.created, hash_name=name
            )
        found = [self._checked(data, packet, fields, one, now) for one in forms]
        # gpg merges several forms of one certificate. What each of them calls valid is valid in the merged
        # one: its newest self-signatures are among theirs, and nothing is revoked in any. The rest is gpg's.
        if len(found) > 1 and any(one != found[0] or one.verdict is not Verdict.VALID for one in found):
            raise Declined("issuer-ambiguous")
        return found[0]

    def _checked(
        self, data: bytes, packet: Packet, fields: SignatureFields, certificate: Certificate, now: int
    ) -> Signature:
        """The verdict on a signature by a key of this certificate."""
        view = self._view(certificate, now)
        part = next((one for one in view.parts if _names(fields.issuer, one.fingerprint)), None)
        if part is None or part.algorithm != fields.algorithm:
            raise Declined("signing-key")
        try:
            _parsed(packet).verify(part.key, data)
        except LibraryError:
            if fields.version == _VERSION_4:
                # gpg tells a wrong signature from one that is only written oddly; bad ones are few.
                raise Declined("signature-bad") from None
            return Signature(Verdict.INVALID)
        return Signature(
            _judged(fields, view, part, now),
            view.fingerprint,
            part.fingerprint,
            created=fields.created,
            expires=fields.expires,
            hash_name=HASHES[fields.hash_id],
        )

    def _known(self, certificates: Sequence[bytes]) -> list[tuple[str, Certificate]]:
        """Every key of these certificates and our own, each with the certificate it stands in."""
        found = list(self._ours)
        for data in certificates:
            try:
                certificate, names = self._read(data)
            except KeyUnusable:
                continue
            found += [(name, certificate) for name in names]
        return found

    def _read(self, data: bytes) -> tuple[Certificate, tuple[str, ...]]:
        mark = hashlib.sha256(data).digest()
        if mark not in self._cache:
            certificate = read_certificate(data)
            _put(self._cache, mark, (certificate, key_fingerprints(certificate.data)))
        self._cache.move_to_end(mark)
        return self._cache[mark]

    def _view(self, certificate: Certificate, now: int) -> CertificateView:
        mark = hashlib.sha256(certificate.data).digest()
        if mark not in self._views:
            try:
                _put(self._views, mark, read_view(certificate, now))
            except Declined as declined:
                _put(self._views, mark, declined.reason)
        self._views.move_to_end(mark)
        view = self._views[mark]
        if isinstance(view, str):
            raise Declined(view)
        return view

    def certificate_status(self, certificate: bytes, at: int | None, now: int) -> CertificateStatus:
        """See `core.ports.Engine.certificate_status`."""
        if at is not None and at < now:
            # What was known of a certificate in the past is not what it says today.
            raise Declined("certificate-past")
        return self._view(self._read(certificate)[0], now).status(now if at is None else at)

    # ------------------------------------------------------------------ writing

    def seal(self, data: bytes, recipients: Sequence[bytes], signer: str, now: int) -> bytes:
        """See `core.ports.Engine.seal`."""
        part, key = self._signer(signer, now)
        views = [self._view(self._read(one)[0], now) for one in recipients]
        if not views:
            raise KeyUnusable("no-recipient")
        keys = [_recipient(view, now) for view in views]
        if isinstance(key, AgentSigner):
            return sealed(data, keys, key, part.key, now)
        builder = MessageBuilder.from_bytes("", data)
        # What a version 6 or AEAD message needs is only used where every recipient announces it.
        if all(view.aead for view in views):
            builder = builder.seipd_v2("aes256", "ocb")
        else:
            builder = builder.seipd_v1("aes256")
        builder = builder.sign(key, None, "sha512")
        for recipient in keys:
            builder = builder.encrypt_to_key(recipient)
        return builder.to_armored_string(ArmorOptions(include_checksum=True)).encode("ascii")

    def sign_detached(self, data: bytes, signer: str, now: int) -> DetachedSignature:
        """See `core.ports.Engine.sign_detached`."""
        part, key = self._signer(signer, now)
        if isinstance(key, AgentSigner):
            return DetachedSignature(detached(data, key, part.key, now), "sha512")
        made = LibrarySignature.sign_binary_data(_Random(), key, None, "sha512", data)
        return DetachedSignature(made.to_armored(), "sha512")

    def clearsign(self, text: str, signer: str, now: int) -> str:
        """See `core.ports.Engine.clearsign`."""
        lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
        if any(line != line.rstrip(" \t\r") for line in lines):
            raise Declined("cleartext-trailing")
        part, key = self._signer(signer, now)
        if isinstance(key, AgentSigner):
            return clear_signed(lines, key, part.key, now)
        made = CleartextSignedMessage.sign("\n".join(lines), key, None, "sha512")
        return made.to_armored().replace("\r\n", "\n")

    def _signer(self, signer: str, now: int) -> tuple[KeyPart, Any]:
        own = next((one for one in self._own if one.fingerprint == signer), None)
        part = self._view(own, now).signing(now) if own is not None else None
        if part is None or part.fingerprint not in self._keys.signing:
            raise Declined("no-signing-key")
        return part, self._keys.signing[part.fingerprint]


def _recipient(view: CertificateView, now: int) -> Any:
    """The library's form of the subkey to encrypt to."""
    part = view.encryption(now)
    if part is None or part is view.primary:
        raise Declined("recipient")
    return next(one for one in view.key.public_subkeys if one.key.fingerprint.upper() == part.fingerprint)


class _Random:
    """The operating system's generator, as the library asks for it."""

    def randbytes(self, n: int) -> bytes:
        return secrets.token_bytes(n)


def _put(cache: OrderedDict[bytes, Any], mark: bytes, value: Any) -> None:
    cache[mark] = value
    if len(cache) > _MAX_CACHED:
        cache.popitem(last=False)


def _parsed(packet: Packet) -> Any:
    return LibraryPacket.from_bytes(packet.raw).value


def _fits(announcement: Packet, signature: Packet) -> bool:
    """Whether a one-pass packet speaks of this signature: kind, hash, algorithm and key."""
    body, fields = announcement.body, read_signature(signature.body)
    words = bytes((fields.kind, fields.hash_id, fields.algorithm))
    if body[:1] == b"\x03":
        return fields.version == _VERSION_4 and body[1:4] == words and _names_id(body[4:12], fields.issuer)
    return fields.version != _VERSION_4 and body[1:4] == words


def _names_id(key_id: bytes, issuer: str) -> bool:
    return key_id.hex().upper() == issuer[-16:]


def _names(issuer: str, fingerprint: str) -> bool:
    short = fingerprint[-16:] if len(fingerprint) == 40 else fingerprint[:16]
    return issuer in (fingerprint, short)


def _issuers(fields: SignatureFields, known: Sequence[tuple[str, Certificate]]) -> list[Certificate]:
    """The forms of the one certificate with the signing key, each once; none when it is not known."""
    found = {one.data: one for name, one in known if _names(fields.issuer, name)}
    if len({one.fingerprint for one in found.values()}) > 1:
        raise Declined("issuer-ambiguous")
    if not found and any(name[-16:] == fields.issuer[-16:] for name, _ in known):
        # gpg looks by key id first: a fingerprint that only nearly fits is no unknown key to it.
        raise Declined("issuer-near")
    return list(found.values())


def _judged(fields: SignatureFields, view: CertificateView, part: KeyPart, now: int) -> Verdict:
    """The state of a signature that is mathematically good, in gpg's order."""
    expired = part.expired(now) or view.primary.expired(now)
    if fields.created < part.created or part.created > now or (expired and part.revoked):
        raise Declined("signing-time")
    if fields.expires is not None and fields.expires <= now:
        return Verdict.EXPIRED_SIGNATURE
    if expired:
        return Verdict.EXPIRED_KEY
    if part.revoked:
        return Verdict.REVOKED_KEY
    if not part.can_sign:
        raise Declined("signing-usage")
    return Verdict.FUTURE_DATE if fields.created > now + CLOCK_SKEW else Verdict.VALID
