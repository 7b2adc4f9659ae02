"""Two engines as one: in process where that is fully understood, gpg for everything else.

Only `Declined` hands a message on. An error of the first engine is final, above all broken integrity: asking
a second program until one says yes would be an oracle.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from veildesk.core.errors import KeyUnusable
from veildesk.core.message import Signature
from veildesk.core.ports import CertificateStatus, DecryptedData, DetachedSignature, Engine
from veildesk.openpgp.declining import Declined

__all__ = ["CombinedEngine", "ContentReader", "KeyKeepingEngine"]

ContentReader = Callable[[bytes, Sequence[bytes]], Awaitable[tuple[bytes, tuple[Signature, ...]]]]


class DecliningEngine(Engine, Protocol):
    """An engine whose every method may raise `Declined`."""

    async def content(
        self, data: bytes, certificates: Sequence[bytes]
    ) -> tuple[bytes, tuple[Signature, ...]]:
        """Content and verdicts of a message whose encryption is off already."""


class KeyKeepingEngine(Engine, Protocol):
    """The engine with the secret keys; it declines nothing."""

    async def open(
        self, data: bytes, certificates: Sequence[bytes], *, reader: ContentReader | None = None
    ) -> DecryptedData:
        """As `Engine.open`; `reader` is asked first what is inside, and may decline."""

    async def seal(
        self, data: bytes, recipients: Sequence[bytes], signer: str, *, checked: bool = False
    ) -> bytes:
        """As `Engine.seal`; `checked` recipients are known to be usable at this moment."""


class CombinedEngine:
    """`core.ports.Engine`: `first` may decline, `second` has the last word then."""

    name = "combined"

    def __init__(self, first: DecliningEngine, second: KeyKeepingEngine) -> None:
        self._first = first
        self._second = second

    async def open(self, data: bytes, certificates: Sequence[bytes]) -> DecryptedData:
        """See `core.ports.Engine.open`."""
        try:
            return await self._first.open(data, certificates)
        except Declined:
            # gpg may only be needed for its secret key; the signatures inside can still be read here.
            return await self._second.open(data, certificates, reader=self._first.content)

    async def verify_detached(
        self, data: bytes, signature: bytes, certificates: Sequence[bytes]
    ) -> tuple[Signature, ...]:
        """See `core.ports.Engine.verify_detached`."""
        try:
            return await self._first.verify_detached(data, signature, certificates)
        except Declined:
            return await self._second.verify_detached(data, signature, certificates)

    async def seal(self, data: bytes, recipients: Sequence[bytes], signer: str) -> bytes:
        """See `core.ports.Engine.seal`."""
        try:
            return await self._first.seal(data, recipients, signer)
        except Declined:
            usable = await self._usable(recipients)
            return await self._second.seal(data, recipients, signer, checked=usable)

    async def _usable(self, recipients: Sequence[bytes]) -> bool:
        """Whether the first engine vouches for every recipient. Raises `KeyUnusable` if it knows better."""
        for one in recipients:
            try:
                status = await self._first.certificate_status(one)
            except Declined:
                return False
            if not status.can_encrypt or status.expired or status.revoked:
                raise KeyUnusable("recipient-unusable")
        return bool(recipients)

    async def sign_detached(self, data: bytes, signer: str) -> DetachedSignature:
        """See `core.ports.Engine.sign_detached`."""
        try:
            return await self._first.sign_detached(data, signer)
        except Declined:
            return await self._second.sign_detached(data, signer)

    async def clearsign(self, text: str, signer: str) -> str:
        """See `core.ports.Engine.clearsign`."""
        try:
            return await self._first.clearsign(text, signer)
        except Declined:
            return await self._second.clearsign(text, signer)

    async def certificate_status(self, certificate: bytes, at: int | None = None) -> CertificateStatus:
        """See `core.ports.Engine.certificate_status`."""
        try:
            return await self._first.certificate_status(certificate, at)
        except Declined:
            return await self._second.certificate_status(certificate, at)

    async def export(self, fingerprint: str) -> bytes:
        """See `core.ports.Engine.export`."""
        return await self._second.export(fingerprint)
