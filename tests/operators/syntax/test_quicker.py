from __future__ import annotations

import subprocess
import sys
from collections import Counter

import libcst as cst
import pytest

from tests.operators.syntax.samples import TRICKY, library, text_of

PROGRAM = """
import sys
from libcst.codemod import CodemodContext
from libcst.codemod.commands.convert_format_to_fstring import ConvertFormatStringCommand
from libcst import parse_module
from operators.syntax import quicker
quick = sys.argv[1] == "quick"
if quick:
    quicker.install()
for text in sys.stdin.read().split(chr(0)):
    tree = parse_module(text)
    print(ConvertFormatStringCommand(CodemodContext()).transform_module(quicker.parsed(tree) if quick else tree).code)
"""
MORE = "\n\ndef more(x):\n    return '{} {}'.format(x, x.y)\n"


def nodes(tree: cst.CSTNode) -> Counter[int]:
    found: Counter[int] = Counter()
    todo = [tree]
    while todo:
        node = todo.pop()
        found[id(node)] += 1
        todo += node.children
    return found


@pytest.mark.parametrize("text", [TRICKY, *(text_of(path) for path in library(40))], ids=lambda text: text[:20])
def test_a_parsed_tree_holds_no_node_twice(text: str) -> None:
    tree = cst.parse_module(text)
    assert max(nodes(tree).values()) == 1


def test_codemods_do_the_same_with_and_without() -> None:
    texts = [text_of(path) + MORE for path in library(12)]
    quick, plain = (
        subprocess.run(
            [sys.executable, "-c", PROGRAM, how], input="\0".join(texts), capture_output=True, text=True, check=True
        ).stdout
        for how in ("quick", "plain")
    )
    assert quick == plain
    assert quick.count("return f'{x} {x.y}'") == len(texts)
