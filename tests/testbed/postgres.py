"""A throw-away PostgreSQL cluster from Debian's package: Unix socket only, no service."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

__all__ = ["Cluster", "cluster"]


def _programs() -> Path:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not versions:
        raise RuntimeError("postgresql is not installed: scripts/install dev")
    return versions[-1].parent


class Cluster:
    """One cluster under `folder`; fsync stays on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "log"
        # PostgreSQL refuses to run as root; Debian's package made an account for it.
        self._user = "postgres" if os.geteuid() == 0 else None
        self.name = self._user or pwd.getpwuid(os.geteuid()).pw_name
        self._process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """`initdb`, with page checksums and statements in the log, as a careless operator may have it."""
        if self._user:
            shutil.chown(self.folder, self._user)
        words = ["-D", str(self.data), "-U", "veildesk", "-A", "trust", "--no-sync", "--data-checksums"]
        self._run("initdb", *words, "-E", "UTF8", "--locale=C.UTF-8")
        with (self.data / "postgresql.conf").open("a") as settings:
            settings.write(
                f"listen_addresses = ''\nunix_socket_directories = '{self.folder}'\n"
                "shared_buffers = 16MB\nmax_connections = 40\nlog_statement = 'all'\n"
                "log_parameter_max_length = -1\nlog_parameter_max_length_on_error = -1\n"
                "log_min_duration_statement = 0\nautovacuum_naptime = 1s\n"
            )

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(_programs() / "postgres"), "-D", str(self.data)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._user,
                group=self._user,
                extra_groups=[] if self._user else None,
                cwd="/",
            )
        end = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.conninfo("postgres")).close()
            except psycopg.OperationalError:
                if time.monotonic() > end or self._process.poll() is not None:
                    raise
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """SIGKILL to every process of the server, as a crash of the machine would."""
        assert self._process is not None
        pids = [self._process.pid, *_children(self._process.pid)]
        for pid in pids:
            _signal(pid, signal.SIGKILL)
        self._process.wait()
        end = time.monotonic() + 10
        while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < end:
            time.sleep(0.01)

    def stop(self) -> None:
        """Fast shutdown."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def conninfo(self, database: str) -> str:
        """How to reach a database."""
        return f"host={self.folder} user=veildesk dbname={database}"

    def new_database(self) -> str:
        """Make an empty database; returns its connection string."""
        name = f"v{secrets.token_hex(6)}"
        with psycopg.connect(self.conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.conninfo(name)

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [str(_programs() / program), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
            cwd="/",
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr.decode(errors='replace')}")


def _children(parent: int) -> list[int]:
    path = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(word) for word in path.read_text().split()] if path.exists() else []


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A running cluster in memory where there is room for one, removed afterwards."""
    memory = Path("/dev/shm")
    free = os.statvfs(memory) if memory.is_dir() else None
    parent = memory if free is not None and free.f_bavail * free.f_frsize > 600 << 20 else None
    folder = Path(tempfile.mkdtemp(prefix="vdpg-", dir=parent))
    made = Cluster(folder)
    try:
        made.create()
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)
