"""What commands share: where things are kept, which job is meant, how it is driven, and how errors are told."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from pipelines.errors import Refused
from pipelines.notice import VARIABLE, in_json, notice

if TYPE_CHECKING:
    from pipelines.cluster import OnRay
    from pipelines.credentials import Credentials
    from pipelines.data import Plan
    from pipelines.discover import Site
    from pipelines.driver import Driver
    from pipelines.forge import Forge, Memory
    from pipelines.gather import Gathered
    from pipelines.job import ForgeSettings, Job, Source
    from pipelines.store import Store
    from pipelines.tend import Tended

FAILED, STOPPED = 2, 130
JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="Job file, or name of a job that comes with Umbau.")]
NamedJob = Annotated[str, typer.Argument(metavar="JOB", help="Job file, or name of a job that was run.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Address = Annotated[
    str,
    typer.Option(
        envvar="RAY_ADDRESS", help="Ray cluster to run on, HOST:6379. Without it one is started here, for this run."
    ),
]
JOBS = Path(__file__).parent / "jobs"


def _log(kind: str) -> str:
    if kind not in {"", "text", "json"}:
        fail(f"--log {kind}: it is text or json", 64)
    if kind:
        os.environ[VARIABLE] = kind
    return kind


Log = Annotated[
    str,
    typer.Option(
        "--log",
        metavar="text|json",
        envvar=VARIABLE,
        callback=_log,
        help="json: on stderr one JSON object for each thing that happens.",
    ),
]


def home() -> Path:
    """Return the folder that holds store, mirrors, environments and the local forge; it keeps itself out of git."""
    once = "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ  # as Ray tells a submitted job, whose folder does not stay
    folder = Path(os.environ.get("UMBAU_HOME") or (Path.home() if once else Path()) / ".umbau").resolve()
    if not folder.exists():
        try:
            folder.mkdir(parents=True, mode=0o700)
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


def name_of(word: str) -> str:
    """Return the name of the job that is meant: by its file, or by the name itself. Raises BadJob."""
    written = Path(word).is_file() or word.endswith((".yaml", ".yml")) or (JOBS / f"{word}.yaml").exists()
    return job_of(word, None)[0].name if written else word


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


def who() -> str:
    """Return who is at the keyboard, and where, for the audit log: of a submitted job, whoever submitted it."""
    from json import loads
    from socket import gethostname

    try:
        asked = loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR") or "{}").get("metadata", {}).get("who", "")
    except (ValueError, AttributeError):
        asked = ""
    return f"{asked or user()}@{gethostname()}{' (submitted)' if asked else ''}"


def folder_of(file: Path, repos: Sequence[str] | None) -> Path:
    """Say what local paths are relative to: the job file, or the command line's own folder for --repo."""
    return Path.cwd() if repos else file.resolve().parent


@contextmanager
def driving(
    job: str,
    repos: Sequence[str] | None,
    *,
    quiet: bool,
    enter: Credentials | None = None,
    shared: Store | None = None,
) -> Iterator[Driver]:
    """Give the driver of a job. `enter`: how its forge is entered, where that was found out before. `shared`: the
    store, where it is open already."""
    from pipelines.audit.noting import head
    from pipelines.console import Watch
    from pipelines.credentials import withheld
    from pipelines.driver import Driver
    from pipelines.evidence.notary import Notary
    from pipelines.evidence.statement import Source as Stated
    from pipelines.recipe import recipe
    from pipelines.site import site as allowed
    from pipelines.store import opened
    from pipelines.tracing.export import asked

    spec, file = job_of(job, repos)
    built, folder = recipe(spec, file), home()
    enter = enter or entered(spec)  # before hours of work, for which nothing could be opened
    with (
        nullcontext(shared) if shared else closing(opened(folder)) as store,
        asked() or nullcontext() as traces,
        withheld(spec.forge.gitlab or spec.forge.github),
    ):
        forge, site = forge_of(spec.forge, enter, store, folder)
        watch, beside = Watch(quiet, log=in_json(), job=spec.name), folder_of(file, repos)
        driver = Driver(spec, built, folder, beside, store, forge, watch, site=site, complete=not repos, traces=traces)
        said = Stated(spec, built, str(file.resolve().parent))
        driver.notary = Notary(said, file, store, folder, allowed().evidence_key_from, head)
        yield driver


@contextmanager
def sited(spec: Job) -> Iterator[Site]:
    """Give the place where a job's repositories are looked for, without driving it. How it is entered is found out when
    there is something to get from it."""
    from pipelines.discover import Site
    from pipelines.store import opened

    enter = entry(spec.forge)
    if enter is None:
        yield Site()
        return
    with closing(opened(home())) as store:
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
    from operators.outward import admit
    from pipelines.cluster import OnRay

    named = os.environ.get("RAY_ADDRESS", "") if address == "auto" else address  # which Ray then takes
    if address.startswith(("http://", "https://")):
        fail(f"{address} is a dashboard: `umbau submit` runs a job there. A cluster is joined at HOST:6379.", 64)
    if ":" in named:  # else it is a word of Ray's for a cluster of this machine
        admit("cluster", named if "://" in named else f"ray://{named}", "--address")
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
        done, total = driver.done() if driver.store.plan(driver.job.name) else (0, 0)
        kept = f"{done} of {total} shards are done and kept" if total else "no shard was begun yet"
        line = f"Stopped: {kept}. The same command goes on here."
        notice(line if in_json() else f"\n{line}", "stopped", done=done, total=total)
        raise typer.Exit(STOPPED) from None
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextmanager
def told() -> Iterator[None]:
    """Turn what is wrong into a message and an exit code."""
    from operators.data import Trouble
    from operators.outward import Forbidden
    from pipelines.forge import ForgeError
    from pipelines.outbound import put_in_force

    try:
        for variable, why in put_in_force().items():
            notice(f"{variable} is not used: {why}", "proxy", variable=variable)
        yield
    except KeyboardInterrupt:
        raise typer.Exit(STOPPED) from None
    except Refused as error:
        fail(str(error), error.code)
    except (Trouble, ForgeError) as error:
        fail(str(error))
    except Forbidden as error:
        fail(str(error), 64)
    except OSError as error:  # the disk is full, a file may not be written ...
        fail(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))


def fail(message: str, code: int = FAILED) -> NoReturn:
    notice(message, "error", "error", code=code)
    raise typer.Exit(code)


def out(value: Any, json: bool) -> None:
    """Print text, lines or, with `json`, anything. What models, tests and repositories say must not act on the
    terminal, and no secret is told."""
    from operators.veil import tellable
    from pipelines.masking import masked_all, masker
    from pipelines.neutral import plain

    mask = masker()
    if json:
        from pipelines.printed import as_json, as_plain

        # Once as it is, before quotes and lines are escaped, and once for what only its name tells.
        print(mask(as_json(masked_all(as_plain(value)))))
        return
    lines: Iterable[str] = [value] if isinstance(value, str) else value
    for line in lines:
        print(plain(tellable(line, mask)))


def standing_of(driver: Driver, plan: Plan, gathered: Gathered, tended: Sequence[Tended], json: bool) -> NoReturn:
    """Print where the job stands and end with the exit code that says so."""
    from pipelines.budget.account import opened
    from pipelines.budget.words import used
    from pipelines.printed import standing, standing_text
    from pipelines.progress import latest
    from pipelines.remaining import remaining

    trouble = {**driver.short, **driver.trouble}
    found = standing(plan, driver.store.outcomes, gathered, tended, trouble, driver.forge.overview, driver.paused)
    left = remaining(driver.job.name, plan, driver.store)
    found = replace(found, remaining=left, progress=latest(driver.store, driver.job.name))
    found = replace(found, spent=used(opened(driver.job, driver.store)))
    out(found if json else standing_text(found), json)
    raise typer.Exit(found.code)
