"""What is counted and measured of jobs, under the names that a Prometheus finds it by.

Ray puts `ray_` before each name, and `_total` behind that of a counter. What is said of models is called as
OpenTelemetry calls it (semantic conventions 1.41.0, https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics),
written as Prometheus writes it.

Labels have few values: the job, what became of a shard, a kind of check, a model. Never a shard, a branch or a
repository: of these there may be a million, and each would be a time series of its own for ever.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from operators.data import Completion, Outcome, Verdict
from pipelines.data import Task

JOB = "umbau_job"  # `job` is Prometheus's own: what was scraped
MODEL = (JOB, "gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")
STATUSES = ("waiting", "accepted", "unchanged", "skipped", "rejected", "failed")
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    kind: Literal["counter", "gauge", "histogram"]
    text: str
    labels: tuple[str, ...] = (JOB,)
    bounds: tuple[float, ...] = ()
    """Upper ends of a histogram's buckets."""


SHARDS = Metric("umbau_shards", "gauge", "Shards of the last plan by state.", (JOB, "status"))
IN_HAND = Metric("umbau_shards_in_hand", "gauge", "Shards that are worked on right now.")
ASKING = Metric("umbau_shards_asking", "gauge", "Shards that wait for a model right now.")
TESTING = Metric("umbau_test_runs", "gauge", "Runs of tests and commands under way.")
ENDED = Metric("umbau_shards_ended", "counter", "Shards that came to an end, by what became of them.", (JOB, "status"))
SHARD = Metric(
    "umbau_shard_duration_seconds",
    "histogram",
    "How long shards took, all attempts together.",
    bounds=(0.01, 0.1, 0.5, 1, 5, 15, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR),
)
ATTEMPTS = Metric("umbau_attempts", "counter", "Edits that were proposed and judged.")
CALLS = Metric(
    "gen_ai_client_operation_duration_seconds",
    "histogram",
    "How long models took to answer, waiting for a turn left out.",
    MODEL,
    (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
)
TOKENS = Metric(
    "gen_ai_client_token_usage",
    "histogram",
    "Tokens that models read (input) and wrote (output) for an answer.",
    (*MODEL, "gen_ai_token_type"),
    tuple(4.0**power for power in range(14)),
)
CACHED = Metric("umbau_cached_replies", "counter", "Answers that were known from before and cost nothing.")
GPU = Metric(
    "umbau_gpu_seconds",
    "counter",
    "Time of GPUs that answers took, where it is said how many there are.",
    (JOB, "gen_ai_request_model"),
)
CHECKS = Metric(
    "umbau_check_duration_seconds",
    "histogram",
    "How long checks took; of a run that shards share each has its part.",
    (JOB, "check"),
    (0.001, 0.01, 0.1, 0.5, 1, 5, 15, MINUTE, 5 * MINUTE, 15 * MINUTE),
)
ASIDE = Metric("umbau_repositories_set_aside", "gauge", "Repositories whose shards kill workers: none is tried.")
REQUESTS = Metric("umbau_merge_requests", "gauge", "Merge requests by state.", (JOB, "state"))
TO_MERGE = Metric(
    "umbau_time_to_merge_seconds",
    "histogram",
    "From the opening of a merge request to its merge; each counts once.",
    bounds=(5 * MINUTE, HOUR, 4 * HOUR, DAY, 2 * DAY, 4 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY),
)
REMAINING = Metric("umbau_remaining_files", "gauge", "Files on the current heads that the job's detector still finds.")
METRICS = (
    *(SHARDS, IN_HAND, ASKING, TESTING, ENDED, SHARD, ATTEMPTS, CALLS, TOKENS, CACHED, GPU, CHECKS),
    *(ASIDE, REQUESTS, TO_MERGE, REMAINING),
)


class Meter(Protocol):
    """Where values go. On Ray: pipelines.cluster."""

    def tell(self, metric: Metric, value: float, *labels: str) -> None:
        """Add to a counter, set a gauge, or note in a histogram. `labels` as the metric has them."""


def provider(reply: Completion) -> str:
    """Return who answered, as OpenTelemetry wants it named; none of the names that it knows is true here."""
    return "openai_compatible" if reply.server else "embedded"


def fresh(task: Task, outcome: Outcome) -> Sequence[Verdict]:
    """Return what was tried this time, evidence included, each attempt on its own."""
    return [each for one in outcome.verdicts[len(task.past) :] for each in (one, *one.evidence)]


def ended(job: str, done: Iterable[tuple[Task, Outcome]], meter: Meter) -> None:
    """Tell of shards that came to an end."""
    statuses: Counter[str] = Counter()
    attempts = cached = 0
    gpus: defaultdict[str, float] = defaultdict(float)
    for task, outcome in done:
        verdicts = fresh(task, outcome)
        if not outcome.away:
            statuses[outcome.status] += 1
            meter.tell(SHARD, outcome.seconds, job)
        attempts += sum(one.start > 0 for one in outcome.verdicts[len(task.past) :])
        cached += sum(one.edit.cached for one in verdicts)
        for reply in (reply for one in verdicts for reply in one.edit.replies):
            _answered(job, reply, meter)
            gpus[reply.model] += reply.gpu_seconds
        _judged(job, verdicts, meter)
    for status, count in statuses.items():
        meter.tell(ENDED, count, job, status)
    for metric, count in ((ATTEMPTS, attempts), (CACHED, cached)):
        if count:
            meter.tell(metric, count, job)
    for model, seconds in gpus.items():
        if seconds:
            meter.tell(GPU, seconds, job, model)


def summed(job: str, done: Iterable[tuple[Task, Outcome]], meter: Meter) -> None:
    """Tell of sums of edits that were judged."""
    for task, outcome in done:
        _judged(job, fresh(task, outcome), meter)


def _answered(job: str, reply: Completion, meter: Meter) -> None:
    asked = job, "chat", provider(reply), reply.model
    meter.tell(CALLS, reply.seconds, *asked)
    meter.tell(TOKENS, reply.tokens_in, *asked, "input")
    meter.tell(TOKENS, reply.tokens_out, *asked, "output")


def _judged(job: str, verdicts: Iterable[Verdict], meter: Meter) -> None:
    for check in (check for one in verdicts for check in one.timed):
        meter.tell(CHECKS, check.seconds, job, check.kind)
