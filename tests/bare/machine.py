"""A bare Debian 12 in a folder: nothing in it but what debootstrap brings.

The base is made once (var/bare/base) from the mirror that this machine's own apt uses; every proof works
on an overlay of it. Programs run in it either in a chroot, with this machine's network, to install
packages; or booted under systemd in a network namespace that has nothing but loopback.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "Machine", "bare_machine", "booted"]

ROOT = Path(__file__).resolve().parents[2]
_STATE = ROOT / "var" / "bare"
_INCLUDE = "ca-certificates,dbus,git,gpg,gpgv,libpam-systemd,make,python3,python3-venv,systemd,systemd-sysv"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PASSED_ON = re.compile(r"(?i)(pip_.*|.*_proxy|no_proxy)$")
_NOT_PASSED_ON = {"PIP_FIND_LINKS", "PIP_CONSTRAINT", "PIP_CERT"}


@dataclass(frozen=True)
class Machine:
    """A root folder, and under systemd the id of its first process as seen from here."""

    root: Path
    leader: int | None = None

    def run(self, script: str, *, timeout: float = 900, check: bool = True) -> str:
        """Run a shell script in it as root; returns what it said, standard error included."""
        if self.leader is None:
            command = ["chroot", str(self.root)]
        else:
            command = ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p", "-C"]
        done = subprocess.run(
            [*command, "/bin/sh", "-euc", script],
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
            text=True,
            errors="replace",
        )
        if check and done.returncode:
            raise AssertionError(f"exit {done.returncode} of:\n{script}\n{done.stdout[-6000:]}")
        return done.stdout

    def until(self, script: str, seconds: float = 120) -> str:
        """Run `script` until it succeeds."""
        end = time.monotonic() + seconds
        while True:
            said = self.run(f"{{ {script}\n}} || echo NOT-YET", check=False)
            if "NOT-YET" not in said:
                return said
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds} s: {script}\n{said[-4000:]}")
            time.sleep(1)


def _environment() -> Mapping[str, str]:
    """What a fresh root shell has, and how this machine reaches its package mirrors."""
    kept = {k: v for k, v in os.environ.items() if _PASSED_ON.match(k) and k not in _NOT_PASSED_ON}
    certificates = {"PIP_CERT": "/etc/ssl/certs/ca-certificates.crt"}
    return {"PATH": _PATH, "HOME": "/root", "LANG": "C.UTF-8", **kept, **certificates}


def _mirror() -> str:
    """The Debian mirror of this machine's own apt."""
    pattern = re.compile(r"^(?:URIs:|deb(?: \[[^]]*\])?)\s+(\S+/debian)/?(?:\s|$)", re.MULTILINE)
    for file in sorted(Path("/etc/apt").glob("**/*")):
        if file.suffix in (".list", ".sources") and (found := pattern.search(file.read_text())):
            return found[1]
    raise AssertionError("no Debian mirror in /etc/apt")


def _base() -> Path:
    base = _STATE / "base"
    if (base / ".complete").exists():
        return base
    shutil.rmtree(base, ignore_errors=True)
    _STATE.mkdir(parents=True, exist_ok=True)
    command = ["debootstrap", "--variant=minbase", f"--include={_INCLUDE}", "bookworm", str(base), _mirror()]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    # The ways to the mirrors, certificates included, are this machine's.
    shutil.rmtree(base / "etc/apt")
    shutil.copytree("/etc/apt", base / "etc/apt", symlinks=True)
    for folder in ("usr/share/keyrings", "usr/local/share/ca-certificates"):
        shutil.copytree(f"/{folder}", base / folder, symlinks=True, dirs_exist_ok=True)
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", base / "etc/ssl/certs/ca-certificates.crt")
    (base / ".complete").touch()
    return base


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


@contextmanager
def bare_machine(name: str) -> Iterator[Machine]:
    """An overlay of the base with proc, dev and a copy of this checkout's last commit under /opt/veildesk."""
    base, place = _base(), _STATE / name
    root, mounted = place / "root", []
    shutil.rmtree(place, ignore_errors=True)
    for folder in ("up", "work", "root"):
        (place / folder).mkdir(parents=True)
    try:
        layers = f"lowerdir={base},upperdir={place / 'up'},workdir={place / 'work'}"
        _mount("-t", "overlay", "overlay", "-o", layers, str(root))
        mounted.append(root)
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
        with suppress(FileNotFoundError):
            shutil.copy("/etc/hosts", root / "etc/hosts")
        subprocess.run(["git", "clone", "-q", str(ROOT), str(root / "opt/veildesk")], check=True)
        _mount("-t", "proc", "proc", str(root / "proc"))
        mounted.append(root / "proc")
        _mount("--rbind", "/dev", str(root / "dev"))
        _mount("--make-rslave", str(root / "dev"))
        mounted.append(root / "dev")
        yield Machine(root)
    finally:
        for mount in reversed(mounted):
            subprocess.run(["umount", "-R", "-l", str(mount)], check=False)
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def booted(machine: Machine) -> Iterator[Machine]:
    """The same machine with systemd as its first process, and no network but loopback.

    No packet can leave it, whatever its tor is told: the namespace has no other interface.
    """
    for folder in ("proc", "dev"):
        subprocess.run(["umount", "-R", "-l", str(machine.root / folder)], check=True)
    (machine.root / "etc/machine-id").write_text("")
    command = ["systemd-nspawn", "-q", "--boot", "--private-network", "--register=no", "--keep-unit"]
    console = machine.root.parent / "console.log"
    with console.open("wb") as log:
        process = subprocess.Popen(
            [*command, "-D", str(machine.root)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        end = time.monotonic() + 120
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not (ids := children.read_text().split()):
            assert process.poll() is None, console.read_text()[-3000:]
            assert time.monotonic() < end, console.read_text()[-3000:]
            time.sleep(0.2)
        inside = Machine(machine.root, int(ids[0]))
        inside.until("systemctl is-system-running | grep -Eq 'running|degraded'")
        interfaces = re.findall(r"^\s*(\S+):", Path(f"/proc/{ids[0]}/net/dev").read_text(), re.MULTILINE)
        assert interfaces == ["lo"]
        yield inside
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
