"""Where packages come from: the hosts that uv's variables and settings on this machine name, and PyPI's unless one of
them takes its place."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from operators import outward
from operators.hosts import NoHost, never, pattern
from operators.hosts import host as canonical
from operators.outward import Allowed, Policy

PYPI = "https://pypi.org/simple"
PYPIS = ("pypi.org", "files.pythonhosted.org")
INSTEAD = ("UV_DEFAULT_INDEX", "UV_INDEX_URL")
"""Variables of uv that take the place of PyPI."""
PIPS = "PIP_INDEX_URL"
"""The one of pip, which uv does not read: it counts where uv is told of no other."""
# All of them that hold URLs of package indexes; several are told apart by blanks.
INDEXES = (*INSTEAD, PIPS, "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
MORE = "UMBAU_INDEX_HOSTS"
_URL = re.compile(r"https?://[^\s\"']+")
_NAMED = re.compile(r"^[\w-]+=")  # an index may have a name before its URL


def settings() -> dict[str, Path]:
    """Return the user's settings of uv, or else the machine's, by the variable that says where they are."""
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    own_settings = home / "uv" / "uv.toml"
    found = {"XDG_CONFIG_HOME": own_settings if own_settings.is_file() else Path("/etc/uv/uv.toml")}
    found |= {"UV_CONFIG_FILE": Path(os.environ.get("UV_CONFIG_FILE", ""))}
    return {variable: place for variable, place in found.items() if place.is_file()}


def default() -> str:
    """Return the URL of the index that uv and pip ask unless they are told of another: PyPI's, or what takes its place.
    "" where there is to be none."""
    own = _by_settings()
    if own == "":
        return ""
    urls = (*map(os.environ.get, INSTEAD), own, os.environ.get(PIPS), PYPI)
    return next(_NAMED.sub("", url) for url in urls if url)


def _by_settings() -> str | None:
    """Return the URL of the default index in uv's settings, "" where they want none, None where they say nothing."""
    files = list(settings().values())
    if not files:
        return None
    try:
        told = tomllib.loads(files[-1].read_text())  # one that is named is read instead of the user's
        told |= told.get("pip", {})
        urls = [one["url"] for one in told.get("index", []) if one.get("default")]
        url = urls[0] if urls else told.get("index-url")
        return "" if told.get("no-index") else url and str(url)
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""  # uv does not start with it


def places() -> list[tuple[str, str]]:
    """Return the hosts that packages come from on this machine, each with the variable or file that says so."""
    found = [(_host(word), name) for name in INDEXES for word in os.environ.get(name, "").split()]
    found += [(host.lower(), MORE) for host in os.environ.get(MORE, "").replace(",", " ").split()]
    for path in settings().values():
        found += [(_host(url), str(path)) for url in _URL.findall(path.read_text(errors="replace"))]
    if default() == PYPI:
        found += [(host, "the default of uv") for host in PYPIS]
    return list(dict.fromkeys((host, name) for host, name in found if host))


def _host(word: str) -> str:
    try:
        return urlsplit(_NAMED.sub("", word)).hostname or ""
    except ValueError:
        return ""


def may(host: str, port: int) -> bool:
    """Say whether packages may come from a host: by the site's file, and where it lists no hosts by this machine. That
    itself has to be named: who asks is code that nobody knows."""
    try:
        to = canonical(host)
    except NoHost:
        return False
    named = [one.pattern for one in here(outward.current()).allowed if one.purpose == "index"]
    return not (not isinstance(to, str) and never(to)) and any(one.fits(to, port) for one in named)


def here(policy: Policy) -> Policy:
    """Return a policy that was made on another machine as this one has it: where no file lists hosts, packages come
    from where they do here."""
    return policy if policy.lists else replace(policy, allowed=tuple(dict.fromkeys([*policy.allowed, *allowed()])))


def allowed() -> list[Allowed]:
    found = []
    for host, source in places():
        try:
            found.append(Allowed("index", pattern(f"[{host}]" if ":" in host else host), source))
        except NoHost:
            continue  # whoever asks for it is told
    return found
