"""Text of others (models, tests, repositories, CI logs, comments) made harmless, before it reaches a forge or a
terminal.

As a block or a name of code it stands in Markdown, where forges look for neither mentions nor references. But GitLab
reads closing words in the raw text (Gitlab::ClosingIssueExtractor), older ones of it find the end of a block by regular
expression (Gitlab::QuickActions::Extractor), and a body may become the message of a squashed commit: what acts there is
broken in code as well. As plain text it stands in titles and commit messages, where nothing of it may act at all.

Breaking is putting in what can be seen, a space in most cases: `@ada` becomes `@ ada`. Twice is once.
"""

from __future__ import annotations

import re
import unicodedata

SHOWN = 1500  # characters of one block
NAME = 200  # of a title or name

_ACTING = frozenset({"Cc", "Cf", "Co", "Cs"})  # categories of characters that act on a terminal or reorder a line
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")  # colours, cursor, window title
_ORDINARY = re.compile(r"[A-Za-z0-9.][A-Za-z0-9./:-]*(?:_[A-Za-z0-9./:-]+)*")  # means nothing to Markdown

# docs.gitlab.com/user/project/issues/managing_issues (default closing pattern), docs.github.com "Linking a pull request
# to an issue". Behind the word: a reference, a URL, or a key of Jira.
_CLOSING = re.compile(
    r"\b((?:clos(?:e[sd]?|ing)|fix(?:e[sd]|ing)?|resolv(?:e[sd]?|ing)|implement(?:s|ed|ing)?):?)"
    r"(?:\s+(?=(?:issues?\s+)?(?:[\w./-]*[#!][0-9]|\w+://|gh-[0-9]|(?-i:[A-Z][A-Z0-9_]+-[0-9])))|(?=[#!][0-9]))",
    re.I | re.A,
)
# docs.gitlab.com/ci/pipelines (skip a pipeline), docs.github.com "Skipping workflow runs"; the form with stars is of
# Azure Pipelines, which GitHub Actions took over.
_SKIPPING = re.compile(
    r"\[(?=(?:skip|ci|no|actions)[ _-](?:skip|ci|actions)\])|\*\*(?=\*no_ci\*\*\*)|(?<=skip)-(?=checks\s*:)", re.I
)
_COMMAND = re.compile(r"^(?=/|```)", re.M)  # quick actions, and what would end a block too early

# In plain text, a sign that means something because of what follows it at once.
_SIGNS = re.compile(
    r"(?<![A-Za-z0-9])@(?=\S)"  # mentions, not the @ of an e-mail address; an underscore before it may be for emphasis
    r"|[#!$](?=[0-9])"  # issues (alerts are ^alert#1), merge requests, snippets
    r"|&(?=[#A-Za-z0-9])"  # epics, and characters by their names in HTML
    r"|[~%](?=\S)"  # labels, milestones
    r"|(?<![A-Za-z0-9])gh-(?=[0-9])"
    r"|\*(?=iteration:)|\[(?=[a-z_]+:\S)"  # iterations; [issue:1], [vulnerability:1]
    r"|:(?=//)|(?<![A-Za-z0-9])www\.(?=\S)"  # what becomes a link by itself
    r"|!(?=\[)|\](?=[(\[:])|<(?=[A-Za-z/!?])",  # images, links, HTML, comments such as our own markers
    re.I,
)
_LEADING = re.compile(r"^([ \t>*_~+-]*/)(?=\S)", re.M)
_TRAILER = re.compile(r"^(?=[ \t]*(?:[a-z][a-z-]*-by|umbau-[\w-]*|changelog|change-id)[ \t]*:)", re.M | re.I)
_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.S)
_REST = re.compile(r"\s*\S*")
_DRAFT = re.compile(r"^(?=[\[(](?:draft|wip)[\])]|(?:draft|wip)(?:\s*:|\s-\s))", re.I)


def plain(text: str) -> str:
    """Return text without characters that act on a terminal or reorder what is read. Its words may still act on a
    forge."""
    if text.replace("\n", "").replace("\t", "").isprintable():  # as nearly all text is
        return text
    return "".join(one for one in text if one in "\n\t" or unicodedata.category(one) not in _ACTING)


def harmless(text: str, own: str = "") -> str:
    """Return text for commit messages: nothing in it is a command, mention, reference, link, HTML or trailer, closes an
    issue or keeps a pipeline from running; but for what stands, word for word, in the job's `own` text."""
    text = asleep(plain(_ANSI.sub("", text)), own)
    for pattern, by in ((_SIGNS, r"\g<0> "), (_LEADING, r"\1 "), (_TRAILER, "> ")):
        text = _broken(pattern, by, text, own)
    return text


def asleep(text: str, own: str = "") -> str:
    """Return Markdown without what acts there even as code, but for what stands in the job's `own` text."""
    return _broken(_SKIPPING, r"\g<0> ", _broken(_CLOSING, r"\1 - ", text, own), own)


def line(text: str, most: int = NAME) -> str:
    """Return text for a title, or for a place within a line of a commit message: as harmless, and one line."""
    return harmless(_DRAFT.sub("'", one_line(text, most)))[:most].strip()


def one_line(text: str, most: int = NAME) -> str:
    """Return text as one line of at most so many characters, nothing hidden in it. Its words may act on a forge."""
    return " ".join(plain(_ANSI.sub("", text)).split())[:most].strip()


def fenced(text: str) -> str:
    """Return text as a block of Markdown that it cannot end, cut after SHOWN characters."""
    text = plain(_ANSI.sub("", text)).strip()
    if len(text) > SHOWN:
        text = text[:SHOWN] + "\n..."
    shown = _COMMAND.sub(" ", asleep(text))
    fence = "`" * max(3, _ticks(shown) + 1)
    return f"{fence}\n{shown}\n{fence}"


def code(name: str) -> str:
    """Return a name as code within a line of Markdown, which it cannot end."""
    text = asleep(one_line(name))
    mark = "`" * (_ticks(text) + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{mark}{space}{text}{space}{mark}" if text else ""


def named(name: str) -> str:
    """Return a name for a place within a line of Markdown, which may be the cell of a table: as it is, or as code if it
    has signs that mean something."""
    return name if _ORDINARY.fullmatch(name) and line(name) == name else code(name.replace("|", "¦"))


def prose(text: str) -> str:
    """Return a line of Markdown that quotes names and commands between backticks; these stay code, the rest of it is
    as harmless as a title."""
    parts = (
        one_line(text, SHOWN).replace("\\", "\\\\").split("`")
    )  # else it could hide signs from us, not from Markdown
    if len(parts) % 2 == 0:  # the last one opens nothing
        parts[-2:] = [f"{parts[-2]}'{parts[-1]}"]
    return "".join(code(part) or "''" if number % 2 else harmless(part) for number, part in enumerate(parts))


def _broken(pattern: re.Pattern[str], by: str, text: str, own: str) -> str:
    if not own:
        return pattern.sub(by, text)
    said = f" {' '.join(_JINJA.sub(' ', own).split())} "
    return pattern.sub(lambda found: found[0] if _stands(found, said) else found.expand(by), text)


def _stands(found: re.Match[str], said: str) -> bool:
    """Say whether the words that a match is part of, or that follow it, are among those `said`; a fact may be joined to
    the last of them, as in `https://example.eu/{{ group }}`."""
    text = found.string
    start = max(text.rfind(space, 0, found.start()) for space in " \t\n") + 1
    rest = _REST.match(text, found.end())
    words = " ".join(text[start : rest.end() if rest else None].split())
    least = " ".join(text[start : found.end() + 1].split()) if found[0] else words
    at = said.find(f" {least}")
    while at >= 0:
        if words.startswith(said[at + 1 : said.index(" ", at + 1 + len(least))]):
            return True
        at = said.find(f" {least}", at + 1)
    return False


def _ticks(text: str) -> int:
    return max(map(len, re.findall(r"`+", text)), default=0)
