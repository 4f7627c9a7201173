"""`umbau submit|logs|stop|resume`: a job whose driver runs on a Ray cluster."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from pipelines.errors import Refused
from pipelines.session import JOBS, STOPPED, JobArgument, Json, NamedJob, home, job_of, name_of, out, told, user, who

if TYPE_CHECKING:
    from pipelines.submission.client import Cluster
    from pipelines.submission.package import Package
    from pipelines.submission.submissions import Submission

submission = typer.Typer(rich_markup_mode=None)
Dashboard = Annotated[
    str,
    typer.Option(
        "--address",
        envvar="RAY_API_SERVER_ADDRESS",
        help="The Ray cluster's dashboard, such as http://head:8265.",
        show_default="this machine's",
    ),
]
Follow = Annotated[bool, typer.Option("--follow", help="Print what the driver says, and end with its exit code.")]
Named = Annotated[str, typer.Argument(metavar="JOB|ID", help="Job file, name of a job, or name of a submission.")]


@submission.command()
def submit(job: JobArgument, address: Dashboard = "", follow: Follow = False, json: Json = False) -> None:
    """Start a job's driver on a Ray cluster; twice is once.

    The job file, its codemods, plugins and lists travel; repositories and credentials do not: the driver finds tokens
    where the job says, in the environment of the head's `ray start` or in files there.
    """
    with told():
        package = _package(job)
        _begin(_cluster(address), package, follow, json, again=False)


@submission.command()
def resume(job: NamedJob, address: Dashboard = "", follow: Follow = False, json: Json = False) -> None:
    """Let a paused job go on. One that was submitted, and was stopped or has ended, is started again as well: it goes
    on where it was."""
    with told():
        name = name_of(job)
        cluster = _cluster_of(job, name, address)
        package = _package(job) if cluster else None
        lifted = _lifted(name)  # last: where something is refused, the pause stays
        if cluster and package:
            try:
                _begin(cluster, package, follow, json, again=True, lifted=lifted)
            except Refused as why:
                raise Refused(f"{name} was {lifted}, and that is lifted; {why}" if lifted else str(why)) from None
        goes_on = f"{name} goes on; it was {lifted}. The next `umbau run`, or round of a bot, does what waits"
        out({"job": name, "lifted": lifted, "started": False} if json else goes_on, json)


def _lifted(name: str) -> str:
    """Lift the pause of a job; return what it was, "" when there was none."""
    from pipelines import steering
    from pipelines.store import opened

    with closing(opened(home())) as store:
        was = steering.paused(store, name)
        steering.resume(store, name, user(), by=who())
    return was


def _cluster_of(job: str, name: str, address: str) -> Cluster | None:
    """Return where a job is to be started again: at the address or else on this machine, if it was submitted there, and
    by its file at any address; None when it is only paused. Raises Refused."""
    cluster = _cluster(address) if address else _here()
    file = Path(job).is_file() or (JOBS / f"{job}.yaml").exists()
    submitted = cluster is not None and any(one.job == name for one in cluster.submissions())
    if cluster and submitted and not file:
        more = f"umbau resume FILE --address {cluster.url}"
        raise Refused(f"{name} was submitted: give its job file to start it again, {more}")
    if submitted or (address and file):
        return cluster
    if not _paused(name):
        where = f"was not submitted to {cluster.url}" if cluster else "no Ray cluster is on this machine"
        raise Refused(
            f"{name} is not paused, and {where}: `umbau run` goes on where it was. A pause by its budget ends with a "
            "higher limit; a submitted job is started again at --address"
        )
    return None


def _here() -> Cluster | None:
    """Return the cluster of this machine, None when no dashboard answers."""
    from pipelines.door import HERE, knocked

    try:
        knocked(HERE)
    except Refused:
        return None
    return _cluster(HERE)


def _paused(name: str) -> bool:
    from pipelines import steering
    from pipelines.store import opened

    with closing(opened(home())) as store:
        return bool(steering.paused(store, name))


@submission.command()
def logs(job: Named, address: Dashboard = "", follow: Follow = False, json: Json = False) -> None:
    """Print what the driver of a submitted job has said."""
    with told():
        cluster = _cluster(address)
        one = _named(job, cluster)
        if follow and one.living:
            _follow(cluster, one.id, json)
        text = cluster.logs(one.id)
        out({**_facts(one), "logs": text} if json else text.removesuffix("\n"), json)
        raise typer.Exit(one.exit_code if follow else 0)


@submission.command()
def stop(job: Named, address: Dashboard = "", json: Json = False) -> None:
    """Stop the driver of a submitted job. What is done is kept."""
    with told():
        cluster = _cluster(address)
        one = _named(job, cluster)
        if one.living:
            one = cluster.stop(one.id)
            _noted("stopped", one.job, {"id": one.id, "cluster": cluster.url})
        hint = "" if one.status == "SUCCEEDED" else ". What is done is kept, and `umbau resume` goes on there"
        out(_facts(one) if json else f"{one.id} {one.words}{hint}", json)
        raise typer.Exit(2 if one.living else 0)


def _begin(cluster: Cluster, package: Package, follow: bool, json: bool, *, again: bool, lifted: str = "") -> NoReturn:
    """Submit a package unless that was done; `again`: also when it has ended since. `lifted`: how it was paused."""
    from importlib.metadata import version

    from pipelines.submission.submissions import Submission, following

    here, name = version("umbau"), package.job
    revision = package.revision(here)
    found = following(name, revision, cluster.submissions(), again=again)
    id, started = (found.id, False) if isinstance(found, Submission) else (found, True)
    if started:
        started = cluster.submit(id, package, here, {"umbau": here, "job": name, "revision": revision, "who": user()})
    if started:
        _noted("submitted", name, {"id": id, "cluster": cluster.url, "revision": revision})
    one = cluster.submission(id)
    words = f"{id} is submitted to {cluster.url}" if started else f"{id} {one.words} already: nothing was started"
    words = f"{name} was {lifted}. {words}" if lifted else words
    if follow:
        typer.echo(words, err=True)
        _follow(cluster, id, json)
    after = [words, f"    umbau logs {name} --follow", f"    umbau stop {name}"]
    out({**_facts(one), "started": started, "lifted": lifted} if json else after, json)
    raise typer.Exit(0)


def _noted(what: str, job: str, facts: dict[str, object]) -> None:
    """Note in the audit log, which is this machine's own unless both have one store, what was asked for."""
    from pipelines.store import opened

    with closing(opened(home())) as store:
        store.audit.note(who(), what, job, facts)


def _follow(cluster: Cluster, id: str, json: bool) -> NoReturn:
    """Print what a driver says until it ends, and end as it has ended."""
    from pipelines.neutral import plain

    try:
        one = cluster.follow(id, lambda text: typer.echo(plain(text), nl=False, err=json))
    except KeyboardInterrupt:
        typer.echo(f"\n{id} goes on: umbau logs {id} --follow", err=True)
        raise typer.Exit(STOPPED) from None
    if json:
        out(_facts(one), json)
    else:
        typer.echo(f"{one.id} {one.words}", err=True)
    raise typer.Exit(one.exit_code)


def _cluster(address: str) -> Cluster:
    """Return the cluster at an address, with a word of warning where its door is not shut."""
    from operators.outward import admit
    from pipelines.door import dashboard, exposed, knocked

    url = dashboard(address)
    admit("cluster", url, "--address")
    warning = knocked(url)
    from pipelines.submission.client import Cluster

    cluster = Cluster(url)
    for line in filter(None, (warning or exposed(url), cluster.differs)):
        typer.echo(line, err=True)
    return cluster


def _package(job: str) -> Package:
    """Return what travels of a job, which is checked as far as that can be done here. Raises BadJob."""
    from pipelines.reach import models
    from pipelines.recipe import recipe
    from pipelines.submission.package import packed

    spec, file = job_of(job, None)
    package = packed(spec, file)
    if not any(settings and settings.checkpoint for _, settings in models(spec)):  # which lies on the cluster's nodes
        recipe(spec, file)
    return package


def _named(word: str, cluster: Cluster) -> Submission:
    from pipelines.submission.submissions import named

    return named(name_of(word), cluster.submissions())


def _facts(one: Submission) -> dict[str, object]:
    facts = {name: getattr(one, name) for name in ("id", "job", "revision", "version", "who", "status")}
    return {**facts, "code": None if one.living else one.exit_code}
