"""`umbau dashboard`: all jobs of the store in a browser, by uvicorn alone; and keys for whoever may look."""

from __future__ import annotations

from contextlib import closing
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.errors import Refused
from pipelines.session import fail, home, out, told, user, who

if TYPE_CHECKING:
    from pipelines.dashboard.gate import Doorman

dashboard = typer.Typer(rich_markup_mode=None, help="Show all jobs in a browser.", invoke_without_command=True)


@dashboard.callback()
def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Likewise.", min=1, max=65_535)] = 8420,
) -> None:
    """Show all jobs of the store in a browser, until Ctrl-C: how they stand, each shard's attempts, merge requests and
    costs. Operators pause, resume and retry."""
    if context.invoked_subcommand:
        return
    with told():
        try:
            import uvicorn

            from pipelines.dashboard.app import app
        except ImportError:
            raise Refused("the dashboard needs FastAPI and uvicorn: install umbau[cluster]") from None
        from pipelines.audit.noting import entrance
        from pipelines.store import opened

        doorman = _doorman(host)
        with closing(opened(home())) as store:
            entrance(store, doorman.access, who())
            where = f"[{host}]" if ":" in host else host
            out(f"the dashboard is at http://{where}:{port}/", False)
            settings = {"log_level": "warning", "proxy_headers": False, "server_header": False, "ws": "none"}
            uvicorn.run(app(store, doorman), host=host, port=port, **settings)  # type: ignore[arg-type]


@dashboard.command()
def key(
    name: Annotated[str, typer.Argument(help="Whose key it is to be.")],
    operator: Annotated[bool, typer.Option("--operator", help="May pause, resume and retry.")] = False,
) -> None:
    """Make a key for somebody and print it, once: what is kept is its digest."""
    with told():
        from pipelines.audit.noting import entrance
        from pipelines.dashboard.access import made, read
        from pipelines.dashboard.place import access_file
        from pipelines.store import opened

        file, role = access_file(home()), "operator" if operator else "reader"
        with closing(opened(home())) as store:
            entrance(store, read(file), who())  # what was changed by hand before
            new = made(file, name, "operator" if operator else "reader")
            entrance(store, read(file), who())
        out([new, f"{name} may enter as {role} with this key, which is told only now. {file} has its digest."], False)


def _doorman(host: str) -> Doorman:
    """Return who lets people in. Where nobody has access yet, there is a key for this run alone, and nobody from
    elsewhere gets near. Raises Refused."""
    from secrets import token_urlsafe

    from pipelines.dashboard.access import Access, Key, digest, read
    from pipelines.dashboard.gate import Doorman
    from pipelines.dashboard.place import access_file

    file = access_file(home())
    if read(file).anybody:
        return Doorman(file)
    if not _here(host):
        fail(f"nobody may look at it yet, so {host} is not listened to: umbau dashboard key NAME --operator", 64)
    new = f"umbau_{token_urlsafe(32)}"
    out(f"for this run, the key is {new}", False)
    return Doorman(file, Access(keys={_name(): Key(role="operator", sha256=digest(new))}))


def _name() -> str:
    """Return the name of whoever is at the keyboard as a key may have it."""
    return "".join(one if one.isascii() and one.isalnum() else "-" for one in user()).strip("-") or "you"


def _here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
