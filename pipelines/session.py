"""What commands share: where things are kept, which job is meant, how it is driven, and how errors are told."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from pipelines.errors import Refused

if TYPE_CHECKING:
    from pipelines.cluster import OnRay
    from pipelines.credentials import Credentials
    from pipelines.data import Plan
    from pipelines.discover import Site
    from pipelines.driver import Driver
    from pipelines.forge import Forge, Memory
    from pipelines.gather import Gathered
    from pipelines.job import ForgeSettings, Job, Source
    from pipelines.tend import Tended

FAILED, STOPPED = 2, 130
JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="Job file, or name of a job that comes with Umbau.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Address = Annotated[str, typer.Option(help="Ray cluster to run on. Without it one is started here, for this run.")]
JOBS = Path(__file__).parent / "jobs"


def home() -> Path:
    """Return the folder that holds store, mirrors, environments and the local forge; it keeps itself out of git."""
    folder = Path(os.environ.get("UMBAU_HOME", ".umbau")).resolve()
    if not folder.exists():
        try:
            folder.mkdir(parents=True)
            (folder / ".gitignore").write_text("*\n")
        except OSError as error:
            fail(f"{folder} cannot be made: {error.strerror}. Set UMBAU_HOME to another.")
    return folder


def shipped(name: str) -> Path:
    """Return the file of a job that comes with Umbau."""
    file = JOBS / f"{name}.yaml"
    if not file.exists():
        known = ", ".join(sorted(job.stem for job in JOBS.glob("*.yaml")))
        fail(f"there is no job {name}: it is neither a file nor one of {known}", 64)
    return file


def job_of(job: str, repos: Sequence[str] | None) -> tuple[Job, Path]:
    """Load a job by file or name, with other repositories if any are given. Raises BadJob."""
    from pipelines.jobfile import load

    named = Path(job)
    is_file = named.exists() and not named.is_dir()  # a pipe is one as well
    file = named if is_file or job.endswith((".yaml", ".yml")) else shipped(job)
    spec = load(file)
    if repos:
        spec = spec.model_copy(update={"repos": [_source(repo) for repo in repos]})
    return spec, file


def _source(repo: str) -> Source:
    from pydantic import ValidationError

    from pipelines.job import Source

    try:
        return Source(pypi=repo) if "==" in repo else Source(git=repo)
    except ValidationError as error:
        fail(f"--repo {repo!r}: {error.errors()[0]['msg']}", 64)


def user() -> str:
    """Return the name of whoever is at the keyboard."""
    from getpass import getuser

    try:
        return getuser()
    except (KeyError, OSError):  # an account without a name, as in many containers
        return f"user {os.getuid()}"


def folder_of(file: Path, repos: Sequence[str] | None) -> Path:
    """Say what local paths are relative to: the job file, or the command line's own folder for --repo."""
    return Path.cwd() if repos else file.resolve().parent


@contextmanager
def driving(
    job: str, repos: Sequence[str] | None, *, quiet: bool, enter: Credentials | None = None
) -> Iterator[Driver]:
    """Give the driver of a job. `enter`: how its forge is entered, where that was found out before."""
    from pipelines.console import Watch
    from pipelines.credentials import withheld
    from pipelines.driver import Driver
    from pipelines.recipe import recipe
    from pipelines.store import Store

    spec, file = job_of(job, repos)
    built, folder = recipe(spec, file), home()
    enter = enter or entered(spec)  # before hours of work, for which nothing could be opened
    with closing(Store(folder / "store.db")) as store, withheld(spec.forge.gitlab or spec.forge.github):
        forge, site = forge_of(spec.forge, enter, store, folder)
        watch, beside = Watch(quiet), folder_of(file, repos)
        yield Driver(spec, built, folder, beside, store, forge, watch, site=site, complete=not repos)


@contextmanager
def sited(spec: Job) -> Iterator[Site]:
    """Give the place where a job's repositories are looked for, without driving it. How it is entered is found out when
    there is something to get from it."""
    from pipelines.discover import Site
    from pipelines.store import Store

    enter = entry(spec.forge)
    if enter is None:
        yield Site()
        return
    with closing(Store(home() / "store.db")) as store:
        yield forge_of(spec.forge, enter, store, home())[1]


def entry(settings: ForgeSettings) -> Credentials | None:
    """Return how the job's forge is entered, None for the local one."""
    from pipelines.credentials import Credentials

    remote = settings.gitlab or settings.github
    return Credentials(remote) if remote else None


def entered(spec: Job) -> Credentials | None:
    """Return how the job's forge is entered, tried out. Raises Refused."""
    found = entry(spec.forge)
    if found:
        found.access()
    return found


def forge_of(settings: ForgeSettings, enter: Credentials | None, memory: Memory, home: Path) -> tuple[Forge, Site]:
    """Return the forge that a job asks for, and where its repositories are looked for."""
    from pipelines.discover import Site

    if settings.gitlab and enter:
        from pipelines.forges.gitlab.forge import GitLabForge

        gitlab = GitLabForge(settings.gitlab, enter.token, enter.access, memory, home)
        return gitlab, Site("gitlab", enter.url, enter.access, gitlab)
    if settings.github and enter:
        from pipelines.forges.github.forge import GitHubForge

        github = GitHubForge(settings.github, enter.token, enter.access, memory, home)
        return github, Site("github", enter.url, enter.access, github)
    from pipelines.forges.local import LocalForge

    return LocalForge(home / "forge"), Site()


def lanes_at(address: str) -> OnRay:
    """Start Ray here, or join the cluster at `address`. Raises Refused."""
    from pipelines.cluster import OnRay

    return OnRay(address)


@contextmanager
def stoppable(driver: Driver) -> Iterator[None]:
    """Answer Ctrl-C, or a request to terminate, with what is kept and how to go on."""

    def stop(number: int, frame: object) -> NoReturn:
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, signal.SIG_IGN)  # once is enough, and the end must not be disturbed
        raise KeyboardInterrupt

    before = {one: signal.signal(one, stop) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        done, total = driver.done()
        typer.echo(f"\nStopped: {done} of {total} shards are done and kept. The same command goes on here.", err=True)
        raise typer.Exit(STOPPED) from None
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextmanager
def told() -> Iterator[None]:
    """Turn what is wrong into a message and an exit code."""
    from operators.proc import GitError
    from pipelines.forge import ForgeError

    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(STOPPED) from None
    except Refused as error:
        fail(str(error), error.code)
    except (GitError, ForgeError) as error:
        fail(str(error))
    except OSError as error:  # the disk is full, a file may not be written ...
        fail(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))


def fail(message: str, code: int = FAILED) -> NoReturn:
    from pipelines.neutral import plain

    typer.echo(plain(message), err=True)
    raise typer.Exit(code)


def out(value: Any, json: bool) -> None:
    """Print text, lines or, with `json`, anything. What models, tests and repositories say must not act on the
    terminal."""
    if json:
        from pipelines.report import as_json

        print(as_json(value))
        return
    from pipelines.neutral import plain

    lines: Iterable[str] = [value] if isinstance(value, str) else value
    for line in lines:
        print(plain(line))


def standing_of(driver: Driver, plan: Plan, gathered: Gathered, tended: Sequence[Tended], json: bool) -> NoReturn:
    """Print where the job stands and end with the exit code that says so."""
    from pipelines.report import standing, standing_text

    outcomes = driver.store.outcomes([one.shard.key for one in plan.planned])
    found = standing(plan, outcomes, gathered, tended, driver.trouble, driver.forge.overview, driver.paused)
    out(found if json else standing_text(found), json)
    raise typer.Exit(found.code)
