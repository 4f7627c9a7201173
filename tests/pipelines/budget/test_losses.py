from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from pipelines.budget.losses import Losses
from pipelines.limits import StopLoss

STATUSES = st.lists(st.sampled_from(["accepted", "unchanged", "skipped", "rejected", "failed"]), max_size=40)


@given(STATUSES, st.integers(5, 12), st.floats(0.01, 1.0))
def test_it_fires_when_so_many_of_the_last_were_rejected_and_never_on_fewer(
    statuses: list[str], last: int, rejected: float
) -> None:
    losses, ended = Losses(StopLoss(last=last, rejected=rejected), "j"), deque[str](maxlen=last)
    for status in statuses:
        losses.add(status)
        ended.extend([status] if status != "failed" else [])
        bad = ended.count("rejected")
        assert bool(losses.why()) == (len(ended) == last and bad >= last * rejected)


def test_it_says_what_to_look_at() -> None:
    losses = Losses(StopLoss(last=5, rejected=0.5), "j")
    for status in ("rejected", "accepted", "rejected", "failed", "rejected", "unchanged"):
        assert losses.why() == ""
        losses.add(status)
    told = "3 of the last 5 shards were rejected (`stop_loss`). See what is wrong with them: umbau status j"
    assert losses.why() == told
