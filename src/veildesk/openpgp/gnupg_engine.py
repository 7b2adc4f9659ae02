"""The `Engine` over gpg (GnuPG 2.2.40 or later).

A result counts only if the exit code AND the status grammar say so. Secret keys live in the given
home under gpg-agent; other people's certificates are only ever in a throw-away keyring file on
tmpfs, so that nothing from a mail stays and cost does not grow with contacts. No network, no
human-readable output, no plaintext in any file or argument.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from veildesk.child.bounded import Finished, MemoryFile
from veildesk.core.errors import (
    EngineUnavailable,
    KeyUnusable,
    NotSoundCiphertext,
    Undecryptable,
    Unparsable,
    VeildeskError,
)
from veildesk.core.message import Signature, Verdict
from veildesk.core.ports import CertificateStatus, DecryptedData, DetachedSignature
from veildesk.openpgp.combined_engine import ContentReader
from veildesk.openpgp.content import literal_data, uncompressed
from veildesk.openpgp.declining import Declined
from veildesk.openpgp.gnupg_home import GnuPGHome
from veildesk.openpgp.gnupg_process import OUTPUT_LIMIT, full_fingerprint
from veildesk.openpgp.key_listing import read_listing
from veildesk.openpgp.message_wire import read_wire
from veildesk.openpgp.packets import (
    SIGNATURE,
    Certificate,
    Kind,
    Shape,
    read_certificate,
    signature_packets,
    split_packets,
    without_passphrases,
)
from veildesk.openpgp.signature_packet import intended_recipients
from veildesk.openpgp.status import Report, StatusMalformed, judge

__all__ = ["GnuPGEngine"]

_HASHES = {"8": "sha256", "9": "sha384", "10": "sha512", "11": "sha224"}
_MAX_CERTIFICATES = 32
_VERSION_4 = 40


class GnuPGEngine(GnuPGHome):
    """`core.ports.Engine` over gpg; for the arguments see `GnuPGProcess`."""

    name = "gnupg"

    # ------------------------------------------------------------------ Engine

    async def open(
        self, data: bytes, certificates: Sequence[bytes], *, reader: ContentReader | None = None
    ) -> DecryptedData:
        """See `core.ports.Engine.open`; `reader` is asked first what is inside, and may decline."""
        message = await asyncio.to_thread(read_wire, data)
        wire, shape = message.data, message.shape
        if shape.kind is not Kind.ENCRYPTED:
            plain, signatures = await self._open_signed(wire, shape, certificates)
            return DecryptedData(plain, encrypted=False, integrity=None, signatures=signatures)
        if shape.modern:
            raise Undecryptable("version-not-supported")
        if not shape.recipients:
            raise Undecryptable("passphrase-only")
        if shape.passphrases:
            wire = without_passphrases(wire)
        # gpg takes only the encryption off; what is inside is taken apart here, see content.py.
        done, report = await self._decrypt(wire)
        if not report.sound_decryption:
            raise _why_not(report)
        if report.errors or not (done.code == 0 or (done.code == 2 and report.has("NO_SECKEY"))):
            raise Unparsable("exit-code")
        plain, signatures = await self._read_content(done.output, certificates, reader)
        return DecryptedData(
            plain,
            encrypted=True,
            integrity=shape.integrity,
            signatures=signatures,
            recipients=shape.recipients,
        )

    async def _open_signed(
        self, wire: bytes, shape: Shape, certificates: Sequence[bytes]
    ) -> tuple[bytes, tuple[Signature, ...]]:
        if wire.startswith(b"-----"):
            return await self._verify_signed(wire, shape.signatures, certificates)
        if shape.kind not in (Kind.SIGNED, Kind.COMPRESSED):
            raise Unparsable("not-a-message")
        plain, signatures = await self._unwrap(wire, certificates)
        if not signatures:
            raise Unparsable("not-a-message")
        return plain, signatures

    async def _read_content(
        self, data: bytes, certificates: Sequence[bytes], reader: ContentReader | None
    ) -> tuple[bytes, tuple[Signature, ...]]:
        if reader is not None:
            with contextlib.suppress(Declined):
                return await reader(data, certificates)
        plain, found = await self._unwrap(data, certificates)
        return plain, await self._meant_for_us(data, found)

    async def _meant_for_us(self, data: bytes, found: tuple[Signature, ...]) -> tuple[Signature, ...]:
        """Signatures in a message to us that name other recipients are invalid."""
        if not found:
            return found
        inner, _ = await asyncio.to_thread(uncompressed, data, self._limits.plaintext_size)
        packets = [one for one in split_packets(inner) if one.tag == SIGNATURE]
        named = [intended_recipients(one.body) for one in packets]
        if not any(named):
            return found
        ours = frozenset(await self.own_fingerprints())
        return tuple(
            one if not names or names & ours else Signature(Verdict.INVALID)
            for one, names in zip(found, named, strict=True)
        )

    async def _unwrap(
        self, data: bytes, certificates: Sequence[bytes]
    ) -> tuple[bytes, tuple[Signature, ...]]:
        """The content of a literal or signed message and the verdicts on its signatures."""
        packets, shape = await asyncio.to_thread(uncompressed, data, self._limits.plaintext_size)
        plain = literal_data(packets)
        if shape.kind is Kind.LITERAL:
            return plain, ()
        if shape.modern:
            return plain, (Signature(Verdict.UNSUPPORTED),) * shape.signatures
        return await self._verify_signed(packets, shape.signatures, certificates)

    async def _verify_signed(
        self, data: bytes, count: int, certificates: Sequence[bytes]
    ) -> tuple[bytes, tuple[Signature, ...]]:
        """Only what gpg gives out as signed is returned, with one verdict per signature."""
        async with self._keyring(certificates) as keyring:
            done, report = await self._gpg([*keyring, "--decrypt"], data, len(data))
        verdicts = self._verdicts(report)
        if not _explained(done, report) or report.errors or report.has("BEGIN_DECRYPTION"):
            raise Unparsable("signed-message")
        if not report.has("PLAINTEXT") or len(verdicts) != count:
            raise Unparsable("signed-message")
        return done.output, verdicts

    async def verify_detached(
        self, data: bytes, signature: bytes, certificates: Sequence[bytes]
    ) -> tuple[Signature, ...]:
        """See `core.ports.Engine.verify_detached`."""
        packets = signature_packets(signature)
        if not packets:
            return (Signature(Verdict.INVALID),)
        with MemoryFile(b"".join(one.raw for one in packets)) as block:
            async with self._keyring(certificates) as keyring:
                words = [*keyring, "--verify", "--", f"-&{block.descriptor}", "-"]
                done, report = await self._gpg(words, data, OUTPUT_LIMIT, descriptors=[block.descriptor])
        verdicts = list(self._verdicts(report))
        if not _explained(done, report) or report.has("PLAINTEXT"):
            return tuple(Signature(Verdict.INVALID) for _ in packets)
        missing = Verdict.UNSUPPORTED if any(one.body[:1] == b"\x06" for one in packets) else Verdict.INVALID
        while len(verdicts) < len(packets):
            verdicts.append(Signature(missing))
        return tuple(verdicts)

    async def seal(
        self, data: bytes, recipients: Sequence[bytes], signer: str, *, checked: bool = False
    ) -> bytes:
        """See `core.ports.Engine.seal`; `checked` recipients are known to be usable at this moment."""
        if not recipients:
            raise KeyUnusable("no-recipient")
        read = [read_certificate(one) for one in recipients]
        for one in [] if checked else read:
            status = await self.certificate_status(one.data)
            if not status.can_encrypt or status.expired or status.revoked:
                raise KeyUnusable("recipient-unusable")
        async with self._folder() as folder:
            words = [
                *_signing(signer),
                "--compress-algo=none",
                "--personal-cipher-preferences=AES256 AES192 AES",
            ]
            for number, one in enumerate(read):
                path = folder / f"{number}.pgp"
                path.write_bytes(one.data)
                words += ["--recipient-file", str(path)]
            done, report = await self._gpg([*words, "--encrypt", "--sign"], data, _armored_size(data))
        if done.code or not report.has("SIG_CREATED", "BEGIN_ENCRYPTION", "END_ENCRYPTION"):
            raise KeyUnusable("seal-failed")
        return done.output

    async def sign_detached(self, data: bytes, signer: str) -> DetachedSignature:
        """See `core.ports.Engine.sign_detached`."""
        done, name = await self._sign([*_signing(signer), "--detach-sign"], data)
        return DetachedSignature(done.output.decode("ascii"), name)

    async def clearsign(self, text: str, signer: str) -> str:
        """See `core.ports.Engine.clearsign`."""
        wire = text.replace("\r\n", "\n").encode()
        done, _ = await self._sign([*_signing(signer), "--clearsign"], wire)
        return done.output.decode()

    async def _sign(self, words: Sequence[str], data: bytes) -> tuple[Finished, str]:
        done, report = await self._gpg(words, data, _armored_size(data))
        made = report.once.get("SIG_CREATED")
        if done.code or made is None:
            raise KeyUnusable("sign-failed")
        return done, _HASHES[made.text(2)]

    async def certificate_status(self, certificate: bytes, at: int | None = None) -> CertificateStatus:
        """See `core.ports.Engine.certificate_status`."""
        read = read_certificate(certificate)
        options = ["--with-colons", "--fixed-list-mode", "--import-options=import-show"]
        if at is not None:
            options.append(f"--faked-system-time={at}!")
        async with self._folder() as folder:
            done, _ = await self._import(str(folder / "certificate.kbx"), read.data, *options)
        listed = read_listing(done.output)
        if done.code or len(listed) != 1 or listed[0].fingerprint != read.fingerprint:
            raise KeyUnusable("certificate-not-listed")
        return listed[0]

    async def _decrypt(self, wire: bytes) -> tuple[Finished, Report]:
        """Take the encryption off, with each passphrase until a run gets as far as the ciphertext."""
        words = ["--unwrap", "--decrypt"]
        done, report = await self._gpg(words, wire, len(wire))
        for phrase in self._passphrases[1:]:
            if report.has("DECRYPTION_INFO"):
                break
            done, report = await self._gpg(words, wire, len(wire), passphrase=phrase)
        return done, report

    @asynccontextmanager
    async def _keyring(self, certificates: Sequence[bytes]) -> AsyncIterator[list[str]]:
        """Options for a keyring of just these certificates; unreadable ones are left out."""
        read: list[Certificate] = []
        for one in certificates:
            with contextlib.suppress(KeyUnusable):
                certificate = read_certificate(one)
                if len(certificate.fingerprint) == _VERSION_4:
                    read.append(certificate)
        if not read:
            yield []
            return
        async with self._folder() as folder:
            ring = str(folder / "certificates.kbx")
            _, report = await self._import(ring, b"".join(one.data for one in read))
            if report.order.count("IMPORT_OK") < len(read) > 1:
                # One certificate that gpg cannot read must not keep it from reading the others.
                for certificate in read[:_MAX_CERTIFICATES]:
                    await self._import(ring, certificate.data)
            yield ["--keyring", ring]

    async def _import(self, ring: str, data: bytes, *options: str) -> tuple[Finished, Report]:
        """Import into a throw-away keyring: gpg drops there what is not bound by a self-signature."""
        words = [*options, "--no-default-keyring", "--keyring", ring, "--import"]
        return await self._gpg(words, data, OUTPUT_LIMIT)

    def _verdicts(self, report: Report) -> tuple[Signature, ...]:
        try:
            return tuple(judge(one, self._now()) for one in report.signatures)
        except StatusMalformed as error:
            raise Unparsable("status-malformed") from error


def _why_not(report: Report) -> VeildeskError:
    """The error for a decryption that is not sound; broken integrity wins over everything."""
    if report.has("BADMDC") or report.has("DECRYPTION_OKAY"):
        return NotSoundCiphertext("integrity")
    if report.has("DECRYPTION_INFO"):
        return NotSoundCiphertext("integrity")
    if report.agent_fault:
        return EngineUnavailable("agent")
    if report.has("NO_SECKEY") or report.has("DECRYPTION_FAILED"):
        return Undecryptable("no-usable-secret-key")
    return Unparsable("ciphertext")


def _explained(done: Finished, report: Report) -> bool:
    """Whether the exit code is success, or failure only because of signatures that say why."""
    if done.code == 0:
        return True
    words = {one.verdict.keyword for one in report.signatures if one.verdict is not None}
    if done.code == 1:
        return bool(words & {"BADSIG", "EXPSIG"})
    return done.code == 2 and "ERRSIG" in words


def _signing(signer: str) -> list[str]:
    return [
        "--armor",
        "--no-emit-version",
        "--no-comments",
        "--digest-algo=SHA512",
        "--local-user",
        full_fingerprint(signer),
    ]


def _armored_size(data: bytes) -> int:
    """Room for sealed or signed data: base64 with line ends and dash escapes, and some more."""
    return 2 * len(data) + 1024 * 1024
