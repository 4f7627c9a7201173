"""The command line: each command is idempotent and one call. Heavy modules are imported by the command that needs
them."""

from __future__ import annotations

import sys
from contextlib import closing, nullcontext
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from pipelines.audit.commands import auditing
from pipelines.bot.commands import bot
from pipelines.bulk.commands import bulk
from pipelines.dashboard.commands import dashboard
from pipelines.doctor.commands import doctor
from pipelines.evidence.commands import verifying
from pipelines.follow.commands import watching
from pipelines.guard.commands import app as guard
from pipelines.pilot.commands import piloting
from pipelines.report.commands import reporting
from pipelines.retention.commands import purging
from pipelines.serve.commands import model
from pipelines.session import (
    FAILED,
    Address,
    JobArgument,
    Json,
    Log,
    NamedJob,
    driving,
    fail,
    folder_of,
    home,
    job_of,
    lanes_at,
    name_of,
    out,
    shipped,
    sited,
    standing_of,
    stoppable,
    told,
    user,
    who,
)
from pipelines.submission.commands import submission
from pipelines.witness import witnessed

DRIVING = {"run", "pilot", "tend", "bot"}  # on Ray
app = typer.Typer(
    help="Change the same thing in many repositories, with a model of your own and verdicts that can be trusted.",
    epilog="Exit codes: 0 all well, 1 rejected shards, 2 failed shards, a model gone or a job paused, 64 bad job file, "
    "bad address or no token, 130 stopped.",
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(auditing)
app.add_typer(bot)
app.add_typer(bulk)
app.add_typer(watching)
app.add_typer(guard)
app.add_typer(reporting)
app.add_typer(verifying)
app.add_typer(purging)
app.add_typer(dashboard, name="dashboard")
app.add_typer(piloting)
app.add_typer(submission)
app.add_typer(doctor)
app.add_typer(model, name="model")
Repos = Annotated[
    list[str] | None,
    typer.Option("--repo", help="Instead of the job's repositories: path, https URL or name==version. Repeatable."),
]


@app.command()
def init(
    file: Annotated[Path, typer.Argument(help="Where to write.")] = Path("job.yaml"),
    like: Annotated[str, typer.Option("--from", help="A job that comes with Umbau.")] = "",
    json: Json = False,
) -> None:
    """Write a job file to start from."""
    with told():
        text = (shipped(like) if like else Path(__file__).parent / "starter.yaml").read_text()
        try:
            with file.open("x") as new:
                new.write(text)
        except OSError as error:
            fail(f"{file} cannot be written: {error.strerror}. Nothing was changed.")
        told_so = f"{file} is written. Edit it, then: umbau validate {file}; umbau try {file} PATH"
        out({"file": str(file)} if json else told_so, json)


@app.command()
def validate(job: JobArgument, json: Json = False) -> None:
    """Check a job file, its patterns, templates, codemods and plugins."""
    with told():
        from pipelines.recipe import recipe
        from pipelines.signing import committer

        spec, file = job_of(job, None)
        committer(spec.merge_request)
        reply = recipe(spec, file).reply
        left = "" if any(check.honest for check in spec.checks) else ", without `honest`: edits may weaken tests"
        good = f"{file} is good: {len(spec.steps)} steps, {len(spec.checks)} checks{left}"
        told_so = [good, *([f"reply: {reply.protocol} ({reply.why})"] if reply else [])]
        out({**spec.model_dump(mode="json"), "reply": reply} if json else told_so, json)


@app.command()
def schema(json: Json = True) -> None:
    """Print the JSON Schema of job files, for editors."""
    from json import dumps

    from pipelines.job import Job

    print(dumps(Job.model_json_schema(), indent=2))


@app.command()
def plan(
    job: JobArgument,
    repo: Repos = None,
    all_files: Annotated[bool, typer.Option("--all", help="Name every file.")] = False,
    json: Json = False,
) -> None:
    """Show the shards and merge requests of a job, and which files are left out and why."""
    with told(), driving(job, repo, quiet=json) as driver:
        from pipelines.printed import plan_text

        found = driver.plan()
        out(found if json else plan_text(found, all_files=all_files), json)
        raise typer.Exit(FAILED if found.trouble else 0)


@app.command("try")
def try_(
    job: JobArgument,
    file: Annotated[str, typer.Argument(help="Path in the repository; PATH::Symbol for one symbol.")],
    repo: Repos = None,
    json: Json = False,
) -> None:
    """Run one shard in this process, without Ray, and print its diff and each finding. Nothing is kept."""
    with told():
        from operators.veiled import Hidden
        from pipelines.console import Watch
        from pipelines.masking import rules
        from pipelines.printed import outcome_text
        from pipelines.trial import trial

        spec, path = job_of(job, repo)
        with sited(spec) as site:
            outcome, base, others = trial(spec, path, file, home(), folder_of(path, repo), Watch(json), site)
        out(outcome if json else outcome_text(outcome, Hidden.of(base, outcome.shard, rules())), json)
        if others and not json:
            print(f"\n{len(others)} more shards in this file: {', '.join(others[:8])}")
        raise typer.Exit({"rejected": 1, "failed": FAILED}.get(outcome.status, 0))


@app.command()
def run(job: JobArgument, repo: Repos = None, address: Address = "", log: Log = "", json: Json = False) -> None:
    """Plan, run, gather and open merge requests; run again, it does what is missing."""
    with told(), driving(job, repo, quiet=json) as driver:
        from pipelines.audit.noting import audited
        from pipelines.signing import committer

        committer(driver.job.merge_request)  # before hours of work, which nobody could commit
        with stoppable(driver), driver.driving(), audited(driver, "run", who()):
            found = driver.plan()
            driver.adopt(found)
            with closing(lanes_at(address)) as lanes:
                driver.run(found, lanes)
                gathered, tended = driver.tend(found, lanes)
        standing_of(driver, found, gathered, tended, json)


@app.command()
def tend(
    job: JobArgument,
    repo: Repos = None,
    address: Address = "",
    watch: Annotated[float, typer.Option(metavar="SECONDS", help="Do it again and again, until Ctrl-C.", min=0)] = 0.0,
    log: Log = "",
    json: Json = False,
) -> None:
    """Look after the merge requests: push what changed, see to comments, commands and failed pipelines, merge what is
    approved."""
    with told(), driving(job, repo, quiet=json or watch > 0) as driver:
        from pipelines.audit.noting import audited
        from pipelines.retention.due import due
        from pipelines.watching import watching

        with stoppable(driver), closing(lanes_at(address)) as lanes, audited(driver, "tend", who()):
            if watch:
                watching(driver, lanes, watch, lambda line: out(line, False))
            with driver.driving():
                found = driver.look()
                gathered, tended = driver.tend(found, lanes)
        due(driver.store, home())
        standing_of(driver, found, gathered, tended, json)


@app.command()
def status(job: JobArgument, json: Json = False) -> None:
    """Show where a job stands, by its last plan."""
    with told(), driving(job, None, quiet=json) as driver:
        found = driver.latest()
        driver.waits(found)
        gathered = driver.gather(found, None)
        standing_of(driver, found, gathered, driver.requests(found, gathered), json)


@app.command()
def show(shard: Annotated[str, typer.Argument(help="Beginning of its key, or its name.")], json: Json = False) -> None:
    """Show every attempt at a shard: what the model said, findings, diff."""
    with told():
        from operators.veiled import Hidden
        from pipelines.masking import rules
        from pipelines.printed import outcome_text
        from pipelines.store import opened

        with closing(opened(home())) as store:
            found = store.find(shard) or fail(f"no shard is called {shard}: see `umbau plan`")
            outcomes = store.outcomes([key for _, key in found])
            if json:
                out([outcome for _, key in found for outcome in outcomes.get(key, [])], json)
                return
            for repo, key in found:
                if key in outcomes:
                    last = outcomes[key][-1]
                    out(outcome_text(last, Hidden.of(repo.base, last.shard, rules())), json)
                else:
                    out(f"{key[:12]} has no outcome yet: umbau run", json)


@app.command()
def retry(
    job: JobArgument,
    shard: Annotated[list[str] | None, typer.Argument(help="By key or name; all rejected ones if none.")] = None,
    json: Json = False,
) -> None:
    """Give rejected shards another go at the next run. Failed ones get it anyway."""
    with told(), driving(job, None, quiet=True) as driver:
        from pipelines.printed import counted

        count = driver.retry(driver.latest(), shard or [])
        driver.store.audit.note(who(), "retried", driver.job.name, {"shards": count, "named": shard or []})
        out({"shards": count} if json else f"{counted(count, 'shard')} will have another go: umbau run {job}", json)


@app.command()
def pause(
    job: NamedJob,
    why: Annotated[str, typer.Option(help="Said to whoever asks why nothing goes on.")] = "",
    json: Json = False,
) -> None:
    """Have a job do no more shards and open nothing new, wherever it runs, until `umbau resume`."""
    with told():
        from pipelines.steering import pause, paused
        from pipelines.store import opened

        name = name_of(job)
        with closing(opened(home())) as store:
            if store.plan(name) is None:
                fail(f"{name} has not been run yet: there is nothing to pause")
            pause(store, name, user(), why, by=who())
            said = paused(store, name)
        goes_on = f"A run that is under way ends within seconds. It goes on after: umbau resume {name}"
        out({"job": name, "paused": said} if json else f"{name} is {said}. {goes_on}", json)


@app.command("eval")
def eval_(
    job: JobArgument,
    cases: Annotated[Path, typer.Argument(help="JSON Lines: one migration a line, with the edit that is right.")],
    repos: Annotated[Path | None, typer.Option(help="Folder of OWNER/NAME. Without it: the cases' own URLs.")] = None,
    case: Annotated[list[str] | None, typer.Option(help="Only this one, OWNER/NAME. Repeatable.")] = None,
    json: Json = False,
) -> None:
    """Run a job's steps and checks over before/after cases, and count the verdicts that are wrong."""
    with told():
        from pipelines.cases import read, wanted
        from pipelines.console import Watch
        from pipelines.evaluate import code, evaluate, scores_text
        from pipelines.recipe import recipe

        spec, file = job_of(job, None)
        python = spec.environment.python if spec.environment else ""
        scores = evaluate(wanted(read(cases), case or []), recipe(spec, file), python, repos, home(), Watch(json))
        out(scores if json else scores_text(scores), json)
        raise typer.Exit(code(scores))


@app.command()
def review(
    request: Annotated[str, typer.Argument(metavar="REPO/NUMBER", help="A merge request of the local forge.")],
    comment: Annotated[str, typer.Option(help="Ask for something; the next `umbau tend` sees to it.")] = "",
    file: Annotated[str, typer.Option(help="The file the comment is about.")] = "",
    line: Annotated[int, typer.Option(help="The line it is about.", min=0)] = 0,
    approve: Annotated[bool, typer.Option("--approve", help="Approve what is there now.")] = False,
    close: Annotated[bool, typer.Option("--close", help="Close it for good.")] = False,
    json: Json = False,
) -> None:
    """Review a merge request of the local forge."""
    with told():
        from pipelines.forges.local import LocalForge

        if not (comment or approve or close) or ((file or line) and not comment) or (approve and close):
            fail("say what: --comment, with --file and --line if it is about one; --approve or --close", 64)
        forge = LocalForge(home() / "forge")
        try:
            record = forge.review(request, user(), text=comment, path=file, line=line, approve=approve, close=close)
        except KeyError:
            names = ", ".join(record.name for record in forge.records()) or "none yet"
            fail(f"there is no merge request {request}. There are: {names}")
        if approve or close:
            from pipelines.store import opened

            facts = {"repo": record.repo, "branch": record.branch, "number": record.number, "head": record.head}
            with closing(opened(home())) as store:
                store.audit.note(who(), "approved" if approve else "closed", facts=facts)
        out(record if json else f"{record.name}, {record.state}: {forge.page(record)}", json)


def main() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names and code hold more than some terminals can show
    with witnessed() if DRIVING.intersection(sys.argv[1:2]) else nullcontext():
        app()
