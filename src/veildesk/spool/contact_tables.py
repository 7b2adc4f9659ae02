"""Tables of the contact store. Names are keyed digests; what they lead to is sealed."""

from __future__ import annotations

import sqlalchemy as sa

from veildesk.spool.schema import metadata

__all__ = ["contact", "contact_name"]

contact = sa.Table(
    "contact",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("last_day", sa.Integer, nullable=False, index=True),
    sa.Column("epoch", sa.Integer, nullable=False, server_default="0"),
    sa.Column("wrapped", sa.LargeBinary),
)

contact_name = sa.Table(
    "contact_name",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("contact", sa.LargeBinary, primary_key=True, index=True),
)
