"""A real Postfix and a real Dovecot on loopback, each with directories of its own, for tests and demo.

Plain Python without pytest. Several instances run beside each other: ports are free ones, and nothing
outside one directory is written. Both servers need root to switch to the accounts of their Debian
packages; no account is made. Postfix hands mail for the gateway's domain to an LMTP listener
(`set_gateway_lmtp`) and mail for @users.test to Dovecot, where the users read it by IMAP.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from testbed.mail_config import dovecot_conf, postfix_main, postfix_master
from testbed.mail_tls import make_authority, make_certificate

__all__ = ["MailServers", "MailServersUnavailable"]

_POLL = 0.02


class MailServersUnavailable(RuntimeError):
    """The servers cannot run here; the text says what is missing."""


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]


def _arrival(path: Path) -> tuple[int, int, str]:
    """When a Maildir file came: its name begins with seconds and microseconds, without leading zeros."""
    found = re.match(r"(\d+)\.M(\d+)", path.name)
    return (int(found[1]), int(found[2]), path.name) if found else (0, 0, path.name)


def _until(ready: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise MailServersUnavailable(f"{what} not ready after {seconds:.0f} s")
        time.sleep(_POLL)


def _greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            return bool(connection.recv(1))
    except OSError:
        return False


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def _running(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _children(pid: int) -> list[int]:
    """All descendants of a process."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        direct = parents.get(waiting.pop(), [])
        found += direct
        waiting += direct
    return found


def _reachable(root: Path) -> Path:
    """`root` if other accounts can get there, else a new directory for it below the system's own."""
    below = root
    while not below.exists():
        below = below.parent
    if all(path.stat().st_mode & 0o001 for path in (below, *below.parents)):
        return root
    fresh = Path(tempfile.mkdtemp(prefix="veildesk-mail-"))
    fresh.chmod(0o755)
    return fresh


class MailServers:
    """Postfix and Dovecot as a context manager.

    Their accounts must be able to reach the directory they work in. If `root` lies in a private one, a
    directory below the system's temporary one takes its place and is removed at the end; the attribute
    `root` tells which it is.

    `smtp_port` takes mail from loopback (STARTTLS offered), `imap_port` is IMAPS, `tls_ca` the throw-away
    authority both certificates come from (for "localhost", "mail.test" and 127.0.0.1). `users` are full
    IMAP account names; mail to `user@users.test` reaches INBOX of that account.
    """

    def __init__(
        self,
        root: Path,
        *,
        gateway_domain: str = "gateway.test",
        users: Sequence[str] = ("user@users.test", "bridge@users.test"),
    ) -> None:
        self.root = _reachable(Path(root).resolve())
        self.gateway_domain = gateway_domain
        self.users = tuple(users)
        self.smtp_port, self.imap_port, self._lmtp_port, nowhere = _free_ports(4)
        self.gateway_lmtp = f"inet:127.0.0.1:{nowhere}"
        self.tls_ca = self.root / "tls" / "ca.pem"
        self.mail_log = self.root / "postfix.log"
        self._temporary = self.root != Path(root).resolve()
        self._passwords = {user: secrets.token_urlsafe(18) for user in self.users}

    # ------------------------------------------------------------------ life

    def __enter__(self) -> MailServers:
        self._require()
        self._write_files()
        try:
            self.start_dovecot()
            self.start_postfix()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End both servers and everything they started."""
        self.stop_postfix()
        self.stop_dovecot()
        if self._temporary:
            shutil.rmtree(self.root, ignore_errors=True)

    @staticmethod
    def _require() -> None:
        if os.geteuid() != 0:
            raise MailServersUnavailable("Postfix and Dovecot switch accounts: run this as root or with sudo")
        for program in ("/usr/sbin/postfix", "/usr/sbin/dovecot"):
            if not Path(program).exists():
                raise MailServersUnavailable(f"{Path(program).name} is not installed")

    # ------------------------------------------------------------------ Postfix

    def start_postfix(self) -> None:
        """Start Postfix and wait for its greeting."""
        self._postfix("start")
        _until(lambda: _greets(self.smtp_port), "postfix")

    def stop_postfix(self) -> None:
        """Stop Postfix; queued mail stays in its queue."""
        self._end(self._pid_file(self.root / "queue" / "pid" / "master.pid"))

    def set_gateway_lmtp(self, target: Path | tuple[str, int]) -> None:
        """Say where the gateway listens for LMTP: a Unix socket or host and port."""
        if isinstance(target, tuple):
            self.gateway_lmtp = f"inet:{target[0]}:{target[1]}"
        else:
            self.gateway_lmtp = f"unix:{target}"
        self._write_main()
        if self._pid_file(self.root / "queue" / "pid" / "master.pid"):
            self._postfix("reload")

    def flush(self) -> None:
        """Have Postfix try its queue again now."""
        self._run(["/usr/sbin/postqueue", "-c", str(self.root / "postfix"), "-f"])

    def queued(self) -> int:
        """How many mails Postfix still holds."""
        total = 0
        for queue in ("incoming", "active", "deferred", "maildrop"):
            total += sum(1 for entry in (self.root / "queue" / queue).rglob("*") if entry.is_file())
        return total

    def _postfix(self, command: str) -> None:
        self._run(["/usr/sbin/postfix", "-c", str(self.root / "postfix"), command])

    # ------------------------------------------------------------------ Dovecot

    def start_dovecot(self) -> None:
        """Start Dovecot and wait until IMAP answers."""
        self._run(["/usr/sbin/dovecot", "-c", str(self.root / "dovecot.conf")])
        _until(lambda: _connects(self.imap_port) and _connects(self._lmtp_port), "dovecot")

    def stop_dovecot(self) -> None:
        """Stop Dovecot with all its sessions."""
        self._end(self.dovecot_pid())

    def dovecot_pid(self) -> int | None:
        """Dovecot's main process, None if it does not run."""
        return self._pid_file(self.root / "dovecot" / "run" / "master.pid")

    def imap_sessions(self) -> list[int]:
        """Processes that serve logged-in IMAP clients."""
        return self._dovecot_processes("imap")

    def imap_fronts(self) -> list[int]:
        """Processes that carry the TLS of IMAP clients."""
        return self._dovecot_processes("imap-login")

    def kill_dovecot(self) -> None:
        """End Dovecot and its sessions without any farewell."""
        master = self.dovecot_pid()
        if master is None:
            return
        family = [master, *_children(master)]
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _until(lambda: not any(_running(pid) for pid in family), "end of dovecot")
        # Where nobody reaps orphans, Dovecot would take its own dead predecessor for a running one.
        (self.root / "dovecot" / "run" / "master.pid").unlink(missing_ok=True)

    def kick(self, user: str) -> None:
        """Have Dovecot say BYE to a user's sessions and close them."""
        self._run(["/usr/bin/doveadm", "-c", str(self.root / "dovecot.conf"), "kick", user])

    def doveadm(self, *arguments: str) -> str:
        """Run doveadm and return what it prints."""
        return self._run(["/usr/bin/doveadm", "-c", str(self.root / "dovecot.conf"), *arguments])

    def _dovecot_processes(self, name: str) -> list[int]:
        master = self.dovecot_pid()
        if master is None:
            return []
        found = []
        for pid in _children(master):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/exe").readlink().name == name:
                    found.append(pid)
        return found

    # ------------------------------------------------------------------ users

    def password(self, user: str) -> str:
        """The generated password of an account."""
        return self._passwords[user]

    def password_file(self, user: str) -> Path:
        """A file with the password and a line end, readable for its owner only."""
        return self.root / "passwords" / user

    def tls_context(self) -> ssl.SSLContext:
        """A client context that trusts the throw-away authority and nothing else."""
        return ssl.create_default_context(cafile=str(self.tls_ca))

    @contextlib.contextmanager
    def mailbox(self, user: str, folder: str = "INBOX") -> Iterator[Mapping[str, bytes]]:
        """The mails in a folder as they are now, by file name."""
        yield dict(self._read_mails(user, folder))

    def messages(self, user: str, folder: str = "INBOX") -> list[bytes]:
        """The mails in a folder, in order of arrival."""
        return [content for _, content in self._read_mails(user, folder)]

    def wait_messages(
        self, user: str, count: int, *, folder: str = "INBOX", seconds: float = 20
    ) -> list[bytes]:
        """Wait until a folder has at least `count` mails and return them."""
        _until(lambda: len(self._mail_files(user, folder)) >= count, f"{count} mails", seconds)
        return self.messages(user, folder)

    def _read_mails(self, user: str, folder: str) -> Iterator[tuple[str, bytes]]:
        for path in self._mail_files(user, folder):
            with contextlib.suppress(FileNotFoundError):  # Dovecot moved or renamed it just now
                yield path.name, path.read_bytes()

    def _mail_files(self, user: str, folder: str) -> list[Path]:
        base = self.root / "dovecot" / "mail" / user
        base = base if folder == "INBOX" else base / f".{folder}"
        files = [path for part in ("new", "cur") for path in (base / part).glob("*")]
        return sorted(files, key=_arrival)

    # ------------------------------------------------------------------ files and processes

    def _write_files(self) -> None:
        self.root.mkdir(mode=0o755, parents=True, exist_ok=True)
        for part in ("postfix", "queue", "data", "tls", "passwords", "dovecot/run", "dovecot/state"):
            (self.root / part).mkdir(parents=True, exist_ok=True)
        mail = self.root / "dovecot" / "mail"
        mail.mkdir(exist_ok=True)
        shutil.chown(mail, "nobody", "nogroup")
        shutil.chown(self.root / "data", "postfix")
        authority = make_authority("Veildesk test bed")
        self.tls_ca.write_bytes(authority.certificate_pem)
        certificate, key = make_certificate(authority, ["mail.test", "localhost"], ["127.0.0.1"])
        (self.root / "tls" / "server.pem").write_bytes(certificate)
        key_file = self.root / "tls" / "server.key"
        key_file.touch(mode=0o600)
        key_file.write_bytes(key)
        self._write_accounts()
        self._write_main()
        (self.root / "postfix" / "master.cf").write_text(postfix_master(self.smtp_port))
        (self.root / "dovecot.conf").write_text(dovecot_conf(self.root, self.imap_port, self._lmtp_port))

    def _write_accounts(self) -> None:
        lines = []
        for user, password in self._passwords.items():
            path = self.password_file(user)
            path.touch(mode=0o600)
            path.write_text(password + "\n")
            lines.append(f"{user}:{{PLAIN}}{password}\n")
        accounts = self.root / "accounts"
        accounts.touch(mode=0o600)
        accounts.write_text("".join(lines))
        shutil.chown(accounts, "dovecot", "dovecot")

    def _write_main(self) -> None:
        text = postfix_main(self.root, self.gateway_domain, self.gateway_lmtp, self._lmtp_port)
        fresh = self.root / "postfix" / "main.cf.new"
        fresh.write_text(text)
        fresh.rename(self.root / "postfix" / "main.cf")

    def _run(self, command: list[str]) -> str:
        """Run a command that may leave a daemon behind: no inherited descriptors it could hold open."""
        output = self.root / "command.log"
        with output.open("w+b") as log:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False, timeout=60
            )
            log.seek(0)
            text = log.read().decode("utf-8", "replace")
        if done.returncode != 0:
            raise MailServersUnavailable(f"{Path(command[0]).name} failed: {text.strip()[-500:]}")
        return text

    @staticmethod
    def _pid_file(path: Path) -> int | None:
        try:
            pid = int(path.read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None
        return pid if _running(pid) else None

    @staticmethod
    def _end(pid: int | None) -> None:
        """TERM, then KILL, for a process and all it started."""
        if pid is None:
            return
        family = [pid, *_children(pid)]
        for stop in (signal.SIGCONT, signal.SIGTERM):
            for member in family if stop is signal.SIGCONT else family[:1]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(member, stop)
        with contextlib.suppress(MailServersUnavailable):
            _until(lambda: not any(_running(member) for member in family), "end", 5)
            return
        for member in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        _until(lambda: not any(_running(member) for member in family), "end", 5)
