"""The ring under a root that a TPM seals: real systemd-creds, and swtpm as the machine's TPM.

Only the credential's way from the TPM to the ring is new here; that the service manager hands it over is
tried on the booted machine of tests/bare.
"""

from __future__ import annotations

import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from testbed.helpdesks.waiting import stop
from testbed.private_tor import free_ports
from veildesk.core.errors import KeyUnusable
from veildesk.spool import KeyRing
from veildesk.spool.ring_root import CREDENTIAL

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@contextmanager
def tpm(folder: Path) -> Iterator[str]:
    """An emulated TPM 2.0 with its state in `folder`; yields how tpm2-tss reaches it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    # tpm2-tss looks for the control channel at the port after that of the commands.
    port = next(port for port in free_ports(50) if _is_free(port + 1))
    process = subprocess.Popen(
        [
            *("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder}"),
            *("--server", f"type=tcp,port={port},bindaddr=127.0.0.1"),
            *("--ctrl", f"type=tcp,port={port + 1},bindaddr=127.0.0.1"),
            *("--flags", "not-need-init,startup-clear"),
        ],
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 30
        # The control channel opens last, and takes one caller after the other.
        while _is_free(port + 1):
            assert process.poll() is None, "swtpm ended"
            assert time.monotonic() < until, "swtpm did not start"
            time.sleep(0.02)
        yield f"--tpm2-device=swtpm:host=127.0.0.1,port={port}"
    finally:
        stop(process)


def _creds(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["systemd-creds", *words], capture_output=True, timeout=60, check=False)


def test_the_ring_opens_only_on_the_machine_whose_tpm_sealed_its_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    KeyRing.create(tmp_path / "ring")
    (tmp_path / "root").write_bytes(secrets.token_bytes(32))
    sealed, handed = tmp_path / "root.cred", tmp_path / "credentials"
    handed.mkdir(mode=0o700)
    name = f"--name={CREDENTIAL}"
    with tpm(tmp_path / "this") as device:
        done = _creds("encrypt", "--with-key=tpm2", device, name, str(tmp_path / "root"), str(sealed))
        assert done.returncode == 0, done.stderr.decode()
        assert (tmp_path / "root").read_bytes() not in sealed.read_bytes()
        (tmp_path / "root").unlink()
    # The machine starts again, and its service manager opens the credential.
    with tpm(tmp_path / "this") as device:
        done = _creds("decrypt", device, name, str(sealed), str(handed / CREDENTIAL))
        assert done.returncode == 0, done.stderr.decode()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(handed))
    ring = KeyRing.load(tmp_path / "ring")
    assert ring.bind()
    ring.extend()
    ring.shorten(ring.newest)
    assert KeyRing.load(tmp_path / "ring").epoch_key(ring.newest) == ring.epoch_key(ring.newest)
    # The disk was copied to another machine.
    (handed / CREDENTIAL).unlink()
    with tpm(tmp_path / "another") as device:
        done = _creds("decrypt", device, name, str(sealed), str(handed / CREDENTIAL))
        assert done.returncode != 0
    assert not (handed / CREDENTIAL).exists() or not (handed / CREDENTIAL).read_bytes()
    (handed / CREDENTIAL).unlink(missing_ok=True)
    with pytest.raises(KeyUnusable, match=CREDENTIAL):
        KeyRing.load(tmp_path / "ring")
