"""Whose turn it is to drive a job; marks, by which what is written once more is known."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "turns",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("job", sa.String, unique=True),
        sa.Column("epoch", sa.Integer, nullable=False),
    )
    for name in ("failures", "reopened"):
        op.add_column(name, sa.Column("mark", sa.String))
    op.create_index("failures_mark", "failures", ["mark"], unique=True)
