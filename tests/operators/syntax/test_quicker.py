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
if sys.argv[1] == "quick":
    quicker.install()
texts = sys.stdin.read().split(chr(0))
for text in texts:
    tree = quicker.parsed(parse_module(text)) if sys.argv[1] == "quick" else parse_module(text)
    sys.stdout.write(ConvertFormatStringCommand(CodemodContext()).transform_module(tree).code)
"""


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
    texts = [text.replace("f'", "'{}'.format(x) + f'") for path in library(15) if "f'" in (text := text_of(path))]
    said = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM, how], input="\0".join(texts).encode(), capture_output=True, check=True
        ).stdout
        for how in ("quick", "as it is")
    ]
    assert said[0] == said[1] != "".join(texts).encode()
