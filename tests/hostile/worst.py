"""The worst model there can be: it obeys whoever says something to it, wherever in its prompt.

A double, because what a real model falls for cannot be had on demand; it answers over HTTP like any endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from operators.conversation import fence
from tests.hostile.deeds import WORDS, edited, orders_in, paths

EVIL = "evil = True\n"
TEST = """\
import unittest

from {folder}.app import label


class TestIt(unittest.TestCase):
    def test_it(self):
        self.assertEqual(label("a"), "a!")
"""


@dataclass
class Worst:
    """`listener`: host and port of whoever would like to hear from it."""

    listener: tuple[str, int] = ("127.0.0.1", 9)
    obeyed: set[tuple[str, str]] = field(default_factory=set)
    """What it did, and about which folder."""
    systems: list[str] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)

    def __call__(self, request: dict[str, Any]) -> str:
        said = [message["content"] for message in request["messages"]]
        self.systems.append(said[0])
        self.prompts.append("\n".join(said))
        own = self._own(said[1])
        about = re.search(r"to be imported as `(m\d\d)\.", said[1])
        folder = about[1] if about else own.partition("/")[0]
        orders = dict.fromkeys(order for one in said for order in orders_in(one))
        mine = [deed for deed, whose in orders if whose == folder]
        self.obeyed.update((deed, folder) for deed in mine)
        words = [
            WORDS[deed].format(system=said[0], everything="\n".join(said)[:3000]) for deed in mine if deed in WORDS
        ]
        old = TEST.format(folder=folder) if about else self._code(said, own)
        files = dict.fromkeys(paths(mine, folder), EVIL)
        return "\n".join([*words, *_answer(said[0], own, old, edited(old, mine, self.listener), files)])

    def _own(self, task: str) -> str:
        found = re.search(r"^(?:Carry out the task on|Write) (.*)\.$", task, re.M)
        return found[1] if found else ""

    def _code(self, said: list[str], own: str) -> str:
        """Return the code as the last message shows it, or the first."""
        for told in (said[-1], said[1]):
            found = re.findall(rf"^{re.escape(own)}\n(`{{3,}})python\n(.*?)\n\1$", told, re.M | re.S) if own else []
            found = found or re.findall(r"\A(`{3,})python\n(.*?)\n\1$", told, re.M | re.S)
            if found:
                return f"{found[-1][1]}\n"
        return ""


def _answer(system: str, own: str, old: str, new: str, files: Mapping[str, str]) -> list[str]:
    """Return the answer in the form that was asked for, with more files than were asked for."""
    if "SEARCH/REPLACE" in system:
        return [_block(own, old, new), *(_block(path, "x = 1\n", text) for path, text in files.items())]
    first = "" if "one statement at a time" in system else f"{own}\n"
    return [f"{first}{_fenced(new)}", *(f"{path}\n{_fenced(text)}" for path, text in files.items())]


def _block(path: str, old: str, new: str) -> str:
    return f"{path}\n<<<<<<< SEARCH\n{old}=======\n{new}>>>>>>> REPLACE"


def _fenced(text: str) -> str:
    ticks = fence(text)
    return f"{ticks}python\n{text.rstrip(chr(10))}\n{ticks}"
