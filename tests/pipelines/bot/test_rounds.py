"""When the bot looks at which repositories."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, pairwise

from hypothesis import given
from hypothesis import strategies as st

from pipelines.bot.rounds import rounds


class Street:
    """A clock that stands still unless somebody waits or works, and what is heard when."""

    def __init__(self, hooks: Sequence[tuple[float, str]]) -> None:
        self.now, self.hooks = 0.0, sorted(hooks)

    def hear(self, wait: float) -> list[str]:
        due = [hook for hook in self.hooks if hook[0] <= self.now]
        if not due and self.hooks and self.hooks[0][0] <= self.now + wait:
            self.now = self.hooks[0][0]
            due = [hook for hook in self.hooks if hook[0] <= self.now]
        elif not due:
            self.now += wait
        self.hooks = self.hooks[len(due) :]
        return [name for _, name in due]


Hooks = Sequence[tuple[float, str]]


def looked(hooks: Hooks, every: float, count: int, work: float = 0.0) -> list[tuple[float, object]]:
    street, found = Street(hooks), []
    for repos in islice(rounds(street.hear, every, lambda: street.now), count):
        found.append((street.now, sorted(repos) if repos is not None else None))
        street.now += work
    return found


def test_all_at_first_and_every_so_often_and_some_at_once() -> None:
    assert looked([(10, "a"), (130, "b")], 60, 6) == [
        (0, None),
        (10, ["a"]),
        (60, None),
        (120, None),
        (130, ["b"]),
        (180, None),
    ]


def test_what_happens_during_a_round_is_one_round_after_it() -> None:
    hooks = [(1, "a"), (2, "b"), (3, "a"), (11, "c")]
    assert looked(hooks, 60, 3, work=10) == [(0, None), (10, ["a", "b"]), (20, ["c"])]


@given(st.lists(st.tuples(st.floats(0, 1000), st.sampled_from("abc"))), st.floats(1, 100), st.floats(0, 150))
def test_nothing_heard_is_missed_and_all_is_looked_at_in_time(hooks: Hooks, every: float, work: float) -> None:
    found = looked(hooks, every, 60, work)
    last = found[-1][0]
    for at, name in hooks:
        if at < last:
            assert any(when >= at and (repos is None or name in repos) for when, repos in found)
    whole = [at for at, repos in found if repos is None]
    assert all(later - earlier <= every + 2 * work + 1e-6 for earlier, later in pairwise(whole))
