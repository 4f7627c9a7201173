from __future__ import annotations

import json
import re
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.job import Job
from pipelines.jobfile import _FORMS, BadJob, Problem, load, parse, problem

GOOD = "name: greet\nrepos: [{git: .}]\nsteps: [{shell: ruff format}]\n"
REWRITE = "name: greet\nrepos: [{{git: .}}]\nsteps: [{{rewrite: {{prompt: x, {}}}}}]\n"


def job(text: str | bytes) -> Job:
    return parse(text if isinstance(text, bytes) else text.encode(), "job.yaml")


def told(text: str | bytes) -> str:
    with pytest.raises(BadJob) as caught:
        job(text)
    assert caught.value.code == 64
    return str(caught.value)


# The text, where it is wrong, and what is said of it.
BAD = {
    "empty": ("", "job.yaml", "needs name, repos and steps"),
    "only a comment": ("# soon\n", "job.yaml", "`umbau init` writes one"),
    "null": ("~\n", "job.yaml", "is empty"),
    "a list": ("- name: greet\n", "job.yaml:1:1", "keys and values: name, repos, steps"),
    "a word": ("greet\n", "job.yaml:1:1", "keys and values"),
    "keys twice": (GOOD + "name: again\n", "job.yaml:4:1", "`name` stands here twice, first on line 1"),
    "keys twice further in": (GOOD + "select: {contains: a, contains: b}\n", "job.yaml:4:23", "first on line 4"),
    "misspelt": (GOOD + "atempts: 3\n", "job.yaml:4:1", "did you mean `attempts`?"),
    "misspelt repos": (GOOD.replace("repos", "repo"), "job.yaml:2:1", "did you mean `repos`?"),
    "misspelt further in": (GOOD + "merge_request:\n  titel: x\n", "job.yaml:5:3", "did you mean `title`?"),
    "unknown": (GOOD + "select:\n  zebra: 1\n", "job.yaml:5:3", "known here: files, exclude, contains"),
    "unknown check": (GOOD + "checks: [inside, parse]\n", "job.yaml:4:18", "did you mean `parses`?"),
    "merge key": (GOOD + "<<: {attempts: 3}\n", "job.yaml:4:1", "unknown key `<<`"),
    "complex key": (GOOD + "? [a, b]\n: c\n", "job.yaml:4:3", "a key is one word"),
    "template": (
        GOOD + "merge_request: {title: {{ job }}}\n",
        "job.yaml:4:25",
        "put a template such as {{ job }} in quotes",
    ),
    "python 3.11": (GOOD + "environment: {python: 3.11}\n", "job.yaml:4:23", 'write "3.11" in quotes'),
    "python 3.10": (GOOD + "environment: {python: 3.10}\n", "job.yaml:4:23", 'write "3.10" in quotes'),
    "python 2": (GOOD + 'environment: {python: "2.7"}\n', "job.yaml:4:23", "a version of Python 3"),
    "no": (GOOD + "merge_request: {draft: no}\n", "job.yaml:4:24", "true or false is needed"),
    "true for text": (GOOD.replace("greet", "true"), "job.yaml:1:7", 'write "true" in quotes'),
    "a test asked for that nothing demands": (
        GOOD + "checks: [{tests: {run: pytest, characterise: {}}}]\n",
        "job.yaml:4:18",
        "`characterise` needs to know how much: add `covered: 0.8`",
    ),
    "a test asked for of sums": (
        GOOD + "final: [{tests: {run: pytest, covered: 0.8, characterise: {}}}]\n",
        "job.yaml:1:1",
        "`characterise` may stand once, in `checks`",
    ),
    **{
        f"a test kept at {place}": (
            GOOD + f"checks: [{{tests: {{run: pytest, covered: 1, characterise: {{keep: '{place}'}}}}}}]\n",
            "job.yaml:4:58",
            "`keep` is a path with `{name}` in the file's name, such as tests/test_umbau_{name}.py",
        )
        for place in (
            "tests",
            "tests/test_app.py",
            "../test_{name}.py",
            "/test_{name}.py",
            ".github/{name}.py",
            "{name}/a.py",
        )
    },
    "a context that the answer fills": (
        REWRITE.format("model: {name: small, context: 8192}"),
        "job.yaml:3:38",
        "`max_tokens` leaves no room for a question in `context`",
    ),
    "a checkpoint with a name": (
        REWRITE.format("model: {checkpoint: mine, name: small}"),
        "job.yaml:3:38",
        "a `checkpoint` runs here and has no name",
    ),
    "bare without piece": (
        REWRITE.format("model: {checkpoint: mine, bare: true}"),
        "job.yaml:3:19",
        "add `reply: piece`",
    ),
    "piece with learn": (REWRITE.format("reply: piece, learn: 3"), "job.yaml:3:19", "no `learn` is shown"),
    "learn without room": (
        REWRITE.format("learn: 3, model: {context: 10192}"),
        "job.yaml:3:19",
        "`learn` shows up to 2,000 tokens of edits: `context` less `max_tokens` must be more",
    ),
    "learn without room for the fallback": (
        REWRITE.format("learn: 3, fallback: {name: b, context: 9000}").replace("steps", "attempts: 6\nsteps"),
        "job.yaml:4:19",
        "`context` less `max_tokens` must be more",
    ),
    "learn from nobody": (REWRITE.format("learn: -1"), "job.yaml:3:38", "0 or more"),
    "piece with context": (REWRITE.format("reply: piece, context: [a.py]"), "job.yaml:3:19", "no `context` is shown"),
    "piece with more": (REWRITE.format("reply: piece, show: [callers]"), "job.yaml:3:19", "no `show` is shown"),
    "branch 5": (GOOD.replace("git: .", "git: ., branch: 5"), "job.yaml:2:26", 'write "5" in quotes'),
    "branch pattern": (GOOD.replace("git: .", 'git: ., branch: "a*"'), "job.yaml:2:9", "the name of one branch"),
    "null for text": (GOOD + "description:\n", "job.yaml:4:13", "text is needed here"),
    "number for a step": (GOOD.replace("ruff format", "5"), "job.yaml:3:17", 'write "5" in quotes'),
    "text for a list": ("name: a\nrepos: .\nsteps: [{shell: x}]\n", "job.yaml:2:8", "begin each entry with `- `"),
    "text for keys": (GOOD + "merge_request: x\n", "job.yaml:4:16", "keys and values are needed"),
    "nothing in a list": ("name: a\nrepos: []\nsteps: [{shell: x}]\n", "job.yaml:2:8", "at least one entry"),
    "step without a value": (GOOD.replace("ruff format", ""), "job.yaml:3:9", "`shell` has no value"),
    "check without a value": (GOOD + "checks: [{parses: }]\n", "job.yaml:4:10", "`parses` has no value"),
    "two steps in one": (GOOD.replace("format", "format, codemod: a.B"), "job.yaml:3:9", "one key is needed here, of"),
    "no repository": (GOOD.replace("git: .", "branch: main"), "job.yaml:2:9", "one key is needed here, of git, pypi"),
    "pypi without version": (GOOD.replace("git: .", "pypi: six"), "job.yaml:2:9", "python-slugify==9.2.0"),
    "name": (GOOD.replace("greet", "Greet me"), "job.yaml:1:7", "lower-case letters, digits"),
    "url": (
        GOOD.replace("shell: ruff format", "rewrite: {prompt: x, model: {url: ftp://x}}"),
        "job.yaml:3:44",
        "an http or https URL",
    ),
    "url without end": (GOOD + "forge: {gitlab: 'https://['}\n", "job.yaml:4:17", "an http or https URL"),
    "url with no port": (GOOD + "forge: {github: {url: 'https://x:y'}}\n", "job.yaml:4:23", "an http or https URL"),
    "url of a model": (REWRITE.format("model: {url: 'http://x:99999'}"), "job.yaml:3:44", "an http or https URL"),
    "window": (GOOD + "rollout: {windows: [Mon-Fri 9:00-17:00]}\n", "job.yaml:4:21", "such as `mon-fri 09:00-17:00`"),
    "author": (GOOD + "merge_request: {author: ada}\n", "job.yaml:4:25", "`Name <address>` is needed here"),
    "plugin": (GOOD.replace("shell: ruff format", "use: mine"), "job.yaml:3:15", "`package.module.Class`"),
    "choice": (GOOD + "shard: {by: files}\n", "job.yaml:4:13", "one of file, directory, owner, symbol is needed"),
    "choice, near": (GOOD + "shard: {by: symbols}\n", "job.yaml:4:13", "did you mean symbol?"),
    "regex": (
        GOOD + "select: {contains: '(a'}\n",
        "job.yaml:4:20",
        "missing ), unterminated subpattern at character 1",
    ),
    "regex of many": (GOOD + "select: {contains: 'a{99999999999999999999}'}\n", "job.yaml:4:20", "too large"),
    "regex in regex": (GOOD + f"select: {{contains: '{'(' * 5000}'}}\n", "job.yaml:4:20", "not a regular expression"),
    "regex, endless": (GOOD + f"select: {{contains: {'a' * 10_001}}}\n", "job.yaml:4:20", "at most 10000 characters"),
    "glob upwards": (GOOD + "select: {files: ['../**']}\n", "job.yaml:4:18", "within the repository"),
    "glob upwards, inside": (GOOD + "select: {files: ['a/../../b']}\n", "job.yaml:4:18", "within the repository"),
    "glob of nothing": (GOOD + "select: {files: ['']}\n", "job.yaml:4:18", "`**/test_*.py`"),
    "glob of no sense": (GOOD + "select: {files: ['!']}\n", "job.yaml:4:18", "within the repository"),
    "scope of nothing": (GOOD + "checks: [scope]\n", "job.yaml:4:10", "one of nodes, names, statements, imports"),
    "examples": (
        GOOD.replace("shell: ruff format", "rewrite: {prompt: x, examples: [{before: a, aftr: b}]}"),
        "job.yaml:3:54",
        "did you mean `after`?",
    ),
    "0": (GOOD + "attempts: 0\n", "job.yaml:4:11", "1 or more is needed"),
    "-1": (GOOD + "attempts: -1\n", "job.yaml:4:11", "1 or more is needed"),
    "1e9": (GOOD + "attempts: 1e9\n", "job.yaml:4:11", "a whole number is needed"),
    "1000000000": (GOOD + "attempts: 1000000000\n", "job.yaml:4:11", "100 or less is needed"),
    "text 10": (GOOD + 'attempts: "10"\n', "job.yaml:4:11", "a whole number is needed"),
    "true for 1": (GOOD + "attempts: true\n", "job.yaml:4:11", "a whole number is needed"),
    "5000 digits": (GOOD + f"attempts: {'9' * 5000}\n", "job.yaml:4:11", "a whole number is needed"),
    "no time": (GOOD.replace("ruff format", "{run: x, timeout: 0}"), "job.yaml:3:35", "more than 0 is needed"),
    "endless time": (GOOD.replace("ruff format", "{run: x, timeout: 1.0e999}"), "job.yaml:3:35", "or less is needed"),
    "tag": (GOOD + "description: !!str 5\n", "job.yaml:4:14", "the tag !!str means nothing here"),
    "python tag": (
        GOOD + "description: !!python/object/apply:os.system [touch x]\n",
        "job.yaml:4:14",
        "the tag !!python/object/apply:os.system means nothing here",
    ),
    "pattern taken for a tag": (GOOD + "select: {files: [!x.py]}\n", "job.yaml:4:24", "begins with ! in quotes"),
    "alias": (
        GOOD + "description: &a x\nmerge_request: {title: *a}\n",
        "job.yaml:5:24",
        "the alias *a is not supported",
    ),
    "alias of itself": ("&a [*a]\n", "job.yaml:1:5", "the alias *a"),
    "pattern taken for an alias": (GOOD + "select: {files: [**/*.py]}\n", "job.yaml:4:19", "begins with * in quotes"),
    "100,000 [": ("[" * 100_000, "job.yaml:1:42", "nested more than 40 levels deep"),
    "100,000 -": ("- " * 100_000, "job.yaml:1:83", "nested more than 40 levels deep"),
    "100,000 {": ("{a: " * 50_000, "job.yaml:1:165", "nested more than 40 levels deep"),
    "two documents": (GOOD + "---\n" + GOOD, "job.yaml:4:1", "a second document begins here"),
    "tabs": ("name: a\nrepos:\n\t- git: .\n", "job.yaml:3:1", "indent with spaces, not with tabs"),
    "tab further back": (GOOD + "# x\nselect: # \t \n  files: x\n", "job.yaml:6:10", "a list is needed here"),
    "colon": (GOOD + "description: this: that\n", "job.yaml:4:18", "put text that holds a colon in quotes"),
    "open quote": (GOOD + "description: 'x\n", "job.yaml:5:1", "a quote that is opened must be closed"),
    "escape": (GOOD + 'select: {contains: "\\."}\n', "job.yaml:4:22", "a backslash is written twice"),
    "open bracket": (GOOD + "select: {files: [a\n", "job.yaml:5:1", "is every bracket closed"),
    "indentation": ("name: a\n  repos: []\n steps: []\n", "job.yaml:2:8", "not YAML"),
    "latin-1": (GOOD.encode() + b"description: caf\xe9\n", "job.yaml:4:17", "not UTF-8"),
    "utf-16": (GOOD.encode("utf-16"), "job.yaml:1:1", "not UTF-8"),
    "nul": (GOOD + "description: a\0b\n", "job.yaml:4:15", "the character U+0000 is not allowed"),
    "escape character": (GOOD + "description: \x1b[31m\n", "job.yaml:4:14", "U+001B"),
    "written nul": (GOOD + 'steps2: "\\0"\n', "job.yaml:4:9", "a NUL"),
    "half a character": (GOOD + 'description: "\\uD800"\n', "job.yaml:4:14", "half of a character"),
    "no character": (GOOD + 'description: "\\UFFFFFFFF"\n', "job.yaml:4:17", "a number is too large"),
    "version": (f"%YAML {'9' * 5000}.1\n---\n" + GOOD, "job.yaml:1:7", "a number is too large"),
    "crlf": ((GOOD + "atempts: 3\n").replace("\n", "\r\n"), "job.yaml:4:1", "did you mean `attempts`?"),
    "bom and a mistake": ("\ufeff" + GOOD + "atempts: 3\n", "job.yaml:4:1", "did you mean `attempts`?"),
    "too large": (GOOD + "# " + "x" * (256 << 10), "job.yaml", "larger than 256 kB"),
    "key of 2,000": (GOOD + "k" * 2000 + ": x\n", "job.yaml:4:2001", "could not find expected ':'"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_told_with_its_place_and_what_to_write(name: str) -> None:
    text, place, what = BAD[name]
    said = told(text)
    assert said.startswith(f"{place}: ")
    assert what in said
    assert len(said) < 2000, "an error fits a screen"


@pytest.mark.parametrize("name", [name for name in BAD if BAD[name][1].count(":") == 2])
def test_the_line_is_shown_with_a_mark_below_the_place(name: str) -> None:
    text, place, _ = BAD[name]
    _, line, column = place.split(":")
    told_lines = told(text).split("\n")
    number, _, shown = told_lines[1].partition(" | ")
    assert number.strip() == line
    mark = told_lines[2].partition("| ")[2]
    assert mark.endswith("^") and mark[:-1].strip() == ""
    if isinstance(text, str) and len(text) < 1000:
        wrong = re.split(r"\r?\n", text.removeprefix("\ufeff"))[int(line) - 1]
        assert shown == "".join(one if one.isprintable() or one == "\t" else "\ufffd" for one in wrong)
        assert len(mark) == int(column)


def test_forms_are_told_in_words() -> None:
    schema = Job.model_json_schema()
    shapes = [schema, *schema["$defs"].values()]
    forms = {
        name
        for shape in shapes
        for name, said in shape.get("properties", {}).items()
        if "pattern" in json.dumps({key: said[key] for key in said.keys() & {"pattern", "items", "anyOf"}})
    }
    assert forms and forms <= _FORMS.keys(), "nobody is shown a regular expression"


def test_a_pipe_is_empty_the_second_time(tmp_path: Path) -> None:
    (tmp_path / "pipe").touch()
    assert problem(tmp_path / "pipe", ("steps", 0, "codemod"), "no such codemod") == Problem("no such codemod")


def test_everything_that_is_missing_is_told_at_once() -> None:
    said = told("description: x\n")
    assert [line for line in said.splitlines() if "missing" in line] == [
        "job.yaml:1:1: `name` is missing",
        "job.yaml:1:1: `repos` is missing",
        "job.yaml:1:1: `steps` is missing",
    ]


def test_problems_stand_in_the_order_of_the_file() -> None:
    said = told("name: A\nrepos: [{git: .}]\nattempts: 0\nsteps: [{shell: 5}]\n")
    assert re.findall(r"job\.yaml:(\d+)", said) == ["1", "3", "4"]


def test_an_alias_bomb_costs_nothing() -> None:
    lines = ["a: &a [x, x, x]", *(f"{two}: &{two} [*{one}, *{one}]" for one, two in pairwise("abcdefghi"))]
    start = time.monotonic()
    assert "the alias *a is not supported" in told("\n".join(lines))
    assert time.monotonic() - start < 1


SURPRISES = {
    "no": "no",
    "on": "on",
    "1:30": "1:30",
    "2026-13-45": "2026-13-45",
    "2026-11-24": "2026-11-24",
    "0o17": "0o17",
    "1_000": "1_000",
    ".nan": ".nan",
    "+1": "+1",
    "=": "=",
}


@pytest.mark.parametrize("written", SURPRISES)
def test_text_means_what_it_looks_like(written: str) -> None:
    assert job(GOOD + f"description: {written}\n").description == SURPRISES[written]


@pytest.mark.parametrize(
    "text", [GOOD, "\ufeff" + GOOD, GOOD.replace("\n", "\r\n"), "---\n" + GOOD, GOOD + "...\n", GOOD + "# ende: ä\n"]
)
def test_good_files_are_accepted(text: str) -> None:
    assert job(text).name == "greet"


def test_short_forms() -> None:
    found = job(
        "name: a\nrepos: [{pypi: six==1.0}]\nchecks: [inside, {command: ruff check}, {command: {run: x, timeout: 5}}]\n"
        "steps: [{codemod: a.B}, {rewrite: {prompt: p, model: devstral, examples: mine}}]\n"
    )
    assert found.steps[0].codemod and found.steps[0].codemod.name == "a.B"
    assert found.steps[1].rewrite and found.steps[1].rewrite.model and found.steps[1].rewrite.model.name == "devstral"
    assert found.steps[1].rewrite.examples == "mine"
    assert [check.command.timeout for check in found.checks if check.command] == [600.0, 5.0]


def test_a_job_may_hold_one_rewrite() -> None:
    said = told("name: a\nrepos: [{git: .}]\nsteps: [{rewrite: {prompt: a}}, {rewrite: {prompt: b}}]\n")
    assert "`steps` may hold one rewrite" in said


@pytest.mark.parametrize("what", ["missing", "folder"])
def test_files_that_cannot_be_read(tmp_path: Path, what: str) -> None:
    path = tmp_path if what == "folder" else tmp_path / "job.yaml"
    with pytest.raises(BadJob, match=r"cannot be read: (No such file or directory|Is a directory)"):
        load(path)


def test_a_file_is_read_no_further_than_it_may_be(tmp_path: Path) -> None:
    with (tmp_path / "job.yaml").open("wb") as file:
        file.truncate(5 << 30)
    with pytest.raises(BadJob, match="larger than 256 kB"):
        load(tmp_path / "job.yaml")


words = 'name repos steps select git shell : - [ ] { } , " | > &a *a !x # ? %YAML 1.1 --- ... \\U \\x0 ~ 3.10 true ä <<'
yamlish = st.lists(st.sampled_from([*words.split(), "'", ": ", "- ", "\n", "\n  ", "\t", "\x85", "\u2028"])).map(
    "".join
)


@given(st.binary(max_size=200) | yamlish.map(str.encode) | yamlish.map(lambda text: (GOOD + text).encode()))
def test_any_bytes_give_a_job_or_say_what_is_wrong(data: bytes) -> None:
    try:
        assert isinstance(parse(data, "job.yaml"), Job)
    except BadJob as error:
        assert str(error).startswith("job.yaml:")
        assert str(error).isprintable() or set(str(error)) - set("\n\t") == {c for c in str(error) if c.isprintable()}


keys = st.sampled_from([*Job.model_fields, "by", "git", "shell"])
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(0, 9) | st.text("ab3.:*/", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*Job.model_fields, "x"]), plain))
def test_any_value_in_any_place_gives_a_job_or_says_what_is_wrong(value: dict[str, object]) -> None:
    try:
        job(json.dumps(value))
    except BadJob as error:
        assert all(problem.line and problem.column for problem in error.problems) or not value
