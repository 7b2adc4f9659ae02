"""Durable accepts beside what the disk can do."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from pathlib import Path

from measure import ROOT, Row, measure

from veildesk.core.submission import Channel, Submission
from veildesk.ops.clock import SystemClock
from veildesk.spool.keyring import KeyRing
from veildesk.spool.store import SqlSpool

__all__ = ["GROUPS"]


async def accepting() -> list[Row]:
    """Durable accepts of 5 kB, alone and fifty at a time, beside bare appends with fdatasync."""
    rows = []
    with tempfile.TemporaryDirectory(dir=ROOT / "var") as name:
        folder = Path(name)
        spool = await SqlSpool.open(folder / "state", KeyRing.create(folder / "ring"), SystemClock(), 14)
        payload = os.urandom(5000)
        plain = os.open(folder / "plain", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

        async def one() -> None:
            await spool.accept(Submission(Channel.LMTP, secrets.token_bytes(32), payload))

        for together in (1, 10, 50):

            async def ours(count: int = together) -> None:
                for _ in range(100 // count):
                    await asyncio.gather(*(one() for _ in range(count)))

            async def append() -> None:
                for _ in range(100):
                    os.write(plain, payload)
                    os.fdatasync(plain)

            row = Row(
                f"accept.{together}", f"100 durable accepts, {together} at a time", "append + fdatasync each"
            )
            rows.append(await measure(row, ours, append))
        os.close(plain)
        await spool.close()
    return rows


GROUPS = (accepting,)
