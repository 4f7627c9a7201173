"""What of a budget cannot be meant, told with its place in the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.jobfile import BadJob, load
from pipelines.recipe import recipe

MODEL = "{{url: 'http://gpu/v1', name: m{gpus}}}"
JOB = """\
name: x
repos: [{{git: .}}]
steps: [{{rewrite: {{prompt: p, model: {model}}}}}]
{said}
"""


@pytest.fixture(autouse=True)
def _site(allow: Callable[..., None]) -> None:
    allow(models=["gpu"])


def loaded(tmp_path: Path, said: str, gpus: str = "") -> None:
    file = tmp_path / "job.yaml"
    file.write_text(JOB.format(model=MODEL.format(gpus=gpus), said=said))
    recipe(load(file), file)


@pytest.mark.parametrize(
    ("said", "place", "words"),
    [
        (
            "budget: {tokens: 1000, per_shard: {tokens: 2000}}",
            "4:44",
            "2,000 is more than the whole job may spend, 1,000: it is never reached",
        ),
        (
            "budget:\n  per_repo: {money: 5.0}\n  per_shard: {money: 6.0}\n  prices: {read: 1.0}",
            "6:22",
            "6.0 is more than a repository may spend, 5.0: it is never reached",
        ),
        (
            "budget: {money: 100.0}",
            "4:17",
            "nothing a model does has a price: give `budget.prices` read, written or gpu_hour",
        ),
        (
            "budget: {per_repo: {gpu_seconds: 60.0}}",
            "4:34",
            "GPU seconds are not counted: say how many GPUs the model has, `gpus` of `model`",
        ),
        (
            "budget: {money: 9.0, prices: {gpu_hour: 2.5}}",
            "4:17",
            "GPU seconds are not counted: say how many GPUs the model has, `gpus` of `model`",
        ),
        ("budget: {tokens: -1}", "4:18", "0 or more is needed here"),
        ("budget: {token: 1}", "4:10", "unknown key `token`; did you mean `tokens`?"),
        ("stop_loss: {rejected: 0.0}", "4:23", "more than 0 is needed here"),
        ("stop_loss: {last: 4}", "4:19", "5 or more is needed here"),
    ],
)
def test_nonsense_is_told_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, place: str, words: str
) -> None:
    monkeypatch.delenv("UMBAU_MODEL_GPUS", raising=False)
    with pytest.raises(BadJob) as refused:
        loaded(tmp_path, said)
    assert f"job.yaml:{place}: {words}" in str(refused.value)


@pytest.mark.parametrize(
    "said",
    [
        "budget: {tokens: 6700000, seconds: 60.0, per_shard: {seconds: 600.0}}",
        "budget: {gpu_seconds: 60.0, money: 5.0, prices: {gpu_hour: 2.5}}",
        "budget: {per_repo: {tokens: 5}, per_shard: {tokens: 5}}",
        "stop_loss: {}",
    ],
)
def test_what_can_be_meant(tmp_path: Path, said: str) -> None:
    loaded(tmp_path, said, ", gpus: 8.0")


def test_gpus_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMBAU_MODEL_GPUS", "8")
    loaded(tmp_path, "budget: {gpu_seconds: 60.0}")
