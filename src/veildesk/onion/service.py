"""One v3 onion service, kept published: added again whenever tor or the connection to it dies or hangs.

`ManagedOnion` adds the service itself and attaches it to its control connection, so that it is gone when
the gateway is: visitors get a quick refusal instead of a dead socket. `WatchedOnion` is for a service in
tor's own configuration and only reports. Neither ever logs a command, an answer or the key.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from veildesk.core.errors import OnionUnavailable
from veildesk.core.ports import OnionState
from veildesk.onion.another import AnotherWatch
from veildesk.onion.control import ControlLink, DescriptorEvent
from veildesk.onion.key import load_key, public_key_of
from veildesk.onion.request import OnionRequest, Target
from veildesk.onion.trouble import ControlFailed, Trouble

__all__ = ["ManagedOnion", "Timing", "WatchedOnion"]

_log = logging.getLogger("veildesk.onion")


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds: limit of one control call, pause between heartbeats, first and longest pause before a
    new try, and the longest one when tor refuses, since each refusal leaves a trace in its log; between
    looks for another gateway on our key, and after one that found it; how long no directory may take the
    descriptor, at first and at most, before the service is added anew."""

    call: float = 10.0
    heartbeat: float = 15.0
    first_pause: float = 0.2
    longest_pause: float = 5.0
    refused_pause: float = 30.0
    look: float = 900.0
    look_again: float = 60.0
    upload: float = 180.0
    longest_upload: float = 1800.0


class _Onion:
    """What both modes share: connect, listen, beat, and begin again. Implements `OnionService`."""

    def __init__(self, control_socket: Path, address: str, timing: Timing) -> None:
        self.address = address
        self._control = control_socket
        self._timing = timing
        self._label = address.removesuffix(".onion")
        self._connected = False
        self._published = asyncio.Event()
        self._trouble = Trouble.STARTING
        self._was_up = False
        self._patience = timing.upload
        self._offered = False
        self._another = AnotherWatch(self._label, timing.look, timing.look_again)

    async def run(self) -> None:
        """Publish and keep published until cancelled. Every failure is tried again, with a pause."""
        pause = self._timing.first_pause
        try:
            while True:
                try:
                    await self._hold()
                except ControlFailed as failure:
                    self._note(failure.trouble)
                if self._was_up:
                    pause = self._timing.first_pause
                # A refusal may be the passing trace of our own last connection: first quickly again.
                refused = self._trouble in _REFUSALS
                pause = min(pause, self._timing.refused_pause if refused else self._timing.longest_pause)
                await asyncio.sleep(pause)
                pause *= 2
        finally:
            self._down()
            self._trouble = Trouble.STARTING

    async def wait_published(self, timeout: float) -> None:
        """Return when a directory has the descriptor. Raises `OnionUnavailable` with the trouble's word."""
        try:
            async with asyncio.timeout(timeout):
                await self._published.wait()
        except TimeoutError:
            raise OnionUnavailable((self._trouble or Trouble.UPLOAD).value) from None

    def state(self) -> OnionState:
        """What is known now."""
        published = self._published.is_set()
        return OnionState(
            self.address, self._connected, published, self._trouble.value, published and self._another.found
        )

    async def _hold(self) -> None:
        """One connection from open to loss. Returns when it was closed by tor, raises otherwise."""
        self._was_up = False
        link = await ControlLink.open(self._control, self._timing.call)
        try:
            self._connected = True
            await link.watch_descriptors(self._told)
            await self._engage(link)
            self._was_up = True
            self._note(await _network_trouble(link))
            loop = asyncio.get_running_loop()
            self._another.begin(loop.time())
            waiting = loop.time()
            while not await _happens(link.closed, self._timing.heartbeat):
                self._note(await _network_trouble(link))
                if self._published.is_set():
                    await self._look(link, loop.time())
                if self._trouble is not Trouble.UPLOAD:
                    waiting = loop.time()
                self._give_up(loop.time() - waiting)
            raise ControlFailed(Trouble.LOST)
        finally:
            self._down()
            await link.close()

    def _give_up(self, waited: float) -> None:
        """Raises `ControlFailed` if no directory took the descriptor for too long, with a working network.

        tor tries an upload that failed again only when the next one is due, an hour or two later; a
        service that is added anew is uploaded at once.
        """
        if waited >= self._patience:
            self._patience = min(2 * self._patience, self._timing.longest_upload)
            _log.warning("onion-added-again")
            raise ControlFailed(Trouble.UPLOAD)

    async def _look(self, link: ControlLink, now: float) -> None:
        before = self._another.found
        await self._another.beat(link, now)
        if self._another.found and not before:
            _log.error("onion-%s", Trouble.ANOTHER.value)

    async def _engage(self, link: ControlLink) -> None:
        """What this mode does with a fresh connection."""
        raise NotImplementedError

    def _told(self, event: DescriptorEvent) -> None:
        """An HS_DESC event; ours alone count."""
        if event.address == self._label and event.action == "RECEIVED":
            self._another.received()
        # An upload that began before the service was added is that of a remainder under the same key.
        if event.address == self._label and event.action == "UPLOAD":
            self._offered = True
        if event.address == self._label and event.action == "UPLOADED" and self._connected and self._offered:
            self._publish()

    def _publish(self) -> None:
        if not self._published.is_set():
            self._published.set()
            self._patience = self._timing.upload
            _log.info("onion-published")
        self._note(Trouble.NONE)

    def _down(self) -> None:
        self._offered = False
        if self._published.is_set():
            _log.warning("onion-unpublished")
        self._connected = False
        self._published.clear()

    def _note(self, trouble: Trouble) -> None:
        if trouble is Trouble.NONE and not self._published.is_set():
            trouble = Trouble.UPLOAD
        if trouble is not self._trouble:
            self._trouble = trouble
            if trouble not in (Trouble.NONE, Trouble.UPLOAD):
                _log.warning("onion-%s", trouble.value)


_REFUSALS = frozenset({Trouble.COLLISION, Trouble.PROOF_OF_WORK, Trouble.NOT_ANONYMOUS, Trouble.REFUSED})


class ManagedOnion(_Onion):
    """A service that the gateway adds to tor under a key of its own (`key_file`, see `key`).

    Raises `KeyUnusable` or `ConfigInvalid` at once for a key or request that cannot work.
    """

    def __init__(
        self,
        control_socket: Path,
        key_file: Path,
        targets: Sequence[Target],
        *,
        proof_of_work: bool = True,
        max_streams: int = 64,
        client_keys: Sequence[str] = (),
        timing: Timing | None = None,
    ) -> None:
        """Arguments as in `OnionRequest`; the key is read here once."""
        self._key = load_key(key_file)
        self._request = OnionRequest(tuple(targets), proof_of_work, max_streams, tuple(client_keys))
        super().__init__(control_socket, self._key.address, timing or Timing())

    async def _engage(self, link: ControlLink) -> None:
        if await link.option("HiddenServiceNonAnonymousMode") == "1":
            raise ControlFailed(Trouble.NOT_ANONYMOUS)
        # A detached service on our key is the remains of another program's run and in the way. Looked
        # for first, because tor logs an internal error for a collision. One that is attached to
        # another connection is not listed and not ours to remove: that is a second gateway.
        detached = await link.info("onions/detached")
        if self._label in (detached or "").split():
            await link.send(f"DEL_ONION {self._label}")
            self._offered = False
        reply = await link.send(self._request.command(self._key))
        if not reply.ok:
            raise ControlFailed(_refusal(reply.text, self._request.proof_of_work))


def _refusal(text: str, proof_of_work: bool) -> Trouble:
    lowered = text.lower()
    if "collision" in lowered:
        return Trouble.COLLISION
    if proof_of_work and "pow" in lowered:
        return Trouble.PROOF_OF_WORK
    return Trouble.REFUSED


class WatchedOnion(_Onion):
    """A service in tor's own configuration (HiddenServiceDir), watched through the control socket."""

    def __init__(self, control_socket: Path, address: str, *, timing: Timing | None = None) -> None:
        """`address` includes ".onion". Raises `ValueError` if it is not an intact v3 address."""
        public_key_of(address)
        super().__init__(control_socket, address, timing or Timing())

    async def _engage(self, link: ControlLink) -> None:
        """Ask the directories: the last upload may have been an hour before this connection."""
        if await link.info(f"hs/service/desc/id/{self._label}") is None:
            raise ControlFailed(Trouble.ABSENT)
        await link.send(f"HSFETCH {self._label}")

    def _told(self, event: DescriptorEvent) -> None:
        if event.address == self._label and event.action == "RECEIVED" and self._connected:
            self._publish()
        super()._told(event)


async def _network_trouble(link: ControlLink) -> Trouble:
    """Whether tor could publish at all. Doubles as the heartbeat: a hanging tor does not answer."""
    phase = await link.info("status/bootstrap-phase")
    if phase is not None and "PROGRESS=100" in phase.split():
        return Trouble.NONE
    return Trouble.OFFLINE if await link.option("DisableNetwork") == "1" else Trouble.BOOTSTRAPPING


async def _happens(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
