"""Opening a ticket's thread for its owner: keys from words, entries unsealed for one answer only."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from veildesk.core.errors import AuthenticationFailed, Unparsable
from veildesk.core.finding import MaskNumbering
from veildesk.core.portal_entry import decode_numbering
from veildesk.core.ports import ThreadKeys, ThreadView
from veildesk.core.thread_entry import ThreadEntry, decode_thread_entry
from veildesk.portal.sessions import Session
from veildesk.portal.site import Visit

__all__ = ["OpenThread", "decode_keys", "encode_keys", "next_numbering", "open_thread", "opened_thread"]


@dataclass(frozen=True, slots=True)
class OpenThread:
    """A thread as its owner sees it. An entry that does not open is None: shown as such, not hidden."""

    view: ThreadView
    entries: tuple[ThreadEntry | None, ...]

    @property
    def state(self) -> str:
        """The store's state, or "answered" when support wrote last."""
        last = self.entries[-1] if self.entries else None
        if self.view.state == "open" and last is not None and last.author == "support":
            return "answered"
        return self.view.state


def encode_keys(keys: ThreadKeys, words: str) -> dict[str, Any]:
    """What a session keeps of an opened ticket; `words` is empty when a spare code opened it."""
    return {
        "lookup": base64.b64encode(keys.lookup_id).decode(),
        "public": base64.b64encode(keys.public_key).decode(),
        "private": base64.b64encode(keys.private_key).decode(),
        "words": words,
        "codes": list(keys.spare_codes),
    }


def decode_keys(value: Mapping[str, Any]) -> ThreadKeys:
    """The inverse of `encode_keys`."""
    return ThreadKeys(
        lookup_id=base64.b64decode(value["lookup"]),
        public_key=base64.b64decode(value["public"]),
        private_key=base64.b64decode(value["private"]),
        spare_codes=tuple(value.get("codes", ())),
    )


async def open_thread(visit: Visit, keys: ThreadKeys) -> OpenThread | None:
    """The thread behind these keys, None if there is none."""
    view = await visit.site.ports.threads.thread(keys.lookup_id)
    if view is None:
        return None
    return OpenThread(view, tuple(_entry(visit, keys, sealed) for sealed in view.entries))


async def opened_thread(visit: Visit) -> OpenThread | None:
    """The thread that this visitor has open, None if none is or it is gone."""
    kept = visit.session().data.get("ticket")
    return None if kept is None else await open_thread(visit, decode_keys(kept))


def _entry(visit: Visit, keys: ThreadKeys, sealed: bytes) -> ThreadEntry | None:
    try:
        return decode_thread_entry(visit.site.ports.cipher.unseal(keys, sealed))
    except (AuthenticationFailed, Unparsable):
        return None


async def next_numbering(visit: Visit, session: Session) -> MaskNumbering:
    """Mask numbers that go on where the user's last message stopped."""
    thread = await open_thread(visit, decode_keys(session.data["ticket"]))
    for entry in reversed(thread.entries if thread else ()):
        if entry is not None and entry.numbering is not None:
            return decode_numbering(entry.numbering)
    return MaskNumbering(visit.site.ports.random_bytes(32))
