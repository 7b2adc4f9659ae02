"""A real S3 server on loopback: SeaweedFS from its wheel on PyPI, with a prefix of its own for each test.

It is one process with several ports, all on 127.0.0.1; it reports nothing to anybody.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx

from veildesk.core.errors import FilesUnavailable
from veildesk.spool.file_places import open_files
from veildesk.spool.file_store import ObjectSettings

__all__ = ["ACCESS_KEY", "SECRET_KEY", "S3Server", "s3_server", "short"]

ACCESS_KEY, SECRET_KEY = "V" + secrets.token_hex(8), secrets.token_hex(20)
BUCKET = "veildesk"
_PROGRAM = Path(sys.executable).parent / "weed"
_OFFSET = 10_000  # gRPC ports are this much above.


def _free_port() -> int:
    """A port below 32768 (out of the range of clients' ports) that is free, and so is its gRPC neighbour."""
    while True:
        port = 10_000 + secrets.randbelow(12_000)
        try:
            for one in (port, port + _OFFSET):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", one))
        except OSError:
            continue
        return port


class S3Server:
    """One server under `folder`; what it stores lies in `data`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir()
        self.process: subprocess.Popen[bytes] | None = None
        self._ports: dict[str, int] = {}
        identity = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
        actions = ["Admin", "Read", "Write", "List"]
        known = {"identities": [{"name": "veildesk", "credentials": [identity], "actions": actions}]}
        (folder / "s3.json").write_text(json.dumps(known))

    @property
    def endpoint(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self._ports['s3']}"

    def start(self) -> None:
        """Start and wait until it answers; the first time on ports of its choice."""
        if self._ports:
            self._start()
            return
        for attempt in range(3):
            self._ports = {name: _free_port() for name in ("master", "volume", "filer", "s3")}
            try:
                self._start()
            except RuntimeError:
                # Somebody else may have taken a port meanwhile.
                if attempt == 2:
                    raise
                self.stop()
            else:
                return

    def _start(self) -> None:
        ports = [f"-{name}.port={port}" for name, port in self._ports.items()]
        words = [
            *("-logtostderr=true", "server", f"-dir={self.data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
            *(
                "-master.telemetry=false",
                "-master.electionTimeout=1s",
                "-master.volumeSizeLimitMB=64",
                "-volume.max=20",
                "-filer=true",
            ),
            *("-s3=true", f"-s3.config={self.folder / 's3.json'}", "-s3.port.iceberg=0", "-s3.port.lance=0"),
            *("-s3.iam=false", f"-filer.localSocket={self.folder / 'filer.sock'}"),
            f"-s3.localSocket={self.folder / 's3.sock'}",
            *ports,
        ]
        # One memory-thrifty thread of collection: the machine is shared with the tests.
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "GOMAXPROCS": "2"}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(_PROGRAM), *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=environment,
            )
        end = time.monotonic() + 90
        while not self._answers():
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text(errors="replace")[-3000:])
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            self._make(BUCKET)
            store = open_files(replace(self.settings(BUCKET), prefix="ready", timeout=5.0))
            store.write(f"{secrets.token_hex(8)}-{secrets.token_hex(16)}", [b"ready"])
            store.close()
        except (httpx.HTTPError, FilesUnavailable):
            return False
        return True

    def _make(self, bucket: str) -> None:
        filer = f"http://127.0.0.1:{self._ports['filer']}"
        answer = httpx.post(f"{filer}/buckets/{bucket}/", timeout=10, trust_env=False)
        if answer.status_code != 409:  # There already.
            answer.raise_for_status()

    def new_place(self) -> ObjectSettings:
        """A prefix of its own in the bucket that all tests share, and how to reach it."""
        return replace(self.settings(BUCKET), prefix=f"p/{secrets.token_hex(6)}")

    def settings(self, bucket: str) -> ObjectSettings:
        """How to reach a bucket."""
        return ObjectSettings(
            self.endpoint, bucket, "veildesk", "us-east-1", ACCESS_KEY, SECRET_KEY, timeout=30.0
        )

    def versioned(self) -> ObjectSettings:
        """Another bucket, that keeps versions."""
        self._make("versions")
        filer, master = (f"127.0.0.1:{self._ports[name]}" for name in ("filer", "master"))
        subprocess.run(
            [str(_PROGRAM), "shell", f"-master={master}", f"-filer={filer}"],
            input=b"s3.bucket.versioning -name versions -enable\n",
            capture_output=True,
            timeout=60,
            check=True,
        )
        return self.settings("versions")

    def signal(self, number: signal.Signals) -> None:
        """Stop, continue or kill it."""
        assert self.process is not None
        self.process.send_signal(number)
        if number is signal.SIGKILL:
            self.process.wait()

    def stop(self) -> None:
        """Kill it: nothing of a throw-away server is worth an orderly end."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for port in self._ports.values():
            for left in Path("/tmp").glob(f"seaweedfs-*-grpc-{port + _OFFSET}.sock"):
                left.unlink(missing_ok=True)


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """A running server in memory where there is room for one, removed afterwards."""
    memory = Path("/dev/shm")
    free = os.statvfs(memory) if memory.is_dir() else None
    parent = memory if free is not None and free.f_bavail * free.f_frsize > 800 << 20 else None
    folder = Path(tempfile.mkdtemp(prefix="vds3-", dir=parent))
    server = S3Server(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def short(settings: ObjectSettings, seconds: float = 2.0) -> ObjectSettings:
    """The same with a short time limit."""
    return replace(settings, timeout=seconds)
