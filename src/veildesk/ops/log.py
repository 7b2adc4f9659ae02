"""Logs without user content: fixed event words, codes and counts, one line each.

Records of other libraries are let through from warning level on, and then only their logger's name and
level: their messages may repeat what they were given. Tracebacks keep file, line and exception class,
never the exception's text.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from typing import TextIO

__all__ = ["QuietFormatter", "set_up_logging", "where"]


class QuietFormatter(logging.Formatter):
    """Formats own records as they are and strips foreign ones to name and level."""

    def format(self, record: logging.LogRecord) -> str:
        """One line: level, logger, message, and where an exception came from."""
        own = record.name == "veildesk" or record.name.startswith("veildesk.")
        message = record.getMessage() if own else "message-withheld"
        line = f"{record.levelname.lower()} {record.name} {message}"
        if record.exc_info and record.exc_info[1] is not None:
            line += " " + where(record.exc_info[1])
        return line.replace("\n", " ").replace("\r", " ")


def where(error: BaseException) -> str:
    """Class of an exception and where it came from, never its text."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = ">".join(f"{frame.name}:{frame.lineno}" for frame in frames)
    return f"exception={type(error).__name__} at={places}"


def set_up_logging(level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send everything to `stream` (standard error by default) through `QuietFormatter`."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(QuietFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("veildesk").setLevel(level)
    # Nothing of this is ever written, and looking it up costs more than the rest of a record.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # asyncio's debug output and last-resort handler would print what it holds.
    logging.raiseExceptions = False
    sys.excepthook = _quiet_hook
    # Of threads and of objects that are taken down; both would print the exception's text.
    threading.excepthook = _quiet_thread_hook
    sys.unraisablehook = _quiet_thread_hook


def _quiet_hook(kind: type[BaseException], error: BaseException, trace: object) -> None:
    logging.getLogger("veildesk").critical("unhandled %s", where(error))


def _quiet_thread_hook(given: threading.ExceptHookArgs | sys.UnraisableHookArgs) -> None:
    error = given.exc_value
    place = given.exc_type.__name__ if error is None else where(error)
    logging.getLogger("veildesk").critical("unhandled-beside %s", place)
