"""All that is sealed is under epoch keys; erase jobs and holds in the store; a key for who only accepts.

Rows of the revision before have epoch 0: they open with secrets of the ring that stay, until the next
rotation.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns and tables."""
    op.add_column("ring_state", sa.Column("intake_public", sa.LargeBinary))
    op.add_column("ring_state", sa.Column("intake_tag", sa.LargeBinary))
    for table in ("contact", "cursor"):
        op.add_column(table, sa.Column("epoch", sa.Integer, nullable=False, server_default="0"))
        op.add_column(table, sa.Column("wrapped", sa.LargeBinary))
    op.create_table(
        "erase_job",
        sa.Column("name", sa.String(48), nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_erase_job"),
    )
    op.create_table(
        "hold",
        sa.Column("ticket_id", sa.String(32), nullable=False),
        sa.Column("until_day", sa.Integer, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name="fk_hold_ticket_id"),
        sa.PrimaryKeyConstraint("ticket_id", name="pk_hold"),
    )
