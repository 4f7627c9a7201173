from __future__ import annotations

import pytest

from operators.data import Completion
from pipelines.budget.purse import Purse, Reached
from pipelines.budget.words import offer, reached_text, used, used_text, waiting_text
from pipelines.limits import Budget

BUDGET = Budget.model_validate({"tokens": 5_000_000, "money": 20.0, "prices": {"read": 1.0, "currency": "CHF"}})


@pytest.mark.parametrize(
    ("reached", "done", "waiting", "words"),
    [
        (
            Reached("job", "tokens", 5_000_912, 5_000_000),
            1288,
            412,
            "doing the 412 that wait takes about 1.6 million tokens more: `budget: {tokens: 6700000}`",
        ),
        (
            Reached("job", "money", 20.3, 20.0),
            10,
            1,
            "doing the 1 that waits takes about 2 CHF more: `budget: {money: 23}`",
        ),
        (
            Reached("job", "seconds", 3600, 3600),
            1,
            1,
            "doing the 1 that waits takes about 3,600 seconds more: `budget: {seconds: 7200}`",
        ),
        (Reached("job", "tokens", 10, 5), 0, 7, ""),
        (Reached("job", "tokens", 10, 5), 7, 0, ""),
        (
            Reached("job", "gpu_seconds", 0.5, 0.5),
            1_000,
            1,
            "doing the 1 that waits takes about 0.0005 GPU seconds more: `budget: {gpu_seconds: 2}`",
        ),
    ],
)
def test_what_a_higher_limit_would_buy(reached: Reached, done: int, waiting: int, words: str) -> None:
    assert offer(reached, BUDGET, done, waiting) == words


def test_which_limit_is_reached() -> None:
    one = Reached("job", "money", 20.25, 20.0)
    assert reached_text(one, BUDGET) == "the job has spent 20.25 of 20 CHF (`budget.money`)"
    repo = Reached("repository", "tokens", 12_345, 10_000)
    assert (
        waiting_text(repo, 3, BUDGET) == "3 shards wait: 12,345 of 10,000 tokens are spent (`budget.per_repo.tokens`)"
    )
    shard = Reached("shard", "seconds", 31.5, 30)
    assert waiting_text(shard, 1, BUDGET) == "1 shard waits: 30 seconds are spent on each (`budget.per_shard.seconds`)"


def test_what_was_spent_of_what() -> None:
    purse = Purse(BUDGET, {})
    purse.tell("billing", "key", Completion("", 1_000_000, 234, seconds=3.0))
    assert used_text(used(purse)) == "1,000,234 of 5,000,000 tokens, 1 of 20 CHF"
    assert used(Purse(Budget(), {})) == []
