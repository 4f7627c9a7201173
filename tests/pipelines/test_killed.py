"""A tick that is killed before any call to the forge or the store, and run again, ends as if nothing had been."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.data import Plan
from pipelines.decide import DAY
from pipelines.gather import Gathered
from pipelines.store import Store
from pipelines.tend import tend
from tests.pipelines.scripted import ScriptedForge
from tests.pipelines.test_tending import FILES, A, B, World

SOME = 3  # calls that are tried in the fast suite
MANY = 85  # every eighth
TICKS = 4
NAMES = (
    "carried",
    "red",
    "approved",
    "left",
    "silent",
    "asking",
    "retried",
    "closed",
    "fresh",
    "held",
    "moved",
    "again",
)


@dataclass
class Scene:
    """A moment at which there is a lot to do, as it lies on disk."""

    world: World
    plan: Plan
    gathered: Gathered

    def copied(self, folder: Path) -> tuple[ScriptedForge, Store]:
        shutil.copytree(self.world.forge.folder, folder, ignore=shutil.ignore_patterns("clone-*"))
        shutil.copy(self.world.home / "store.db", folder / "store.db")
        forge = deepcopy(self.world.forge)
        forge.folder = folder
        return forge, Store(folder / "store.db")

    def play(self, folder: Path, most: int) -> tuple[Any, int]:
        """Have ticks, killed once, before call number `most`; return how all ends and how many calls there were."""
        forge, store = self.copied(folder)
        calls = Calls(most)
        try:
            for _ in range(TICKS):
                try:
                    self.tick(Killing(forge, calls), Killing(store, calls))
                except KeyboardInterrupt:
                    self.tick(Killing(forge, calls), Killing(store, calls))
            return self.end(forge, store), calls.count
        finally:
            store.close()

    def tick(self, forge: Any, store: Any) -> None:
        world = self.world
        tend(world.job, self.plan, self.gathered, forge, store, True, world.forge.now, complete=True)

    def end(self, forge: ScriptedForge, store: Store) -> Any:
        keys = [one.shard.key for one in self.plan.planned]
        requests = {
            place: (kept.state, kept.digest, forge.head(place), len(kept.reviewers), sorted(kept.said))
            for place, kept in forge.kept.items()
        }
        goes = {key: sorted(cause for cause, _ in found) for key, found in store.reopenings(keys).items()}
        return requests, goes


@dataclass
class Calls:
    most: int
    count: int = 0


class Killing:
    """Passes calls on, and is killed before one of them."""

    def __init__(self, real: Any, calls: Calls) -> None:
        self._real, self._calls = real, calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if not callable(found):
            return found

        def call(*args: Any, **given: Any) -> Any:
            self._calls.count += 1
            if self._calls.count == self._calls.most:
                raise KeyboardInterrupt
            return found(*args, **given)

        return call


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("scene")
    (folder / "forge").mkdir()
    forge = ScriptedForge(folder / "forge")
    forge.create("billing", FILES)
    store = Store(folder / "home" / "store.db")
    world = World(forge, folder / "home", store)
    world.settings = {
        "tend": {"remind": 2, "maintainers": ["bob"]},
        "reviewers": {"named": ["cy", "di", "ed"], "most": 1},
    }
    for name in NAMES:
        forge.create(name, {"x.py": "x = 1\n", "README.md": f"# {name}\n"})
    world.repos += [name for name in NAMES if name not in {"fresh", "held"}]
    world.tick()
    later(world)
    scene = Scene(world, *world.look())
    store.close()
    yield scene


def later(world: World) -> None:
    """Let a lot happen."""
    forge = world.forge
    at = {name: (name, "umbau/j/x") for name in NAMES}
    for name in ("carried", "retried"):
        forge.commit(name, "umbau/j/x", {"NOTES.md": "by hand\n"})
    world.tick()
    forge.say(at["carried"], "/umbau continue")
    forge.now += 2.5 * DAY
    for place in (place for place in forge.kept if place != at["asking"]):
        forge.kept[place].active = forge.now
    world.tick()  # it is said of `asking` that nobody says anything
    forge.now += 2.5 * DAY
    for place in (place for place in forge.kept if place[0] not in {"asking", "silent"}):
        forge.kept[place].active = forge.now
    world.texts |= {"carried": "x = 3\n", "again": "x = 3\n"}
    forge.runs(at["red"], "failed")
    forge.approve(at["approved"])
    world.repos.remove("left")
    forge.say(at["retried"], "/umbau retry")
    forge.kept[at["closed"]].state = "closed"
    forge.say(at["closed"], "/umbau reopen")
    forge.say(at["moved"], "/umbau rebase")
    forge.commit("moved", "main", {"README.md": "# New\n"})
    forge.kept[at["again"]].state = "merged"
    forge.say(A, "Louder, please")
    forge.say(A, "/umbau explain\n/umbau dance", thread="t9")
    forge.say(A, "/umbau close", "mallory")
    forge.say(A, "/umbau apply-to-all Keep it\n/umbau confirm", "bob", thread="t8")
    forge.commit("billing", B[1], {"NOTES.md": "by hand\n"})
    world.repos += ["fresh", "held"]
    world.rollout = {"per_hour": 2}


def test_undisturbed(scene: Scene, tmp_path: Path) -> None:
    (requests, goes), calls = scene.play(tmp_path / "f", 0)
    states = {name: state for (name, _), (state, *_) in requests.items() if name != "billing"}
    assert states == {
        **dict.fromkeys(("carried", "red", "silent", "asking", "retried", "closed", "fresh", "moved"), "open"),
        **{"approved": "merged", "left": "closed", "again": "open"},
    }
    assert ("again", "umbau/j/x.again") in requests and ("held", "umbau/j/x") not in requests
    assert requests["asking", "umbau/j/x"][3] == 2
    said = [key.split()[0] for *_, known in requests.values() for key, _, _ in known]
    assert {"touched", "red", "remind", "rule", "close"} <= set(said) and len(said) > 20
    assert len(goes) >= 10 and calls > 500


def killed(scene: Scene, folder: Path, some: int) -> None:
    """Be killed at about so many of the calls, evenly spread."""
    wanted, count = scene.play(folder / "all", 0)
    for number in range(1, count + 1, count // some):
        found, _ = scene.play(folder / f"{number}", number)
        for end, undisturbed in zip(found, wanted, strict=True):
            assert end.keys() == undisturbed.keys()
            for name, one in end.items():
                assert one == undisturbed[name], f"{name}: killed before call {number}"
        shutil.rmtree(folder / f"{number}")


def test_killed_at_some_calls(scene: Scene, tmp_path: Path) -> None:
    killed(scene, tmp_path, SOME)


@pytest.mark.slow
def test_killed_at_many_calls(scene: Scene, tmp_path: Path) -> None:
    killed(scene, tmp_path, MANY)


def test_when_nothing_has_happened_the_forge_is_asked_once(scene: Scene, tmp_path: Path) -> None:
    forge, store = scene.copied(tmp_path / "f")
    for _ in range(TICKS):
        scene.tick(forge, store)
    calls = Calls(0)
    scene.tick(Killing(forge, calls), store)
    store.close()
    assert calls.count == 1
