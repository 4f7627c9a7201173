"""What is verified of jobs that ask models for more than edits, that teach, that repair, and that bring their model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from operators.embedded import SHIPPED_IN, lacking
from pipelines.evidence.envelope import read
from pipelines.forges.local import LocalForge
from tests.endpoint import Endpoint
from tests.pipelines.evidence.conftest import MODEL, TESTS, Kept, Ran, reply
from tests.pipelines.test_evidence import COMMAND, writes
from tests.pipelines.test_evidence import FILES as UNTESTED
from tests.pipelines.test_learn import FILES as TAUGHT
from tests.pipelines.test_learn import mends

ASSERTIONS = {
    "test_a.py": """\
import unittest


class TestSorted(unittest.TestCase):
    def test_equal(self):
        self.assertEqual(sorted([2, 1]), [1, 2])
        self.assertTrue(sorted([2, 1]))


class TestNames(unittest.TestCase):
    def test_within(self):
        self.assertIn("a", {"a": 1}, msg="there is none of %s" % "a")

    def test_raises(self):
        with self.assertRaises(ValueError):
            int("x")
"""
}


@pytest.mark.slow
def test_generated_tests_are_replayed_from_kept_replies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one module the first test that the model writes is wrong; of another a test was there."""
    with Endpoint(script=writes) as endpoint:
        model = {"url": endpoint.url, "name": "scripted"}
        evidence = {"model": model, "keep": "tests/umbau/test_{name}.py"}
        job = {
            "name": "pinned",
            "description": "Use f-strings.",
            "select": {"files": ["app/*.py"], "contains": "%"},
            "shard": {"by": "file"},
            "steps": [{"codemod": "convert_percent_format_to_fstring.ConvertPercentFormatStringCommand"}],
            "checks": ["inside", {"tests": {"run": COMMAND, "covered": 1.0, "characterise": evidence}}],
            "merge_request": {"group": {"by": "directory"}},
        }
        ran = made(tmp_path, monkeypatch, job, UNTESTED)
        asked = len(endpoint.requests)
        rows = ran.verify(ran.place(), code=0)
        assert len(endpoint.requests) == asked > 2, "no model is asked"
    assert {what for what, said in rows.items() if not said.startswith("holds: ")} == set()
    assert rows["replay app/second.py"] == "holds: kept replies, judged again, 1 attempt"
    assert rows["replay app/third.py"] == "holds: byte for byte, 1 attempt", "its tests were there"
    assert rows["replay sum"] == "holds: as they are stated: 5 files", "the kept tests among them"
    parts = internal(ran)["parts"]
    tries = {part["paths"][0]: part["attempts"][0].get("evidence", []) for part in parts}
    assert [one["passed"] for one in tries["app/second.py"]] == [False, True]


def test_what_the_first_shards_teach_is_told_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Endpoint(script=mends) as endpoint:
        rewrite = {"prompt": "Use the new names.", "learn": 3, "model": {"url": endpoint.url, "name": "scripted"}}
        job = {
            "name": "taught",
            "description": "Use the new names.",
            "select": {"contains": "old_sum|OldError"},
            "shard": {"by": "file"},
            "steps": [{"rewrite": rewrite}],
            "checks": ["inside", {"command": "! grep -q wrong {paths}"}],
            "attempts": 1,
            "merge_request": {"group": {"by": "directory"}},
        }
        ran = made(tmp_path, monkeypatch, job, TAUGHT)
        asked = len(endpoint.requests)
        rows = ran.verify(ran.place(), code=0)
        assert len(endpoint.requests) == asked == len(TAUGHT), "no model is asked"
    assert {what for what, said in rows.items() if not said.startswith("holds: ")} == set()
    accepted = [path for path in TAUGHT if path not in {"a3.py", "b5.py"}]
    assert {what for what in rows if what.startswith("replay ")} == {f"replay {one}" for one in [*accepted, "sum"]}


def test_a_shard_that_a_reviewer_opened_again_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is stated of it afterwards tells both goes; the second began with the reviewer's words."""
    first, second = "assert 1 + 1 == 2", "assert 2 == 1 + 1"
    replies = [reply("self.assertEqual(1 + 1, 2)", first), reply(first, second)]
    with Endpoint(*replies) as endpoint:
        kept = Kept.made(tmp_path, MODEL, TESTS, url=endpoint.url)
        ran = kept.ran(monkeypatch)
        name = ran.record().name
        LocalForge(ran.home / "forge").review(
            name, "ada", text="Expected first, please.", path="test_a.py", line=6, approve=False, close=False
        )
        ran.run()
        assert len(endpoint.requests) == 2
        rows = ran.verify(ran.place(), code=0)
        assert len(endpoint.requests) == 2, "no model is asked"
    assert {what for what, said in rows.items() if not said.startswith("holds: ")} == set()
    assert rows["replay test_a.py"] == "holds: kept replies, judged again, 1 attempt"
    (part,) = internal(ran)["parts"]
    assert part["go"] == 1
    assert [one["passed"] for one in part["attempts"]][-1]
    assert "Expected first" not in json.dumps(internal(ran))


@pytest.mark.skipif(bool(lacking(str(SHIPPED_IN))), reason="no engine for checkpoints here")
def test_the_model_that_comes_with_umbau_is_verified_and_its_weights_are_stated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import yaml

    from pipelines.session import JOBS

    job = yaml.safe_load((JOBS / "plain-asserts.yaml").read_text())
    job["checks"] = [one for one in job["checks"] if not (isinstance(one, dict) and "tests" in one)]
    job["checks"].append({"tests": "python -m umbau_unittest"})
    del job["environment"]
    ran = made(tmp_path, monkeypatch, job, ASSERTIONS)
    rows = ran.verify(ran.place(), code=0)
    assert {what for what, said in rows.items() if not said.startswith("holds: ")} == set()
    replayed = [said for what, said in rows.items() if what.startswith("replay test_a.py")]
    assert replayed and all(said.startswith("holds: kept replies, judged again, ") for said in replayed)
    (model,) = [one for one in definition(ran)["resolvedDependencies"] if one.get("name") == "model"]
    assert re.fullmatch("[0-9a-f]{64}", model["digest"]["sha256"])
    assert "model.safetensors" in model["annotations"]["files"]
    for part in internal(ran)["parts"]:
        for one in part["attempts"][-1]["asked"]:
            assert one["model"] == model["annotations"]["revision"]


def made(folder: Path, monkeypatch: pytest.MonkeyPatch, job: dict[str, Any], files: Any) -> Ran:
    """Run a job once. `repos` are put in."""
    text = json.dumps(job | {"repos": [{"git": "REPO"}]}).replace("{", "{{").replace("}", "}}")
    return Kept.made(folder, text.replace("REPO", "{repo}"), files).ran(monkeypatch)


def definition(ran: Ran) -> dict[str, Any]:
    found: dict[str, Any] = read(ran.stated()[-1].envelope).statement()["predicate"]["buildDefinition"]
    return found


def internal(ran: Ran) -> dict[str, Any]:
    found: dict[str, Any] = definition(ran)["internalParameters"]
    return found
