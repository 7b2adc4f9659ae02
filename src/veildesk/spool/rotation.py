"""Rotation of the epoch key: after it, no older copy of the database opens with today's ring.

Order: the new key is durable in the ring, then every data key is wrapped anew in one commit, then the
old keys leave the ring. A crash in between leaves both keys in the ring, and the next start finishes.
"""

from __future__ import annotations

import sqlalchemy as sa

from veildesk.spool.crashpoint import crashpoint
from veildesk.spool.database import checkpoint
from veildesk.spool.keyring import KeyRing
from veildesk.spool.vault import Vault

__all__ = ["finish_rotation", "rotate"]


def rotate(engine: sa.Engine, ring: KeyRing, vault: Vault) -> int:
    """Rotate now; returns how many data keys were wrapped anew. Runs alone in the writer thread."""
    with ring.exclusive():
        ring.extend()
        crashpoint("rotate.ring-extended")
        return _rewrap(engine, ring, vault)


def finish_rotation(engine: sa.Engine, ring: KeyRing, vault: Vault) -> None:
    """Finish a rotation that a crash interrupted."""
    if len(ring.epochs) > 1:
        with ring.exclusive():
            if len(ring.epochs) > 1:
                _rewrap(engine, ring, vault)


def _rewrap(engine: sa.Engine, ring: KeyRing, vault: Vault) -> int:
    with engine.begin() as connection:
        changed = vault.rewrap(connection, ring.newest)
        crashpoint("rotate.before-commit")
    crashpoint("rotate.after-commit")
    checkpoint(engine)
    ring.shorten()
    crashpoint("rotate.ring-shortened")
    return changed
