"""`umbau bot JOB...`: looks after merge requests all the time, at once where a webhook says that something happened."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.errors import Refused
from pipelines.session import Address, driving, entered, fail, home, job_of, lanes_at, out, stoppable, told, who

if TYPE_CHECKING:
    from pipelines.cluster import OnRay
    from pipelines.dashboard.place import Place
    from pipelines.driver import Driver
    from pipelines.lanes import Lanes

SECRET = "UMBAU_WEBHOOK_SECRET"
bot = typer.Typer(rich_markup_mode=None)


@bot.command("bot")
def bot_(
    jobs: Annotated[list[str], typer.Argument(metavar="JOB...", help="Jobs that have been run.")],
    host: Annotated[str, typer.Option(help="Where webhooks come in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Likewise. Where Ray Serve runs already, it keeps its own.")] = 8000,
    every: Annotated[float, typer.Option(help="Seconds after which everything is looked at anyway.", min=1)] = 900.0,
    address: Address = "",
) -> None:
    """Look after the merge requests of jobs until Ctrl-C, hearing webhooks of GitLab and GitHub."""
    with told(), ExitStack() as stack:
        from pipelines.audit.noting import audited, entrance
        from pipelines.bot.rounds import rounds
        from pipelines.dashboard.access import read
        from pipelines.dashboard.place import place_of
        from pipelines.retention.due import due
        from pipelines.store import opened

        file, place = _secret(), place_of(home())
        enters = {job: entered(job_of(job, None)[0]) for job in jobs}  # all, before their variables are withheld
        store = stack.enter_context(closing(opened(home())))
        drivers = {
            job: stack.enter_context(driving(job, None, quiet=True, enter=enters[job], shared=store)) for job in jobs
        }
        for driver in drivers.values():
            driver.latest()  # refused if it was not run yet
        stack.enter_context(stoppable(next(iter(drivers.values()))))
        lanes = stack.enter_context(closing(lanes_at(address)))
        for driver in drivers.values():
            stack.enter_context(audited(driver, "bot", who()))
        entrance(store, read(place.access), who())
        hear, url = _listening(lanes, file, host, port)
        out(f"webhooks come in at {url}/hooks/gitlab and {url}/hooks/github", False)
        out(_shown(place, url), False)
        for repos in rounds(hear, every):
            for line in _round(drivers, lanes, repos or ()):
                out(f"{datetime.now().astimezone().isoformat(' ', 'seconds')}  {line}", False)
            due(store, home())


def _round(drivers: Mapping[str, Driver], lanes: Lanes, repos: Collection[str]) -> Iterator[str]:
    """Tend each job once, these repositories of it or all, and say in a line what was done."""
    from operators.data import Trouble
    from pipelines.watching import tick

    for name, driver in drivers.items():
        try:
            with driver.driving():
                line = tick(driver, lanes, repos)
        except (Refused, Trouble) as why:  # this job, this time
            line = str(why)
        if line:
            yield f"{name}: {line}"


def _secret() -> Path:
    """Return the file of the webhooks' secret: Serve's configuration names it, and does not hold what is in it."""
    from pipelines.bot.hooks import Ear

    file = home() / "keys" / "webhooks"
    given = os.environ.pop(SECRET, "").strip()
    try:
        Ear(given)
    except ValueError as why:
        fail(f"{SECRET}: {why}. Make one with `openssl rand -hex 32`, and set it up with the webhook on the forge.", 64)
    file.parent.mkdir(mode=0o700, exist_ok=True)
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
        new.write(given)
    return file


def _listening(lanes: OnRay, file: Path, host: str, port: int) -> tuple[Callable[[float], Sequence[str]], str]:
    """Bring up what hears webhooks; return what waits for them, and its URL."""
    lanes.start()
    try:
        from pipelines.bot.ingress import listening
    except ImportError:
        raise Refused("hearing webhooks needs Ray Serve: install umbau[cluster]") from None
    handle, url = listening(file, host, port)

    def hear(seconds: float) -> Sequence[str]:
        found: Sequence[str] = handle.heard.remote(seconds).result()
        return found

    return hear, url


def _shown(place: Place, url: str) -> str:
    """Bring up the dashboard beside what hears webhooks, if somebody may look at it; say in a line where it is."""
    from pipelines.dashboard.access import read

    if not read(place.access).anybody:
        return "no dashboard, as nobody may look at it: umbau dashboard key NAME"
    from pipelines.bot.board import NAME, showing

    showing(place)
    return f"the dashboard is at {url.rpartition('/')[0]}/{NAME}"
