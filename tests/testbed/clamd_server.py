"""A real clamd on a socket of its own, with signatures of our own: no database is fetched from anywhere."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!$H+H*"
"""The test file that every scanner knows, put together here so that none of them removes this module."""

OWN = b"veildesk-test-signature-" + hashlib.sha256(b"veildesk").hexdigest()[:24].encode()
"""What our own signature matches."""


@contextlib.contextmanager
def clamd(folder: Path) -> Iterator[Path]:
    """The path of the socket of a running clamd that knows `EICAR` and `OWN`."""
    program = shutil.which("clamd") or "/usr/sbin/clamd"
    signatures = folder / "signatures"
    signatures.mkdir(parents=True)
    (signatures / "own.ndb").write_text(
        f"Veildesk.Test.Own:0:*:{OWN.hex()}\nEicar-Test:0:*:{EICAR.hex()}\n", "ascii"
    )
    path, settings = folder / "clamd.sock", folder / "clamd.conf"
    settings.write_text(
        f"LocalSocket {path}\nDatabaseDirectory {signatures}\nTemporaryDirectory {folder}\n"
        "Foreground yes\nLogTime no\nMaxThreads 2\nStreamMaxLength 30M\nConcurrentDatabaseReload no\n",
        "ascii",
    )
    process = subprocess.Popen(
        [program, "--config-file", str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(process, path)
        yield path
    finally:
        process.terminate()
        process.wait(30)


def _wait(process: subprocess.Popen[bytes], path: Path) -> None:
    """Until clamd answers a PING."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"clamd ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as asking:
            asking.connect(str(path))
            asking.sendall(b"zPING\0")
            if asking.recv(16).startswith(b"PONG"):
                return
        time.sleep(0.1)
    raise RuntimeError("clamd did not answer in time")
