"""`python -m tests.pipelines.driven JOB`: what `umbau run JOB` does, without Ray, one shard after another."""

from __future__ import annotations

import sys

from pipelines.lanes import InProcess
from pipelines.session import driving, standing_of, stoppable, told


def run(job: str) -> None:
    with told(), driving(job, None, quiet=False) as driver:
        with stoppable(driver), driver.driving():
            plan = driver.plan()
            driver.adopt(plan)
            driver.run(plan, InProcess())
            gathered, tended = driver.tend(plan, InProcess())
        standing_of(driver, plan, gathered, tended, False)


def main() -> None:
    import typer

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(run)
    app(sys.argv[1:])


if __name__ == "__main__":
    main()
