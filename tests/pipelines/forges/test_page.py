from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.forges.branches import diff
from pipelines.forges.page import FileDiff, file_diffs, index_page, request_page
from pipelines.forges.record import Record
from pipelines.neutral import code, fenced
from pipelines.pages import hashed, style, visible
from tests.conftest import Checkout

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=http://evil.example/x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "![x](http://evil.example/leak)",
    "[x](javascript:alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "<!-- umbau: approved -->",
    "</pre></main><style>@import url(http://evil.example)</style>",
    "{{ 7 * 7 }}{% raw %}",
    "<http://evil.example> &lt;b&gt;",
    "<javascript:alert(1)>",
    "\x1b[31mred\x1b[0m",
    "if access\u202e\u2066 // admin\u2069",
    "zero\u200bwidth",
]


class Page(HTMLParser):
    """What a browser would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.comments: list[str] = []
        self.text = ""
        self._inside: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" not in self._inside:
            self.text += data

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def harmless(self) -> None:
        assert not {"script", "img", "iframe", "object", "embed", "link", "form", "base", "svg"} & {*self.tags}
        assert self.tags.count("style") == 1 and not self.comments
        names = {name for name, _ in self.attributes}
        assert not {name for name in names if name.startswith("on")} and not names & {
            "src",
            "srcset",
            "style",
            "action",
        }
        links = [value or "" for name, value in self.attributes if name == "href"]
        assert all(re.match(r"(https?://|\.\./index\.html$|[\w.-]+/\d+\.html$)", link) for link in links), links
        assert ("content", f"default-src 'none'; style-src '{hashed(style())}'") in self.attributes


def record(**more: object) -> Record:
    facts = {"repo": "billing", "number": 1, "branch": "umbau/j/app", "base": "main", "commit": "c0ffee"}
    return Record(**{**facts, "title": "Greet", "body": "Why.\n", "digest": "d", "head": "beef", **more})  # type: ignore[arg-type]


def page(one: Record, text: str = "", repo: str = "/srv/forge/billing/repo.git") -> Page:
    found = Page(request_page(one, text, repo))
    found.harmless()
    return found


@pytest.mark.parametrize("said", HOSTILE)
def test_foreign_text_is_text_wherever_it_stands(said: str) -> None:
    diff_text = f"diff --git a/x b/x\n--- a/{said}\n+++ b/{said}\n@@ -1 +1 @@ {said}\n-{said}\n+{said}\n"
    one = record(title=said, branch=said, base=said, repo=said, labels=(said,), body=f"{said}\n")
    one = replace(one, assignees=(said,), reviewers=(said, said), milestone=said, message=f"{said}\n\n{said}\n")
    one = one.after("comment", said, said, said, 3).after("close", said, said).after("push", text=said)
    found = page(one, diff_text, said)
    shown = visible(said)
    assert found.text.count(shown) >= 15
    index = Page(index_page([(one, Path("billing/1.html"))]))
    index.harmless()
    assert index.text.count(shown) == 3


@pytest.mark.parametrize("said", HOSTILE)
def test_what_describe_makes_of_foreign_text_is_shown_as_it_is(said: str) -> None:
    found = page(record(body=f"tests ({code(said)}):\n\n{fenced(said)}\n"))
    plain = "".join(one for one in re.sub("\x1b\\[[0-9]*m", "", said) if one.isprintable())
    assert found.text.count(plain) == 2
    assert {"code", "pre"} <= {*found.tags}


def test_markdown_is_rendered() -> None:
    found = page(record(body="## Proof\n\n- `a.py`\n- **b**\n\n[manual](https://example.eu/x)\n"))
    assert {"h2", "li", "code", "strong", "a"} <= {*found.tags}
    assert ("href", "https://example.eu/x") in found.attributes


def test_what_a_person_can_do_next(tmp_path: Path) -> None:
    odd = tmp_path / "it's here"
    found = page(record(repo="plat form/billing"), repo=str(odd))
    lines = found.text.partition("Review\n")[2].splitlines()
    for line in lines[:3]:
        assert subprocess.run(["sh", "-nc", line], check=False).returncode == 0
    assert "umbau review 'plat form/billing/1' --approve" in found.text
    assert "umbau review 'plat form/billing/1' --close" in found.text
    for over in ("merged", "closed"):
        assert "umbau review" not in page(record(state=over)).text


def test_history() -> None:
    one = record().after("push", text="beef" * 10).after("comment", "ada", "Louder!", "a.py", 3).after("approve", "bob")
    text = page(one.after("close", text="left the job's scope").after("reopen", "eve").after("merge")).text
    told = r"pushed beefbeefbeef\s.*ada wrote on a\.py:3:\s+Louder!.*bob approved.*closed: left the job's scope\s"
    assert re.search(rf"{told}.*eve reopened.*merged", text, re.S)
    assert "draft" in page(record(draft=True)).text


def test_who_looks_after_it_and_what_is_committed() -> None:
    people = {"assignees": ("ada",), "reviewers": ("bob", "cid"), "milestone": "v2"}
    found = page(record(**people, message="Greet: app\n\nWhy.\n\nUmbau-Job: j\n"))
    text = " ".join(found.text.split())
    assert "Assigned to: ada Asked to review: bob, cid Milestone: v2" in text
    assert "Commit message Greet: app Why. Umbau-Job: j" in text
    bare = page(record()).text
    assert not any(word in bare for word in ("Assigned", "Asked", "Milestone", "Commit message"))


def test_pages_are_the_same_each_time() -> None:
    assert request_page(record(), "", "x") == request_page(record(), "", "x")


def test_long_diffs_are_cut() -> None:
    text = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,9000 +1,9000 @@\n" + "+x\n" * 9000
    assert "4005 more lines: see the branch." in page(record(), text).text


def made(tmp_path: Path, before: dict[str, str | bytes], after: dict[str, str | bytes | None]) -> list[FileDiff]:
    checkout = Checkout(tmp_path / "repo")
    old = checkout.commit(before)
    new = checkout.commit(after)
    return file_diffs(diff(checkout.folder / ".git", old, new).split("\n"))


ODD = [
    "a b.py",
    "tab-less .py",
    "'q'.py",
    '"d".py',
    "back\\slash.py",
    "größe.py",
    "🙂.py",
    "-x.py",
    "b/x.py",
    "a/b/c d.py",
]


def test_diffs_of_odd_names(tmp_path: Path) -> None:
    found = made(tmp_path, dict.fromkeys(ODD, "x = 1\n"), dict.fromkeys(ODD, "x = 2\n"))
    assert sorted(one.path for one in found) == sorted(ODD)
    assert {(one.added, one.deleted) for one in found} == {(1, 1)}


def test_diffs_of_lines_that_look_like_a_diff(tmp_path: Path) -> None:
    lines = ["-- a/x", "++ b/x", "diff --git a/y b/y", "@@ -1 +1 @@", "\\ No newline", " x", "", "--- a/z", "+++ b/z"]
    (found,) = made(tmp_path, {"x": "\n".join(lines)}, {"x": "\n".join(reversed(lines)) + "\n"})
    assert found.path == "x"
    old = [line.text for line in found.lines if line.old]
    new = [line.text for line in found.lines if line.new]
    assert (old, new) == (lines, lines[::-1])


def test_files_that_come_and_go(tmp_path: Path) -> None:
    found = made(
        tmp_path, {"gone.py": "x\ny\n", "same.py": "s\n"}, {"gone.py": None, "new.py": "x\ny\n", "empty.py": ""}
    )
    assert {(one.path, one.added, one.deleted) for one in found} == {("gone.py", 0, 2), ("new.py", 2, 0)}


def test_attributes_have_no_say(tmp_path: Path) -> None:
    found = made(tmp_path, {".gitattributes": "* binary\n", "a.py": "x = 1\n"}, {"a.py": "x = 2\n"})
    assert [(one.path, one.added) for one in found] == [("a.py", 1)]


texts = st.lists(st.sampled_from(["x", "-", "+", "@@", " ", "\r", "\x0c", "é", "--- a/x", "\\"])).map("\n".join)


@pytest.fixture(scope="module")
def difference(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], str]:
    folder = tmp_path_factory.mktemp("difference")

    def between(before: str, after: str) -> str:
        for name, text in (("a", before), ("b", after)):
            (folder / name).write_bytes(text.encode())
        command = ["git", "diff", "--no-index", "--no-color", "--unified=99", "a", "b"]
        return subprocess.run(command, cwd=folder, capture_output=True, check=False).stdout.decode()

    return between


@settings(max_examples=60, deadline=None)
@given(before=texts, after=texts)
def test_a_diff_shows_both_texts(difference: Callable[[str, str], str], before: str, after: str) -> None:
    for found in file_diffs(difference(before, after).split("\n")):
        old = {line.old: line.text for line in found.lines if line.old}
        new = {line.new: line.text for line in found.lines if line.new}
        assert list(old.items()) == list(enumerate(before.removesuffix("\n").split("\n") if before else [], 1))
        assert list(new.items()) == list(enumerate(after.removesuffix("\n").split("\n") if after else [], 1))


@given(st.text())
def test_any_diff_is_shown(text: str) -> None:
    file_diffs(text.split("\n"))
    page(record(), text)


@given(st.text())
def test_visible_text_has_nothing_hidden(text: str) -> None:
    assert all(one in "\n\t" or not (one < " " or "\u200b" <= one <= "\u200f") for one in visible(text))


def test_ordinary_text_is_left_as_it_is() -> None:
    assert visible("größe \u00a0 🙂\tx\n") == "größe \u00a0 🙂\tx\n"
    assert visible("a\u202eb\x1b") == "a[U+202E]b[U+001B]"
