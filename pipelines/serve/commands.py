"""`umbau model`: bring a model up on a Ray cluster, see how it does, take it down."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote, urlsplit

import typer

from pipelines.errors import Refused
from pipelines.session import fail, home, out, told

if TYPE_CHECKING:
    from pipelines.serve.dashboard import Dashboard, Running

KEY = "UMBAU_MODEL_KEY"
ASKING = "UMBAU_STATUS_KEY"  # where the key of the model that is just being asked is read from
AFTERWARDS = "to take it away: umbau model down"
TOKENS = 8192  # of a request: a shard, what is said of it, and the answer

model = typer.Typer(help="Host models on Ray Serve.", no_args_is_help=True, rich_markup_mode=None)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Address = Annotated[
    str,
    typer.Option(envvar="RAY_DASHBOARD_ADDRESS", help="The Ray cluster's dashboard.", show_default="this machine's"),
]


@model.command()
def up(
    config: Annotated[str, typer.Argument(metavar="NAME|FILE", help="Serve configuration; by name, one of Umbau's.")],
    address: Address = "",
    folder: Annotated[str, typer.Option("--dir", help="Where the weights are, on each machine that may run it.")] = "",
    concurrency: Annotated[
        int | None,
        typer.Option(min=1, help="Requests that a replica takes at a time, if not as in the file."),
    ] = None,
    tokens: Annotated[int, typer.Option("--tokens-per-request", min=1, help="Question and answer together.")] = TOKENS,
    gpu_memory: Annotated[float | None, typer.Option(min=1, help="GB of one GPU, if Umbau does not know it.")] = None,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where Serve's proxy listens on the head, if not as in the file.")
    ] = "",
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait until it is up.")] = 1800,
    json: Json = False,
) -> None:
    """Check that a model may be hosted and fits, deploy it, and say how jobs reach it."""
    with told():
        from pipelines.door import HERE, noticed
        from pipelines.serve.config import config_of
        from pipelines.serve.dashboard import Dashboard
        from pipelines.serve.key import digest_of
        from pipelines.serve.memory import shortage
        from pipelines.serve.placed import placed_of

        found = config_of(config)
        if folder and len(found.models) > 1:
            fail(f"{found.file} hosts {len(found.models)} models: write their folders into it, instead of --dir", 64)
        whole = {**found.whole, **(_proxy(listen) if listen else {})}
        placed = [placed_of(hosted, found, folder) for hosted in found.models]
        ray = Dashboard(address or HERE)
        nodes = ray.nodes()
        if warning := noticed(address or HERE):
            typer.echo(warning, err=True)
        for hosted, entry, _, size in placed:
            if why := shortage(hosted.need(entry, size, concurrency, tokens), nodes, gpu_memory):
                raise Refused(f"{why}\nNothing was deployed.")
        key, file = key_of(found.name)
        try:
            digest = digest_of(key)
        except ValueError as error:
            fail(f"{file or KEY} holds no usable key: {error}", 64)
        sources = [source for _, _, source, _ in placed]
        offline = not any(source == entry.repository for _, entry, source, _ in placed)
        ray.deploy(found.application(sources, digest, offline=offline, requests=concurrency), whole)
        if not file:
            kept(found.name).unlink(missing_ok=True)  # of an earlier time; until now it opened what was running
        state = waited(ray, found.name, wait)
        if listen and urlsplit(state.url).netloc != listen:
            typer.echo(f"Serve ran already and stays where it listens, at {urlsplit(state.url).netloc}", err=True)
        how = {"UMBAU_MODEL_URL": state.url, "UMBAU_MODEL": state.models[0]}
        if json:
            out({"url": state.url, "models": state.models, "key_file": str(file or "")}, json)
            return
        given = f' {KEY}="$(cat {file})"' if file else ""
        out([f"{found.name} is up:", f"    export {' '.join(f'{n}={v}' for n, v in how.items())}{given}"], json)
        for hosted, entry, _, _ in placed:
            sees = hosted.longest or entry.context
            out(f"Ask {hosted.model_id} with `reply: {entry.reply}` and a `max_tokens` well below its {sees}.", json)


@model.command()
def status(address: Address = "", json: Json = False) -> None:
    """Show the models that Serve has, and how long each takes for an answer of one token."""
    with told():
        from pipelines.door import HERE
        from pipelines.serve.dashboard import Dashboard, said

        found = Dashboard(address or HERE).running()
        if not found and not json:
            out("Serve has no model: umbau model up NAME", json)
        answers = {app.name: answered(app) for app in found}
        if json:
            out([{"app": app, "answer": answers[app.name]} for app in found], json)
            return
        for app in found:
            out([f"{app.name}  {app.status}  {app.url}", f"    models    {', '.join(app.models) or 'unknown'}"], json)
            for deployment, states in app.replicas.items():
                counts = ", ".join(f"{count} {state}" for state, count in states.items()) or "none"
                out(f"    replicas  {counts}  ({deployment})", json)
            if words := app.message or app.waits_for:
                out(f"    says      {said(words)}", json)
            for name, words in answers[app.name].items():
                out(f"    answer    {words}  ({name})", json)


@model.command()
def down(
    name: Annotated[str, typer.Argument(help="As `umbau model status` calls it.")],
    address: Address = "",
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait until it is gone.")] = 120,
    json: Json = False,
) -> None:
    """Take a model down, and Serve with the last one."""
    with told():
        from pipelines.door import HERE
        from pipelines.serve.dashboard import Dashboard

        ray = Dashboard(address or HERE)
        if not ray.remove(name):
            names = ", ".join(app.name for app in ray.running()) or "none"
            fail(f"Serve has no {name}. It has: {names}")
        end = time.monotonic() + wait
        while any(app.name == name for app in ray.running()):
            if time.monotonic() > end:
                fail(f"{name} is still being taken down: umbau model status")
            time.sleep(0.5)
        kept(name).unlink(missing_ok=True)
        out({"down": name} if json else f"{name} is down", json)


def _proxy(listen: str) -> dict[str, object]:
    """Return what Serve is told of its proxy: one, on the head, at an address of it."""
    host, _, port = listen.rpartition(":")
    if not (host and port.isdecimal() and 0 < int(port) < 1 << 16):
        fail(f"--listen {listen}: write an address of the head and a port, such as 10.0.0.10:8000", 64)
    if host in {"0.0.0.0", "[::]", "*"}:
        fail(f"--listen {listen}: that is each network the head is in; name the one address that jobs use", 64)
    return {"proxy_location": "HeadOnly", "http_options": {"host": host.strip("[]"), "port": int(port)}}


def kept(name: str) -> Path:
    """Return the file in which the key that was made for an application is kept."""
    return home() / "keys" / f"{quote(name, safe='')}.key"


def key_of(name: str) -> tuple[str, Path | None]:
    """Return the API key that clients will send: that of UMBAU_MODEL_KEY, or one that is made and kept in a file of
    the user's own."""
    from pipelines.serve.key import new_key

    file = kept(name)
    if key := os.environ.get(KEY, "").strip():
        return key, None
    if not file.exists():
        file.parent.mkdir(mode=0o700, exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(new_key())
    return file.read_text().strip(), file


def waited(ray: Dashboard, name: str, seconds: float) -> Running:
    """Wait until an application is up, and say meanwhile what it waits for. Raises Refused when it will not be."""
    from pipelines.serve.dashboard import said

    end, before = time.monotonic() + seconds, ""
    while True:
        state = next((app for app in ray.running() if app.name == name), None)
        if state and state.status == "RUNNING":
            return state
        if state and state.status in {"DEPLOY_FAILED", "UNHEALTHY"}:
            raise Refused(f"{name} cannot be brought up: {said(state.message or state.waits_for)}\n{AFTERWARDS} {name}")
        if time.monotonic() > end:
            raise Refused(f"{name} is not up after {seconds:.0f} s: see `umbau model status`; {AFTERWARDS} {name}")
        now = said(state.waits_for) if state and state.waits_for else "deploying"
        if now != before:
            typer.echo(f"{name}: {now}", err=True)
            before = now
        time.sleep(1)


def answered(app: Running) -> Mapping[str, str]:
    """Ask each model for one token and return how long that took, or why it did not come."""
    from operators.data import Trouble
    from operators.model import Endpoint
    from operators.outward import Forbidden, admit

    if app.status != "RUNNING":
        return {}
    file = kept(app.name)
    os.environ[ASKING] = file.read_text() if file.exists() else os.environ.get(KEY, "")
    found: dict[str, str] = {}
    with suppress(Forbidden):  # told by the model's client
        admit("models", app.url, "--address")
    for name in app.models:
        start = time.monotonic()
        try:
            endpoint = Endpoint(app.url, name, key_from=ASKING, max_tokens=1, timeout=60.0)
            endpoint.complete([{"role": "user", "content": "x"}], shard="status", attempt=0)
        except Trouble as error:
            found[name] = str(error)[:300]
        else:
            found[name] = f"{1000 * (time.monotonic() - start):.0f} ms"
    return found
