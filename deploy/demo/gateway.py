"""The gateway under test: a real process made by the real commands, killed and started at will."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

VEILDESK = [sys.executable, "-I", "-m", "veildesk"]


class GatewayProcess:
    """One gateway folder and at most one running process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "veildesk.toml"
        self.log = folder / "gateway.log"
        self._process: subprocess.Popen[bytes] | None = None

    def command(self, *words: str, check: bool = True) -> str:
        """Run a veildesk command on this gateway's configuration and return its output."""
        done = subprocess.run(
            [*VEILDESK, *words],
            capture_output=True,
            text=True,
            check=False,
            env=self._environment(),
            timeout=120,
        )
        if check and done.returncode:
            raise RuntimeError(f"veildesk {' '.join(words)}: exit {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def init(self, name: str, address: str, tor_control: Path) -> dict[str, str]:
        """`veildesk init`."""
        words = ["init", "--dir", str(self.folder), "--name", name, "--address", address]
        made: dict[str, str] = json.loads(self.command(*words, "--tor-control", str(tor_control), "--json"))
        return made

    def configure(self, **sections: dict[str, Any]) -> None:
        """Replace or add whole sections of the configuration file."""
        text = self.config.read_text()
        for name, values in sections.items():
            text = re.sub(rf"^\[{name}\][^\[]*(?=^\[|^# \[|\Z)", "", text, flags=re.M)
            lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
            text += f"\n[{name}]\n" + "\n".join(lines) + "\n"
        self.config.write_text(text)

    def start(self, seconds: float = 60.0) -> int:
        """Start and wait until it answers; returns its process id."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*VEILDESK, "run", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
            )
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise RuntimeError(f"the gateway ended: {self.log.read_text()[-2000:]}")
            if (status := self.status()) and status["running"]:
                return self._process.pid
            time.sleep(0.05)
        raise TimeoutError("the gateway did not get ready")

    def status(self) -> dict[str, Any] | None:
        """What the control socket says; None while nothing answers."""
        from veildesk.ops.control import ask

        try:
            result: dict[str, Any] = ask(self.folder / "state" / "control", {"command": "status"}, 5.0)[
                "result"
            ]
        except (OSError, ValueError, TimeoutError, KeyError):
            return None
        return result

    def command_poll(self) -> None:
        """Ask the helpdesk for answers now."""
        from veildesk.ops.control import ask

        ask(self.folder / "state" / "control", {"command": "poll"}, 5.0)

    def wait(self, what: str, seconds: float, **counts: int) -> dict[str, Any]:
        """Wait until at least so many messages are in each named state."""
        end = time.monotonic() + seconds
        seen: dict[str, Any] = {}
        while time.monotonic() < end:
            if status := self.status():
                seen = status["messages"]
                if all(seen.get(state, 0) >= count for state, count in counts.items()):
                    return seen
            time.sleep(0.1)
        raise TimeoutError(f"{what}: messages are {seen}, wanted {counts}; see {self.log}")

    def kill(self) -> int:
        """SIGKILL, as a crash would; returns the process id."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        return self._process.pid

    def stop(self) -> None:
        """SIGTERM, then wait."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        home = self.folder / "keys" / "gnupg"
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)

    @staticmethod
    def _environment() -> dict[str, str]:
        kept = ("PATH", "HOME", "LANG", "TMPDIR")
        return {name: os.environ[name] for name in kept if name in os.environ}
