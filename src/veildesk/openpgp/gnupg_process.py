"""Starts gpg (GnuPG 2.2.40 or later) for one home: the only module that knows how.

No network, no human-readable output, no plaintext in any file or argument. What a run says counts only as
its exit code and its status lines, which come over a descriptor of their own.
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
    GnuPGUnusable,
    KeyAbsent,
    KeyUnusable,
    LimitExceeded,
    Unparsable,
    VeildeskError,
)
from veildesk.core.limits import Limits
from veildesk.openpgp.status import Report, StatusMalformed, read_report

__all__ = ["OUTPUT_LIMIT", "GnuPGProcess", "full_fingerprint"]

_LOG = logging.getLogger("veildesk.openpgp")
_FINGERPRINT = re.compile(r"(?:[0-9A-F]{40}|[0-9A-F]{64})\Z")
_MINIMUM = (2, 2, 40)
_SOCKET_PATH = 107
OUTPUT_LIMIT = 16 * 1024 * 1024
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


class GnuPGProcess:
    """Runs gpg over one home.

    Args: `home` holds the secret keys (0700, made if missing). `runtime_dir` is a folder on tmpfs
    for throw-away keyrings. `limits` bounds plaintext and time. `passphrases` are tried in turn for
    protected keys. `now` gives seconds since 1970 for verdicts. `processes` run at a time at most.
    """

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

    async def start(self, *, create: bool = True) -> None:
        """Make the home ready and check gpg's version; without `create` it has to be there.

        Raises `KeyAbsent` where it is not, and `GnuPGUnusable` if gpg is too old or the home's path too long
        for the agent's sockets.
        """
        # os.access instead of Path.is_dir(): behind ProtectHome= the folder may not even be looked at, and
        # then gpg cannot use it either.
        sockets_elsewhere = os.access(f"/run/user/{os.getuid()}", os.W_OK | os.X_OK)
        if not sockets_elsewhere and len(os.fsencode(self._home / "S.gpg-agent.browser")) > _SOCKET_PATH:
            raise GnuPGUnusable("home-path-length")
        self._runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
        if create:
            self._make_home()
        elif not self._home.is_dir():
            raise KeyAbsent("home-missing")
        done = await self._raw([self._program, "--version"], b"", OUTPUT_LIMIT)
        match = re.match(rb"gpg \(GnuPG[^)]*\) (\d+)\.(\d+)\.(\d+)", done.output)
        if done.code or match is None or tuple(int(one) for one in match.groups()) < _MINIMUM:
            raise GnuPGUnusable("gpg-version")

    def _make_home(self) -> None:
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._home.chmod(0o700)
        settings = self._home / "gpg-agent.conf"
        if not settings.exists():
            # Hidden recipients would make gpg look for a smart card each time. Where passphrases are
            # given, they lie beside the keys, and making them slow to try would only cost time.
            costly = "s2k-count 65536\n" if self._passphrases else ""
            settings.write_text(f"disable-scdaemon\nauto-expand-secmem 65536\n{costly}")

    async def close(self) -> None:
        """End the gpg-agent that serves this home."""
        command = ["gpgconf", "--homedir", str(self._home), "--kill", "gpg-agent"]
        with contextlib.suppress(VeildeskError, OSError):
            await self._raw(command, b"", OUTPUT_LIMIT)

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
                done = await run_bounded(
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
        if done.killed:
            # Half a run: what it said so far would look like a damaged mail or a key of no use.
            raise EngineUnavailable("process-killed")
        return done

    @asynccontextmanager
    async def _folder(self) -> AsyncIterator[Path]:
        folder = Path(tempfile.mkdtemp(prefix="op-", dir=self._runtime))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def full_fingerprint(fingerprint: str) -> str:
    """A full fingerprint in upper-case hex, which no option can be. Raises `KeyUnusable`."""
    if not _FINGERPRINT.match(fingerprint):
        raise KeyUnusable("fingerprint-form")
    return fingerprint
