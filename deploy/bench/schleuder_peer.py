"""Schleuder from Debian's package, in a folder of its own, with our support key as the key of its list.

Its own job on a mail: decrypt and check, then sign and encrypt to its one subscriber and hand it to an SMTP
server. A mail server starts one process for each mail; so does `work`.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Schleuder", "installed", "version"]

_LIST = "support@desk.example"
_CONFIG = """\
lists_dir: {root}/lists
listlogs_dir: {root}/logs
keyword_handlers_dir: {root}/handlers
filters_dir: {root}/filters
log_level: error
superadmin: root@localhost
smtp_settings:
  address: 127.0.0.1
  port: {port}
  enable_starttls_auto: false
database:
  production:
    adapter: 'sqlite3'
    database: {root}/db.sqlite
    timeout: 5000
"""
_SET_UP = """
require 'schleuder'
ActiveRecord::Migration.verbose = false
load '/usr/lib/ruby/vendor_ruby/schleuder/db/schema.rb'
list, _ = Schleuder::ListBuilder.new({email: ARGV[0], fingerprint: ARGV[1]}).run
abort list.errors.full_messages.join(', ') unless list.errors.empty?
sub, _ = list.subscribe('agent@desk.example', ARGV[2], true, true, File.read(ARGV[3]))
abort sub.errors.full_messages.join(', ') unless sub.errors.empty?
"""


def installed() -> bool:
    """Whether Debian's package is there."""
    return shutil.which("schleuder") is not None


def version() -> str:
    """Its version."""
    done = subprocess.run(["schleuder", "version"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


@dataclass(frozen=True)
class Schleuder:
    """A list in `root`. `port` is an SMTP server that takes what it sends."""

    root: Path
    port: int

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "SCHLEUDER_CONFIG": str(self.root / "schleuder.yml"),
            "SCHLEUDER_LIST_DEFAULTS": "/etc/schleuder/list-defaults.yml",
            "SCHLEUDER_ENV": "production",
            "HOME": str(self.root),
        }

    def set_up(self, secret_key: bytes, fingerprint: str, agent: bytes, agent_fingerprint: str) -> None:
        """Make database and list; both keys as GnuPG exports them. Raises RuntimeError with what it said."""
        home = self.root / "lists" / "desk.example" / "support"
        for folder in (home, self.root / "logs", self.root / "handlers", self.root / "filters"):
            folder.mkdir(parents=True, mode=0o700)
        (self.root / "schleuder.yml").write_text(_CONFIG.format(root=self.root, port=self.port))
        (self.root / "agent.asc").write_bytes(agent)
        gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--import"]
        self._run(gpg, secret_key)
        words = [_LIST, fingerprint, agent_fingerprint, str(self.root / "agent.asc")]
        self._run(["ruby", "-e", _SET_UP, *words], b"")

    def work(self, mail: bytes) -> float:
        """Run one mail through the list; returns processor seconds of all its processes that ended."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._run(["schleuder", "work", _LIST], mail)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def _run(self, words: list[str], given: bytes) -> None:
        done = subprocess.run(
            words, input=given, capture_output=True, env=self._environment(), timeout=120, check=False
        )
        if done.returncode or b"rror" in done.stdout:
            raise RuntimeError((done.stdout + done.stderr).decode(errors="replace")[-500:])

    def close(self) -> None:
        """End the agent of its keyring."""
        home = str(self.root / "lists" / "desk.example" / "support")
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False, capture_output=True)
