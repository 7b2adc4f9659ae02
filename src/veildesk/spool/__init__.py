"""Keep: durable, sealed, replayable. The store behind `core.ports.Spool` and the keys of its tickets.

`SqlSpool` is the store over SQLite or PostgreSQL, `AcceptOnlySpool` its half without keys that open,
`MemorySpool` the fake with the same behaviour,
`KeyRing` the file of keys beside it, `WordsCipher` the portal's thread keys. Nothing here
reads mail or knows a helpdesk.

They are imported when they are asked for: a portal process has the last of them and none of the others.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from veildesk.spool.keyring import KeyRing
    from veildesk.spool.memory import MemorySpool
    from veildesk.spool.store import SqlSpool
    from veildesk.spool.store_intake import AcceptOnlySpool
    from veildesk.spool.thread_cipher import WordsCipher

__all__ = ["AcceptOnlySpool", "KeyRing", "MemorySpool", "SqlSpool", "WordsCipher"]

_HOMES = {
    "AcceptOnlySpool": "store_intake",
    "KeyRing": "keyring",
    "MemorySpool": "memory",
    "SqlSpool": "store",
    "WordsCipher": "thread_cipher",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
