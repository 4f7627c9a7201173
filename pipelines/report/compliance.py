"""What a compliance officer can file of a job: facts by the titles of the laws that ask for them.

Only what the store, the job, the site's file and the forge say; what they do not say is told as not known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from operators.foreign import told
from operators.hosts import pattern, region, target
from pipelines.forge import Place
from pipelines.job import Job
from pipelines.licences import standing
from pipelines.masking import masked
from pipelines.moments import moment
from pipelines.neutral import prose
from pipelines.report.asked import Asked
from pipelines.report.totals import Totals
from pipelines.site import Site
from pipelines.store.log import Event

UNKNOWN = "not known to Umbau"
NAMED = 20  # requests without evidence that are named
WHAT = (
    "Facts from Umbau's store, the job, the site's file and the forge, in the order of Article 50 of Regulation (EU) "
    "2024/1689 (AI Act) and Article 30(1) of Regulation (EU) 2016/679 (GDPR). It is no legal advice: whether these "
    "articles apply, and whether what is done suffices, is not said here. What Umbau cannot know is for a person to "
    "fill in."
)


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    lines: tuple[tuple[str, str], ...]
    """What is asked for, and what is known of it; names and code stand between backticks."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What it is told from."""

    job: Job
    site: Site
    totals: Totals
    asked: Asked
    events: Sequence[Event]
    now: float
    """Seconds since 1970."""
    stated: Mapping[Place, tuple[str, str]] = field(default_factory=dict)
    """Digest and commit of what was stated last of what each branch holds."""


def sections(ground: Ground) -> tuple[Section, ...]:
    """Return what is known, in order. Raises BadJob."""
    return (
        Section("Marking of what a model wrote (AI Act, Article 50)", _masked(_marking(ground))),
        Section("Models and their licences", _masked(_models(ground)) or (("Models", "none was asked"),)),
        Section("Record of processing (GDPR, Article 30(1))", _masked(_processing(ground))),
        Section("Human oversight", _masked(_oversight(ground))),
    )


def _masked(lines: Iterator[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((masked(what), masked(said)) for what, said in lines)


def as_markdown(ground: Ground) -> str:
    """Return all of it as a document. Nothing in it acts."""
    parts = [f"# {ground.job.name}: what a model did, and where", f"{moment(ground.now)} UTC. {WHAT}"]
    for section in sections(ground):
        parts.append(f"## {section.title}")
        parts.append("\n".join(f"- **{prose(what)}**: {prose(said)}" for what, said in section.lines))
    return "\n\n".join(parts) + "\n"


def _marking(ground: Ground) -> Iterator[tuple[str, str]]:
    settings, all_ = ground.job.merge_request, ground.totals.all.counts["accepted"]
    wrote = ", ".join(f"`{name}` of {number}" for name, number in ground.totals.wrote.most_common())
    yield "Accepted edits", f"{all_}; models wrote parts: {wrote or 'of none'}"
    trailer = f"`Assisted-by: {settings.assisted_by}`" if settings.assisted_by else "none: the site allows that"
    yield "In commits, to be read by machines", f"{trailer}; besides `Generated-by: umbau/...`, `Umbau-Change: ...`"
    label = f", and the label `{settings.model_label}`" if settings.model_label else ""
    yield "In requests", f"in words, in the first line of the text{label}"
    yield "In comments (Article 50(1))", "each ends by saying that a program posted it"
    yield "Author of commits", f"`{settings.author}`"
    passages = [f"{told(one)} (`{repo}`, `{shard}`)" for repo, shard, one in ground.totals.foreign]
    yield (
        "Long passages that stand in nothing the model was shown",
        "; ".join(passages) or "none noted in accepted edits" if ground.site.foreign_lines else "not looked for",
    )


def _models(ground: Ground) -> Iterator[tuple[str, str]]:
    names = dict.fromkeys([*(name for name, _ in ground.totals.asked), *map(bare, ground.totals.wrote)])
    for name in names:
        calls = sum(number for (model, _), number in ground.totals.asked.items() if model == name)
        found = standing(name, ground.site)
        yield f"Model {name or 'without a name'}", f"{calls} replies; {found.said}"
        if found.entry and found.entry.repository:
            revision = found.entry.revision
            stated = f" at `{revision}`, as the site states" if revision else ", revision not stated"
            yield f"Weights of {name}", f"`https://huggingface.co/{found.entry.repository}`{stated}"
    if ground.totals.cached:
        yield "Replies known from before", f"{ground.totals.cached}: asked earlier, by this job or another"


def _processing(ground: Ground) -> Iterator[tuple[str, str]]:
    job, site = ground.job, ground.site
    yield "(a) Controller, representative, data protection officer", UNKNOWN
    yield "(b) Purposes", f"source code is changed as the job says: {job.description or job.name}"
    yield (
        "(c) Data subjects and personal data",
        "whoever is named in source code, comments, tests and commits: names, e-mail addresses and what else stands "
        "there; reviewers: user names and what they say on requests. Umbau does not sort these out",
    )
    own = ", ".join(f"`{name}`" for name in site.mask)
    yield "Kept out of prompts", f"besides Umbau's own rules for secrets: {own or 'no pattern of the site'}"
    yield (
        "Code of one repository in prompts about another",
        "allowed by the site" if site.share else "no: the site does not allow it",
    )
    yield "(d) Recipients", "; ".join(_recipients(ground))
    yield "(e) Places of processing", "; ".join(_places(ground)) or "no model was asked"
    days = {"prompts and replies": site.retention.words, "edits, findings, output of tests": site.retention.code}
    kept = [f"{what}: {_days(most)}" for what, most in days.items()]
    yield "(f) Kept for", "; ".join(kept)
    yield "(g) Security measures", "; ".join(_measures(ground))


def _recipients(ground: Ground) -> Iterator[str]:
    forge = ground.job.forge.gitlab or ground.job.forge.github
    yield f"models: {', '.join(f'`{server}`' for server in _servers(ground)) or 'none on another machine'}"
    yield f"forge: {f'`{forge.url}`' if forge else 'none, branches and pages on this machine'}"
    if ground.site.hosts:
        allowed = ground.site.hosts.model_dump().items()
        yield "allowed by the site: " + (", ".join(f"{kind} `{' '.join(names)}`" for kind, names in allowed if names))


def _places(ground: Ground) -> Iterator[str]:
    if any(not server for _, server in ground.totals.asked):
        yield "the machines that Umbau ran on"
    for server in _servers(ground):
        yield f"`{server}`: {region_of(server, ground.site) or f'region {UNKNOWN}: `regions` in the site file'}"
    if ground.totals.cached:
        yield f"of {ground.totals.cached} replies known from before: {UNKNOWN}"


def region_of(server: str, site: Site) -> str:
    """Return where a host (and port) is by the site's word, "" when that is not known."""
    host, port = target(f"http://{server}")
    return region([(pattern(one), where) for one, where in site.regions.items()], host, port)


def _servers(ground: Ground) -> list[str]:
    return sorted({server for _, server in ground.totals.asked if server})


def _days(most: float | None) -> str:
    return "until somebody purges it; no limit is set" if most is None else f"{most:g} days"


def _measures(ground: Ground) -> Iterator[str]:
    boxed = "a sandbox without network (bubblewrap)"
    yield f"commands and tests run in {boxed if ground.job.sandbox == 'bubblewrap' else 'no sandbox, as the job asks'}"
    yield "hosts named by the site" if ground.site.hosts else "hosts as the environment names them"
    yield "keys and tokens stand in no job, log or store"
    yield f"commits {'are signed' if ground.job.merge_request.sign_from else 'are not signed'}"


def _oversight(ground: Ground) -> Iterator[tuple[str, str]]:
    settings, counts = ground.job.merge_request, ground.totals.all.counts
    kinds = Counter(one.kind for one in ground.events)
    how = {
        "never": "by people: Umbau merges nothing",
        "approved": "by Umbau, what people approved",
        "green": "by Umbau, what passes its pipeline, without anybody's approval",
    }
    yield "How changes are merged", how[settings.merge]
    yield "Judged by machines", f"{counts['accepted']} accepted, {counts['rejected']} rejected"
    yield "Requests", f"{kinds['opened']} opened, {kinds['merged']} merged, {kinds['closed']} closed by people or Umbau"
    approved = sum(one.approved for one in ground.asked.requests)
    yield "Approved now", f"{approved} of {len(ground.asked.requests)}"
    if ground.asked.trouble:
        yield (
            "Not known",
            f"requests of {len(ground.asked.trouble)} repositories, which the forge could not be asked for",
        )
    people = Counter(
        f"{one.kind} by `{one.body.get('who')}`"
        for one in ground.events
        if one.kind in {"paused", "resumed"} and isinstance(one.body, dict) and one.body.get("kind") == "person"
    )
    if people:
        yield "Stopped by people", "; ".join(f"{what}: {number}" for what, number in people.items())
    yield "Signed evidence (`umbau verify REQUEST`)", "; ".join(_evidence(ground))
    yield "Who started, approved and merged", "the audit log has it: `umbau audit`"


def _evidence(ground: Ground) -> Iterator[str]:
    """Yield of which branches something is stated, and of which requests nothing is."""
    yield f"stated of {len(ground.stated)} branches"
    bare = [one for one in ground.asked.requests if (one.repo, one.branch) not in ground.stated]
    if bare:
        names = ", ".join(f"`{one.repo}@{one.branch}`" for one in bare[:NAMED])
        yield f"nothing of {len(bare)} requests: {names}{' ...' if len(bare) > NAMED else ''}"


def bare(called: str) -> str:
    """Return a model's name without its revision."""
    return called.partition("@")[0]
