"""The tables that the first stores were made with, before there were migrations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for name, columns in (
        ("plans", [sa.Column("job", sa.String, index=True), sa.Column("digest", sa.String)]),
        ("planned", [sa.Column("plan", NUMBER, index=True)]),
        ("outcomes", [*_key_and_go(), sa.Column("status", sa.String), sa.UniqueConstraint("key", "go")]),
        ("failures", _key_and_go(index=True)),
        (
            "reopened",
            [
                sa.Column("key", sa.String, index=True),
                sa.Column("cause", sa.String),
                sa.UniqueConstraint("key", "cause"),
            ],
        ),
        ("facts", [sa.Column("key", sa.String, unique=True)]),
        ("memories", [sa.Column("key", sa.String, unique=True)]),
    ):
        op.create_table(
            name,
            sa.Column("id", NUMBER, primary_key=True),
            sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
            *columns,
            sa.Column("body", sa.LargeBinary),
        )


def _key_and_go(*, index: bool = False) -> list[sa.Column[int] | sa.Column[str]]:
    return [sa.Column("key", sa.String, index=index), sa.Column("go", sa.Integer)]
