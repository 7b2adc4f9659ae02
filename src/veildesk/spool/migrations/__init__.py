"""Alembic environment and revisions of the spool's tables."""
