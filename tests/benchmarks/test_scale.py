from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks.scale import VERBS, alone


def test_each_verb_does_what_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in VERBS:
        alone(verb, 450, tmp_path)  # two repositories and a quarter
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [list(one) for one in found] == [["seconds", "peak"]] * len(VERBS)
