"""The pictures of the README, of a real run: `python -m tests.pictures [NAME ...]` writes them to deploy/pictures.

The job that comes with Umbau is run in a folder of its own, one of its merge requests is approved and merged; whoever
adds a picture adds a function to PICTURES that looks at what came of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING

from pipelines.follow.followed import Followed, looked
from pipelines.progress import latest
from pipelines.store import Store
from pipelines.view import Line
from tests.browsing import DESK, PHONE, QUIET

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FOLDER = Path(__file__).parent.parent / "deploy" / "pictures"
JOB = "plain-asserts"
MOST = 200_000  # bytes of a picture
UMBAU = (sys.executable, "-c", "from pipelines.cli import main; main()")


@dataclass(frozen=True, slots=True)
class Setting:
    """What pictures are taken of."""

    folder: Path
    """Where commands run."""
    home: Path
    """UMBAU_HOME."""
    browser: Browser
    terminal: list[Line]
    """What `umbau watch` showed half way through the run."""
    summary: str
    """What `umbau run` printed."""

    def umbau(self, *args: str, good: tuple[int, ...] = (0, 1)) -> str:
        """Run a command; return what it printed."""
        env = {**os.environ, "UMBAU_HOME": str(self.home)}
        done = subprocess.run([*UMBAU, *args], cwd=self.folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode in good, done.stdout + done.stderr
        return done.stdout

    def page(self, address: str, *, dark: bool = False, phone: bool = False) -> Page:
        """Open a page."""
        page = self.browser.new_page(
            viewport=PHONE if phone else DESK,  # type: ignore[arg-type]
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        page.goto(address)
        return page


def taken(page: Page, name: str) -> None:
    """Keep what a window shows."""
    FOLDER.mkdir(exist_ok=True)
    file = FOLDER / f"{name}.png"
    page.screenshot(path=str(file))
    assert file.stat().st_size < MOST, f"{file} has {file.stat().st_size:,} bytes"
    print(f"{file.relative_to(Path.cwd())}  {file.stat().st_size:,} bytes")


def report(setting: Setting) -> None:
    setting.umbau("report", JOB)
    address = (setting.folder / f"{JOB}.html").as_uri()
    for name, dark, phone in (("light", False, False), ("dark", True, False), ("phone", False, True)):
        page = setting.page(address, dark=dark, phone=phone)
        page.wait_for_selector("#list tbody tr")
        if dark:
            page.get_by_label("Status").select_option("overcome")
            if not page.locator("#list .open-row").count():
                page.get_by_label("Status").select_option("accepted")
            page.locator("#list .open-row").first.click()
            page.wait_for_selector("tr.more .diff")
            page.locator("#h-changes").evaluate("heading => heading.scrollIntoView()")
        taken(page, f"report-{name}")


def terminal(setting: Setting) -> None:
    """What `umbau watch` and `umbau run` put on a terminal, drawn by the library that drew it there."""
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=104, file=StringIO(), force_terminal=True)
    console.print(f"[bold]$ umbau watch {JOB}[/bold]")
    for line in setting.terminal:
        console.print(Text.assemble(*line), soft_wrap=True)
    console.print(f"\n[bold]$ umbau run {JOB}[/bold]")
    console.print(Text(setting.summary.split("\n\nmerge requests")[0]), soft_wrap=True)
    file = setting.folder / "terminal.html"
    style = "font: 14px/1.35 'DejaVu Sans Mono', monospace; margin: 16px; white-space: pre-wrap"
    code = f'<!doctype html><meta charset="utf-8"><pre style="{style}">{{code}}</pre>'
    file.write_text(console.export_html(inline_styles=True, code_format=code))
    page = setting.page(file.as_uri())
    box = page.locator("pre").bounding_box()
    assert box
    page.set_viewport_size({"width": 1000, "height": int(box["height"]) + 32})
    taken(page, "terminal")


def dashboard(setting: Setting) -> None:
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "UMBAU_HOME": str(setting.home)}
    argv = [*UMBAU, "dashboard", "--port", str(port)]
    server = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        key = next(line.split()[-1] for line in server.stdout if "the key is" in line)
        page = setting.page("about:blank")
        for _ in range(100):
            try:
                page.goto(f"http://127.0.0.1:{port}/")
                break
            except Exception:  # it does not listen yet
                time.sleep(0.2)
        page.get_by_label("Key").fill(key)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("link", name=JOB).first.click()
        page.get_by_role("heading", name=JOB).wait_for()
        time.sleep(3)  # until its shards are counted
        page.reload()
        taken(page, "dashboard")
    finally:
        server.terminate()
        server.wait()


PICTURES: dict[str, Callable[[Setting], None]] = {"report": report, "terminal": terminal, "dashboard": dashboard}


def run(home: Path) -> tuple[list[Line], str]:
    """Run the job; return what a watcher saw half way, and what was printed in the end."""
    env = {**os.environ, "UMBAU_HOME": str(home)}
    driver = subprocess.Popen([*UMBAU, "run", JOB], env=env, stdout=subprocess.PIPE, text=True)
    seen: list[Line] = []
    while driver.poll() is None:
        time.sleep(0.5)
        if (home / "store.db").exists():
            with closing(Store(home / "store.db", upgrade=False)) as store:
                now = latest(store, JOB)
                ended = sum(now.counts.values()) - now.counts.get("waiting", 0) if now else 0
                if now and now.stage == "run" and now.testing and ended * 10 > 4 * sum(now.counts.values()):
                    (one,) = looked([Followed(JOB, store)])
                    seen = one.lines(96)
                    break
    ran = driver.communicate()[0]
    assert seen, "nobody saw it at work"
    assert " accepted" in ran, ran
    return seen, ran


def main() -> None:
    from playwright.sync_api import sync_playwright

    wanted = sys.argv[1:] or [*PICTURES]
    with tempfile.TemporaryDirectory(prefix="umbau-pictures-") as made, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        home = Path(made) / "home"
        home.mkdir()
        setting = Setting(Path(made), home, browser, *run(home))
        setting.umbau("review", "python-slugify/1", "--approve")
        setting.umbau("tend", JOB)
        for name in wanted:
            PICTURES[name](setting)
        browser.close()


if __name__ == "__main__":
    main()
