"""Who may be talked to, by the site's file or else by what the environment names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from operators import index, outward
from operators.hosts import NoHost, pattern
from operators.outward import PURPOSES, Allowed, Policy
from pipelines.jobfile import lines
from pipelines.site import Site, site, site_file
from pipelines.tracing.export import PLACES

STORE = "UMBAU_STORE"
CLUSTER = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_DASHBOARD_ADDRESS")


def put_in_force() -> dict[str, str]:
    """Let this process talk to nobody but whom the site allows. Returns the variables of proxies that are not used,
    with why. Raises BadJob."""
    found = site()
    return outward.enforce(policy(found, site_file()), downloads=found.downloads)


def policy(site: Site, file: Path) -> Policy:
    """Return who may be talked to. `file`: the site's, which there may not be."""
    regions = tuple((pattern(text), region) for text, region in site.regions.items())
    at = lines(file, [("hosts",), *(("hosts", purpose) for purpose in PURPOSES), ("region",)])
    place = f"{file}:{at.get(('region',), 0)}"
    rest: dict[str, Any] = {"file": str(file), "regions": regions, "region": tuple(site.region), "region_at": place}
    if site.hosts is None:
        return Policy(tuple(_by_environment()), **rest)
    lists = {name: f"{file}:{at.get(('hosts', name)) or at.get(('hosts',), 0)}" for name in PURPOSES}
    named = [(name, text) for name in PURPOSES for text in getattr(site.hosts, name)]
    return Policy(tuple(Allowed(name, pattern(text), lists[name]) for name, text in named), lists=lists, **rest)


def _by_environment() -> Iterator[Allowed]:
    """Yield the hosts that our environment names; what cannot be read as a host is told by whoever uses it."""
    environ = os.environ
    found = [("models", "UMBAU_MODEL_URL", _host(environ.get("UMBAU_MODEL_URL", "")))]
    found += [("store", STORE, host) for host in _databases(environ.get(STORE, ""))]
    found += [("store", name, host) for name in ("PGHOST", "PGHOSTADDR") for host in environ.get(name, "").split(",")]
    found += [("traces", name, _host(environ.get(name, ""))) for name in PLACES]
    found += [("cluster", name, _host(environ.get(name, ""))) for name in CLUSTER]
    yield from index.allowed()
    for purpose, variable, host in found:
        try:
            if host and not host.startswith(("/", "@")):
                yield Allowed(purpose, pattern(f"[{host}]" if ":" in host else host), variable)
        except NoHost:
            continue


def _host(url: str) -> str:
    try:
        return urlsplit(url if "://" in url else f"//{url}").hostname or ""
    except ValueError:
        return ""


def _databases(url: str) -> list[str]:
    """Return the hosts of a PostgreSQL URL, which may name several."""
    try:
        parts = urlsplit(url)
        asked = parse_qs(parts.query)
    except ValueError:
        return []
    places = parts.netloc.rpartition("@")[2].split(",")
    more = [host for name in ("host", "hostaddr") for text in asked.get(name, []) for host in text.split(",")]
    return [*(_host(place) for place in places), *more]
