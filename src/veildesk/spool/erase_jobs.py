"""Erase jobs: what is left to delete elsewhere once a ticket's own key is gone.

One sealed row for each, named by a keyed digest of the job's code, under a key of its own that is wrapped as
tickets' keys are: neither the table nor an old copy of it tells which ticket, which helpdesk number or whose
mail it is about. A job outlives its ticket by design and is removed after its days.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from veildesk.core.errors import VeildeskError
from veildesk.spool.keyring import KeyRing
from veildesk.spool.schema import erase_job
from veildesk.spool.sealing import Place, open_row, seal_row, subkey
from veildesk.spool.vault import Vault
from veildesk.spool.writer import Writer

__all__ = ["EraseJob", "EraseJobs", "rewrap_jobs"]


@dataclass(frozen=True, slots=True)
class EraseJob:
    """What was asked and how far it came.

    `place` is the helpdesk's name, a slash and its number of the ticket, empty when none has it; `mails` are
    Message-IDs of accepted mails that may still lie in the source mailbox. `helpdesk` and `mailbox` are
    "gone", "requested", "unsupported" or "open"; `why` is a fixed word for what is not gone. `due` is when
    to try again, seconds since 1970 UTC; `asked_day` counts days. `again` says that a message was on its way
    to the helpdesk, so that finding nothing there once proves nothing. `wished`: somebody asked, it was not
    retention. `hours` it took, rounded up, -1 while it is not finished; `asked_hour` counts hours. `here` is
    "open" until our own copy is gone with all its files.
    """

    name: str
    ticket_id: str = field(repr=False)
    place: str = field(repr=False)
    mails: tuple[str, ...] = field(default=(), repr=False)
    helpdesk: str = "open"
    mailbox: str = "open"
    why: str = ""
    attempts: int = 0
    due: int = 0
    asked_day: int = 0
    again: bool = False
    wished: bool = True
    asked_hour: int = 0
    hours: int = -1
    here: str = "gone"

    @property
    def finished(self) -> bool:
        """Whether nothing is left to try."""
        return (
            self.here == "gone"
            and self.helpdesk in ("gone", "unsupported")
            and self.mailbox in ("gone", "unsupported")
        )


class EraseJobs:
    """Jobs in the store. All operations raise `SpoolUnavailable` while it cannot be used."""

    def __init__(self, writer: Writer, vault: Vault, ring: KeyRing) -> None:
        self._writer = writer
        self._vault = vault
        self._name_key = subkey(ring.derive_secret(b"erase jobs"), b"erase-job name")

    def name_of(self, code: str) -> str:
        """The name of the job with this code: hex."""
        return subkey(self._name_key, code.encode()).hex()[:48]

    async def put(self, job: EraseJob) -> None:
        """Store a job durably, over an older state of it."""

        def run(connection: sa.Connection) -> None:
            connection.execute(sa.delete(erase_job).where(erase_job.c.name == job.name))
            connection.execute(sa.insert(erase_job).values(_sealed(connection, self._vault, job)))

        await self._writer.do("erase-job", run)

    async def get(self, name: str) -> EraseJob | None:
        """A job by its name; None when there is none, or none that can be opened."""
        query = sa.select(erase_job).where(erase_job.c.name == name)

        def run(connection: sa.Connection) -> EraseJob | None:
            row = connection.execute(query).one_or_none()
            return None if row is None else _opened(self._vault, row)

        return await self._writer.do("read", run)

    async def all(self) -> list[EraseJob]:
        """Every job that can be opened, in no order."""

        def run(connection: sa.Connection) -> list[EraseJob]:
            rows = connection.execute(sa.select(erase_job)).all()
            return [job for row in rows if (job := _opened(self._vault, row)) is not None]

        return await self._writer.do("read", run)

    async def drop(self, name: str) -> None:
        """Remove a job."""
        remove = sa.delete(erase_job).where(erase_job.c.name == name)
        await self._writer.do("erase-job", lambda connection: connection.execute(remove).rowcount)


def _sealed(connection: sa.Connection, vault: Vault, job: EraseJob) -> dict[str, Any]:
    epoch, key = vault.epoch(connection), secrets.token_bytes(32)
    body = json.dumps({"v": 1, **dataclasses.asdict(job)}).encode()
    return {
        "name": job.name,
        "epoch": epoch,
        "wrapped": vault.wrap(epoch, f"erase-job:{job.name}", key),
        "sealed": seal_row(key, Place("", job.name, "erase"), body),
    }


def _opened(vault: Vault, row: sa.Row[Any]) -> EraseJob | None:
    try:
        key = vault.unwrap(row.epoch, f"erase-job:{row.name}", row.wrapped)
        fields = json.loads(open_row(key, Place("", row.name, "erase"), row.sealed))
    except (VeildeskError, ValueError):
        return None
    if fields.pop("v", None) != 1:
        return None
    return EraseJob(**{**fields, "mails": tuple(fields["mails"])})


def rewrap_jobs(connection: sa.Connection, vault: Vault) -> int:
    """Wrap all jobs' keys under the store's epoch; returns how many. What does not open is removed."""
    epoch = vault.epoch(connection)
    rows = connection.execute(sa.select(erase_job).where(erase_job.c.epoch < epoch)).all()
    for row in rows:
        here = erase_job.c.name == row.name
        name = f"erase-job:{row.name}"
        try:
            wrapped = vault.wrap(epoch, name, vault.unwrap(row.epoch, name, row.wrapped))
        except VeildeskError:
            connection.execute(sa.delete(erase_job).where(here))
            continue
        connection.execute(sa.update(erase_job).where(here).values(epoch=epoch, wrapped=wrapped))
    return len(rows)
