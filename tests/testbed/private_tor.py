"""A private Tor network on 127.0.0.1: one authority, five relays, a host and a client.

    with PrivateTor() as net:
        net.control("host")      # ControlSocket of the tor that publishes onion services
        net.socks_port           # SOCKS5 port of a tor that visits them

Nothing started here can reach the public network: `TestingTorNetwork` with our own authority only, no
fallback directories, no exits, no DNS, outgoing sockets bound to 127.0.0.1, and neither /etc/tor nor
the distribution's defaults are read. `foreign_connections` proves it for a running network.

Every tor is killed by its own pid on exit. If this process dies without a chance to tidy up, the tors
end by themselves within 15 seconds; only the temporary directory remains then. Needs no pytest.
"""

from __future__ import annotations

import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from testbed.tor_files import Network, Node, Role, make_authority_keys, torrc
from testbed.tor_sockets import foreign_sockets

__all__ = ["PrivateTor", "PrivateTorError", "free_ports"]

_TICK = 0.05


class PrivateTorError(RuntimeError):
    """The network did not start, or a tor ended that should run."""


def free_ports(count: int) -> list[int]:
    """Free TCP ports of 127.0.0.1, below the range the kernel gives to outgoing connections."""
    found: list[int] = []
    for port in random.SystemRandom().sample(range(12000, 32000), 4000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise PrivateTorError("no free ports")


def default_key_cache() -> Path:
    """Where authority keys are kept between runs: the checkout's ignored `var` folder."""
    return Path(__file__).resolve().parents[2] / "var" / "cache" / "tor-keys"


@dataclass(frozen=True, slots=True)
class _Patience:
    """Seconds each phase may take on a busy machine."""

    keys: float = 60.0
    descriptors: float = 40.0
    consensus: float = 15.0
    bootstrap: float = 40.0


class PrivateTor:
    """The network as a context manager. Methods may be called from any thread."""

    def __init__(
        self,
        *,
        relays: int = 5,
        attempts: int = 3,
        host_lines: Iterable[str] = (),
        client_lines: Iterable[str] = (),
        key_cache: Path | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`host_lines` and `client_lines` are further torrc lines; `say` gets progress in words."""
        self._relays = relays
        self._attempts = attempts
        self._extra = {Role.HOST: tuple(host_lines), Role.CLIENT: tuple(client_lines)}
        self._cache = key_cache or default_key_cache()
        self._say = say
        self._patience = _Patience()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.times: dict[str, float] = {}

    def __enter__(self) -> Self:
        self.root = Path(tempfile.mkdtemp(prefix="veildesk-tor-")).resolve()
        # The process the tors watch. Not this one: a stem Controller claims ownership when it sees its
        # own pid there, and tor would then exit when that one connection closes. `cat` ends when our
        # end of the pipe does, however we end.
        self._sentinel = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        try:
            self._start_bounded()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every tor and remove their directories. May be called twice."""
        self._kill_all()
        if self._sentinel.stdin is not None:
            self._sentinel.stdin.close()
        self._sentinel.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    # ------------------------------------------------------------------ what callers ask for

    @property
    def socks_port(self) -> int:
        """SOCKS5 port of the client tor on 127.0.0.1 (ExtendedErrors on, isolated by user name)."""
        return self.net.nodes["client"].socks_port

    def control(self, name: str = "host") -> Path:
        """Absolute path of a tor's ControlSocket (cookie authentication)."""
        return self.net.nodes[name].control

    def controller(self, name: str = "host") -> Any:
        """An authenticated stem Controller; the caller closes it."""
        from stem.control import Controller

        opened = Controller.from_socket_file(str(self.control(name)))
        opened.authenticate()
        return opened

    def forget_descriptors(self) -> None:
        """Let the client drop cached descriptors and circuits, as between two visitors."""
        with self.controller("client") as control:
            control.signal("NEWNYM")

    def pid(self, name: str) -> int:
        """Process id of a tor."""
        return self._processes[name].pid

    def kill(self, name: str) -> None:
        """SIGKILL one tor and wait until it is gone."""
        process = self._processes[name]
        process.kill()
        process.wait()

    def pause(self, name: str) -> None:
        """SIGSTOP one tor: it is there, but answers nothing."""
        self._processes[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """SIGCONT one tor."""
        self._processes[name].send_signal(signal.SIGCONT)

    def restart(self, name: str) -> None:
        """Start a killed tor again on the same directory and ports."""
        node = self.net.nodes[name]
        node.control.unlink(missing_ok=True)
        self._launch(node)

    def foreign_connections(self) -> list[str]:
        """Sockets of our tors with an address outside loopback; must be empty."""
        found: list[str] = []
        for name, process in self._processes.items():
            if process.poll() is None:
                found += [f"{name} {line}" for line in foreign_sockets(process.pid)]
        return found

    def running(self) -> list[str]:
        """Names of the tors that run now."""
        return [name for name, process in self._processes.items() if process.poll() is None]

    # ------------------------------------------------------------------ start

    def _start_bounded(self) -> None:
        for attempt in range(1, self._attempts + 1):
            try:
                self._start(attempt)
            except PrivateTorError as error:
                self._say(f"private tor network, attempt {attempt}: {error}")
                self._kill_all()
                if attempt == self._attempts:
                    raise
            else:
                return

    def _start(self, attempt: int) -> None:
        begun = time.monotonic()
        self.times = {"attempt": float(attempt)}
        self.net = Network(self.root / f"net{attempt}", self._sentinel.pid)
        ports = iter(free_ports(self._relays + 3))
        authority = self.net.add("auth", Role.AUTHORITY, or_port=next(ports), dir_port=next(ports))
        for number in range(self._relays):
            self.net.add(f"relay{number}", Role.RELAY, or_port=next(ports))
        self.net.add("host", Role.HOST, extra=self._extra[Role.HOST])
        self.net.add("client", Role.CLIENT, socks_port=next(ports), extra=self._extra[Role.CLIENT])
        try:
            make_authority_keys(self.net, authority, self._cache, self._patience.keys)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise PrivateTorError(f"authority keys: {type(error).__name__}") from error
        self.times["keys"] = time.monotonic() - begun
        # The first vote is put half an interval away and moved to "now" once every descriptor is there;
        # a vote by the clock would often miss a relay.
        self.net.vote_at(time.time() + self.net.interval / 2)
        for node in self.net.nodes.values():
            self._launch(node)
        mesh = self._relays + 1
        self._wait(self._patience.descriptors, "descriptors", lambda: self._descriptors(authority) >= mesh)
        self.times["descriptors"] = time.monotonic() - begun
        # 2.3 s: tor's floor for vote and distribution delay with a single authority, and a margin.
        self.net.vote_at(time.time() + 2.3)
        authority.torrc.write_text(torrc(self.net, authority))
        self._processes["auth"].send_signal(signal.SIGHUP)
        self._wait(self._patience.consensus, "consensus", lambda: self._consensus(authority, mesh))
        self.times["consensus"] = time.monotonic() - begun
        self._wait_bootstrapped()
        self.times["ready"] = time.monotonic() - begun
        self._say(f"private tor network ready after {self.times['ready']:.1f} s")

    def _launch(self, node: Node) -> None:
        node.torrc.write_text(torrc(self.net, node))
        with (node.directory / "stdout").open("ab") as stdout:
            self._processes[node.name] = subprocess.Popen(
                ["tor", "--defaults-torrc", str(self.net.empty), "-f", str(node.torrc), "--hush"],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _kill_all(self) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                process.kill()
        for process in self._processes.values():
            process.wait()

    def _wait(self, seconds: float, what: str, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            self._all_alive()
            if time.monotonic() > deadline:
                raise PrivateTorError(f"no {what} in time")
            time.sleep(_TICK)

    def _all_alive(self) -> None:
        for name, process in self._processes.items():
            if process.poll() is not None:
                log = self.net.nodes[name].log()
                raise PrivateTorError(f"{name} ended with {process.returncode}: {log[-600:]}")

    def _descriptors(self, authority: Node) -> int:
        return ("\n" + _ask(authority, "server/all")).count("\nrouter ")

    def _consensus(self, authority: Node, mesh: int) -> bool:
        document = _ask(authority, "status-vote/current/consensus-microdesc")
        if not document:
            return False
        listed = document.count("\nr ")
        if listed < mesh:
            raise PrivateTorError(f"{listed} of {mesh} relays in the consensus")
        return True

    def _wait_bootstrapped(self) -> None:
        """SIGHUP makes a tor forget failed downloads; it would sit out a back-off of 10 s otherwise."""
        nudged: dict[str, float] = {}

        def nudge_pending() -> bool:
            pending = [n for n in self.net.nodes.values() if "Bootstrapped 100%" not in n.log()]
            relays = [n for n in pending if n.role is Role.RELAY]
            now = time.monotonic()
            for node in relays or pending:  # relays first: they serve the others
                if node.role is not Role.AUTHORITY and now - nudged.get(node.name, 0.0) > 1.5:
                    nudged[node.name] = now
                    self._processes[node.name].send_signal(signal.SIGHUP)
            return not pending

        self._wait(self._patience.bootstrap, "bootstrap", nudge_pending)


def _ask(authority: Node, path: str) -> str:
    """A directory document of the authority, empty if there is none yet."""
    address = f"http://127.0.0.1:{authority.dir_port}/tor/{path}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=2) as answer:
            return answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        error.close()
        return ""
    except OSError:
        return ""
