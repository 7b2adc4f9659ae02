"""What a claim brings along: the ticket's data key and the parts that its worker is about to ask for.

They are read in the claim's own transaction, so that working on a message does not begin with four more;
of a message that this process has accepted a moment ago only the key is needed, which it still has. A
blob stays sealed until it is asked for, is given once, and is not given after anything of the ticket was
changed from here: whoever asks again asks the database. The key is kept until the claim ends. Neither makes
a promise: a change of state is checked against the rows, and a ticket that was destroyed meanwhile has none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from veildesk.core.work import Work
from veildesk.spool.parts import Stored
from veildesk.spool.schema import part
from veildesk.spool.sealing import Place
from veildesk.spool.statements import Statement
from veildesk.spool.vault import Vault

__all__ = ["Brought", "Load", "load_all"]

_MOST = 128
_SECONDS = 30.0
_OF_MESSAGE = ("raw", "entry", "reply", "note", "wire", "approved")
_OF_TICKET = ("numbering", "contact", "backend-ref")
_PARTS = Statement(
    sa.select(part.c.message_id, part.c.name, part.c.sealed, part.c.file).where(
        part.c.ticket_id == sa.bindparam("ticket"),
        part.c.message_id.in_([sa.bindparam("message"), sa.literal("")]),
        part.c.name.in_([sa.literal(name) for name in (*_OF_MESSAGE, *_OF_TICKET)]),
    )
)


@dataclass(frozen=True, slots=True)
class Load:
    """A claimed message, its ticket's key, and sealed parts by (message id or "", name); None: not there."""

    work: Work
    key: bytes = field(repr=False)
    parts: dict[tuple[str, str], Stored | None] = field(repr=False)


def load_all(
    connection: sa.Connection, vault: Vault, claimed: Iterable[Work], known: Callable[[Work], bytes | None]
) -> list[Load]:
    """Read what claims bring along; a message whose ticket has no key brings nothing.

    Of what is `known` only the key is brought.
    """
    found = []
    for work in claimed:
        key = known(work)
        if key is not None:
            found.append(Load(work, key, {}))
            continue
        key = vault.get(connection, work.ticket_id)
        if key is not None:
            given = {"ticket": work.ticket_id, "message": work.message_id}
            found.append(Load(work, key, _sorted(work, _PARTS.all(connection, given))))
    return found


def _sorted(work: Work, rows: Sequence[tuple[Any, ...]]) -> dict[tuple[str, str], Stored | None]:
    parts: dict[tuple[str, str], Stored | None] = {(work.message_id, name): None for name in _OF_MESSAGE}
    parts |= {("", name): None for name in _OF_TICKET}
    for message_id, name, sealed, file in rows:
        parts[message_id, name] = Stored(Place(work.ticket_id, message_id, name), sealed, file)
    return parts


class Brought:
    """The loads of this process's claims. For the event loop."""

    def __init__(self) -> None:
        self._loads: dict[str, Load] = {}
        self._latest: dict[str, Load] = {}
        self._accepted: dict[str, tuple[str, bytes, float]] = {}

    def accepted(self, message_id: str, ticket_id: str, key: bytes) -> None:
        """A message was kept as the first of its ticket, and is likely to be claimed at once."""
        if len(self._accepted) >= _MOST:
            del self._accepted[next(iter(self._accepted))]
        self._accepted[message_id] = ticket_id, key, time.monotonic()

    def known(self, work: Work) -> bytes | None:
        """The key of a message that was accepted a moment ago. May be asked from any thread."""
        ticket_id, key, _ = self._accepted.get(work.message_id, ("", b"", 0.0))
        return key if ticket_id == work.ticket_id and work.attempts == 0 else None

    def forget_old(self) -> None:
        """What was not claimed by now, others have claimed or nobody will soon."""
        begin = time.monotonic() - _SECONDS
        self._accepted = {name: one for name, one in self._accepted.items() if one[2] > begin}

    def keep(self, loads: Iterable[Load]) -> None:
        """Claims were made. Of two claims in one ticket the later one answers for the ticket."""
        for load in loads:
            self._accepted.pop(load.work.message_id, None)
            if len(self._loads) >= _MOST:  # Lost claims; what is forgotten is read again.
                self._loads.clear()
                self._latest.clear()
            self._loads[load.work.message_id] = self._latest[load.work.ticket_id] = load

    def take(self, ticket_id: str | None, message_id: str, name: str) -> tuple[bytes, Stored | None] | None:
        """The key and a part (None: there is none), once; None where the database has to be asked.

        `ticket_id` for a ticket's part, None with a message's id for a message's.
        """
        load = self._loads.get(message_id) if ticket_id is None else self._latest.get(ticket_id)
        if load is None or (message_id, name) not in load.parts:
            return None
        return load.key, load.parts.pop((message_id, name))

    def key(self, work: Work) -> bytes | None:
        """The data key of a claimed message's ticket."""
        load = self._loads.get(work.message_id)
        return load.key if load is not None and load.work.ticket_id == work.ticket_id else None

    def changed(self, ticket_id: str) -> None:
        """Something of the ticket was changed: its parts are read again."""
        for load in self._loads.values():
            if load.work.ticket_id == ticket_id:
                load.parts.clear()

    def ended(self, work: Work) -> None:
        """A claim is over, or is as good as over."""
        load = self._loads.pop(work.message_id, None)
        if load is not None and self._latest.get(load.work.ticket_id) is load:
            del self._latest[load.work.ticket_id]

    def erased(self, ticket_id: str) -> None:
        """A ticket is gone."""
        self._accepted = {name: one for name, one in self._accepted.items() if one[0] != ticket_id}
        self._latest.pop(ticket_id, None)
        self._loads = {name: load for name, load in self._loads.items() if load.work.ticket_id != ticket_id}
