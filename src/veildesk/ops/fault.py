"""What is said about a fault that nobody foresaw: one sentence, no traceback, no text of the fault.

A traceback ends with the exception's text, which may hold what was worked on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from veildesk.core.errors import SystemRefused, Unforeseen, VeildeskError
from veildesk.ops.log import where

__all__ = ["each", "told"]


def told(error: BaseException) -> VeildeskError:
    """What to tell the operator about it. Of several faults at once the first that knows what it is."""
    faults = list(each(error))
    known = (fault for fault in faults if isinstance(fault, VeildeskError))
    if (first := next(known, None)) is not None:
        return first
    fault = faults[0]
    if isinstance(fault, OSError) and fault.errno is not None:
        # Of a file that the command line or the configuration names; both are the operator's.
        name = f": {fault.filename}" if isinstance(fault.filename, str) else ""
        return SystemRefused(f"{os.strerror(fault.errno)}{name}")
    return Unforeseen(where(fault))


def each(error: BaseException) -> Iterator[BaseException]:
    """The faults in a group of groups, or the one."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from each(one)
    else:
        yield error
