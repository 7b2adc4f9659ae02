"""An engine that asks gpg and the in-process code about everything and fails when they differ.

Same bytes, same answer: the same plaintext, verdicts and certificate status, or the same kind of error; or
the in-process code declines. What only it can read (RFC 9580 version 6) is answered by it alone.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from veildesk.core.errors import KeyUnusable, Undecryptable, VeildeskError
from veildesk.core.message import Signature, Verdict
from veildesk.core.ports import CertificateStatus, DecryptedData, DetachedSignature
from veildesk.openpgp.combined_engine import CombinedEngine
from veildesk.openpgp.declining import Declined
from veildesk.openpgp.gnupg_engine import GnuPGEngine
from veildesk.openpgp.in_process import InProcess
from veildesk.openpgp.secret_keys import SecretKeys, read_secret_keys

T = TypeVar("T")


class DirectEngine:
    """The in-process code without a worker around it: quick to make, and errors keep their traces."""

    name = "direct"

    def __init__(
        self,
        own: Sequence[bytes] = (),
        keys: SecretKeys | None = None,
        *,
        now: Callable[[], int] = lambda: int(time.time()),
    ) -> None:
        self._core = InProcess(own, keys or SecretKeys())
        self._now = now

    async def open(self, data: bytes, certificates: Sequence[bytes]) -> DecryptedData:
        return self._core.open(data, certificates, self._now())

    async def content(
        self, data: bytes, certificates: Sequence[bytes]
    ) -> tuple[bytes, tuple[Signature, ...]]:
        return self._core.content(data, certificates, self._now(), encrypted=True)

    async def verify_detached(
        self, data: bytes, signature: bytes, certificates: Sequence[bytes]
    ) -> tuple[Signature, ...]:
        return self._core.verify_detached(data, signature, certificates, self._now())

    async def seal(self, data: bytes, recipients: Sequence[bytes], signer: str) -> bytes:
        return self._core.seal(data, recipients, signer, self._now())

    async def sign_detached(self, data: bytes, signer: str) -> DetachedSignature:
        return self._core.sign_detached(data, signer, self._now())

    async def clearsign(self, text: str, signer: str) -> str:
        return self._core.clearsign(text, signer, self._now())

    async def certificate_status(self, certificate: bytes, at: int | None = None) -> CertificateStatus:
        return self._core.certificate_status(certificate, at, self._now())

    async def export(self, fingerprint: str) -> bytes:
        raise Declined("export")


async def direct_engine(gpg: GnuPGEngine, secret: bytes) -> DirectEngine:
    """In-process code that knows gpg's own certificates and these secret keys."""
    own = []
    for one in await gpg.own_fingerprints():
        with contextlib.suppress(KeyUnusable):
            own.append(await gpg.export(one))
    return DirectEngine(own, read_secret_keys(secret))


class DifferentialEngine:
    """Both at once. `declined` counts, by reason, what only gpg was asked about; `agreed` the others."""

    name = "differential"

    def __init__(self, gpg: GnuPGEngine, secret: Callable[[], bytes]) -> None:
        self._gpg = gpg
        self._secret = secret
        self._direct: Any = None
        self._both: Any = None
        self.declined: Counter[str] = Counter()
        self.agreed = 0

    async def start(self) -> None:
        await self._gpg.start()
        self._direct = await direct_engine(self._gpg, self._secret())
        self._both = CombinedEngine(self._direct, self._gpg)

    async def close(self) -> None:
        await self._gpg.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(
            self._both if name in ("seal", "sign_detached", "clearsign", "export") else self._gpg, name
        )

    async def open(self, data: bytes, certificates: Sequence[bytes]) -> DecryptedData:
        return await self._compared(
            lambda: self._direct.open(data, certificates),
            lambda: self._gpg.open(data, certificates),
            lambda: self._both.open(data, certificates),
        )

    async def verify_detached(
        self, data: bytes, signature: bytes, certificates: Sequence[bytes]
    ) -> tuple[Signature, ...]:
        return await self._compared(
            lambda: self._direct.verify_detached(data, signature, certificates),
            lambda: self._gpg.verify_detached(data, signature, certificates),
        )

    async def certificate_status(self, certificate: bytes, at: int | None = None) -> CertificateStatus:
        return await self._compared(
            lambda: self._direct.certificate_status(certificate, at),
            lambda: self._gpg.certificate_status(certificate, at),
        )

    async def _compared(
        self,
        first: Callable[[], Awaitable[T]],
        second: Callable[[], Awaitable[T]],
        declined: Callable[[], Awaitable[T]] | None = None,
    ) -> T:
        theirs = await _outcome(second)
        try:
            ours = await _outcome(first)
        except Declined as reason:
            self.declined[reason.reason] += 1
            ours = theirs if declined is None else await _outcome(declined)
        else:
            self.agreed += 1
        if not _only_ours(theirs):
            assert _shown(ours) == _shown(theirs), (_shown(ours), _shown(theirs))
        if isinstance(ours, VeildeskError):
            raise ours
        return ours


async def _outcome(ask: Callable[[], Awaitable[T]]) -> T | VeildeskError:
    try:
        return await ask()
    except VeildeskError as error:
        return error


def _shown(outcome: Any) -> Any:
    if isinstance(outcome, VeildeskError):
        return type(outcome).__name__
    if isinstance(outcome, DecryptedData):
        return outcome, outcome.data
    if isinstance(outcome, CertificateStatus):
        # gpg's listing does not tell of subkeys what they have confirmed.
        return replace(outcome, signing=outcome.signing[:1])
    return outcome


def _only_ours(theirs: Any) -> bool:
    """Whether gpg said that it cannot read this at all."""
    if isinstance(theirs, Undecryptable):
        return theirs.detail == "version-not-supported"
    found = theirs.signatures if isinstance(theirs, DecryptedData) else theirs
    return isinstance(found, tuple) and any(one.verdict is Verdict.UNSUPPORTED for one in found)
