from __future__ import annotations

import subprocess
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from operators.data import Edit, Finding, Outcome, Shard, Verdict
from pipelines.data import Change, Dropped, Repo
from pipelines.describe import code, describe, fenced
from pipelines.forge import Description
from pipelines.job import Job
from pipelines.text import BadTemplate

REPO = Repo("platform/billing", "/nowhere", "c0ffee", "main")
MARKDOWN = MarkdownIt("commonmark")
hostile = st.text(st.sampled_from("`~\n\r\t #-*_[]()<>!/@\\ax\u202e\x1b\u2028\ud800é"))


def job(**more: Any) -> Job:
    return Job.model_validate({"name": "greet", "repos": [{"git": "."}], "steps": [{"codemod": "a.B"}], **more})


def part(path: str, *findings: Finding, said: str = "", notes: tuple[str, ...] = ()) -> Outcome:
    edit = Edit({path: "x = 1\n"}, said=said, notes=notes)
    tries = [Verdict(edit, (finding,)) for finding in findings]
    return Outcome(Shard(path, "platform/billing", "c0ffee", (path,)), (*tries, Verdict(edit, (), ("inside: ok",))))


def change(*parts: Outcome, group: str = "app", **more: Any) -> Change:
    whole = {path: text for one in parts if one.edit for path, text in one.edit.files.items()}
    return Change("greet", REPO, "umbau/greet/app", group, parts, whole, **more)


def text(change_: Change, **settings: Any) -> Description:
    return describe(job(**settings), change_)


@given(hostile)
def test_fenced_text_cannot_get_out(said: str) -> None:
    block = fenced(said)
    (token,) = MARKDOWN.parse(block)
    assert token.type == "fence"
    assert not token.info
    assert all(one in "\n\t" or unicodedata.category(one) not in {"Cc", "Cf", "Cs"} for one in block)
    kept = "".join(one for one in said.strip() if one in "\n\t" or unicodedata.category(one) not in {"Cc", "Cf", "Cs"})
    assert token.content.rstrip("\n") == kept.rstrip("\n")


def test_fenced_text_in_the_middle_of_others_cannot_get_out() -> None:
    tokens = MARKDOWN.parse(f"a\n\n{fenced('```' + chr(10) + '/approve')}\n\nb\n")
    assert [token.type for token in tokens if token.level == 0 and token.nesting >= 0] == [
        "paragraph_open",
        "fence",
        "paragraph_open",
    ]


def test_fenced_text_is_capped() -> None:
    assert len(fenced("x" * 10**6)) < 1600
    assert fenced("x" * 10**6).endswith("\n...\n```")


@given(hostile)
def test_names_are_code_that_they_cannot_end(name: str) -> None:
    shown = code(name)
    tokens = [token for token in MARKDOWN.parse(f"- a {shown} b\n") if token.type == "inline"]
    assert len(tokens) == 1
    children = tokens[0].children or []
    assert [child.type for child in children] == (["text", "code_inline", "text"] if shown else ["text"])
    if shown:
        plain = "".join(one for one in name if one in "\n\t" or unicodedata.category(one) not in {"Cc", "Cf", "Cs"})
        assert children[1].content.strip() == " ".join(plain.split())


def test_facts_are_told() -> None:
    found = text(
        change(
            part("app/a.py", Finding("tests", "newly failing: test_x", "app/a.py:3"), said="Sure!"),
            part("app/b.py", notes=("left one call alone",)),
            proof=("inside: ok", "tests: `pytest` 3 passed"),
            dropped=(Dropped(part("app/c.py"), (Finding("tests", "newly failing: test_c"),)),),
        ),
        description="Greet by name.",
        sandbox="none",
        merge_request={"labels": ["umbau"], "draft": True},
    )
    assert found.title == "greet: app"
    assert found.body.startswith(
        "Greet by name.\n\n## What changed\n\n- `app/a.py`\n- `app/b.py`\n\n2 files, in 2 parts."
    )
    assert "- tests: `pytest` 3 passed\n- Commands of the job and the repository's tests ran without" in found.body
    assert "`app/a.py` took 2 attempts:\n\ntests (`app/a.py:3`):\n\n```\nnewly failing: test_x\n```" in found.body
    assert "The sum does not hold with:\n\n`app/c.py`, because of\n\ntests:\n\n```\nnewly failing: test_c" in found.body
    assert "## Notes\n\n```\nleft one call alone\n```" in found.body
    assert "A model wrote parts of this change; machines checked it." in found.body
    assert (found.labels, found.draft) == (("umbau",), True)


def test_what_is_not_the_case_is_not_told() -> None:
    body = text(change(part("app/a.py"), proof=("inside: ok",))).body
    assert "1 file." in body
    assert not any(word in body for word in ("sandbox", "overcome", "Left out", "Notes", "model wrote", "parts"))


def test_a_command_that_ran_without_a_sandbox_is_told_of() -> None:
    shell = [{"shell": "ruff format"}]
    assert "without a sandbox" in text(change(part("a.py")), steps=shell, sandbox="none").body
    assert "without a sandbox" not in text(change(part("a.py")), steps=shell).body


def test_the_message_ends_with_trailers() -> None:
    message = text(change(part("app/a.py")), description="Why.\n\nSigned-off-by: nobody").message
    git = ["git", "interpret-trailers", "--parse"]
    found = subprocess.run(git, input=message, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.split(":")[0] for line in found] == ["Umbau-Job", "Umbau-Change", "Generated-by"]
    assert message.startswith("greet: app\n\nWhy.\n")


@pytest.mark.parametrize(
    ("group", "title"),
    [
        ("a\nb", "greet: a b"),
        ("x" * 500, "greet: " + "x" * 193),
        ("\x1b[31mred\u202e\u200b", "greet: [31mred"),
        ("  ", "greet:"),
        ("größe/été", "greet: größe/été"),
    ],
)
def test_titles_are_one_line_and_capped(group: str, title: str) -> None:
    assert text(change(part("a.py"), group=group)).title == title


def test_an_empty_title_is_refused() -> None:
    with pytest.raises(BadTemplate, match="title is empty"):
        text(change(part("a.py"), group=" "), merge_request={"title": "{{ group }}"})


HOSTILE = [
    "![x](http://evil.example/?leak).py",
    "<img src=x onerror=alert(1)>.py",
    "`/approve`.py",
    "@all #1 !2 [x](javascript:alert(1)).py",
    "__init__.py",
    "<!-- umbau -->.py",
    "a``b`c.py",
]


@pytest.mark.parametrize("path", HOSTILE)
def test_hostile_names_stay_names(path: str) -> None:
    found = text(
        change(
            part(path, Finding("inside", "no", path)),
            group=path,
            dropped=(Dropped(part(f"{path}.x"), (Finding("tests", path),)),),
        ),
        merge_request={"body": "In {{ group }} of {{ repo }}:\n{% for file in files %}\n* {{ file }}{% endfor %}"},
    )
    kinds = {child.type for token in MARKDOWN.parse(found.body) for child in [token, *(token.children or [])]}
    assert not kinds & {"image", "link_open", "html_inline", "html_block", "strong_open", "em_open"}
    names = [child.content for token in MARKDOWN.parse(found.body) for child in token.children or []]
    assert names.count(path) >= 4


def test_ordinary_names_are_left_as_they_are() -> None:
    body = text(change(part("app/a_b.py"), group="app/web_2"), merge_request={"body": "{{ group }}: {{ files }}"}).body
    assert body.startswith("app/web_2: ['app/a_b.py']\n")


def test_the_description_is_no_template() -> None:
    assert text(change(part("a.py")), description="From '{{}}'.format(x) to {% f %}").body.startswith(
        "From '{{}}'.format"
    )


def test_a_body_stays_below_what_forges_take() -> None:
    loud = [Finding("tests", "x" * 5000, "y" * 5000) for _ in range(40)]
    parts = [part(f"app/{number}/{'z' * 180}.py", *loud) for number in range(60)]
    body = text(
        change(
            *parts, dropped=tuple(Dropped(one, tuple(loud)) for one in parts), proof=tuple("p" * 300 for _ in range(99))
        ),
        description="d" * 10**6,
    ).body
    assert len(body) < 65_536
    assert body.count("- ... and ") == 2, "files and proofs"
    assert "\n\n... and 58 more\n\n---" in body, "shards that are left out"
    assert body.rstrip().endswith("for the job `greet`.")
