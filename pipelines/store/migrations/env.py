"""What Alembic runs for each command: on the connection that it was given, in the transaction that this has begun."""

from __future__ import annotations

from alembic import context

from pipelines.store.tables import META

context.configure(connection=context.config.attributes["connection"], target_metadata=META)
with context.begin_transaction():
    context.run_migrations()
