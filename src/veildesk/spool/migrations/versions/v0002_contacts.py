"""Tables of the contact store."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "contact",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("last_day", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_contact"),
    )
    op.create_index("ix_contact_last_day", "contact", ["last_day"])
    op.create_table(
        "contact_name",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("contact", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("digest", "contact", name="pk_contact_name"),
    )
    op.create_index("ix_contact_name_contact", "contact_name", ["contact"])
