"""What routes share: the store, what is known of each job, and pages filled in."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse

from pipelines.dashboard import words
from pipelines.dashboard.access import Person
from pipelines.dashboard.gate import Doorman, root_of
from pipelines.dashboard.ledger import Known, Ledger
from pipelines.dashboard.tally import STATES
from pipelines.pages import environment, hashed, style
from pipelines.store import Store

if TYPE_CHECKING:
    from jinja2 import Environment

AGAIN = 3  # seconds after which a page looks again


@dataclass(slots=True)
class Desk:
    store: Store
    doorman: Doorman
    clock: Callable[[], float] = time.time
    """Seconds since 1970."""
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.store, self.clock)

    def number(self, job: str) -> int:
        """Return the number of a job's latest plan. Raises HTTPException."""
        number = self.store.browse.jobs().get(job)
        if number is None:
            raise HTTPException(404, f"There is no job {job} in this store: `umbau run` puts it there.")
        return number

    def known(self, job: str) -> Known | None:
        """Return what is known of a job, None while it is being counted. Raises HTTPException."""
        return self.ledger.known({job: self.number(job)}).get(job)

    def page(self, request: Request, name: str, status: int = 200, **facts: Any) -> HTMLResponse:
        person: Person | None = request.state.person
        token = self.doorman.sessions.token(person) if person else ""
        shared = {"root": root_of(request), "person": person, "token": token, "now": self.clock(), "again": AGAIN}
        return HTMLResponse(templates().get_template(f"{name}.html").render(**shared, **facts), status)


@lru_cache(maxsize=1)
def templates() -> Environment:
    made = environment("pipelines.dashboard")
    made.globals.update(own=own_style(), states=STATES, words=words)
    return made


@lru_cache(maxsize=1)
def own_style() -> str:
    """Return what pages of the dashboard have besides the style sheet of all."""
    return (Path(__file__).parent / "pages" / "dashboard.css").read_text()


def script() -> str:
    return (Path(__file__).parent / "pages" / "live.js").read_text()


def policy() -> str:
    """Return the Content-Security-Policy: our own script and styles, and nothing from anywhere else."""
    styles = " ".join(f"'{hashed(sheet)}'" for sheet in (style(), own_style()))
    own = "script-src 'self'; connect-src 'self'; form-action 'self'"
    return f"default-src 'none'; style-src {styles}; {own}; base-uri 'none'; frame-ancestors 'none'"
