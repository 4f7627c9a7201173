"""What a plan has of a repository lies in one row, which all plans with the same of it share."""

from __future__ import annotations

import json
import zlib
from hashlib import sha256
from itertools import groupby

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
PLANS = sa.table("plans", sa.column("id"), sa.column("job"), sa.column("parts"))
PLANNED = sa.table("planned", sa.column("id"), sa.column("plan"), sa.column("body"))


def upgrade() -> None:
    parts = op.create_table(
        "parts",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("name", sa.String, unique=True),
        sa.Column("body", sa.LargeBinary),
    )
    op.add_column("plans", sa.Column("parts", sa.LargeBinary))
    connection, known = op.get_bind(), set[str]()
    for (number,) in connection.execute(sa.select(sa.func.max(PLANS.c.id)).group_by(PLANS.c.job)).all():
        rows = connection.scalars(sa.select(PLANNED.c.body).where(PLANNED.c.plan == number).order_by(PLANNED.c.id))
        found: dict[str, list[str]] = {}
        for repo, own in groupby((zlib.decompress(row).decode() for row in rows), _repo):
            found.setdefault(repo, []).extend(own)
        listed = []
        for repo, shards in found.items():
            text = f"[{','.join(shards)}]".encode()
            name = sha256(text).hexdigest()
            if name not in known:
                connection.execute(parts.insert().values(name=name, body=zlib.compress(text, 1)))
                known.add(name)
            listed.append([repo, name, len(shards)])
        told = zlib.compress(json.dumps(listed).encode(), 1)
        connection.execute(sa.update(PLANS).where(PLANS.c.id == number).values(parts=told))
    op.drop_table("planned")


def _repo(planned: str) -> str:
    name: str = json.loads(planned)["shard"]["repo"]
    return name
