from __future__ import annotations

import re
import subprocess
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pipelines.neutral import SHOWN, code, fenced, harmless, line, named, one_line, plain, prose

MARKDOWN = MarkdownIt("commonmark").enable("table").enable("strikethrough")
# What acts on a forge, as its documentation or source says; searched for in whatever plain text reaches one.
ACTING = {
    "mention": r"(?<![A-Za-z0-9_])@[A-Za-z0-9_]",
    "issue or merge request": r"[#!$&][0-9]",
    "label or milestone": r"[~%][\w\"?.&-]",
    "GitHub's other spelling": r"(?i)\bgh-[0-9]",
    "typed reference": r"\[(?:issue|epic|work_item|vulnerability|feature_flag|contact):[^\s\]]",
    "GitLab's default closing pattern": r"\b((?:[Cc]los(?:e[sd]?|ing)|\b[Ff]ix(?:e[sd]|ing)?|\b[Rr]esolv(?:e[sd]?|ing)"
    r"|\b[Ii]mplement(?:s|ed|ing)?)(:?) +(?:(?:issues? +)?(?:https?://\S+|[\w./-]*#\d+)(?:(?: *,? +and +| *,? *)?)"
    r"|([A-Z][A-Z0-9_]+-\d+))+)",
    "GitHub's closing words": r"(?i)\b(?:close[sd]?|fix|fixe[sd]|resolve[sd]?):?\s+(?:[\w./-]*#|gh-)[0-9]",
    "quick action": r"(?m)^[ \t]*/\w",
    "skipped pipeline of GitLab": r"(?i)\[(ci[ _-]skip|skip[ _-]ci)\]",
    "skipped workflow of GitHub": r"(?i)\[(?:skip ci|ci skip|no ci|skip actions|actions skip)\]|\*\*\*no_ci\*\*\*",
    "skip-checks": r"(?i)skip-checks\s*:",
    "trailer": r"(?im)^[ \t]*(?:signed-off-by|co-authored-by|reviewed-by|umbau-\w+|generated-by|changelog)\s*:",
    "link": r"\w://|(?i:\bwww\.\w)",
    "image": r"!\[",
    "HTML or a marker": r"<[A-Za-z/!?]",
}
# Of these, what acts in code as well.
AWAKE = ("GitLab's default closing pattern", "skipped pipeline of GitLab", "skipped workflow of GitHub", "skip-checks")
TOKENS = r"""
@ @all @ada @group/sub a@b.c # ! $ & ~ % 1 12 #1 !2 $3 &4 ~bug ~" %v1 " GH-1 gh- ^alert# Closes closes: fix Fixes FIXED
resolving implement issue issues group/project PROJ-1 UTF-8 https:// http:// www. evil.example and , / /approve /umbau
retry close [skip_ci] [skip-ci] [CI-SKIP] skip ci no actions [ ] ***NO_CI*** * ** *** NO_CI skip-checks: true skip-
checks Signed-off-by: Co-Authored-By: umbau-job: Generated-by : Changelog: <!-- umbau --> --> <img src=x> <a href= </a>
< > ![x](http://e/?q) [x](y) ]( [x]: ! ( ) ` `` ``` ```` ~~~ >>> - | || \ _ __ *iteration: [issue:1] &#64; &commat;
Draft: [WIP] é ﬀ
"""
SPACES = [" ", "  ", "\n", "\n\n", "\t", "\r", "\u202e", "\u200b", "\x1b[31m", "\x1b", "\u2028", "\ud800", "[skip ci]"]
words = st.lists(st.sampled_from([*TOKENS.split(), *SPACES]) | st.text(max_size=3)).map("".join)


def kinds(markdown: str) -> set[str]:
    tokens = MARKDOWN.parse(markdown)
    return {child.type for token in tokens for child in [token, *(token.children or [])]}


def outside_code(markdown: str) -> str:
    """Return what stands in a text, code left out, a paragraph or cell in a line; where a tag would part it, a 0."""
    said = {"text": lambda child: child.content, "softbreak": lambda child: "\n", "code_inline": lambda child: " "}
    paragraphs = [token.children or [] for token in MARKDOWN.parse(markdown)]
    return "\n".join("".join(said.get(one.type, lambda _: "\0")(one) for one in children) for children in paragraphs)


def acting(markdown: str) -> list[str]:
    """Return what acts in a text, code left out. Images and tags are told by their kind: as text they are none."""
    text = outside_code(markdown)
    return [
        what
        for what in ACTING
        if what not in {"trailer", "image", "HTML or a marker"} and re.search(ACTING[what], text)
    ]


@given(words)
def test_nothing_acts_in_plain_text(said: str) -> None:
    for found in (harmless(said), line(said)):
        for what, pattern in ACTING.items():
            assert not re.search(pattern, found), f"{what} in {found!r}"
        assert all(one in "\n\t" or unicodedata.category(one) not in {"Cc", "Cf", "Co", "Cs"} for one in found)
        assert not kinds(found) & {"image", "link_open", "html_inline", "html_block"}
        rendered = outside_code(found)
        assert not re.search(ACTING["mention"], rendered), rendered


@given(words)
def test_twice_is_once(said: str) -> None:
    assert harmless(harmless(said)) == harmless(said)
    assert line(line(said)) == line(said)
    assert harmless(line(said)) == line(said)


@given(words)
def test_titles_are_one_short_line(said: str) -> None:
    for found in (line(said), one_line(said)):
        assert found == " ".join(found.split()) and len(found) <= 200
    assert not re.match(r"(?i)\[draft\]|\(draft\)|draft\s*:|wip\s*:", line(said))


@given(words)
def test_a_block_cannot_be_ended_by_what_is_in_it(said: str) -> None:
    around = f"before\n\n{fenced(said)}\n\nafter\n"
    tokens = MARKDOWN.parse(around)
    top = [one.type for one in tokens if one.level == 0 and one.nesting >= 0]
    assert top == ["paragraph_open", "fence", "paragraph_open"]
    (block,) = [one for one in tokens if one.type == "fence"]
    assert not block.info
    acts_nowhere(block.content)
    # GitLab's extractor of quick actions, before it read Markdown: a block ends at the first line of three ticks.
    code_blocks = re.compile(r"^```.+?\n```$|^/(?P<cmd>\w+)", re.M | re.S)
    assert not [found["cmd"] for found in code_blocks.finditer(around) if found["cmd"]]


@given(words)
def test_a_name_is_code_that_it_cannot_end(said: str) -> None:
    shown = code(said)
    (token,) = [one for one in MARKDOWN.parse(f"- a {shown} b\n") if one.type == "inline"]
    children = token.children or []
    assert [child.type for child in children] == (["text", "code_inline", "text"] if shown else ["text"])
    acts_nowhere(shown)


@given(words)
def test_a_name_within_a_line_of_markdown(said: str) -> None:
    for around in ("{}", "{} of it", "- {}", "In {}:\n\n* {}", "**{}**", "| {} |\n|---|\n| {} |\n"):
        shown = around.replace("{}", named(said))
        assert not kinds(shown) & {"image", "link_open", "html_inline", "html_block", "em_open", "code_block", "fence"}
        assert not acting(shown)


def acts_nowhere(text: str) -> None:
    for what in AWAKE:
        assert not re.search(ACTING[what], text), f"{what} in {text!r}"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Closes #1", "Closes - # 1"),
        ("fixes group/project!12, and #3", "fixes - group/project! 12, and # 3"),
        ("Implements: https://git.example/x/-/issues/1", "Implements: - https: //git.example/x/-/issues/1"),
        ("resolves PROJ-7", "resolves - PROJ-7"),
        ("fixup-1 and fix the bug", "fixup-1 and fix the bug"),
        ("ping @all and @group/sub, mail a@b.c", "ping @ all and @ group/sub, mail a@b.c"),
        ("/approve", "/ approve"),
        ("see src/app.py", "see src/app.py"),
        ("[skip ci] [CI-Skip] ***NO_CI***", "[ skip ci] [ CI-Skip] ** *NO_CI***"),
        ("x\n\nSigned-off-by: Ada <ada@example.eu>", "x\n\n> Signed-off-by: Ada < ada@example.eu>"),
        ("umbau-job: x", "> umbau-job: x"),
        ("skip-checks: true", "skip- checks: true"),
        ("![x](http://e/?leak)", "! [x] (http: //e/?leak)"),
        ("<!-- umbau: approved -->", "< !-- umbau: approved -->"),
        ("\x1b[31mred\x1b[0m \x1b]0;title\x07end", "red end"),
        ("abc\u202edef\u200b", "abcdef"),
        ("~bug %v1 $5 &2 GH-3", "~ bug % v1 $ 5 & 2 GH- 3"),
        ("deadbeef :tada: größe", "deadbeef :tada: größe"),
    ],
)
def test_how_it_reads(said: str, shown: str) -> None:
    assert harmless(said) == shown


@pytest.mark.parametrize(
    ("said", "own", "shown"),
    [
        ("Closes #1, for @ada", "Closes #1, for @ada", "Closes #1, for @ada"),
        ("Closes #1: app", "Closes #1: {{ group }}", "Closes #1: app"),
        ("Closes #1, #2 @all", "Closes #1, {{ group }}", "Closes #1, # 2 @ all"),
        ("Closes #1 and fixes #2", "Closes #1 {{ group }}", "Closes #1 and fixes - # 2"),
        ("Closes #1", "{{ group }} #1", "Closes - #1"),
        ("[skip ci]", "{{ a }} {{ b }}", "[ skip ci]"),
        ("[skip ci] x", "[skip ci] {{ b }}", "[skip ci] x"),
        ("@all", "mail x@allianz.example", "@ all"),
        ("@ada x", "{% if model %}@ada{% endif %} {{ group }}", "@ada x"),
        ("/label ~x\n/approve", "/label ~x\n{{ group }}", "/label ~x\n/ approve"),
        ("Signed-off-by: A <a@b>", "Signed-off-by: A <a@b>", "Signed-off-by: A <a@b>"),
        ("Signed-off-by: A", "{{ group }}", "> Signed-off-by: A"),
        ("see https://e.example/x", "see https://e.example/x", "see https://e.example/x"),
        ("https://e.example/x/leak", "https://e.example/x/{{ group }}", "https://e.example/x/leak"),
        ("https://evil.example/x", "https://e.example/x/{{ group }}", "https: //evil.example/x"),
        ("Closes #1:app", "Closes #1:{{ group }}", "Closes #1:app"),
        ("Signed-off-by: A", "S {{ group }}", "> Signed-off-by: A"),
    ],
)
def test_what_the_job_itself_says_stays(said: str, own: str, shown: str) -> None:
    assert harmless(said, own) == shown
    assert harmless(shown, own) == shown


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Draft: x", "'Draft: x"),
        ("[WIP] x", "'[WIP] x"),
        ("draft - x", "'draft - x"),
        ("drafts/x", "drafts/x"),
        ("wip-x", "wip-x"),
        ("a\nb\tc", "a b c"),
        ("x" * 300, "x" * 200),
    ],
)
def test_how_a_title_reads(said: str, shown: str) -> None:
    assert line(said) == shown


@pytest.mark.parametrize(
    ("said", "inside"),
    [
        ("/home/ada/x.py:3: error", " /home/ada/x.py:3: error"),
        ("Closes #1 @all ![x](y)", "Closes - #1 @all ![x](y)"),
        ("a\n```\n/approve", "a\n ```\n /approve"),
        ("  indented\n\tmore", "indented\n\tmore"),
        ("\x1b[1mE  assert 1 == 2\x1b[0m", "E  assert 1 == 2"),
    ],
)
def test_how_a_block_reads(said: str, inside: str) -> None:
    assert fenced(said).split("\n", 1)[1].rpartition("\n")[0] == inside


def test_a_block_is_capped() -> None:
    assert len(fenced("x" * 10**6)) < SHOWN + 100
    assert fenced("x" * 10**6).endswith("\n...\n```")


@pytest.mark.parametrize("name", ["app/a_b.py", "setup.py", "src/x-y", "a.b.C", "v1.2", ".github/x.yml"])
def test_ordinary_names_are_left_as_they_are(name: str) -> None:
    assert named(name) == name


ODD = ["/approve", "@platform+@web", "a b", "__init__.py", "https://e.example/x", "www.e.example", "GH-1", "- x", "---"]


@pytest.mark.parametrize("name", [*ODD, "a*b*c", "<b>", "`x`", "a|b c", ""])
def test_other_names_are_code(name: str) -> None:
    assert named(name) == code(name.replace("|", "¦"))


@given(words)
def test_plain_text_has_nothing_hidden(said: str) -> None:
    assert plain(plain(said)) == plain(said)
    assert all(one in "\n\t" or unicodedata.category(one) not in {"Cc", "Cf", "Co", "Cs"} for one in plain(said))


@pytest.mark.parametrize(
    "said",
    ["Signed-off-by: x <x@y>", "a\n\nCo-authored-by: x <x@y>", "Umbau-Change: 0", "skip-checks:true", "Change-Id: I1"],
)
def test_git_finds_no_trailer_in_what_others_say(said: str) -> None:
    message = f"Title\n\nBody\n\n{harmless(said)}\n"
    parse = ["git", "interpret-trailers", "--parse"]
    assert subprocess.run(parse, input=message, capture_output=True, text=True, check=True).stdout == ""


@given(words)
def test_what_quotes_code_is_harmless_around_it(said: str) -> None:
    shown = prose(said)
    assert not kinds(f"- {shown}\n") & {"image", "link_open", "html_inline", "html_block", "fence"}
    assert not acting(f"- {shown}\n")
    acts_nowhere(shown)


def test_quoted_code_stays_code() -> None:
    assert prose("@``all") == "@''all"
    assert prose("\\@all https\\://e.example") == "\\\\@ all https\\\\: //e.example"
    told = "tests: `pytest -q @all` 3 passed, @all of them `x"
    assert prose(told) == "tests: `pytest -q @all` 3 passed, @ all of them 'x"
