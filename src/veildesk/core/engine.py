"""What Veildesk needs of OpenPGP (RFC 9580): one Protocol, listed with the others in `core.ports`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from veildesk.core.message import Integrity, Signature

__all__ = ["CertificateStatus", "DecryptedData", "DetachedSignature", "Engine"]


@dataclass(frozen=True, slots=True)
class DecryptedData:
    """Plaintext whose integrity was checked, and the signatures found inside.

    `encrypted` is False for a message that was only signed. `recipients` are the key ids or
    fingerprints it was encrypted to, upper-case hex, zeros for hidden ones.
    """

    data: bytes = field(repr=False)
    encrypted: bool
    integrity: Integrity | None
    signatures: tuple[Signature, ...]
    recipients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DetachedSignature:
    """An armored detached signature and its true hash name for micalg ("sha512")."""

    armored: str
    hash_name: str


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """What a transferable public key is good for at a given moment.

    `fingerprint` is the primary key's. `addresses` are the lower-case addr-specs of valid user ids.
    `expires` is seconds since 1970 UTC, None when never. `signing` are its keys that are known to sign for
    it, whether they still may or not: the primary key, and of subkeys those that the engine saw confirm it
    themselves (RFC 9580 § 5.2.1.9). Any other subkey may be somebody else's key, put there by the owner.
    """

    fingerprint: str
    addresses: tuple[str, ...]
    can_encrypt: bool
    can_sign: bool
    expired: bool
    revoked: bool
    expires: int | None = None
    signing: tuple[str, ...] = ()


class Engine(Protocol):
    """OpenPGP operations (RFC 9580). Certificates are transferable public keys, binary or armored.

    No method returns plaintext before its integrity is checked, looks anything up in a network,
    or writes plaintext anywhere. Signatures come back with `scope` PART and `bound_to_from` False;
    only the caller knows the mail around them.
    """

    name: str

    async def open(self, data: bytes, certificates: Sequence[bytes]) -> DecryptedData:
        """Decrypt, or unwrap a signed message (also clear-signed text), and verify.

        Raises `Undecryptable`, `NotSoundCiphertext`, `LimitExceeded` or `Unparsable`.
        """

    async def verify_detached(
        self, data: bytes, signature: bytes, certificates: Sequence[bytes]
    ) -> tuple[Signature, ...]:
        """Verdicts over exact bytes; at least one entry for a signature block, however broken."""

    async def seal(self, data: bytes, recipients: Sequence[bytes], signer: str) -> bytes:
        """Sign with `signer` (full fingerprint), encrypt to `recipients`; armored, with MDC or AEAD.

        Raises `KeyUnusable` if any recipient or the signer cannot be used.
        """

    async def sign_detached(self, data: bytes, signer: str) -> DetachedSignature:
        """A detached signature over exact bytes."""

    async def clearsign(self, text: str, signer: str) -> str:
        """Clear-signed text (RFC 9580 § 7), LF line ends."""

    async def certificate_status(self, certificate: bytes, at: int | None = None) -> CertificateStatus:
        """What a certificate is good for. Raises `KeyUnusable` if it is not exactly one public key."""

    async def export(self, fingerprint: str) -> bytes:
        """Our own armored public key; never anything secret."""
