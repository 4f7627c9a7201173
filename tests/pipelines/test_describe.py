from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from operators.data import Completion, Covered, Edit, Finding, Outcome, Passage, Shard, Verdict
from pipelines.commands import VERBS
from pipelines.data import Change, Dropped, Repo
from pipelines.describe import describe, rehearse
from pipelines.facts import Facts
from pipelines.forge import Description
from pipelines.job import Job
from pipelines.owners import Owners, owners
from pipelines.text import BadTemplate
from tests.pipelines.test_neutral import ACTING, AWAKE, acting, kinds, words

REPO = Repo("platform/billing", "/nowhere", "c0ffee", "main")
MARKDOWN = MarkdownIt("commonmark")


def job(**more: Any) -> Job:
    return Job.model_validate({"name": "greet", "repos": [{"git": "."}], "steps": [{"codemod": "a.B"}], **more})


def part(path: str, *findings: Finding, said: str = "", notes: tuple[str, ...] = (), **more: Any) -> Outcome:
    edit = Edit({path: "x = 1\n"}, said=said, notes=notes, **more)
    tries = [Verdict(edit, (finding,)) for finding in findings]
    return Outcome(Shard(path, "platform/billing", "c0ffee", (path,)), (*tries, Verdict(edit, (), ("inside: ok",))))


def change(*parts: Outcome, group: str = "app", **more: Any) -> Change:
    whole = {path: text for one in parts if one.edit for path, text in one.edit.files.items()}
    return Change("greet", REPO, "umbau/greet/app", group, parts, whole, **more)


def text(change_: Change, **settings: Any) -> Description:
    return describe(job(**settings), change_, owned=Owners())


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
    assert "\n\nGreet by name.\n\n## What changed\n\n- `app/a.py`\n- `app/b.py`\n\n2 files, in 2 parts." in found.body
    assert "- tests: `pytest` 3 passed\n- Commands of the job and the repository's tests ran without" in found.body
    assert "`app/a.py` took 2 attempts:\n\ntests (`app/a.py:3`):\n\n```\nnewly failing: test_x\n```" in found.body
    assert "The sum does not hold with:\n\n`app/c.py`, because of\n\ntests:\n\n```\nnewly failing: test_c" in found.body
    assert "## Notes\n\n```\nleft one call alone\n```" in found.body
    assert (found.labels, found.draft) == (("umbau", "ai-generated"), True)


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
    assert [line.split(":")[0] for line in trailers(message)] == ["Umbau-Job", "Umbau-Change", "Generated-by"]
    assert message.startswith("greet: app\n\nWhy.\n")


def test_the_message_says_which_models_wrote_parts() -> None:
    parts = [
        part(
            "a.py", said="s", models=("devstral@1fc9",), replies=(Completion("", model="devstral", server="gpu:8000"),)
        ),
        part("b.py", said="s", models=("devstral@1fc9", "big")),  # known from before: nobody was asked
        part("c.py", Finding("tests", "no"), said="NO CHANGE NEEDED", models=()),
    ]
    checks = ["inside", {"tests": "python -m pytest -q"}, {"rule": "ruff:UP031"}, {"complaints": "mypy src"}]
    found = text(change(*parts), checks=checks)
    assert trailers(found.message)[3:] == [
        "Assisted-by: Umbau:devstral@1fc9 libcst ruff pytest mypy",
        "Assisted-by: Umbau:big libcst ruff pytest mypy",
    ]
    assert found.body.startswith(
        "Models (`devstral@1fc9`, `big`, hosted at `gpu:8000`) wrote parts of this change; machines checked it; a "
        "person has to review it.\n\n"
    )
    again = text(change(*parts), checks=checks)
    assert again == found, "the same content is the same commit"


def test_what_no_model_wrote_is_not_said_to_be_a_model_s() -> None:
    asked = part("a.py", Finding("tests", "no"), said="NO CHANGE NEEDED", models=())
    found = text(change(part("b.py"), asked))
    assert "Assisted-by" not in found.message and not found.labels
    assert "model" not in found.body


def test_a_generated_test_counts_where_it_is_part_of_the_change() -> None:
    test = Verdict(Edit({"tests/test_a.py": "def test(): ...\n"}, said="s", models=("writer",)))
    outcome = part("a.py")
    outcome = replace(outcome, verdicts=(replace(outcome.verdicts[-1], evidence=(test,)),))
    alone = change(outcome)
    kept = replace(alone, whole={**alone.whole, "tests/test_a.py": "def test(): ...\n"})
    assert not text(alone).labels
    assert trailers(text(kept).message)[-1] == "Assisted-by: Umbau:writer libcst"


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"assisted_by": "Copilot of {{ job }}:{{ writer }}"}, "Assisted-by: Copilot of greet:m@1"),
        ({"assisted_by": ""}, "Generated-by: umbau/"),
    ],
)
def test_how_a_model_is_named_is_the_job_s(settings: dict[str, str], line: str) -> None:
    found = text(change(part("a.py", said="s", models=("m@1",))), merge_request={**settings, "model_label": ""})
    assert trailers(found.message)[-1].startswith(line)
    assert not found.labels and found.body.startswith("A model (`m@1`) wrote parts"), "words are said all the same"


def test_a_change_that_nobody_approves_does_not_promise_a_person() -> None:
    body = text(change(part("a.py", said="s", models=("m",))), merge_request={"merge": "green"}).body
    assert "has to review" not in body and "merged without a person's approval" in body.partition("\n")[0]


def test_foreign_passages_are_looked_at_first() -> None:
    body = text(change(part("a.py", said="s", models=("m",), foreign=(Passage("a.py", 3, 20),)))).body
    assert "## Look at first\n\n- `a.py`: lines 3 to 20 stand in nothing that the model was shown; " in body


@pytest.mark.parametrize(
    ("group", "title"),
    [
        ("a\nb", "greet: a b"),
        ("x" * 500, "greet: " + "x" * 193),
        ("\x1b[31mred\u202e\u200b", "greet: red"),
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
    loud = [Finding("tests", "x" * 5000, "y" * 5000) for _ in range(9)]
    notes = tuple(f"{number} " + "n" * 300 for number in range(40))
    parts = [part(f"app/{number}/{'z' * 180}.py", *loud, said="s", notes=notes) for number in range(60)]
    missed = tuple((2 * line, 2 * line, False) for line in range(500))
    body = describe(
        job(
            description="d\n" * 10**5,
            sandbox="none",
            merge_request={"reviewers": {"owners": True}, "labels": ["l"]},
        ),
        change(
            *parts,
            dropped=tuple(Dropped(one, tuple(loud)) for one in parts),
            proof=("tests: ok", *("p" * 300 for _ in range(99))),
            covered=tuple(Covered(f"{number}{'c' * 190}", missed) for number in range(60)),
        ),
        owned=owners("* " + " ".join(f"@{'o' * 99}{number}/team" for number in range(999))),
        comments=True,
    ).body
    assert len(body) < 60_000
    assert body.count("- ... and ") == 4, "files, what to look at first, proofs, what is tested"
    assert "\n\n... and 59 more\n\n## Owners" in body, "shards that are left out"
    assert ", ... and 9" in body, "owners"
    assert body.rstrip().endswith("for the job `greet`.")


def test_a_reviewer_is_told_where_to_look_first() -> None:
    three = (Finding("tests", "no"), Finding("tests", "no"))
    covered = (
        Covered("app/a.py", ((1, 1, True), (3, 4, False), (7, 7, False))),
        Covered("app/b.py", ((1, 1, True), (4, 4, True)), ((4, 4),)),
        Covered("app/c.py", ((9, 9, False),)),
        Covered("app/d.py", ()),
    )
    body = text(
        change(
            part("app/a.py", Finding("tests", "no")),
            part("app/b.py", *three),
            part("app/c.py"),
            dropped=(Dropped(part("app/x.py"), (Finding("tests", "no"),)),),
            covered=covered,
        )
    ).body
    _, _, first = body.partition("## Look at first\n\n")
    assert first.partition("\n\n")[0].splitlines() == [
        "- `app/a.py`: no passing test executes lines 3 to 4, 7",
        "- `app/c.py`: no passing test executes line 9",
        "- `app/b.py` took 3 attempts",
        "- `app/a.py` took 2 attempts",
        "- `app/x.py` is left out",
    ]
    tested = "- 1 of 3 in `app/a.py`\n- 0 of 1 in `app/c.py`\n- 2 of 2 in `app/b.py`; line 4 by generated tests only"
    assert f"passing tests execute\n\n{tested}\n\n" in body


def test_what_stands_where() -> None:
    body = describe(
        job(description="Why."),
        change(
            part("app/a.py", Finding("tests", "no"), said="s", notes=("n",)),
            covered=(Covered("app/a.py", ((1, 2, False),)),),
            proof=("inside: ok",),
            dropped=(Dropped(part("app/x.py"), ()),),
        ),
        owned=Owners(),
        comments=True,
    ).body
    assert body.startswith("A model (`unnamed-model`) wrote parts of this change; ") and "review it.\n\nWhy.\n" in body
    headings = [line[3:] for line in body.splitlines() if line.startswith("## ")]
    assert headings == [
        *("What changed", "Notes", "Look at first", "Proof", "Tested"),
        *("Findings overcome", "Left out", "Talk to Umbau"),
    ]
    assert "no passing test executes lines 1 to 2\n" in body
    assert body.index("## Talk") < body.index("Written and opened by Umbau")


def test_commands_are_told_where_they_are_heard() -> None:
    change_ = change(part("a.py"))
    assert "/umbau" not in text(change_).body
    body = describe(job(), change_, owned=Owners(), comments=True).body
    assert [line.partition(":")[0] for line in body.splitlines() if line.startswith("- `/umbau ")] == [
        f"- `/umbau {name}`" for name in VERBS
    ]
    assert not [line for line in body.splitlines() if line.startswith("/")], "none of them is given"


FACTS = "{{ job }}|{{ description }}|{{ repo }}|{{ group }}|{{ owners | join(',') }}|{{ files | join(',') }}|"
FACTS += (
    "{{ shards }}|{{ attempts }}|{{ proof | join(',') }}|{{ covered }}/{{ statements }}|{{ uncovered | join(',') }}|"
)
FACTS += "{{ overcome }}|{{ left_out }}|{{ model }}|{{ models | join(',') }}|{{ servers | join(',') }}|"
FACTS += "{{ tools | join(',') }}|{{ digest | length }}|{{ version }}"


def test_templates_know_the_facts() -> None:
    change_ = change(
        part(
            "app/a.py", Finding("tests", "no"), said="Sure!", models=("m@1",), replies=(Completion("", server="h:1"),)
        ),
        part("app/b c.py"),
        proof=("tests: `pytest` 3 passed",),
        covered=(Covered("app/a.py", ((1, 1, True), (3, 3, False), (5, 9, False))),),
        dropped=(Dropped(part("app/x.py"), ()),),
    )
    settings = {"title": FACTS, "body": FACTS, "message": FACTS, "trailers": [f"X: {FACTS}"]}
    found = describe(
        job(description="Why", merge_request=settings), change_, owned=owners("app @ada @org/web\n/app/a.py @ada e@f.g")
    )
    version = found.title.rpartition("|")[2]
    plain = "greet|Why|platform/billing|app|@ ada,e@f.g,@ org/web|app/a.py,app/b c.py|2|2|tests: `pytest` 3 passed|1/3|"
    plain += f"app/a.py:3,app/a.py:5-9|1|1|True|m@1|h:1|libcst|16|{version}"
    assert found.title == plain
    assert found.message.startswith(f"{plain}\n\nUmbau-Job: greet\n") and found.message.endswith(f"\nX: {plain}\n")
    markdown = "greet|Why|platform/billing|app|`@ada`,`e@f.g`,`@org/web`|app/a.py,`app/b c.py`|2|2|"
    facts = f"{markdown}tests: `pytest` 3 passed|1/3|app/a.py:3,app/a.py:5-9|1|1|True|`m@1`|h:1|libcst|16|{version}"
    assert f"\n\n{facts}\n\n## " in found.body
    assert set(Facts.__dataclass_fields__) == {*re.findall(r"{{ (\w+)", FACTS)}, "each is shown"


BAD = {
    "title": ({"title": "{{ nobody }}"}, "'nobody' is undefined"),
    "title that may be empty": ({"title": "{{ owners | join }}"}, "merge_request.title is empty"),
    "body": ({"body": "{% for one in files %}{{ one.nam }}{% endfor %}"}, "no attribute 'nam'"),
    "message": ({"message": "{{ titel }}"}, "'titel' is undefined"),
    "empty message": ({"message": "{% if model %}x{% endif %}"}, "merge_request.message is empty"),
    "what may be missing": ({"body": "{{ owners[0] }}"}, "no element 0"),
    "what is missing in a branch": ({"body": "{% if not model %}{{ nope }}{% endif %}"}, "'nope' is undefined"),
    "trailer": ({"trailers": ["{{ nope }}"]}, "'nope' is undefined"),
    "no trailer": ({"trailers": ["just words"]}, "'just words' is no trailer: write one such as `Refs: OPS-17`"),
    "no key": ({"trailers": [": x"]}, "is no trailer"),
    "Umbau's own": ({"trailers": ["umbau-change: 0"]}, "umbau-change is Umbau's own to say"),
    "Umbau's own as well": ({"trailers": ["Generated-by: me"]}, "Generated-by is Umbau's own to say"),
}


@pytest.mark.parametrize("name", BAD)
def test_templates_are_tried_before_a_run(name: str) -> None:
    settings, why = BAD[name]
    with pytest.raises(BadTemplate, match=re.escape(why)):
        rehearse(job(merge_request=settings))


def test_good_templates_pass() -> None:
    rehearse(job())
    rehearse(job(merge_request={"title": FACTS, "body": FACTS, "message": FACTS, "trailers": ["Refs: OPS-17"]}))


def trailers(message: str) -> list[str]:
    git = ["git", "interpret-trailers", "--parse"]
    return subprocess.run(git, input=message, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize(
    "group", ["x\nSigned-off-by: a <a@b>", "x\n  folded", "\n\nUmbau-Change: 0", "Co-authored-by: a <a@b>", "x\r\ny: z"]
)
def test_no_name_makes_a_trailer(group: str) -> None:
    settings = {
        "message": "{{ group }}\n\n{{ files | join('\n') }}\n\n{{ group }}",
        "trailers": [
            "Area: {{ group }}",
            "Refs: OPS-17",
            "{% if model %}Model: yes{% endif %}",
            "Owners: {{ owners | join }}",
        ],
    }
    message = text(change(part(f"{group}.py"), group=group), merge_request=settings).message
    found = [line.partition(": ") for line in trailers(message)]
    assert [name for name, _, _ in found] == ["Umbau-Job", "Umbau-Change", "Generated-by", "Area", "Refs"]
    assert found[1][2] == change(part(f"{group}.py"), group=group).digest
    for pattern in (r"(?im)^signed-off-by", r"(?im)^co-authored-by", r"(?m)^Umbau-Change: 0$"):
        assert not re.search(pattern, message)


def test_a_message_may_begin_with_the_title() -> None:
    settings = {"title": "Greet in {{ group }}", "message": "{{ title }}\n\nAll of it."}
    message = text(change(part("a.py")), merge_request=settings).message
    assert message.startswith("Greet in app\n\nAll of it.\n\nUmbau-Job: greet\n")


def test_names_do_nothing_in_a_message() -> None:
    hostile = "Closes #1 @all [skip ci].py"
    found = text(change(part(hostile), group=hostile), merge_request={"body": "In {{ group }}: {{ files | join }}"})
    assert found.title == "greet: Closes - # 1 @ all [ skip ci].py"
    assert found.message.startswith(f"{found.title}\n\nIn Closes - # 1 @ all [ skip ci].py: Closes - # 1 @ all")
    assert found.body.startswith("In `Closes - #1 @all [ skip ci].py`: `Closes - #1")


def test_the_job_s_own_words_are_its_own() -> None:
    settings = {
        "title": "Closes #1",
        "message": "Closes #1 [skip ci]\n\n/label ~x",
        "trailers": ["Signed-off-by: A <a@b>"],
    }
    found = text(change(part("a.py")), description="Closes #1, for @ada", merge_request=settings)
    assert (found.title, found.body.partition("\n")[0]) == ("Closes #1", "Closes #1, for @ada")
    assert found.message.startswith("Closes #1 [skip ci]\n\n/label ~x\n\nUmbau-Job")
    assert trailers(found.message)[-1] == "Signed-off-by: A <a@b>"


def test_a_cut_leaves_no_name_open() -> None:
    path = f"app/{'x' * 90}![x](http://e.example/?leak)"
    body = "{% for file in files %}{% for n in range(300) %}{{ file }} {% endfor %}{% endfor %}"
    for template in (body, body.replace("{{ file }} ", "{{ file }}\n")):
        found = text(change(part(path)), merge_request={"body": template}).body
        kinds = {child.type for token in MARKDOWN.parse(found) for child in [token, *(token.children or [])]}
        assert len(found) < 17_000 and not kinds & {"image", "link_open"}
        assert "## What changed" in found


def test_how_it_is_opened() -> None:
    settings = {"assignees": ["ada"], "milestone": "v2", "squash": True, "delete_branch": False}
    found = text(change(part("a.py")), merge_request={**settings, "reviewers": {"named": ["bob"]}})
    assert (found.assignees, found.milestone, found.squash, found.delete_branch) == (("ada",), "v2", True, False)
    assert found.reviewers == ("bob",)


def test_owners_are_asked_and_teams_are_told_of() -> None:
    asked = {"merge_request": {"reviewers": {"owners": True, "most": 5}}}
    owned = owners("* @ada @platform/web mail@example.eu @umbau-bot\n")
    found = describe(job(**asked), change(part("a.py")), owned=owned, bot="Umbau-Bot")
    assert found.reviewers == ("ada",)
    assert "no single users, and were not asked to review: `@platform/web`, `mail@example.eu`." in found.body
    kept = describe(job(**asked), change(part("a.py")), owned=owned, asked=("zoe",))
    assert kept.reviewers == ("zoe",), "whoever was asked stays asked"
    assert "not asked" not in describe(job(), change(part("a.py")), owned=owned).body
    broken = describe(job(**asked), change(part("a.py")), owned=Owners(trouble="CODEOWNERS cannot be read: binary"))
    assert "None was asked to review: `CODEOWNERS cannot be read: binary`." in broken.body


EVERYTHING = "{{ group }} {{ repo }}\n\n{{ owners | join(' ') }}\n\n{% for one in files %}\n* {{ one }}{% endfor %}\n\n"
EVERYTHING += "| a | b |\n|---|---|\n| {{ group }} | {{ uncovered | join(' ') }} |\n\n{{ proof | join('\n\n') }}\n"


@settings(max_examples=60, deadline=None)
@given(st.lists(words, min_size=6, max_size=6))
def test_whatever_others_say_does_nothing(said: list[str]) -> None:
    path, group, name, message, note, proof = (one.replace("\0", "") for one in said)
    change_ = Change(
        "greet",
        Repo(name, "/nowhere", "c0ffee", "main"),
        "umbau/greet/app",
        group,
        (part(path, Finding("tests", message, path), said=message, notes=(note,), models=(message,)),),
        {path: "x = 1\n"},
        (proof,),
        (Dropped(part(f"{path} {note}"), (Finding("tests", message, path),)),),
        covered=(Covered(path, ((1, 1, False),)),),
    )
    templates = {"title": "t {{ group }}", "body": EVERYTHING, "message": EVERYTHING, "trailers": ["X: x{{ group }}"]}
    owned = owners(f"* {path} {note}")
    asking = job(merge_request={**templates, "reviewers": {"owners": True}})
    found = describe(asking, change_, owned=owned, comments=True)
    assert not kinds(found.body) & {"image", "link_open", "html_inline", "html_block"}
    assert not acting(found.body)
    for what, pattern in ACTING.items():
        assert not re.search(pattern, found.title), what
        assert not re.search(pattern, found.message.rpartition("\n\n")[0]), what
        if what in AWAKE:
            assert not re.search(pattern, found.body), what
    assert not re.search(r"(?m)^/\w", found.body)
    assert found.body.rstrip().endswith("for the job `greet`.")
    assert [line.partition(":")[0] for line in trailers(found.message)] == [
        *("Umbau-Job", "Umbau-Change", "Generated-by", "Assisted-by", "X")
    ]
