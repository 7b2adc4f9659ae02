"""mutt and neomutt, really run in a terminal of their own, driven by key strokes."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["TerminalMail"]

_SECONDS = 90
_RC = """\
set crypt_use_gpgme={gpgme}
set crypt_verify_sig=yes
set pager={folder}/pager
set prompt_after=no
ignore *
unignore from: subject reply-to
set wait_key=no
set quit=yes
set folder={folder}
set mbox_type=mbox
set record=""
set move=no
set sleep_time=0
set beep=no
set timeout=2
set header_cache=""
unset mark_old
{extra}
"""
# The commands that Debian ships for the classic back-end, as far as reading needs them.
_CLASSIC = """\
set pgp_decode_command="gpg --status-fd=2 --no-verbose --quiet --batch --output - %f"
set pgp_verify_command="gpg --status-fd=2 --no-verbose --quiet --batch --output - --verify %s %f"
set pgp_decrypt_command="gpg --status-fd=2 --no-verbose --quiet --batch --output - --decrypt %f"
set pgp_good_sign="^\\\\[GNUPG:\\\\] GOODSIG"
set pgp_use_gpg_agent=yes
set pgp_check_gpg_decrypt_status_fd=yes
"""


@dataclass(frozen=True)
class TerminalMail:
    """One program (`mutt` or `neomutt`) over one GnuPG home; `gpgme` picks its OpenPGP back-end."""

    program: str
    gnupg_home: Path
    folder: Path
    gpgme: bool = True

    def read(self, wire: bytes) -> str:
        """A mail as the program shows it: headers, text, what it says about signatures and encryption."""
        box, shown, pager = (self.folder / name for name in ("box", "shown", "pager"))
        pager.write_text(f'#!/bin/sh\ncp "$1" {shown}\n')
        pager.chmod(0o700)
        box.write_bytes(b"From sender Thu Jan  1 00:00:00 1970\n" + wire.replace(b"\r\n", b"\n") + b"\n")
        shown.unlink(missing_ok=True)
        self._run(box, "<display-message><exit>")
        return shown.read_text(encoding="utf-8", errors="replace")

    def _run(self, box: Path, keys: str) -> str:
        rc = self.folder / "rc"
        yes, extra = ("yes", "") if self.gpgme else ("no", _CLASSIC)
        rc.write_text(_RC.format(folder=self.folder, gpgme=yes, extra=extra))
        command = [self.program, "-n", "-F", str(rc), "-f", str(box), "-e", f'push "{keys}"']
        environment = {
            "GNUPGHOME": str(self.gnupg_home),
            "HOME": str(self.folder),
            "PATH": os.environ["PATH"],
            "TERM": "xterm",
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
        }
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)
        try:
            return _drain(ours, process)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            os.close(ours)


def _drain(terminal: int, process: subprocess.Popen[bytes]) -> str:
    """Everything the program draws, until it ends."""
    drawn = b""
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        ready, _, _ = select.select([terminal], [], [], 0.2)
        if ready:
            try:
                piece = os.read(terminal, 65536)
            except OSError:
                return drawn.decode("utf-8", "replace")
            drawn += piece
        elif process.poll() is not None:
            return drawn.decode("utf-8", "replace")
    raise AssertionError(f"the program did not end: {drawn[-400:]!r}")
