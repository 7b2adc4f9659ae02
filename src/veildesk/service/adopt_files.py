"""Holds and erase jobs that an earlier version kept as files in the state directory go into the store.

A file is set aside or removed only when what it said stands in the store; one that cannot be read stops the
start, because what it protects could be deleted otherwise.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from veildesk.core.errors import ConfigInvalid, VeildeskError
from veildesk.spool.erase_jobs import EraseJob
from veildesk.spool.holds import Hold
from veildesk.spool.keyring import KeyRing
from veildesk.spool.sealing import Place, open_row, subkey
from veildesk.spool.store import SqlSpool

__all__ = ["adopt_files"]


async def adopt_files(state_dir: Path, spool: SqlSpool, ring: KeyRing) -> None:
    """Take both over. Raises `ConfigInvalid` for holds that cannot be read."""
    await _adopt_holds(state_dir / "holds.json", spool)
    key = subkey(ring.derive_secret(b"erase jobs"), b"erase-job seal")
    await _adopt_jobs(state_dir / "erasures", spool, key)


async def _adopt_holds(path: Path, spool: SqlSpool) -> None:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        holds = [Hold(str(row["ticket"]), str(row["reason"]), str(row["until"])) for row in rows]
        for hold in holds:
            with contextlib.suppress(LookupError):  # Its ticket is gone.
                await spool.holds.add(hold)
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigInvalid("holds.json of an earlier version cannot be read; mend or remove it") from None
    path.rename(path.with_suffix(".adopted"))


async def _adopt_jobs(folder: Path, spool: SqlSpool, key: bytes) -> None:
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        try:
            fields = json.loads(open_row(key, Place("", path.name, "erase"), path.read_bytes()))
            fields.pop("v")
            job = EraseJob(**{**fields, "mails": tuple(fields["mails"])})
        except (VeildeskError, ValueError, KeyError, TypeError):
            continue
        await spool.erase_jobs.put(job)
        path.unlink()
