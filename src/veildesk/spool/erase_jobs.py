"""Erase jobs: what is left to delete elsewhere once a ticket's own key is gone.

One sealed file for each, named by a keyed digest of the job's code, so that neither the folder nor a copy
of it tells which ticket, which helpdesk number or whose mail it is about. A job outlives its ticket by
design and is removed after its days.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from veildesk.core.errors import SpoolUnavailable, VeildeskError
from veildesk.spool.durable import TEMPORARY, disk_error, keep_day_only, sync_directory, write_file
from veildesk.spool.sealing import Place, open_row, seal_row, subkey

__all__ = ["EraseJob", "EraseJobs"]


@dataclass(frozen=True, slots=True)
class EraseJob:
    """What was asked and how far it came.

    `place` is the helpdesk's name, a slash and its number of the ticket, empty when none has it; `mails` are
    Message-IDs of accepted mails that may still lie in the source mailbox. `helpdesk` and `mailbox` are
    "gone", "requested", "unsupported" or "open"; `why` is a fixed word for what is not gone. `due` is when
    to try again, seconds since 1970 UTC; `asked_day` counts days.
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

    @property
    def finished(self) -> bool:
        """Whether nothing is left to try."""
        return self.helpdesk in ("gone", "unsupported") and self.mailbox in ("gone", "unsupported")


class EraseJobs:
    """Jobs in `folder`. `key` is a secret derived from the key ring."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self._folder = folder
        self._seal_key = subkey(key, b"erase-job seal")
        self._name_key = subkey(key, b"erase-job name")

    def name_of(self, code: str) -> str:
        """The file name of the job with this code: hex."""
        return subkey(self._name_key, code.encode()).hex()[:48]

    def put(self, job: EraseJob) -> None:
        """Write a job durably, over an older state of it. Raises `SpoolUnavailable`."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error) from None
        body = json.dumps({"v": 1, **dataclasses.asdict(job)}).encode()
        write_file(self._folder / job.name, [seal_row(self._seal_key, Place("", job.name, "erase"), body)])
        keep_day_only(self._folder / job.name)

    def get(self, name: str) -> EraseJob | None:
        """A job by its file name; None when there is none, or none that can be opened."""
        try:
            sealed = (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk_error(error) from None
        try:
            fields = json.loads(open_row(self._seal_key, Place("", name, "erase"), sealed))
        except (VeildeskError, ValueError):
            return None
        if fields.pop("v", None) != 1:
            return None
        return EraseJob(**{**fields, "mails": tuple(fields["mails"])})

    def all(self) -> Iterator[EraseJob]:
        """Every job, in no order."""
        if not self._folder.is_dir():
            return
        for path in sorted(self._folder.iterdir()):
            if not path.name.endswith(TEMPORARY):
                job = self.get(path.name)
                if job is not None:
                    yield job

    def drop(self, name: str) -> None:
        """Remove a job. Raises `SpoolUnavailable`."""
        try:
            (self._folder / name).unlink(missing_ok=True)
            sync_directory(self._folder)
        except OSError:
            raise SpoolUnavailable("io-error") from None
