"""Gateways as forks of one process that has already imported everything.

Nine tenths of a gateway's start are imports; a kill every second leaves no time for them. What is forked runs
the same code in a process of its own. Without threads before the fork, and with a random state of its own.

`python -m chaos.forks` reads one JSON request a line (`{"words": [...], "log": path, "point": name}`),
answers `{"pid": n}`, and reports `{"pid": n, "code": c}` for each child that ended. It ends with its input,
and its children with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

__all__ = ["Fork", "Forks"]

_TESTS = Path(__file__).resolve().parents[1]


class Fork:
    """A child of the fork server, with what `subprocess.Popen` has."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = threading.Event()

    def reaped(self, code: int) -> None:
        """The fork server waited for it."""
        self.returncode = code
        self._ended.set()

    def poll(self) -> int | None:
        """The code, negative for a signal; None while it runs."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises `subprocess.TimeoutExpired`."""
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("fork", timeout or 0.0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Nothing happens once it has ended."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)


class Forks:
    """The fork server, seen from the harness."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "chaos.forks"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(_TESTS), **environment},
        )
        self._children: dict[int, Fork] = {}
        self._started: list[Fork] = []
        self._news = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def start(self, words: list[str], log: Path, point: str) -> Fork:
        """A new gateway. Raises `RuntimeError` if the fork server is gone."""
        assert self._process.stdin is not None
        request = json.dumps({"words": words, "log": str(log), "point": point})
        with self._news:
            try:
                self._process.stdin.write(request.encode() + b"\n")
                self._process.stdin.flush()
            except OSError:
                raise RuntimeError("the fork server is gone") from None
            if not self._news.wait_for(lambda: bool(self._started), 120):
                raise RuntimeError("the fork server does not answer")
            return self._started.pop()

    def close(self) -> None:
        """End it and every child."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            with self._news:
                if "code" in message:
                    self._children.pop(message["pid"]).reaped(message["code"])
                else:
                    child = self._children[message["pid"]] = Fork(message["pid"])
                    self._started.append(child)
                self._news.notify_all()


def _say(message: dict[str, int]) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


def _child(request: dict[str, Any]) -> None:
    from chaos import gateway
    from veildesk.spool import crashpoint

    log = os.open(request["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, target)
    os.closerange(3, 64)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    random.seed()
    if request["point"]:
        crashpoint._PLAN = crashpoint.CrashPlan(request["point"])
    sys.argv = ["chaos.gateway", *request["words"]]
    code = 70
    try:
        code = gateway.main()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _serve() -> None:
    from chaos import gateway  # noqa: F401
    from veildesk.redact.engine import searcher

    searcher()
    if threading.active_count() != 1:
        raise RuntimeError("a thread runs already: not safe to fork")
    wake, woken = os.pipe()
    for end in (wake, woken):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    living: set[int] = set()
    rest = b""
    while True:
        ready, _, _ = select.select([0, wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
        while living:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            living.discard(pid)
            _say({"pid": pid, "code": os.waitstatus_to_exitcode(status)})
        if 0 not in ready:
            continue
        data = os.read(0, 65536)
        if not data:
            break
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            pid = os.fork()
            if pid == 0:
                _child(json.loads(line))
            living.add(pid)
            _say({"pid": pid})
    for pid in living:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    _serve()
