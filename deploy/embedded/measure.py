"""Measures the embedded model on code that it never saw: `python deploy/embedded/measure.py FOLDER...`, each folder a
package that was kept out of training. What is right says the codemod of the job: the same syntax tree.
"""

from __future__ import annotations

import argparse
import ast
import random
import time
from collections import Counter
from pathlib import Path

from pairs import Kind, Pair, pairs

from operators.data import Completion, Skip
from operators.embedded import Embedded
from operators.syntax.atoms import differences
from operators.syntax.module import check

ATTEMPTS = 4
FREE = (  # names that may come and go, as a job would say under `keeps`
    *("self", "assert*", "fail*", "skipTest", "pytest", "raises", "warns", "fail", "skip", "approx", "re", "search"),
    *(
        "isinstance",
        "collections",
        "Counter",
        "sorted",
        "value",
        "exception",
        "msg=",
        "match=",
        "abs=",
        "places=",
        "delta=",
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--most", type=int, default=1_000, help="pairs of a kind and package, chosen at random")
    given = parser.parse_args()
    model = Embedded(str(given.checkpoint), temperature=0.4, max_tokens=512, bare=True)
    total: dict[Kind, Counter[str]] = {"statement": Counter(), "function": Counter()}
    for folder in given.folders:
        known = [pair for pair in pairs(sorted(folder.rglob("*test*.py"))) if pair.before != pair.after]
        for kind, sums in total.items():
            own = [pair for pair in known if pair.kind == kind]
            random.Random(0).shuffle(own)
            counts = measured(model, own[: given.most])
            sums.update(counts)
            print(f"{folder.name:24} {kind:10} {told(counts)}", flush=True)
    for kind, sums in total.items():
        print(f"{'all':24} {kind:10} {told(sums)}")


def measured(model: Embedded, chosen: list[Pair]) -> Counter[str]:
    counts: Counter[str] = Counter()
    start = time.monotonic()
    for pair in chosen:
        counts["pairs"] += 1
        for attempt in range(ATTEMPTS):
            reply = model.complete([{"role": "user", "content": pair.before}], shard="", attempt=attempt)
            right = same(reply.text, pair.after)
            counts["right at once"] += right and not attempt
            counts["the same text at once"] += reply.text.strip() == pair.after.strip() and not attempt
            if passes(pair, reply):
                counts["accepted"] += 1
                counts["accepted but other"] += not right
                break
            counts["caught"] += not right
            counts["right but refused"] += right
    counts["milliseconds"] = round(1_000 * (time.monotonic() - start))
    return counts


def same(one: str, other: str) -> bool:
    try:
        return ast.dump(ast.parse(one)) == ast.dump(ast.parse(other))
    except SyntaxError:
        return False


def passes(pair: Pair, reply: Completion) -> bool:
    """Ask of a piece what the job asks of a shard, except for its tests."""
    after = reply.text.strip("\n")
    try:
        check("", indented(after))
        return not reply.cut and not differences(pair.before, after, FREE) and "self.assert" not in after
    except Skip:
        return False


def indented(code: str) -> str:
    return "async def test():\n" + "\n".join(f"    {line}" for line in code.split("\n")) + "\n"


def told(counts: Counter[str]) -> str:
    many = max(1, counts["pairs"])
    shares = ("right at once", "the same text at once", "accepted", "accepted but other", "right but refused")
    said = ", ".join(f"{name} {100 * counts[name] / many:.1f} %" for name in shares)
    speed = 1_000 * many / max(1, counts["milliseconds"])
    return f"{many} pairs: {said}; {counts['caught']} wrong ones caught; {speed:.1f} a second"


if __name__ == "__main__":
    main()
