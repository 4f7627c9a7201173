from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.store import Store
from tests.pipelines.store.server import Server

Place = Path | str
Open = Callable[[], Store]


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One for all tests; who stops it starts it again."""
    made = Server()
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Where a new store is."""
    if request.param == "sqlite":
        return tmp_path / "home" / "store.db"
    monkeypatch.setenv("PGPASSWORD", "secret")
    made: str = request.getfixturevalue("server").database()
    return made


@pytest.fixture
def opening(place: Place) -> Iterator[Open]:
    """Opens the store, again and again."""
    opened: list[Store] = []

    def make() -> Store:
        opened.append(Store(place))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def store(opening: Open) -> Store:
    return opening()
