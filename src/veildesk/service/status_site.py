"""The status site as a process of its own: it looks, writes, beats, delivers and serves without the gateway.

Everything it needs lies in the state folder; it never opens the store. When it cannot see a part of the
service, the page says "unknown".
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import uvicorn

from veildesk.core.errors import ConfigInvalid, VeildeskError
from veildesk.core.notice import Board, ComponentState
from veildesk.notices.channels.export import export_tree
from veildesk.notices.components import write_checks
from veildesk.notices.expiry import expiries
from veildesk.onion.service import ManagedOnion
from veildesk.ops.control import ask
from veildesk.ops.notify import notify
from veildesk.portal import serve as portal_serve
from veildesk.portal.status_site import create_status_app
from veildesk.service.config import Config, StatusConfig
from veildesk.service.notices import Press, open_press, status_folder
from veildesk.service.official import own_onions
from veildesk.service.stopping import stop_at_signals
from veildesk.service.taken import refuse_taken

__all__ = ["Upkeep", "look", "serve_status_site"]

_log = logging.getLogger("veildesk.notices")
_DAY, _HOUR = 86400, 3600


def look(config: Config) -> dict[str, ComponentState]:
    """What the gateway says of its parts; a part that nobody can see is left out."""
    try:
        status = ask(config.gateway.state_dir / "control", {"command": "status"}, 5.0)["result"]
    except (OSError, TimeoutError, ValueError, KeyError):
        return {}
    states: dict[str, ComponentState] = {}
    if config.portal is not None:
        published = status.get("onion_published")
        away = published is False or status.get("portal") == "away"
        states["portal"] = ComponentState.MAJOR_OUTAGE if away else ComponentState.OPERATIONAL
    states["mail"] = ComponentState.OPERATIONAL
    failing = [name for name, word in status.get("backends", {}).items() if word != "ok"]
    if status.get("backends"):
        states["helpdesk"] = ComponentState.DEGRADED if failing else ComponentState.OPERATIONAL
    return states


class Upkeep:
    """One look after the other: components, heartbeat, files, channels, what is about to end."""

    def __init__(self, press: Press, seconds: float) -> None:
        self._press = press
        self._seconds = seconds
        self._shown: object = None
        self._watched = 0
        self._kept = 0
        self._warned: dict[str, tuple[int | None, int]] = {}

    async def run(self) -> None:
        """Until cancelled. Whatever fails is logged and tried again at the next look."""
        while True:
            try:
                await self.once()
            except Exception as error:
                # Public pages must not take the gateway with them.
                _log.error("notices-upkeep-failed reason=%s", _reason(error))
            await asyncio.sleep(self._seconds)

    async def once(self) -> None:
        """One look."""
        press = self._press
        if press.config.status is not None:
            states = await asyncio.to_thread(look, press.config)
            folder = press.directory.folder
            await asyncio.to_thread(write_checks, folder, states, press.clock.now(), self._seconds)
        try:
            await press.beat()
        except (VeildeskError, OSError) as error:
            _log.error("heartbeat-failed reason=%s", _reason(error))
        if (hour := press.clock.now() // _HOUR) != self._kept:
            self._kept = hour
            await self._keep_keys()
        board = self._board()
        await self._write(board)
        if board is not None:
            try:
                await press.distribution.run(board)
                await self._watch(board)
            except (VeildeskError, OSError) as error:
                _log.error("notices-upkeep-failed reason=%s", _reason(error))

    async def _keep_keys(self) -> None:
        """A key may have been renewed with other means than ours."""
        try:
            await self._press.keep_keys()
        except (VeildeskError, OSError) as error:
            _log.error("keys-not-kept reason=%s", _reason(error))

    def _board(self) -> Board | None:
        try:
            return self._press.board.board()
        except (VeildeskError, OSError) as error:
            _log.error("notices-unreadable reason=%s", _reason(error))
            return None

    async def _write(self, board: Board | None) -> None:
        """The site's own folder and the exports, when something changed."""
        if board == self._shown and board is not None:
            return
        try:
            if self._press.config.status is not None:
                folder = status_folder(self._press.config)
                await asyncio.to_thread(
                    lambda: export_tree(lambda: self._press.site.files(self._board()), folder)
                )
            for export in self._press.exports:
                await asyncio.to_thread(export.write, board)
            self._shown = board
        except (VeildeskError, OSError) as error:
            _log.error("export-failed reason=%s", _reason(error))

    async def _watch(self, board: Board) -> None:
        """Warn 30, 15 and 5 days before something ends, and daily once it is over."""
        now = self._press.clock.now()
        if now // _HOUR == self._watched:
            return
        self._watched = now // _HOUR
        for one in expiries(board, await self._press.key_expiries()):
            stage = one.stage(now)
            day = now // _DAY if stage == 0 else 0
            if stage is not None and one.at is not None and self._warned.get(one.id) != (stage, day):
                _log.warning("expires what=%s days=%d", one.id, one.left(now) or 0)
            self._warned[one.id] = (stage, day)


async def serve_status_site(config: Config) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    if config.status is None:
        raise ConfigInvalid("[status]: this section is needed for a status site")
    stop = stop_at_signals()
    refuse_taken([("[status] socket", config.status.socket)])
    async with open_press(config) as press:
        upkeep = Upkeep(press, config.status.check_seconds)
        await upkeep.once()
        server = _server(config, config.status)
        serving = asyncio.create_task(server.serve())
        jobs = [serving, asyncio.create_task(upkeep.run())]
        if config.onion is not None and config.onion.status_key_file is not None:
            onion = ManagedOnion(
                config.onion.control_socket,
                config.onion.status_key_file,
                [(80, f"unix:{config.status.socket}")],
                proof_of_work=config.onion.proof_of_work,
                max_streams=config.onion.max_streams,
            )
            jobs.append(asyncio.create_task(onion.run()))
        notify("READY=1", "STATUS=running")
        _log.info("ready parts=status-site")
        waiting = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait({waiting, *jobs}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        for job in (*jobs[1:], waiting):
            job.cancel()
        await asyncio.wait({serving}, timeout=15)
        await asyncio.gather(*jobs, waiting, return_exceptions=True)
    _log.info("stopped")
    # A part that ends by itself takes the process with it, so that a sound one is started.
    return 0 if waiting in done else 1


class _QuietServer(uvicorn.Server):
    """uvicorn without its own signal handlers."""

    def capture_signals(self) -> object:  # type: ignore[override]
        """None: see the class."""
        from contextlib import nullcontext

        return nullcontext()


def _server(config: Config, status: StatusConfig) -> uvicorn.Server:
    hosts = [*own_onions(config)[::-1], *status.hosts, "localhost"]
    _make_room(status.socket)
    return _QuietServer(portal_serve.config(create_status_app(status_folder(config), hosts), status.socket))


def _make_room(socket: Path) -> None:
    socket.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    socket.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    return error.code if isinstance(error, VeildeskError) else type(error).__name__
