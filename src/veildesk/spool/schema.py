"""The tables, the same for SQLite and PostgreSQL.

Rows hold opaque random ids, fixed code words, days since 1970 and sealed blobs; never a payload in clear
and never the text of an exception. `due_at` is 0 except while a failed attempt waits for its next time.
The migrations under `migrations/` build exactly these tables; a test compares them.
"""

from __future__ import annotations

import sqlalchemy as sa

__all__ = [
    "SCHEMA_VERSION",
    "UNFINISHED",
    "anchor",
    "cursor",
    "dedup",
    "erase_job",
    "hold",
    "marker",
    "message",
    "metadata",
    "part",
    "ring_state",
    "ticket",
    "ticket_key",
]

SCHEMA_VERSION = "0003"
"""Revision that this code reads and writes."""

UNFINISHED = ("accepted", "delivering", "collected", "sending")
"""States that go on by themselves; what waits for a person does not hold up later messages."""

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

_ticket_ref = "ticket.id"

ticket = sa.Table(
    "ticket",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("expires_day", sa.Integer, nullable=False, index=True),
)

ticket_key = sa.Table(
    "ticket_key",
    metadata,
    sa.Column("ticket_id", sa.ForeignKey(_ticket_ref), primary_key=True),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
)

message = sa.Table(
    "message",
    metadata,
    sa.Column(
        "seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True
    ),
    sa.Column("id", sa.String(32), nullable=False, unique=True),
    sa.Column("ticket_id", sa.ForeignKey(_ticket_ref), nullable=False),
    sa.Column("direction", sa.String(8), nullable=False),
    sa.Column("channel", sa.String(8), nullable=False),
    sa.Column("queue", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("parked_from", sa.String(16)),
    sa.Column("reason", sa.String(32), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("accepted_day", sa.Integer, nullable=False),
    sa.Column("due_at", sa.BigInteger, nullable=False),
    sa.Column("owner", sa.String(16)),
    sa.Index("ix_message_ticket_id_direction_seq", "ticket_id", "direction", "seq"),
    sa.Index("ix_message_state_seq", "state", "seq"),
    sqlite_autoincrement=True,
)
part = sa.Table(
    "part",
    metadata,
    sa.Column("ticket_id", sa.ForeignKey(_ticket_ref), primary_key=True),
    sa.Column("message_id", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("sealed", sa.LargeBinary),
    sa.Column("file", sa.String(64), unique=True),
)

dedup = sa.Table(
    "dedup",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("message_id", sa.String(32), nullable=False, index=True),
    sa.Column("ticket_id", sa.String(32), nullable=False, index=True),
    sa.Column("expires_day", sa.Integer, nullable=False, index=True),
)

anchor = sa.Table(
    "anchor",
    metadata,
    sa.Column("lookup_id", sa.LargeBinary, primary_key=True),
    sa.Column("ticket_id", sa.ForeignKey(_ticket_ref), nullable=False, unique=True),
    sa.Column("sealed_key", sa.LargeBinary, nullable=False),
)

marker = sa.Table(
    "marker",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("ticket_id", sa.ForeignKey(_ticket_ref), nullable=False, index=True),
)

cursor = sa.Table(
    "cursor",
    metadata,
    sa.Column("backend", sa.String(64), primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False, server_default="0"),
    sa.Column("wrapped", sa.LargeBinary),
)

erase_job = sa.Table(
    "erase_job",
    metadata,
    sa.Column("name", sa.String(48), primary_key=True),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)

hold = sa.Table(
    "hold",
    metadata,
    sa.Column("ticket_id", sa.ForeignKey(_ticket_ref), primary_key=True),
    sa.Column("until_day", sa.Integer, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)

ring_state = sa.Table(
    "ring_state",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("proof", sa.LargeBinary, nullable=False),
    sa.Column("intake_public", sa.LargeBinary),
    sa.Column("intake_tag", sa.LargeBinary),
)
