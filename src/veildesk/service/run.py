"""Run a gateway: listeners, workers, portal and onion in one task group, until told to stop.

Everything that dies takes the process with it, so that the service manager starts a sound one; on
SIGTERM and SIGINT listeners close first, work under way is finished or given back, then the store closes.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack

from veildesk.child.memory import forbid_core_files, give_back_free_memory, give_back_large_blocks
from veildesk.core.errors import VeildeskError
from veildesk.ops.control import ControlServer
from veildesk.ops.notify import notify
from veildesk.service.build import build_gateway
from veildesk.service.config import Config
from veildesk.service.running import Running

__all__ = ["serve"]

_log = logging.getLogger("veildesk.service")


async def serve(config: Config) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    forbid_core_files()
    give_back_large_blocks()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    code = 0
    async with build_gateway(config) as gateway, AsyncExitStack() as stack:
        running = Running(gateway)
        control = ControlServer(config.gateway.state_dir / "control", running.handlers())
        await control.start()
        stack.push_async_callback(control.close)
        try:
            async with asyncio.TaskGroup() as group:
                jobs = await running.start(stack)
                tasks = [group.create_task(job, name=name) for name, job in jobs]
                _log.info("ready parts=%s", ",".join(name for name, _ in jobs))
                give_back_free_memory()
                notify("READY=1", "STATUS=running")
                await stop.wait()
                notify("STOPPING=1")
                # Listeners first, so that nothing new is promised while work is given back.
                await running.stop_listening()
                for task in tasks:
                    task.cancel()
        except* VeildeskError as faults:
            code = max(fault.exit_code for fault in _each(faults))
            for fault in _each(faults):
                _log.critical("ended reason=%s detail=%s", fault.code, fault.detail)
                _log.critical("%s %s", fault.public, fault.hint)
    _log.info("stopped")
    return code


def _each(faults: BaseExceptionGroup[VeildeskError]) -> Iterator[VeildeskError]:
    for fault in faults.exceptions:
        if isinstance(fault, BaseExceptionGroup):
            yield from _each(fault)
        else:
            yield fault
