"""Alembic's entry: runs the revisions over the connection that `veildesk.spool.migrate` hands in."""

from alembic import context

from veildesk.spool.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=False,  # The caller's transaction holds the whole upgrade.
)
context.run_migrations()
