"""How a process of ours is told to stop: SIGTERM and SIGINT, and SIGHUP where a terminal sends it."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

__all__ = ["stop_at_signals"]

_log = logging.getLogger("veildesk.service")


def stop_at_signals() -> asyncio.Event:
    """An event that is set when this process is to stop.

    SIGHUP from a terminal that closes stops too. A service that gets it is asked to read its configuration
    again, which none of ours does while it runs: it says so and goes on. Ending would be worse, since service
    managers take that end for a wish and start nothing again.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Who started it under nohup wants it to outlive the terminal.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGHUP, stop.set if _on_terminal() else _say_no)
    return stop


def _on_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _say_no() -> None:
    _log.warning("reload-refused reason=configuration-is-read-at-start next=restart")
