"""The `Engine` over gpg (GnuPG 2.2.40 or later): the only module that knows gpg's command line.

A result counts only if the exit code AND the status grammar say so. Secret keys live in the given
home under gpg-agent; other people's certificates are only ever in a throw-away keyring file on
tmpfs, so that nothing from a mail stays and cost does not grow with contacts. No network, no
human-readable output, no plaintext in any file or argument.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from veildesk.child.bounded import Finished, MemoryFile, OutputExceeded, TimeExceeded, run_bounded
from veildesk.core.errors import (
    EngineUnavailable,
    KeyUnusable,
    LimitExceeded,
    NotSoundCiphertext,
    Undecryptable,
    Unparsable,
    VeildeskError,
)
from veildesk.core.limits import Limits
from veildesk.core.message import Signature, Verdict
from veildesk.core.ports import CertificateStatus, DecryptedData, DetachedSignature
from veildesk.openpgp.armor import find_blocks, outside
from veildesk.openpgp.content import literal_data, uncompressed
from veildesk.openpgp.key_listing import read_listing
from veildesk.openpgp.packets import (
    Certificate,
    Kind,
    Shape,
    classify,
    read_certificate,
    signature_packets,
    split_packets,
    without_passphrases,
)
from veildesk.openpgp.status import Report, StatusMalformed, judge, read_report

__all__ = ["GnuPGEngine"]

_LOG = logging.getLogger("veildesk.openpgp")
_FINGERPRINT = re.compile(r"(?:[0-9A-F]{40}|[0-9A-F]{64})\Z")
_MINIMUM = (2, 2, 40)
_HASHES = {"8": "sha256", "9": "sha384", "10": "sha512", "11": "sha224"}
_OUTPUT = 16 * 1024 * 1024
_MAX_CERTIFICATES = 32
_VERSION_4 = 40
_SOCKET_PATH = 107
_OPTIONS = (
    "--no-options",
    "--batch",
    "--no-tty",
    "--no-verbose",
    "--no-greeting",
    "--no-permission-warning",
    "--no-auto-key-locate",
    "--no-auto-key-retrieve",
    "--disable-dirmngr",
    "--no-random-seed-file",
    "--no-auto-check-trustdb",
    "--trust-model=always",
    "--exit-on-status-write-error",
    "--enable-special-filenames",
    "--status-fd={status}",
)


class GnuPGEngine:
    """`core.ports.Engine` over gpg.

    Args: `home` holds the secret keys (0700, made if missing). `runtime_dir` is a folder on tmpfs
    for throw-away keyrings. `limits` bounds plaintext and time. `passphrases` are tried in turn for
    protected keys. `now` gives seconds since 1970 for verdicts. `processes` run at a time at most.
    """

    name = "gnupg"

    def __init__(
        self,
        home: Path,
        *,
        runtime_dir: Path,
        limits: Limits | None = None,
        passphrases: Sequence[bytes] = (),
        now: Callable[[], int] = lambda: int(time.time()),
        program: str = "gpg",
        processes: int = 4,
    ) -> None:
        self._home = home
        self._runtime = runtime_dir
        self._limits = limits or Limits()
        self._passphrases = tuple(passphrases)
        self._now = now
        self._program = program
        # gpg-agent mixes up passphrases that several clients hand in at the same time.
        self._slots = asyncio.Semaphore(1 if self._passphrases else processes)

    # ------------------------------------------------------------------ life

    async def start(self) -> None:
        """Make the home ready and check gpg's version.

        Raises `KeyUnusable` if gpg is too old or the home's path too long for the agent's sockets.
        """
        sockets_elsewhere = Path(f"/run/user/{os.getuid()}").is_dir()
        if not sockets_elsewhere and len(os.fsencode(self._home / "S.gpg-agent.browser")) > _SOCKET_PATH:
            raise KeyUnusable("home-path-length")
        for folder in (self._home, self._runtime):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._home.chmod(0o700)
        settings = self._home / "gpg-agent.conf"
        if not settings.exists():
            # Hidden recipients would make gpg look for a smart card each time. Where passphrases are
            # given, they lie beside the keys, and making them slow to try would only cost time.
            costly = "s2k-count 65536\n" if self._passphrases else ""
            settings.write_text(f"disable-scdaemon\nauto-expand-secmem 65536\n{costly}")
        done = await self._raw([self._program, "--version"], b"", _OUTPUT)
        match = re.match(rb"gpg \(GnuPG[^)]*\) (\d+)\.(\d+)\.(\d+)", done.output)
        if done.code or match is None or tuple(int(one) for one in match.groups()) < _MINIMUM:
            raise KeyUnusable("gpg-version")

    async def close(self) -> None:
        """End the gpg-agent that serves this home."""
        command = ["gpgconf", "--homedir", str(self._home), "--kill", "gpg-agent"]
        with contextlib.suppress(VeildeskError, OSError):
            await self._raw(command, b"", _OUTPUT)

    # ------------------------------------------------------------------ Engine

    async def open(self, data: bytes, certificates: Sequence[bytes]) -> DecryptedData:
        """See `core.ports.Engine.open`."""
        wire, shape = await asyncio.to_thread(_message, data)
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
        plain, signatures = await self._unwrap(done.output, certificates)
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

    async def _unwrap(
        self, data: bytes, certificates: Sequence[bytes]
    ) -> tuple[bytes, tuple[Signature, ...]]:
        """The content of a literal or signed message and the verdicts on its signatures."""
        packets, shape = await asyncio.to_thread(uncompressed, data, self._limits.plaintext_size)
        if shape.kind is Kind.LITERAL:
            return literal_data(packets), ()
        if shape.modern:
            return literal_data(packets), (Signature(Verdict.UNSUPPORTED),) * shape.signatures
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
                done, report = await self._gpg(words, data, _OUTPUT, descriptors=[block.descriptor])
        verdicts = list(self._verdicts(report))
        if not _explained(done, report) or report.has("PLAINTEXT"):
            return tuple(Signature(Verdict.INVALID) for _ in packets)
        missing = Verdict.UNSUPPORTED if any(one.body[:1] == b"\x06" for one in packets) else Verdict.INVALID
        while len(verdicts) < len(packets):
            verdicts.append(Signature(missing))
        return tuple(verdicts)

    async def seal(self, data: bytes, recipients: Sequence[bytes], signer: str) -> bytes:
        """See `core.ports.Engine.seal`."""
        if not recipients:
            raise KeyUnusable("no-recipient")
        read = [read_certificate(one) for one in recipients]
        for one in read:
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

    async def export(self, fingerprint: str) -> bytes:
        """See `core.ports.Engine.export`."""
        words = ["--armor", "--no-emit-version", "--export-options=export-minimal", "--export", "--"]
        done, _ = await self._gpg([*words, _full(fingerprint)], b"", _OUTPUT)
        if done.code or read_certificate(done.output).fingerprint != fingerprint:
            raise KeyUnusable("export-failed")
        return done.output

    # ------------------------------------------------------------------ own keys

    async def generate_key(self, user_id: str, algorithm: str = "future-default", expires: str = "2y") -> str:
        """Make a key without passphrase: certify and sign on the primary, encrypt on a subkey.

        `algorithm` is a gpg name ("future-default" is Ed25519 with Curve25519, "rsa3072"). Returns
        the primary fingerprint. Raises `KeyUnusable`.
        """
        if not user_id.strip() or not user_id.isprintable():
            raise KeyUnusable("user-id")
        words = ["--pinentry-mode=loopback", "--passphrase=", "--quick-generate-key", "--", user_id]
        done, report = await self._gpg([*words, algorithm, "default", expires], b"", _OUTPUT, passphrase=None)
        made = report.once.get("KEY_CREATED")
        if done.code or made is None:
            raise KeyUnusable("generate-failed")
        return _full(made.text(1))

    async def import_secret(self, data: bytes) -> tuple[str, ...]:
        """Take over secret keys (binary or armored) into the home; for throw-away homes only.

        Returns the primary fingerprints. Raises `KeyUnusable` if the bytes are no secret keys.
        """
        try:
            blocks = () if data[:1] and data[0] & 0x80 else find_blocks(data)
            wire = b"".join(one.data for one in blocks) if blocks else data
            tags = [one.tag for one in split_packets(wire)]
        except VeildeskError as error:
            raise KeyUnusable("secret-unreadable") from error
        if 5 not in tags:
            raise KeyUnusable("secret-none")
        before = set(await self.own_fingerprints())
        await self._gpg(["--import-options=import-minimal", "--import"], wire, _OUTPUT)
        after = await self.own_fingerprints()
        if not after:
            raise KeyUnusable("secret-not-imported")
        return tuple(one for one in after if one not in before) or after

    async def own_fingerprints(self) -> tuple[str, ...]:
        """Primary fingerprints of all keys in the home."""
        done, _ = await self._gpg(["--with-colons", "--fixed-list-mode", "--list-keys"], b"", _OUTPUT)
        return tuple(one.fingerprint for one in read_listing(done.output))

    # ------------------------------------------------------------------ running gpg

    async def _decrypt(self, wire: bytes) -> tuple[Finished, Report]:
        """Take the encryption off, with each passphrase until a run gets as far as the ciphertext."""
        words = ["--unwrap", "--decrypt"]
        done, report = await self._gpg(words, wire, len(wire))
        for phrase in self._passphrases[1:]:
            if report.has("DECRYPTION_INFO"):
                break
            done, report = await self._gpg(words, wire, len(wire), passphrase=phrase)
        return done, report

    async def _gpg(
        self,
        words: Sequence[str],
        stdin: bytes,
        limit: int,
        *,
        descriptors: Sequence[int] = (),
        passphrase: bytes | None = b"",
    ) -> tuple[Finished, Report]:
        """Run gpg and read its status. `passphrase` b"" stands for the first configured one."""
        command = [self._program, *_OPTIONS, "--homedir", str(self._home)]
        phrase = (self._passphrases[0] if self._passphrases else None) if passphrase == b"" else passphrase
        with ExitStack() as stack:
            passed = list(descriptors)
            if phrase is not None:
                secret = stack.enter_context(MemoryFile(phrase))
                command += ["--pinentry-mode=loopback", f"--passphrase-fd={secret.descriptor}"]
                passed.append(secret.descriptor)
            elif not any(word.startswith("--pinentry-mode") for word in words):
                command.append("--pinentry-mode=error")
            done = await self._raw([*command, *words], stdin, limit, passed)
        try:
            return done, read_report(done.status)
        except StatusMalformed as error:
            _LOG.warning("status-malformed")
            raise Unparsable("status-malformed") from error

    async def _raw(
        self, command: Sequence[str], stdin: bytes, limit: int, descriptors: Sequence[int] = ()
    ) -> Finished:
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "GNUPGHOME": str(self._home), "TZ": "UTC"}
        try:
            async with self._slots:
                return await run_bounded(
                    command,
                    stdin=stdin,
                    environment=environment,
                    output_limit=limit,
                    seconds=self._limits.crypto_seconds,
                    descriptors=descriptors,
                )
        except OutputExceeded:
            raise LimitExceeded("process-output") from None
        except TimeExceeded:
            raise EngineUnavailable("process-seconds") from None
        except OSError as error:
            raise EngineUnavailable("process-start") from error

    @asynccontextmanager
    async def _folder(self) -> AsyncIterator[Path]:
        folder = Path(tempfile.mkdtemp(prefix="op-", dir=self._runtime))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

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
        return await self._gpg(words, data, _OUTPUT)

    def _verdicts(self, report: Report) -> tuple[Signature, ...]:
        try:
            return tuple(judge(one, self._now()) for one in report.signatures)
        except StatusMalformed as error:
            raise Unparsable("status-malformed") from error


def _message(data: bytes) -> tuple[bytes, Shape]:
    """Bytes to feed to gpg and their structure: binary, one armor block, or clear-signed text."""
    if not data:
        raise Unparsable("empty")
    if data[0] & 0x80:
        return data, classify(data)
    blocks = find_blocks(data)
    if len(blocks) != 1 or outside(data, blocks).strip():
        raise Unparsable("armor-not-one-block")
    block = blocks[0]
    if block.label == "MESSAGE":
        return block.data, classify(block.data)
    if block.label != "SIGNED MESSAGE" or not (found := signature_packets(block.data)):
        raise Unparsable("armor-label")
    return block.source, Shape(Kind.SIGNED, signatures=len(found))


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
        _full(signer),
    ]


def _full(fingerprint: str) -> str:
    if not _FINGERPRINT.match(fingerprint):
        raise KeyUnusable("fingerprint-form")
    return fingerprint


def _armored_size(data: bytes) -> int:
    """Room for sealed or signed data: base64 with line ends and dash escapes, and some more."""
    return 2 * len(data) + 1024 * 1024
