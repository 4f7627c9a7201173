"""What people tell Umbau in comments: `/umbau VERB` at the beginning of a line."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

VERBS = {
    "retry": "its shards are done anew; where somebody else pushed, Umbau's own change takes that place",
    "rebase": "it is brought to where its base branch is now",
    "continue": "Umbau goes on, and keeps what somebody else pushed",
    "stop": "Umbau keeps its hands off until it is told to continue",
    "close": "it is closed, and not opened again",
    "reopen": "it is opened again",
    "explain": "why it was changed like this, and what was proved",
    "apply-to-all": "what is said behind it holds for all requests of the job, once a maintainer of the job confirms",
    "confirm": "what somebody asked for with apply-to-all holds",
}
LONGEST = 2000  # characters of what is said behind a verb

_COMMAND = re.compile(r" {0,3}/umbau(?:[ \t]+([^\s:,.!?]+)[:,.!?]?(?:[ \t]+(.*))?)?[ \t]*", re.I)
_SPAN = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


@dataclass(frozen=True, slots=True)
class Command:
    verb: str
    """In small letters; what is no verb of Umbau's as well."""
    text: str = ""
    """What stands behind it, in the same line."""

    @property
    def name(self) -> str:
        """Tells it from others in the same comment, also once that was edited."""
        return hashlib.sha256(f"{self.verb} {self.text}".encode(errors="replace")).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Order:
    """A command of somebody who may give it, and that is not carried out yet."""

    verb: str
    author: str
    cause: str
    """Under which it is carried out once."""
    thread: str = ""

    @property
    def why(self) -> str:
        return f"{self.author} asked for it"


def commands(text: str) -> tuple[list[Command], str]:
    """Return the commands of a comment, and what else it says. What stands in code blocks, quotes or HTML comments is
    no command."""
    found, rest = [], []
    fence, hidden = "", ""
    for line in re.split(r"\r\n|\n|\r", text):
        plain = not fence and not hidden
        if plain and (command := _COMMAND.fullmatch(line)):
            found.append(Command((command[1] or "").lower(), (command[2] or "").strip()[:LONGEST]))
            continue
        rest.append(line)
        fence = fence if hidden else _fence(line, fence)
        hidden = "" if fence else _hidden(line, hidden)
    return found, "\n".join(rest).strip()


def _fence(line: str, open_with: str) -> str:
    """Return what the code block that a line is in began with, "" when it is in none (CommonMark 0.31, section 4.5)."""
    mark = _FENCE.fullmatch(line)
    if not mark:
        return open_with
    if not open_with:
        return "" if mark[1][0] == "`" and "`" in mark[2] else mark[1]
    ends = mark[1][0] == open_with[0] and len(mark[1]) >= len(open_with) and not mark[2].strip()
    return "" if ends else open_with


def _hidden(line: str, hidden: str) -> str:
    """Return what HTML comment the next line is in: a "block", which may hold blank lines, one "within" a paragraph, or
    none (CommonMark 0.31, sections 4.6 and 6.6)."""
    if hidden == "block":
        return "" if "-->" in line else hidden
    if not line.strip():
        return ""
    said = line if "\\" in line else _SPAN.sub("", line)  # what is code begins no comment
    if said.rfind("<!--") > said.rfind("-->"):
        return "block" if re.match(" {0,3}<!--(?!.*-->)", line) else "within"
    return "" if "-->" in said else hidden
