"""The first set of tables.

Written out instead of taken from `schema`, because a revision never changes once it was released.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create all tables."""
    _tickets()
    _messages()
    _anchors()
    _others()


def _tickets() -> None:
    op.create_table(
        "ticket",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("expires_day", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ticket"),
    )
    op.create_index("ix_ticket_expires_day", "ticket", ["expires_day"])
    op.create_table(
        "ticket_key",
        sa.Column("ticket_id", sa.String(32), nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name="fk_ticket_key_ticket_id"),
        sa.PrimaryKeyConstraint("ticket_id", name="pk_ticket_key"),
    )


def _messages() -> None:
    op.create_table(
        "message",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("ticket_id", sa.String(32), nullable=False),
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
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name="fk_message_ticket_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_message"),
        sa.UniqueConstraint("id", name="uq_message_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_message_state_seq", "message", ["state", "seq"])
    op.create_index("ix_message_ticket_id_direction_seq", "message", ["ticket_id", "direction", "seq"])
    op.create_table(
        "part",
        sa.Column("ticket_id", sa.String(32), nullable=False),
        sa.Column("message_id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("file", sa.String(64)),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name="fk_part_ticket_id"),
        sa.PrimaryKeyConstraint("ticket_id", "message_id", "name", name="pk_part"),
        sa.UniqueConstraint("file", name="uq_part_file"),
    )
    op.create_table(
        "dedup",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("message_id", sa.String(32), nullable=False),
        sa.Column("ticket_id", sa.String(32), nullable=False),
        sa.Column("expires_day", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_dedup"),
    )
    for column in ("message_id", "ticket_id", "expires_day"):
        op.create_index(f"ix_dedup_{column}", "dedup", [column])


def _anchors() -> None:
    op.create_table(
        "anchor",
        sa.Column("lookup_id", sa.LargeBinary, nullable=False),
        sa.Column("ticket_id", sa.String(32), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name="fk_anchor_ticket_id"),
        sa.PrimaryKeyConstraint("lookup_id", name="pk_anchor"),
        sa.UniqueConstraint("ticket_id", name="uq_anchor_ticket_id"),
    )


def _others() -> None:
    op.create_table(
        "marker",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("ticket_id", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name="fk_marker_ticket_id"),
        sa.PrimaryKeyConstraint("digest", name="pk_marker"),
    )
    op.create_index("ix_marker_ticket_id", "marker", ["ticket_id"])
    op.create_table(
        "cursor",
        sa.Column("backend", sa.String(64), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("backend", name="pk_cursor"),
    )
    op.create_table(
        "ring_state",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("proof", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ring_state"),
    )


def downgrade() -> None:
    """There is nothing before the first revision."""
    raise NotImplementedError
