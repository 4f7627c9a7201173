"""What happened to jobs, and what was spent on them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _own() -> tuple[sa.Column[int], sa.Column[object]]:
    return (
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
    )


def upgrade() -> None:
    op.create_table(
        "events",
        *_own(),
        sa.Column("job", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("repo", sa.String, nullable=False),
        sa.Column("mark", sa.String, nullable=False),
        sa.Column("body", sa.LargeBinary),
        sa.UniqueConstraint("job", "kind", "mark"),
    )
    op.create_index("events_job", "events", ["job", "id"])
    op.create_table(
        "spent",
        *_own(),
        sa.Column("job", sa.String, nullable=False),
        sa.Column("repo", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("calls", sa.Integer, nullable=False),
        sa.Column("read", NUMBER, nullable=False),
        sa.Column("written", NUMBER, nullable=False),
        sa.Column("gpu_seconds", sa.Float, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("mark", sa.String, nullable=False, unique=True),
    )
    op.create_index("spent_job", "spent", ["job"])
