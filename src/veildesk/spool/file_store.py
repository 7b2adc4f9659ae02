"""Where sealed files lie: a folder, or a bucket of an S3-compatible object store.

Whichever it is, it only ever sees ciphertext: `parts` seals before and opens after. All methods block and
are run in threads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from veildesk.core.ticket import CheckResult

__all__ = ["MISSING", "FileStore", "ObjectSettings", "Where"]

MISSING = "a sealed file is missing"
"""Detail of the `KeyUnusable` for a file that is not there."""


@dataclass(frozen=True, slots=True)
class ObjectSettings:
    """A bucket and how to reach it. `timeout` is the longest time of one request, in seconds.

    `ca` is a certificate authority (PEM) beside the system's.
    """

    endpoint: str
    bucket: str
    prefix: str
    region: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    ca: bytes | None = None
    timeout: float = 60.0


Where = Path | ObjectSettings
"""A folder, or a bucket."""


class FileStore(Protocol):
    """Files that are written once under a random name, read whole and removed.

    `executor` is where to run calls, None for the event loop's own; `limit` how long a caller waits for one,
    in seconds. Raises `FilesUnavailable` or another `SpoolUnavailable` when a call may work later.
    """

    executor: Executor | None
    limit: float | None

    @property
    def state(self) -> str:
        """For `veildesk status`: "ok" or the code of what failed last, and what an operator should know."""

    def make(self) -> None:
        """Make the place if it can be made."""

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        """Keep a file; complete and durable when this returns, and never in the place of another."""

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises `KeyUnusable` with `MISSING` if it is not there."""

    def remove(self, names: Collection[str]) -> None:
        """Remove files, durably; those that are not there are no error."""

    def names(self) -> set[str]:
        """What is there, also what was not finished."""

    def bind(self, proof: bytes) -> bytes:
        """Mark the place as one store's, unless it is marked already; returns the mark.

        A folder takes no mark and returns `proof`. Raises `ConfigInvalid` if the place cannot keep promises.
        """

    def bound(self) -> bytes | None:
        """The mark, None where there is none."""

    def checks(self, names: Collection[str]) -> list[CheckResult]:
        """What the doctor asks of the place, without changing anything; `names` are files in it."""

    def close(self) -> None:
        """Let go of threads and connections."""
