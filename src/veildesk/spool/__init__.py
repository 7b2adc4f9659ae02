"""Keep: durable, sealed, replayable. The store behind `core.ports.Spool` and the keys of its tickets.

`SqlSpool` is the store over SQLite or PostgreSQL, `AcceptOnlySpool` its half without keys that open,
`MemorySpool` the fake with the same behaviour,
`KeyRing` the file of keys beside it, `WordsCipher` the portal's thread keys. Nothing here
reads mail or knows a helpdesk.
"""

from veildesk.spool.keyring import KeyRing
from veildesk.spool.memory import MemorySpool
from veildesk.spool.store import SqlSpool
from veildesk.spool.store_intake import AcceptOnlySpool
from veildesk.spool.thread_cipher import WordsCipher

__all__ = ["AcceptOnlySpool", "KeyRing", "MemorySpool", "SqlSpool", "WordsCipher"]
