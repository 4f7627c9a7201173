"""Who did what, what speaks for merge requests, and how much was purged."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

# Whoever may change the tables may drop these as well: they stop mistakes, and the chain shows the rest.
SQLITE = [
    f"create trigger audit_no_{act} before {act} on audit begin select raise(abort, 'audit rows stay as they are'); end"
    for act in ("update", "delete")
]
POSTGRESQL = [
    "create function umbau_audit_stays() returns trigger language plpgsql as "
    "$$ begin raise exception 'audit rows stay as they are'; end $$",
    "create trigger audit_no_change before update or delete or truncate on audit "
    "for each statement execute function umbau_audit_stays()",
]
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _own() -> tuple[sa.Column[int], sa.Column[object]]:
    return (
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
    )


def upgrade() -> None:
    op.create_table(
        "evidence",
        *_own(),
        sa.Column("job", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("repo", sa.String, nullable=False),
        sa.Column("branch", sa.String, nullable=False),
        sa.Column("head", sa.String, nullable=False),
        sa.Column("digest", sa.String, nullable=False, unique=True),
        sa.Column("body", sa.LargeBinary),
    )
    op.create_index("evidence_branch", "evidence", ["repo", "branch"])
    op.create_index("evidence_head", "evidence", ["head"])
    op.create_table(
        "audit",
        *_own(),
        sa.Column("number", NUMBER, nullable=False, unique=True),
        sa.Column("moment", sa.String, nullable=False),
        sa.Column("who", sa.String, nullable=False),
        sa.Column("what", sa.String, nullable=False),
        sa.Column("job", sa.String, nullable=False),
        sa.Column("mark", sa.String, nullable=False, unique=True),
        sa.Column("body", sa.String, nullable=False),
        sa.Column("before", sa.String, nullable=False),
        sa.Column("hash", sa.String, nullable=False, unique=True),
    )
    op.create_index("audit_job", "audit", ["job", "number"])
    for table in ("outcomes", "failures"):
        op.add_column(table, sa.Column("bare", sa.Integer, server_default="0", nullable=False))
        op.create_index(f"{table}_bare", table, ["bare"])
    for statement in SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL:
        op.execute(statement)
