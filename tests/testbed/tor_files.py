"""Files of a private Tor network: directories, torrc texts and authority keys.

Pure description except for `make_authority_keys`, which runs tor's own key programs. Every torrc made
here has `TestingTorNetwork 1` and names no authority but ours.
"""

from __future__ import annotations

import calendar
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

__all__ = ["Network", "Node", "Role", "make_authority_keys", "torrc"]


class Role(StrEnum):
    """What a tor does in the network."""

    AUTHORITY = "authority"
    RELAY = "relay"
    HOST = "host"
    CLIENT = "client"


@dataclass(slots=True)
class Node:
    """One tor: its directory and ports (0: none)."""

    name: str
    role: Role
    directory: Path
    or_port: int = 0
    dir_port: int = 0
    socks_port: int = 0
    extra: tuple[str, ...] = ()

    @property
    def control(self) -> Path:
        """Its ControlSocket."""
        return self.directory / "control"

    @property
    def torrc(self) -> Path:
        """Its configuration."""
        return self.directory / "torrc"

    def log(self) -> str:
        """Its log so far."""
        try:
            return (self.directory / "notice.log").read_text(errors="replace")
        except OSError:
            return ""


_INTERVALS = (300, 225, 450, 180, 360, 600, 900, 1800, 200, 150, 120, 100)


def calm_interval(now: float) -> int:
    """A voting interval in seconds with which onion descriptors do not rotate soon; it divides 1800.

    Twelve intervals after a multiple of 24 a new time period begins (rend-spec-v3, 2.2.1 and 2.2.4). In the
    half before it a service's current descriptor is the one that visitors ask for, and so can be compared.
    """
    left = {interval: 12 * interval - now % (24 * interval) for interval in _INTERVALS}
    # One interval after the multiple: the first vote of a period may come so late.
    usable = {interval: seconds for interval, seconds in left.items() if seconds <= 11 * interval}
    calm = [interval for interval, seconds in usable.items() if seconds >= 1800]
    return calm[0] if calm else max(usable, key=lambda interval: usable[interval], default=_INTERVALS[-1])


@dataclass(slots=True)
class Network:
    """Nodes, the authority line they share, and when the authority votes.

    `interval` is long on purpose: tor's testing mode ties the life of onion descriptors to 24 voting
    intervals, so that none rotates in the middle of a test.
    """

    root: Path
    owner_pid: int
    interval: int = field(default_factory=lambda: calm_interval(time.time()))
    vote_offset: int = 0
    authority_line: str = ""
    nodes: dict[str, Node] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root.mkdir(mode=0o700)
        self.empty.write_text("")

    @property
    def calm(self) -> bool:
        """Whether no rotation is near. Around 0 and 12 UTC no interval is calm: they all divide 1800."""
        return 12 * self.interval - time.time() % (24 * self.interval) >= 300

    @property
    def empty(self) -> Path:
        """An empty file, in place of the distribution's torrc defaults."""
        return self.root / "empty"

    def add(
        self,
        name: str,
        role: Role,
        *,
        or_port: int = 0,
        dir_port: int = 0,
        socks_port: int = 0,
        extra: tuple[str, ...] = (),
    ) -> Node:
        """A further tor with a directory of its own."""
        node = Node(name, role, self.root / name, or_port, dir_port, socks_port, extra)
        node.directory.mkdir(mode=0o700)
        self.nodes[name] = node
        return node

    def vote_at(self, moment: float) -> None:
        """Set the next vote to a moment of the wall clock."""
        self.vote_offset = int(moment) % self.interval


def torrc(net: Network, node: Node) -> str:
    """The whole configuration of one tor."""
    lines = [
        "TestingTorNetwork 1",
        "UseDefaultFallbackDirs 0",
        net.authority_line,
        "OutboundBindAddress 127.0.0.1",
        "ClientUseIPv6 0",
        f"Nickname {node.name}",
        f"DataDirectory {node.directory}",
        f"ControlSocket {node.control}",
        "CookieAuthentication 1",
        f"__OwningControllerProcess {net.owner_pid}",
        f"Log notice file {node.directory}/notice.log",
        "LogTimeGranularity 1",
        "AvoidDiskWrites 1",
        "ShutdownWaitLength 0",
        "DisableDebuggerAttachment 0",  # else only root may look at its sockets in /proc
        "PathsNeededToBuildCircuits 0.67",
    ]
    if node.role in (Role.AUTHORITY, Role.RELAY):
        lines += _relay_lines(node)
    if node.role is Role.AUTHORITY:
        lines += _authority_lines(net, node)
    if node.role in (Role.HOST, Role.CLIENT):
        socks = f"SocksPort 127.0.0.1:{node.socks_port} ExtendedErrors" if node.socks_port else "SocksPort 0"
        lines += [socks, "LearnCircuitBuildTimeout 0", "CircuitBuildTimeout 20"]
    return "\n".join([*lines, *node.extra]) + "\n"


def _relay_lines(node: Node) -> list[str]:
    return [
        f"ORPort 127.0.0.1:{node.or_port}",
        "Address 127.0.0.1",
        "SocksPort 0",
        "AssumeReachable 1",
        "ExitRelay 0",
        "ExitPolicy reject *:*",
        "ServerDNSDetectHijacking 0",
        "ServerDNSTestAddresses",
        "ServerDNSResolvConfFile /dev/null",
        "ContactInfo test@test.invalid",
        "NumCPUs 1",
        # All report bandwidth 0 and are chosen evenly. A single relay with a figure above 0 would be
        # guard and last hop of every circuit, and no circuit could be built.
        "TestingMinTimeToReportBandwidth 1 day",
    ]


def _authority_lines(net: Network, node: Node) -> list[str]:
    return [
        f"DirPort 127.0.0.1:{node.dir_port}",
        "AuthoritativeDirectory 1",
        "V3AuthoritativeDirectory 1",
        f"TestingV3AuthInitialVotingInterval {net.interval}",
        "TestingV3AuthInitialVoteDelay 2",
        "TestingV3AuthInitialDistDelay 2",
        f"TestingV3AuthVotingStartOffset {net.vote_offset}",
        f"V3AuthVotingInterval {net.interval}",
        "V3AuthVoteDelay 2",
        "V3AuthDistDelay 2",
        "V3AuthNIntervalsValid 4",
        "TestingAuthDirTimeToLearnReachability 0",
        "TestingDirAuthVoteGuard *",
        "TestingDirAuthVoteHSDir *",
        "TestingDirAuthVoteExit *",
        "TestingMinExitFlagThreshold 0",
        "TestingMinFastFlagThreshold 0",
        "MinUptimeHidServDirectoryV2 0",
    ]


# ---------------------------------------------------------------------- authority keys


def make_authority_keys(net: Network, node: Node, cache: Path, seconds: float) -> None:
    """Give the authority its keys, from `cache` if they are still good, and set `authority_line`.

    The search for RSA keys is the slowest part of a start; the keys are worth nothing elsewhere.
    """
    if _usable(cache / node.name):
        shutil.copytree(cache / node.name, node.directory, dirs_exist_ok=True)
    else:
        _generate(net, node, seconds)
        _remember(node, cache)
    certificate = (node.directory / "keys" / "authority_certificate").read_text()
    identity = _field(certificate, "fingerprint ")
    fingerprint = (node.directory / "fingerprint").read_text().split()[1]
    net.authority_line = (
        f"DirAuthority {node.name} orport={node.or_port} no-v2 v3ident={identity} "
        f"127.0.0.1:{node.dir_port} {fingerprint}"
    )


def _generate(net: Network, node: Node, seconds: float) -> None:
    keys = node.directory / "keys"
    keys.mkdir(mode=0o700)
    gencert = subprocess.Popen(
        ["tor-gencert", "--create-identity-key", "-m", "12", "--passphrase-fd", "0"],
        cwd=keys,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    identity = subprocess.Popen(
        [
            *("tor", "--defaults-torrc", str(net.empty), "-f", str(net.empty), "--DisableNetwork", "1"),
            *("--list-fingerprint", "--quiet", "--ORPort", "1", "--Nickname", node.name),
            *("--DataDirectory", str(node.directory), "--DirAuthority", "x 127.0.0.1:1 " + "F" * 40),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        gencert.communicate(b"test\n", timeout=seconds)
        identity.wait(seconds)
    finally:
        for process in (gencert, identity):
            if process.poll() is None:
                process.kill()
                process.wait()
    if gencert.returncode or identity.returncode:
        raise ValueError("key programs failed")


def _remember(node: Node, cache: Path) -> None:
    """Keep a copy for the next run; whoever is first wins, and a read-only cache is no error."""
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        copy = Path(tempfile.mkdtemp(prefix=".new-", dir=cache))
    except OSError:
        return
    shutil.copytree(node.directory, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("lock"))
    shutil.rmtree(cache / node.name, ignore_errors=True)
    try:
        copy.rename(cache / node.name)
    except OSError:
        shutil.rmtree(copy, ignore_errors=True)


def _usable(folder: Path) -> bool:
    """Whether cached keys are whole and their certificate lasts 40 days more."""
    try:
        certificate = (folder / "keys" / "authority_certificate").read_text()
        (folder / "fingerprint").read_text().split()[1]
        expires = time.strptime(_field(certificate, "dir-key-expires "), "%Y-%m-%d %H:%M:%S")
    except (OSError, ValueError, IndexError):
        return False
    return calendar.timegm(expires) - time.time() > 40 * 86400


def _field(certificate: str, keyword: str) -> str:
    for line in certificate.splitlines():
        if line.startswith(keyword):
            return line.removeprefix(keyword)
    raise ValueError(f"no {keyword.strip()} in the certificate")
