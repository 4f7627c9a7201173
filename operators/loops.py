"""Finds where a reply got stuck and said the same again and again until it was cut."""

from __future__ import annotations

LONGEST = 400  # characters of what is repeated
TIMES = 10  # that it stands there, at least
LEAST = 200  # characters of all of it: a row of dashes is no loop


def loop(text: str) -> tuple[int, str]:
    """Return where the loop at the end of a text begins and what it repeats; the text's length and "" when there is
    none."""
    tail = text[-TIMES * LONGEST :]
    for period in range(1, LONGEST + 1):
        same = period
        while same < len(tail) and tail[-same - 1] == tail[-same - 1 + period]:
            same += 1
        if same >= max(TIMES * period, LEAST):
            begin = len(text) - same
            while begin > 0 and text[begin - 1] == text[begin - 1 + period]:
                begin -= 1
            return begin, text[begin : begin + period]
    return len(text), ""
