"""`umbau guard`, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from pipelines.cli import app
from tests.pipelines.guard.test_story import ALLOWED, CHECK, merge, world
from tests.pipelines.test_driver import World

__all__ = ["world"]


def guard(world: World, *args: str) -> tuple[int, list[str]]:
    said = world.driver().job.model_dump(mode="json", exclude_defaults=True)
    (world.folder / "job.yaml").write_text(json.dumps(said))
    done = CliRunner().invoke(app, ["guard", str(world.folder / "job.yaml"), *args])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output.splitlines()


def test_shown_done_and_done_once(world: World, tmp_path: Path) -> None:
    assert guard(world) == (2, ["count has not been run yet: umbau run"])
    world.tick()
    code, lines = guard(world, "--yes")
    assert (code, lines[-1]) == (0, "0 guards opened") and lines[0].startswith("billing  waits: ")

    merge(world)
    code, lines = guard(world)
    assert (code, lines[-1]) == (0, "1 guard would be opened: add --yes")
    assert lines[0].startswith("billing  new: .gitlab-ci.yml, .gitlab/") and "; 2 lines in 1 file may stay" in lines[0]
    code, lines = guard(world, "--print", str(tmp_path / "out"))
    assert code == 0 and json.loads((tmp_path / "out" / ALLOWED).read_text()) == {"b/y.py": 2}
    assert str(tmp_path / "out" / CHECK) in lines
    assert world.states() == {"a": "merged"}

    code, lines = guard(world, "--yes")
    assert (code, lines[-1]) == (0, "1 guard opened") and lines[0].startswith("billing  opened: new  ")
    code, lines = guard(world, "--yes")
    assert (code, lines[-1]) == (0, "0 guards opened") and "waits for review" in lines[0]
    merge(world)
    page = world.home / "forge" / "billing" / "2.html"
    assert guard(world, "--yes") == (0, [f"billing  done: nothing to do  {page}", "0 guards opened"])


def test_what_is_wrong_is_told(world: World) -> None:
    world.tick()
    assert guard(world, "--repo", "shop") == (2, ["no repository of count is called shop. There are: billing"])
    world.made.commit({".gitlab-ci.yml": "a: [\n", ".pre-commit-config.yaml": None})
    code, lines = guard(world, "--json")
    (found,) = json.loads("\n".join(lines))
    assert (code, found["state"]) == (2, "trouble") and "left as it is, because it is no YAML" in found["why"]
    assert guard(world, "--print", str(world.folder / "out"))[0] == 2
