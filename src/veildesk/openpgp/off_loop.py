"""Reading mail beside the event loop, where that is worth it.

Handing work to a thread and waiting for it costs more than reading a small mail. The parser is linear and
bounded, so a small input holds the loop up for a millisecond or two, whatever is in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

__all__ = ["SMALL", "off_loop"]

T = TypeVar("T")
SMALL: Final = 16 * 1024


async def off_loop(size: int, run: Callable[[], T]) -> T:
    """What `run` returns; in a thread when its input, of `size` bytes, is more than `SMALL`."""
    return run() if size <= SMALL else await asyncio.to_thread(run)
