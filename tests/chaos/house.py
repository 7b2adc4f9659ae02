"""Gateways, helpdesk, database and tor as processes that can be killed and started at will."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaos.forks import Fork, Forks
from chaos.helpdesk import entries_of
from chaos.outside import free_port, wait_until
from chaos.proxy import Proxy
from testbed.postgres import Cluster
from veildesk.ops.control import ask
from veildesk.service.initialise import initialise

__all__ = ["Clock", "Gateway", "Helpdesk", "Tor", "make_gateways"]

_FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")

_TESTS = Path(__file__).resolve().parents[1]
_CONFIG = """\
[gateway]
name = "Desk"
address = "support@gateway.test"
domain = "gateway.test"
state_dir = "{state}"

[keys]
home = "{base}/keys/gnupg"
ring = "{base}/keys/ring"
support = "{support}"
notice = "{notice}"
engine = "{engine}"

[queues.support]
addresses = ["support@gateway.test"]
backend = "desk"

{desk}
[lmtp]
listen = "127.0.0.1:{lmtp}"

[outgoing]
host = "127.0.0.1"
port = {smtp}
security = "plain"
{rest}
"""

_DESK = """\
[backends.desk]
kind = "chaos"
port = {port}
poll_seconds = 0.5
"""

# Worker processes that read what they understand, and gpg asked about everything: both are killed.
_ENGINES = ("both", "gpg")


class Clock:
    """What a gateway takes for the time of day: libfaketime reads an offset from a file at every look.

    Only CLOCK_REALTIME jumps, as with a person or NTP setting a clock; timers go on. Offsets are days within
    the time of retention, so that nothing expires by it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.jump(0)

    @staticmethod
    def installed() -> bool:
        """Whether libfaketime is there."""
        return _FAKETIME.exists()

    def jump(self, days: float) -> None:
        """Be `days` ahead of the machine's clock from now on."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"+{days}d\n")
        fresh.replace(self._file)

    def environment(self) -> dict[str, str]:
        """For the process."""
        return {
            "LD_PRELOAD": str(_FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }


class Process:
    """A child that is started again after each death."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.process: subprocess.Popen[bytes] | Fork | None = None
        self.killed = False

    def _start(self, words: list[str], **environment: str) -> None:
        self.killed = False
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(_TESTS), **environment},
            )

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.killed = True
            self.process.kill()
            self.process.wait()

    def end(self) -> None:
        """SIGTERM, then SIGKILL."""
        if self.alive and self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()


class Helpdesk(Process):
    """The helpdesk process behind a proxy that spoils some of its connections."""

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder / "helpdesk.log")
        self.journal = folder / "journal"
        self._port = free_port()
        self.proxy = Proxy(self._port, seed)

    def start(self) -> None:
        """Start and wait until it listens."""
        self._start([sys.executable, "-m", "chaos.helpdesk", str(self._port), str(self.journal)])
        wait_until(self._listens, 20)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        except OSError:
            return False
        return True

    def entries(self) -> list[dict[str, str]]:
        """What it holds."""
        return entries_of(self.journal)


class Gateway(Process):
    """One gateway process on one configuration."""

    def __init__(self, config: Path, state: Path, lmtp: int, clock: Clock | None = None) -> None:
        super().__init__(config.with_suffix(".log"))
        self.config, self.state, self.lmtp = config, state, lmtp
        self.point = ""
        self._forks = Forks(clock.environment() if clock is not None else {})

    def start(self, point: str = "") -> None:
        """Start, to die at a crash point if one is given."""
        self.point, self.killed = point, False
        self.process = self._forks.start([str(self.config)], self.log, point)

    def close(self) -> None:
        """End it and the process that it is forked from."""
        self.end()
        self._forks.close()

    def died_at_point(self) -> str | None:
        """The point's name when the process killed itself there."""
        process = self.process
        if process is None or self.killed or not self.point or process.poll() != -signal.SIGKILL:
            return None
        return self.point.partition(":")[0]

    def ready(self) -> bool:
        """Whether it answers."""
        return self.ask("status") is not None

    def ask(self, command: str, **request: Any) -> Any:
        """The control socket's answer, None while there is none."""
        try:
            return ask(self.state / "control", {"command": command, **request}, 10.0)["result"]
        except (OSError, ValueError, TimeoutError, KeyError):
            return None

    def children(self) -> list[int]:
        """Processes that it started: gpg and the sandbox's workers."""
        assert self.process is not None
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        try:
            return [int(word) for word in path.read_text().split()]
        except OSError:
            return []


class Tor(Process):
    """A real tor that is not allowed any network: its control socket comes and goes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "tor.log")
        self._folder = folder / "tor"
        self._folder.mkdir(mode=0o700)
        self.control = self._folder / "control"

    def start(self) -> None:
        """Start and wait for the control socket."""
        self.control.unlink(missing_ok=True)
        torrc = self._folder / "torrc"
        torrc.touch()
        words = ["--DisableNetwork", "1", "--SocksPort", "0", "--DataDirectory", str(self._folder / "data")]
        words += ["--ControlSocket", str(self.control), "--CookieAuthentication", "1"]
        self._start(["tor", "-f", str(torrc), "--defaults-torrc", str(torrc), *words])
        wait_until(self.control.exists, 20)


def make_gateways(
    folder: Path,
    *,
    helpdesk: int,
    smtp: int,
    cluster: Cluster | None,
    tor: Tor | None,
    clock: Clock | None = None,
    desk: str = _DESK,
    bucket: Callable[[Path], str] | None = None,
) -> list[Gateway]:
    """One gateway on SQLite, or two on one PostgreSQL; they share keys. The first has `clock`.

    `desk` is the section of the helpdesk, which is at port `helpdesk` unless it says otherwise; `bucket`
    gives that of a bucket, which keeps its keys in a folder.
    """
    base = folder / "gw"
    made = asyncio.run(initialise(base, name="Desk", address="support@gateway.test"))
    database = cluster.new_database() if cluster is not None else None
    gateways = []
    for number in range(1 if database is None else 2):
        state, lmtp = folder / f"state{number}", free_port()
        state.mkdir(mode=0o700)
        files = bucket(base / "keys") if bucket is not None else f'files = "{folder}/files"\n'
        rest = "" if database is None else f'[store]\ndatabase = "{database}"\n{files}'
        if tor is not None and number == 0:
            rest += f'[portal]\nsocket = "{folder}/portal"\n'
            rest += (
                f'[onion]\ncontrol_socket = "{tor.control}"\nkey_file = "{base}/keys/hs_ed25519_secret_key"\n'
            )
        text = _CONFIG.format(
            state=state, base=base, support=made["support_key"], notice=made["notice_key"],
            desk=desk.format(port=helpdesk), lmtp=lmtp, smtp=smtp, rest=rest, engine=_ENGINES[number],
        )  # fmt: skip
        config = folder / f"gateway{number}.toml"
        config.write_text(text)
        gateways.append(Gateway(config, state, lmtp, clock if number == 0 else None))
    return gateways


def end_agents(folder: Path) -> None:
    """End the gpg-agent of the harness's keys."""
    words = ["gpgconf", "--homedir", str(folder / "gw" / "keys" / "gnupg"), "--kill", "all"]
    subprocess.run(words, check=False, capture_output=True)


def drained(gateways: list[Gateway]) -> dict[str, int] | None:
    """Messages by state once nothing is on its way any more; None before. Postponed ones are tried now."""
    gateway = next((one for one in gateways if one.ready()), None)
    status = gateway.ask("status") if gateway is not None else None
    if gateway is None or status is None:
        return None
    counts: dict[str, int] = status["messages"]
    waiting = ["accepted", "delivering", "collected", "sending"]
    if not any(counts.get(state) for state in waiting):
        return counts
    gateway.ask("spool-retry-all", reason=None)
    return None


def stop(process: Process, seconds: float) -> None:
    """SIGSTOP for a while."""
    if process.alive and process.process is not None:
        process.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        process.process.send_signal(signal.SIGCONT)


def remove(folder: Path) -> None:
    """Remove everything."""
    with contextlib.suppress(OSError):
        shutil.rmtree(folder)


def dump(document: dict[str, Any]) -> str:
    """One line."""
    return json.dumps(document)
