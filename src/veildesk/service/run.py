"""Run a gateway: listeners, workers, portal and onion in one task group, until told to stop.

Everything that dies takes the process with it, so that the service manager starts a sound one; on
SIGTERM and SIGINT listeners close first, work under way is finished or given back, then the store closes.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack

from veildesk.child.memory import forbid_core_files, give_back_free_memory, give_back_large_blocks
from veildesk.ops.control import ControlServer
from veildesk.ops.fault import each, told
from veildesk.ops.notify import notify
from veildesk.service.alone import only_gateway
from veildesk.service.build import build_gateway
from veildesk.service.config import Config
from veildesk.service.running import Running
from veildesk.service.sockets import gateway_sockets
from veildesk.service.stopping import stop_at_signals
from veildesk.service.taken import refuse_taken

__all__ = ["serve"]

_log = logging.getLogger("veildesk.service")


async def serve(config: Config) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code. Raises `VeildeskError` for what cannot start."""
    forbid_core_files()
    give_back_large_blocks()
    stop = stop_at_signals()
    code = 0
    async with AsyncExitStack() as outer:
        outer.enter_context(only_gateway(config.gateway.state_dir))
        refuse_taken(gateway_sockets(config))
        gateway = await outer.enter_async_context(build_gateway(config))
        stack = await outer.enter_async_context(AsyncExitStack())
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
        except* Exception as faults:
            code = _log_all(faults)
    _log.info("stopped")
    return code


def _log_all(faults: BaseExceptionGroup[Exception]) -> int:
    found = [told(fault) for fault in each(faults)]
    for fault in found:
        _log.critical("ended reason=%s detail=%s", fault.code, fault.detail)
        _log.critical("%s %s", fault.public, fault.hint)
    return max(fault.exit_code for fault in found)
