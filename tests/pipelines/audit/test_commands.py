"""`umbau audit`: as it is typed."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.store import Store


def umbau(*args: str) -> Result:
    return CliRunner().invoke(app, args)


def test_the_log_is_printed_verified_and_compared(home: Path) -> None:
    empty = umbau("audit", "--head").stdout.strip()
    assert umbau("audit", "--against", empty).exit_code == 0
    assert umbau("audit", "--against", empty.replace("0:0", "0:1")).exit_code == 2
    with closing(Store(home / "store.db")) as store:
        for who in ("ada@host", "dashboard/bob", "umbau"):
            store.audit.note(who, "paused", "count", {"kind": "person"})
        store.audit.note("ada@host", "purged", facts={"outcomes": 3})
    said = umbau("audit")
    assert said.exit_code == 0, said.stderr
    assert "dashboard/bob  paused  count  kind=person" in said.stdout
    assert "the chain holds: 4 rows" in said.stdout
    rows = json.loads(umbau("audit", "count", "--json", "--since", "2020-01-01").stdout)
    assert [row["number"] for row in rows] == [1, 2, 3]
    assert "paused" not in umbau("audit", "--since", "2999-01-01").stdout
    assert umbau("audit", "--since", "yesterday").exit_code == 64

    head = umbau("audit", "--head").stdout.strip()
    assert umbau("audit", "--against", head).exit_code == umbau("audit", "--against", empty).exit_code == 0
    with closing(sqlite3.connect(home / "store.db")) as file:
        file.execute("drop trigger audit_no_delete")
        file.execute("drop trigger audit_no_update")
        file.execute("delete from audit where number = 4")
        file.commit()
    assert umbau("audit").exit_code == 0, "that the end was cut off cannot be seen"
    cut = umbau("audit", "--against", head)
    assert cut.exit_code == 2
    assert "rows were cut off at the end" in cut.stderr

    with closing(sqlite3.connect(home / "store.db")) as file:
        file.execute("update audit set who = 'umbau' where number = 2")
        file.commit()
    found = umbau("audit")
    assert found.exit_code == 2
    assert "row 2 does not say any more what it said" in found.stderr
    assert "ada@host  paused" in found.stdout
    assert umbau("audit", "--against", "4").exit_code == 2
