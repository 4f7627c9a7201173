from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from operators import guard
from operators.checks.api import Api
from operators.checks.complaints import Complaints
from operators.checks.gone import Gone
from operators.checks.honest import Honest
from operators.checks.inside import Inside
from operators.checks.keeps import Keeps
from operators.checks.rule import Rule
from operators.checks.scope import Scope
from operators.checks.secrets import Secrets
from operators.checks.tests import Tests as NewlyFailing
from operators.codemod import Codemod
from operators.data import called
from operators.density import Chosen
from operators.embedded import SHIPPED, SHIPPED_IN, Embedded
from operators.evidence import Evidence
from operators.model import Endpoint
from operators.piecewise import Piecewise
from operators.rewrite import Rewrite
from operators.shell import Shell
from pipelines.data import Recipe
from pipelines.job import Job
from pipelines.jobfile import BadJob
from pipelines.recipe import recipe
from tests.operators.checkpoint import checkpoint

Make = Callable[..., Recipe]
SHELL = {"shell": "ruff format {paths}"}


@pytest.fixture(autouse=True)
def _site(allow: Callable[..., None]) -> None:
    allow(models=["one", "two", "three", "gpu-box"])


REWRITE = {"rewrite": {"prompt": "Greet.", "model": {"name": "devstral", "url": "http://one/v1"}}}
ENTRY = (
    "about: a, repository: b/c, licence: {name: MIT}, architectures: [MistralForCausalLM], context: 9, "
    "weight_bytes: 1, kv_bytes_per_token: 1, sampling: {temperature: 0}, reply: blocks"
)
CODEMOD = """\
from libcst.codemod import VisitorBasedCodemodCommand


class Mine(VisitorBasedCodemodCommand):
    def __init__(self, context, word="x"):
        super().__init__(context)
"""
PLUGIN = """\
class Op:
    waits = False

    def __init__(self, word=""):
        self.word = word

    def propose(self, ws, shard, past): ...


class Judge:
    local = True

    def judge(self, ws, shard, edit): ...


class Neither: ...


class Broken:
    def __init__(self):
        raise LookupError("no luck")
"""


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    for name in ("UMBAU_MODEL_URL", "UMBAU_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    (tmp_path / "mine.py").write_text(CODEMOD)
    (tmp_path / "own_plugin.py").write_text(PLUGIN)

    def made(*steps: dict[str, Any], file: str = "job.yaml", **more: Any) -> Recipe:
        spec = {"name": "j", "repos": [{"git": "."}], "steps": list(steps) or [SHELL], **more}
        return recipe(Job.model_validate(spec), tmp_path / file)

    return made


def refused(make: Make, *steps: dict[str, Any], **more: Any) -> str:
    with pytest.raises(BadJob) as caught:
        make(*steps, **more)
    return str(caught.value)


def test_steps_and_checks_are_built_in_order(make: Make) -> None:
    found = make(
        {"codemod": "convert_format_to_fstring.ConvertFormatStringCommand"},
        REWRITE,
        SHELL,
        select={"contains": "hello"},
        checks=["parses", {"scope": {"nodes": ["Call"]}}, {"tests": "pytest -q"}],
        final=[{"tests": "pytest"}],
    )
    codemod, rewrite, shell = found.operator.steps  # type: ignore[attr-defined]
    assert (type(codemod), type(rewrite), type(shell)) == (Codemod, Rewrite, Shell)
    assert codemod.hits == rewrite.hits == "hello"
    assert [type(check).__name__ for check in found.checks] == ["Secrets", "Inside", "Parses", "Scope", "Tests"]
    assert found.checks[3] == Scope(("Call",))
    assert found.final == (NewlyFailing("pytest", full=True), NewlyFailing("pytest -q", full=True))


def test_no_job_can_do_without_inside(make: Make) -> None:
    assert make(checks=[]).checks == (Secrets(), Inside())
    assert make(checks=["parses", {"inside": {"allow": ["*.yml"]}}]).checks[2] == Inside(("*.yml",))


def test_what_the_job_names_it_may_change(make: Make) -> None:
    select = {"files": ["**/pyproject.toml", "*.cfg", "setup.py", "src/"]}
    assert make(select=select).checks[1] == Inside((), ("pyproject.toml", "setup.py"))
    assert make(select=select, checks=["parses"]).checks[1] == Inside((), ("pyproject.toml", "setup.py"))


def test_checks_of_what_an_edit_leads_to(make: Make) -> None:
    checks = [
        {"gone": ["np.int", "old"]},
        {"gone": {"pattern": "a+", "text": True}},
        {"rule": "ruff:UP031"},
        {"complaints": "mypy src"},
        {"honest": {"allow": ["subprocess"]}},
        {"api": {"allow": ["old_*"]}},
    ]
    assert make(checks=checks).checks[2:] == (
        Gone(("np.int", "old")),
        Gone((), "a+", True),
        Rule("UP031"),
        Complaints("mypy src"),
        Honest(("subprocess",)),
        Api(("old_*",)),
    )


@pytest.mark.parametrize(
    ("check", "why"),
    [
        ({"honest": {"allow": ["subproces"]}}, "no rule is called `subproces`; did you mean `subprocess`?"),
        ({"gone": []}, "one of names, pattern must say what is to be gone"),
        ({"gone": ["a b"]}, "`a b` is no name: write `pattern` for more"),
        ({"complaints": "ruff check {paths}"}, "name them instead of `{paths}`"),
        ({"rule": "UP031"}, "String should match pattern"),
    ],
)
def test_checks_that_cannot_be_built(check: dict[str, Any], why: str, make: Make) -> None:
    with pytest.raises((BadJob, ValueError)) as caught:
        make(checks=[check])
    assert why in str(caught.value)


def test_what_the_job_leaves_out_of_the_model_comes_from_the_environment(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = {"rewrite": {"prompt": "x"}}
    assert make(step).operator.steps[0].model is None  # type: ignore[attr-defined]
    monkeypatch.setenv("UMBAU_MODEL_URL", "http://two/v1")
    monkeypatch.setenv("UMBAU_MODEL", "small")
    assert make(step).operator.steps[0].model == Endpoint("http://two/v1", "small")  # type: ignore[attr-defined]
    assert make(REWRITE).operator.steps[0].model.url == "http://one/v1"  # type: ignore[attr-defined]
    monkeypatch.setenv("UMBAU_MODEL_GPUS", "8")
    assert make(step).operator.steps[0].model.gpus == 8  # type: ignore[attr-defined]
    monkeypatch.setenv("UMBAU_MODEL_GPUS", "many")
    assert "UMBAU_MODEL_GPUS is 'many'" in refused(make, step)


def test_the_model_that_comes_with_umbau_runs_here_or_where_it_is_hosted(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = {"prompt": "x", "reply": "piece", "left": "y", "model": {"name": SHIPPED, "bare": True}}
    checks = ["inside", {"keeps": {"free": ["self", "assert*", "match=", "pytest"]}}]

    def operator() -> Piecewise:
        (found,) = make({"rewrite": step}, checks=checks).operator.steps  # type: ignore[attr-defined]
        assert isinstance(found, Piecewise)
        return found

    assert operator().model == Embedded(str(SHIPPED_IN), bare=True)
    assert operator().words == ("self", "match", "pytest")
    monkeypatch.setenv("UMBAU_MODEL_URL", "http://gpu-box:8000/v1")
    assert operator().model == Endpoint("http://gpu-box:8000/v1", SHIPPED, bare=True)


@pytest.mark.parametrize("url", ["http://alice:secret@gpu-box/v1", "http://gpu-box/v1?api_key=secret"])
def test_a_model_url_with_a_secret_is_refused_and_not_repeated(make: Make, url: str) -> None:
    told = refused(make, {"rewrite": {"prompt": "x", "model": {"name": "small", "url": url}}})
    assert "the key goes into the variable of `key_from`" in told
    assert "secret" not in told.partition("url")[0]


def test_a_checkpoint_runs_in_the_worker(make: Make, tmp_path: Path) -> None:
    checkpoint(tmp_path / "mine")
    step = {"prompt": "x", "reply": "piece", "left": "y", "model": {"checkpoint": "mine", "bare": True}}
    found = make({"rewrite": step})
    operator = Piecewise("x", Embedded(str(tmp_path / "mine"), bare=True), hits="y")
    assert found.operator.steps == (operator,)  # type: ignore[attr-defined]
    assert not found.learns, "nobody can talk to it"
    assert make({"rewrite": {**step, "model": {"checkpoint": "mine"}}}).learns
    told = refused(make, {"rewrite": {**step, "model": {"checkpoint": "nowhere"}}})
    assert f"{tmp_path / 'nowhere'} holds no checkpoint: config.json, tokenizer.json" in told


def test_pieces_need_a_pattern(make: Make) -> None:
    step = {"rewrite": {"prompt": "x", "reply": "piece"}}
    assert "give `left`, or `select.contains`" in refused(make, step)
    assert make(step, select={"contains": "y"}).operator.steps == (Piecewise("x", hits="y"),)  # type: ignore[attr-defined]


def test_who_can_be_told_what_is_wrong(make: Make) -> None:
    assert make(REWRITE).learns
    assert not make(SHELL).learns


@pytest.mark.parametrize(
    ("said", "after", "protocol", "why"),
    [
        (None, None, "blocks", "no examples show how much changes"),
        (None, "a\nb\nc\nd\nX\n", "blocks", "the examples change 1 of 5 lines, 20%; whole from 40%"),
        (None, "a\nb\nc\nX\nY\n", "whole", "the examples change 2 of 5 lines, 40%; whole from 40%"),
        ("blocks", "X\n", "blocks", "the job says so"),
        ("whole", None, "whole", "the job says so"),
        ("piece", "X\n", "piece", "the job says so"),
    ],
)
def test_the_form_of_the_reply_follows_the_examples_unless_the_job_says_it(
    said: str | None, after: str | None, protocol: str, why: str, make: Make
) -> None:
    examples = [{"before": "a\nb\nc\nd\ne\n", "after": after}] if after else []
    step = {"rewrite": {"prompt": "x", "left": "y", "examples": examples, **({"reply": said} if said else {})}}
    found = make(step)
    assert found.reply == Chosen(protocol, why)  # type: ignore[arg-type]
    (operator,) = found.operator.steps  # type: ignore[attr-defined]
    marks = {"blocks": "SEARCH/REPLACE", "whole": "the whole file", "piece": "one statement at a time"}
    assert [name for name, mark in marks.items() if mark in operator.system()] == [protocol]


def test_a_job_that_asks_no_model_has_no_form_of_reply(make: Make) -> None:
    assert make().reply is None


def test_names_may_come_and_go_as_the_job_says(make: Make) -> None:
    assert make(checks=[{"keeps": {"free": ["self"]}}, "keeps"]).checks[2:] == (Keeps(("self",)), Keeps())


def test_a_recipe_can_be_sent(make: Make) -> None:
    found = make({"codemod": {"name": "mine.Mine", "arguments": {"word": "y"}}}, REWRITE)
    assert pickle.loads(pickle.dumps(found)) == found


BAD_STEPS = {
    "no codemod": ({"codemod": "nobody.Nothing"}, "no LibCST codemod is called nobody.Nothing"),
    "no dotted path": ({"codemod": "nobody"}, "no LibCST codemod is called nobody"),
    "no codemod class": ({"codemod": "json.JSONDecoder"}, "no LibCST codemod is called json.JSONDecoder"),
    "argument": ({"codemod": {"name": "mine.Mine", "arguments": {"wrod": "y"}}}, "unexpected keyword argument 'wrod'"),
    "examples": ({"rewrite": {"prompt": "x", "examples": "nobody"}}, "no module nobody with EXAMPLES"),
    "no plugin": ({"use": "nobody.Nothing"}, "nobody.Nothing: ModuleNotFoundError: No module named 'nobody'"),
    "no plugin class": ({"use": "own_plugin.Nothing"}, "has no attribute 'Nothing'"),
    "plugin setting": (
        {"use": {"path": "own_plugin.Op", "settings": {"wrod": 1}}},
        "unexpected keyword argument 'wrod'",
    ),
    "plugin fails": ({"use": "own_plugin.Broken"}, "own_plugin.Broken: LookupError: no luck"),
    "plugin is no operator": ({"use": "own_plugin.Neither"}, "own_plugin.Neither has no propose and no waits"),
}


@pytest.mark.parametrize("name", BAD_STEPS)
def test_steps_that_cannot_be_built(name: str, make: Make) -> None:
    step, why = BAD_STEPS[name]
    assert why in refused(make, step)


BAD_SETTINGS = {
    "branch": ({"branch": "umbau"}, "must hold {{ job }}/ and then {{ group }}"),
    "branch name": ({"branch": "{{ job }}/a b/{{ group }}"}, "which is no branch name"),
    "branch template": ({"branch": "{{ job }}/{{ grup }}"}, "'grup' is undefined"),
    "title": ({"title": "{{ nobody }}"}, "'nobody' is undefined"),
    "title that fails": ({"title": "{{ 1 / 0 }}"}, "division by zero"),
    "empty title": ({"title": "{{ '' }}"}, "merge_request.title is empty"),
    "body": ({"body": "{% for x in files %}"}, "merge_request|Unexpected end of template"),
}


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_templates_that_do_not_work(name: str, make: Make) -> None:
    settings, why = BAD_SETTINGS[name]
    said = refused(make, merge_request=settings)
    assert any(part in said for part in why.split("|"))
    assert said.partition(": ")[0].endswith("job.yaml")


def test_a_check_that_is_none(make: Make) -> None:
    assert "own_plugin.Op has no judge and no local" in refused(make, checks=[{"use": "own_plugin.Op"}])
    assert type(make(checks=[{"use": "own_plugin.Judge"}]).checks[2]).__name__ == "Judge"


def test_a_module_that_cannot_be_imported(make: Make, tmp_path: Path) -> None:
    (tmp_path / "half.py").write_text("def (:\n")
    (tmp_path / "dies.py").write_text("1 / 0\n")
    assert "SyntaxError" in refused(make, {"codemod": "half.Half"})
    assert "ZeroDivisionError" in refused(make, {"use": "dies.Dies"})


TESTED: dict[str, Any] = {"run": "pytest -q", "timeout": 9.0, "covered": 0.8}


def characterised(**settings: Any) -> dict[str, Any]:
    return {"checks": [{"tests": {**TESTED, "characterise": settings}}]}


def test_where_a_generated_test_counts_as_well_the_demand_is_not_that_of_the_tests_alone(make: Make) -> None:
    found = make(REWRITE, **characterised(attempts=2, keep="tests/test_{name}.py"))
    assert found.checks[2] == NewlyFailing("pytest -q", 9.0)
    assert found.final == (NewlyFailing("pytest -q", 9.0, full=True),)
    model = Endpoint("http://one/v1", "devstral")
    assert found.evidence == Evidence("pytest -q", 9.0, 0.8, model, 2, "tests/test_{name}.py")
    plain = make(REWRITE, checks=[{"tests": TESTED}])
    assert (plain.evidence, plain.checks[2]) == (None, NewlyFailing("pytest -q", 9.0, 0.8))
    assert pickle.loads(pickle.dumps(found)) == found


def test_who_writes_a_test(make: Make) -> None:
    other = make(REWRITE, **characterised(model={"name": "small", "url": "http://two/v1"})).evidence
    assert other and other.model == Endpoint("http://two/v1", "small")
    nobody = make(SHELL, **characterised()).evidence
    assert nobody and nobody.model is None
    assert "needs a model that can be told" in refused(
        make, SHELL, **characterised(model={"name": "umbau-asserts", "bare": True})
    )


def test_what_evidence_depends_on(make: Make) -> None:
    asked = make(REWRITE, **characterised())
    assert not same(asked, make(REWRITE, checks=[{"tests": TESTED}]))
    assert not same(asked, make(REWRITE, **characterised(attempts=5)))
    assert not same(asked, make(REWRITE, **characterised(keep="{name}.py")))
    one, two, three = (
        make(REWRITE, **characterised(model={"name": name, "url": url}))
        for name, url in (("small", "http://two/v1"), ("small", "http://three/v1"), ("large", "http://two/v1"))
    )
    assert same(one, two) and not same(one, three)


def same(one: Recipe, other: Recipe) -> bool:
    return one.fingerprint == other.fingerprint


def test_the_fingerprint_does_not_change_by_itself(make: Make) -> None:
    assert same(make(REWRITE), make(REWRITE))


@pytest.mark.parametrize(
    "more",
    [
        {"merge_request": {"title": "x", "group": {"by": "file"}}},
        {"description": "x"},
        {"repos": [{"pypi": "six==1.0"}]},
        {"select": {"files": ["a/*.py"], "exclude": ["b"]}},
        {"attempts": 9},
        {"name": "other"},
    ],
)
def test_what_the_outcome_does_not_depend_on(more: dict[str, Any], make: Make) -> None:
    assert same(make(REWRITE), make(REWRITE, **more))


@pytest.mark.parametrize(
    "model",
    [{"url": "http://two/v1"}, {"timeout": 5.0}, {"concurrency": 1}, {"key_from": "OTHER_KEY"}],
)
def test_where_a_model_is_served_does_not_matter(model: dict[str, Any], make: Make) -> None:
    assert same(
        make(REWRITE), make({"rewrite": {**REWRITE["rewrite"], "model": {**REWRITE["rewrite"]["model"], **model}}})
    )


def test_another_model_is_the_one_that_the_job_names(make: Make) -> None:
    other = {"name": "large", "url": "http://two/v1"}
    found = make({"rewrite": {**REWRITE["rewrite"], "fallback": other}}, attempts=6)
    (step,) = found.operator.steps  # type: ignore[attr-defined]
    assert (step.model, step.fallback) == (
        Endpoint("http://one/v1", "devstral"),
        Endpoint("http://two/v1", "large"),
    )


def test_the_same_model_by_job_and_by_environment(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    by_job = make(REWRITE)
    monkeypatch.setenv("UMBAU_MODEL_URL", "http://one/v1")
    monkeypatch.setenv("UMBAU_MODEL", "devstral")
    assert same(by_job, make({"rewrite": {"prompt": "Greet."}}))


@pytest.mark.parametrize(
    "rewrite",
    [
        {"prompt": "Greet!"},
        {"examples": [{"before": "a", "after": "b"}]},
        {"model": {"name": "other", "url": "http://one/v1"}},
        {"model": {"name": "devstral", "url": "http://one/v1", "temperature": 1.0}},
        {"model": None},
        {"reply": "whole"},
        {"learn": 3},
        {"left": "x"},
        {"context": ["a.py"]},
        {"fallback": {"name": "large", "url": "http://one/v1"}},
    ],
)
def test_what_a_rewrite_depends_on(rewrite: dict[str, Any], make: Make) -> None:
    assert not same(make(REWRITE), make({"rewrite": {**REWRITE["rewrite"], **rewrite}}, attempts=6))


@pytest.mark.parametrize(
    "more",
    [
        {"checks": ["parses"]},
        {"checks": [{"scope": {"nodes": ["Call"]}}]},
        {"final": [{"tests": "pytest"}]},
        {"environment": {"python": "3.12"}},
        {"select": {"contains": "hello"}},  # what a codemod of reach `symbol` and a rewrite look for
    ],
)
def test_what_any_outcome_depends_on(more: dict[str, Any], make: Make) -> None:
    assert not same(make(REWRITE), make(REWRITE, **more))


def test_an_edited_codemod_is_run_again(make: Make, tmp_path: Path) -> None:
    step = {"codemod": "mine.Mine"}
    before = make(step)
    (tmp_path / "unrelated.py").write_text("x = 1\n")
    assert same(before, make(step))
    (tmp_path / "mine.py").write_text(f"import part_of_mine\n{CODEMOD}")
    (tmp_path / "part_of_mine.py").write_text("x = 1\n")
    guard._guard.close()  # whose child has imported the old one
    edited = make(step)
    assert not same(before, edited)
    (tmp_path / "part_of_mine.py").write_text("x = 2\n")
    assert not same(edited, make(step))


def test_an_edited_plugin_is_run_again(make: Make, tmp_path: Path) -> None:
    before = make({"use": "own_plugin.Op"})
    assert not same(before, make({"use": {"path": "own_plugin.Op", "settings": {"word": "x"}}}))
    (tmp_path / "own_plugin.py").write_text(PLUGIN + "# edited\n")
    assert not same(before, make({"use": "own_plugin.Op"}))


def test_edited_examples_are_run_again(make: Make, tmp_path: Path) -> None:
    step = {"rewrite": {"prompt": "x", "examples": "pairs"}}
    (tmp_path / "pairs.py").write_text("EXAMPLES = [('a', 'b')]\n")
    before = make(step)
    assert before.operator.steps[0].examples == (("a", "b"),)  # type: ignore[attr-defined]
    (tmp_path / "pairs.py").write_text("EXAMPLES = [('a', 'c')]\n")
    guard._guard.close()
    assert not same(before, make(step))


def test_where_the_job_file_lies_does_not_matter(make: Make, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "mine.py").write_text(CODEMOD)
    one, other = make({"codemod": "mine.Mine"}), make({"codemod": "mine.Mine"}, file="below/job.yaml")
    assert same(one, other)
    assert one.operator.steps[0] == replace(other.operator.steps[0], home=str(tmp_path))  # type: ignore[attr-defined]


def test_a_job_may_not_keep_silent_about_a_model(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = {"merge_request": {"assisted_by": ""}}
    monkeypatch.setenv("UMBAU_SITE", str(tmp_path / "site.yaml"))
    (tmp_path / "site.yaml").write_text("share: false\n")
    with pytest.raises(BadJob, match="leaves out that a model wrote parts"):
        make(REWRITE, **silent)
    (tmp_path / "site.yaml").write_text("say_model: false\n")
    assert make(REWRITE, **silent)
    with pytest.raises(BadJob, match="assisted_by says nothing"):
        make(REWRITE, merge_request={"assisted_by": "{% if shards > 9 %}x{% endif %}"})


def test_which_weights_are_hosted_is_part_of_what_is_asked(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(revision: str) -> tuple[str, str]:
        (tmp_path / "site.yaml").write_text(f"models: {{devstral: {{{ENTRY}, revision: {revision}}}}}\n")
        found = make(REWRITE)
        (step,) = found.operator.steps  # type: ignore[attr-defined]
        return called(step.model), found.fingerprint

    monkeypatch.setenv("UMBAU_SITE", str(tmp_path / "site.yaml"))
    (one, first), (other, second) = asked("'1fc9'"), asked("'20ab'")
    assert (one, other) == ("devstral@1fc9", "devstral@20ab") and first != second
