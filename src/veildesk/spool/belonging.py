"""Which store a bucket's prefix belongs to.

Two stores under one prefix would take each other's files for orphans. So a store that uses a bucket has a
random id, sealed in its database, and leaves a mark under the prefix that proves it: the id and a keyed
digest of it. A restored store gets a new id and needs a prefix of its own, also where the ring is the same.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

import sqlalchemy as sa

from veildesk.core.errors import ConfigInvalid
from veildesk.spool.copying import named_files
from veildesk.spool.cursors import Cursors
from veildesk.spool.database import Database
from veildesk.spool.file_store import FileStore
from veildesk.spool.folder_store import FolderStore
from veildesk.spool.schema import cursor

__all__ = ["bind_files", "check_bound", "check_free", "forget_binding"]

# Beside the positions of helpdesks, whose names have no colon.
_ROW = ":files"
_ID = 16


def _proof(secret: bytes, identity: bytes) -> bytes:
    return identity + hmac.digest(secret, b"veildesk files v1|" + identity, hashlib.sha256)


def bind_files(
    engine: sa.Engine, database: Database, cursors: Cursors, store: FileStore, secret: bytes
) -> None:
    """Take a prefix for this store, or see that it is this store's. Raises `ConfigInvalid`."""
    if isinstance(store, FolderStore):
        return
    with engine.begin() as connection:
        database.lock_schema(connection)
        known = cursors.load(connection, _ROW)
        if known is None:
            if missing := set(named_files(connection)) - store.names():
                raise ConfigInvalid(
                    f"[store.s3]: {len(missing)} sealed files are not in the bucket; copy them there first"
                )
            known = secrets.token_hex(_ID)
            cursors.store(connection, _ROW, known)
    proof = _proof(secret, bytes.fromhex(known))
    if not hmac.compare_digest(store.bind(proof), proof):
        raise ConfigInvalid("[store.s3] prefix: another store keeps its files there; name one of its own")


def check_bound(store: FileStore, secret: bytes) -> None:
    """For a process without the ring: a gateway of it uses the prefix. Raises `ConfigInvalid`."""
    if isinstance(store, FolderStore):
        return
    mark = store.bound()
    if mark is None:
        raise ConfigInvalid("[store.s3] prefix: no store keeps its files there yet; start the gateway once")
    if not hmac.compare_digest(mark, _proof(secret, mark[:_ID])):
        raise ConfigInvalid("[store.s3] prefix: another store keeps its files there")


def check_free(store: FileStore) -> None:
    """For a store that is about to be filled. Raises `ConfigInvalid` when another uses the prefix."""
    if store.bound() is not None:
        raise ConfigInvalid("[store.s3] prefix: another store keeps its files there; name one of its own")


def forget_binding(connection: sa.Connection) -> None:
    """A copy of a store is another store."""
    connection.execute(sa.delete(cursor).where(cursor.c.backend == _ROW))
