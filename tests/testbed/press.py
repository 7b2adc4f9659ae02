"""A small gateway made by `veildesk init`, its commands, and strangers who verify what it published."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

import veildesk.notices
from veildesk.cli import main

__all__ = ["PressRoom", "VERIFIER", "fresh_gpg", "press_room", "stop_agents"]

VERIFIER = Path(veildesk.notices.__file__).parent / "standalone" / "verify-notices.py"
SHM = "/dev/shm" if Path("/dev/shm").is_dir() else None


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


@dataclass
class PressRoom:
    """`folder` holds veildesk.toml; `keys` are what init said."""

    folder: Path
    keys: Mapping[str, str]

    @property
    def config(self) -> Path:
        return self.folder / "veildesk.toml"

    @property
    def notices(self) -> Path:
        return self.folder / "state" / "notices"

    def command(self, *words: str) -> Outcome:
        """Run a veildesk command in this process: starting one for each would mostly compile patterns."""
        done = CliRunner().invoke(main, words, env={"VEILDESK_CONFIG": str(self.config)})
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Outcome(done.exit_code, done.stdout, done.stderr)

    def elsewhere(self, *words: str, crashpoint: str = "") -> int:
        """Run a command in a child process, which may kill itself at a point; returns the child's id."""
        child = os.fork()
        if child == 0:
            code = 70
            try:
                if crashpoint:
                    os.environ["VEILDESK_NOTICE_CRASHPOINT"] = crashpoint
                code = self.command(*words).returncode
            finally:
                os._exit(code)
        return child

    def run(self, *words: str) -> Any:
        """A command that must work; returns its JSON."""
        done = self.command(*words, "--json")
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return json.loads(done.stdout)

    def exit_code(self, child: int) -> int:
        """Wait for a child of `elsewhere`; negative for a signal."""
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def refused(self, *words: str) -> str:
        """A command that must be refused; returns what it says."""
        done = self.command(*words)
        assert done.returncode != 0, (words, done.stdout)
        return done.stderr

    def publish(self, title: str = "Late", **more: str) -> Any:
        """A plain notice by options."""
        words = ["--title", title, "--state", "investigating", "--impact", "minor"]
        words += ["--action", "You need not do anything.", "--summary", "Mail is late."]
        for name, value in more.items():
            words += [f"--{name}", value]
        return self.run("notice", "publish", *words)

    def files(self) -> list[Path]:
        return sorted(self.notices.glob("0*.asc"))

    def gpg(self, *words: str, stdin: str = "") -> str:
        """gpg in the gateway's own home."""
        home = self.folder / "keys" / "gnupg"
        done = subprocess.run(
            [
                "gpg",
                "--homedir",
                str(home),
                "--batch",
                "--no-tty",
                "--pinentry-mode=loopback",
                "--passphrase=",
                *words,
            ],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    def settings(self, text: str) -> None:
        """Add to the configuration."""
        with self.config.open("a") as file:
            file.write("\n" + text)

    def replace(self, old: str, new: str) -> None:
        """Change the configuration."""
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))


@contextmanager
def fresh_gpg(*keys: Path) -> Iterator[list[str]]:
    """Stock gpg in a home that knows these keys only; yields the words to start it with."""
    home = tempfile.mkdtemp(dir=SHM)
    words = ["gpg", "--homedir", home, "--batch", "--no-tty"]
    try:
        for key in keys:
            subprocess.run([*words, "--import", str(key)], check=True, capture_output=True, timeout=60)
        yield words
    finally:
        stop_agents(Path(home))
        shutil.rmtree(home, ignore_errors=True)


def stop_agents(home: Path) -> None:
    """End the agent of a home."""
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)


@contextmanager
def press_room(
    settings: str = "", *, address: str = "support@example.org", tor_control: Path | None = None
) -> Iterator[PressRoom]:
    """A fresh gateway without servers, in memory."""
    root = Path(tempfile.mkdtemp(prefix="press-", dir=SHM))
    folder = root / "g"
    try:
        words = ["init", "--dir", str(folder), "--name", "Example", "--address", address]
        words += ["--tor-control", str(tor_control)] if tor_control else []
        done = CliRunner().invoke(main, [*words, "--json"])
        assert done.exit_code == 0, done.stderr
        room = PressRoom(folder, json.loads(done.stdout))
        if settings:
            room.settings(settings)
        yield room
    finally:
        stop_agents(folder / "keys" / "gnupg")
        shutil.rmtree(root, ignore_errors=True)
