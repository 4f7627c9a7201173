"""Measures the embedded model on code that it never saw: `python deploy/embedded/measure.py FOLDER...`, each folder a
package that was kept out of training. It is asked and judged as by the job `plain-asserts`, but for the tests.
What is right says the codemod of the job `unittest-to-pytest`: the same syntax tree.
"""

from __future__ import annotations

import argparse
import ast
import random
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pairs import Pair, pairs

from operators.data import Skip
from operators.embedded import SHIPPED_IN, Embedded
from operators.syntax import atoms, claims
from operators.syntax.grammar import copying
from operators.syntax.pieces import pieces, replaced
from operators.syntax.words import on_one_line
from pipelines.jobfile import load
from pipelines.session import shipped

ATTEMPTS = 4
JOB = load(shipped("plain-asserts"))
LEFT = next(step.rewrite.left or "" for step in JOB.steps if step.rewrite)
FREE = [name for check in JOB.checks if check.keeps for name in check.keeps.free]
WORDS = [name for name in (one.removesuffix("=") for one in FREE) if name.isidentifier()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--checkpoint", type=Path, default=SHIPPED_IN)
    parser.add_argument("--most", type=int, default=1_000, help="pairs of a kind and package, chosen at random")
    parser.add_argument("--free", action="store_true", help="let it write what it likes, not only the code's own words")
    given = parser.parse_args()
    model = Embedded(str(given.checkpoint), temperature=0.4, max_tokens=512, bare=True)
    sums: dict[str, Counter[str]] = {}
    for folder in given.folders:
        found = pairs(sorted(folder.rglob("*test*.py")))
        known = [pair for pair in found if pair.before != pair.after and re.search(LEFT, pair.before)]
        for kind in ("statement", "function"):
            own = [pair for pair in known if pair.kind == kind]
            random.Random(0).shuffle(own)
            for cut in (False, True) if kind == "function" else (False,):
                how = f"{kind} by statement" if cut else kind
                counts = measured(model, own[: given.most], cut, given.free)
                sums.setdefault(how, Counter()).update(counts)
                print(f"{folder.name:24} {how:22} {told(counts)}", flush=True)
    for how, counts in sums.items():
        print(f"{'all':24} {how:22} {told(counts)}")


def measured(model: Embedded, chosen: Sequence[Pair], cut: bool, free: bool) -> Counter[str]:
    """Count how the model does; `cut`: a function is asked for statement by statement."""
    counts: Counter[str] = Counter()
    start = time.monotonic()
    for pair in chosen:
        counts["pairs"] += 1
        for attempt in range(ATTEMPTS):
            after = asked(model, pair.before, attempt, cut, free)
            right = same(after, pair.after)
            counts["right at once"] += right and not attempt
            if passes(pair.before, after):
                counts["accepted"] += 1
                counts["accepted but other"] += not right
                break
            counts["caught"] += not right
            counts["right but refused"] += right
    counts["milliseconds"] = round(1_000 * (time.monotonic() - start))
    return counts


def asked(model: Embedded, code: str, attempt: int, cut: bool, free: bool) -> str:
    if not cut:
        shown = on_one_line(code) if attempt % 2 else code
        grammar = "" if free else copying(shown, WORDS, LEFT)
        return model.complete([{"role": "user", "content": shown}], shard="", attempt=attempt, grammar=grammar).text
    found = pieces(code, LEFT)
    return replaced(code, [(first, last, asked(model, one, attempt, False, free)) for first, last, one in found if one])


def same(one: str, other: str) -> bool:
    try:
        return ast.dump(ast.parse(one)) == ast.dump(ast.parse(other))
    except SyntaxError:
        return False


def passes(before: str, after: str) -> bool:
    """Ask of code what the job asks of a shard, except for its tests."""
    try:
        return not atoms.differences(before, after, FREE) and not claims.differences(before, after)
    except Skip:
        return False


def told(counts: Counter[str]) -> str:
    many = max(1, counts["pairs"])
    shares = ("right at once", "accepted", "accepted but other", "right but refused")
    said = ", ".join(f"{name} {100 * counts[name] / many:.1f} %" for name in shares)
    speed = 1_000 * many / max(1, counts["milliseconds"])
    return f"{many} pairs: {said}; {counts['caught']} wrong ones caught; {speed:.1f} a second"


if __name__ == "__main__":
    main()
