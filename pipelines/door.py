"""The door of a Ray cluster: the address of its dashboard, and whether it stands open."""

from __future__ import annotations

import json
import os
import ssl
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request

from operators import outward
from pipelines.errors import Refused
from pipelines.hops import opener

HERE = "http://127.0.0.1:8265"  # where `ray start --head` puts it
PATIENCE = 5.0  # seconds
_GCS, _CLIENT = 6379, 10001  # where Ray's nodes, and Ray Client, listen unless told otherwise
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class BadAddress(Refused):
    code = 64


def dashboard(address: str) -> str:
    """Return the URL of the dashboard that an address means. Raises BadAddress when it means something else."""
    given = address.rstrip("/") if address else HERE
    whole = given if "://" in given else f"http://{given}"
    try:
        parts = urlsplit(whole)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise BadAddress(f"{address} is no address: jobs go to the dashboard's, such as {HERE}") from None
    if parts.username or parts.password:
        raise BadAddress("an address must not hold a user name or password: it would end up in logs")
    if parts.scheme == "ray" or port in {_GCS, _CLIENT}:
        what = "Ray Client" if parts.scheme == "ray" or port == _CLIENT else "Ray's nodes"
        raise BadAddress(f"{address} is where {what} would go: jobs go to the dashboard, such as http://{host}:8265")
    if parts.scheme not in {"http", "https"} or not host or given in {"auto", "local"}:
        raise BadAddress(f"{address} is no dashboard's address, such as {HERE}")
    return whole if port or "://" in given else f"{whole}:8265"


def exposed(url: str) -> str:
    """Return what to say when a token goes to this URL where others can read it, "" when it does not."""
    parts = urlsplit(url)
    if parts.scheme == "https" or parts.hostname in _LOOPBACK:
        return ""
    tunnel = f"ssh -L 8265:127.0.0.1:{parts.port or 80} {parts.hostname}, and then --address {HERE}"
    return f"warning: the cluster's token travels to {url} in the clear. Use https, or a tunnel: {tunnel}"


def knocked(url: str) -> str:
    """Ask a dashboard, without a token, who is let in; return what to say when it is everybody, "" when it is not.
    Raises Refused when no dashboard answers."""
    try:
        asked = opener("cluster", url, _trusting(url)).open(Request(f"{url}/api/authentication_mode"), timeout=PATIENCE)
        with asked as answer:
            found = json.loads(answer.read(1000))
            return left_open(url, found.get("authentication_mode", ""))
    except outward.Forbidden as why:
        raise Refused(f"no cluster is joined: {why}") from None
    except HTTPError:
        return ""  # a proxy before it wants to know more, or this Ray knows no such question
    except URLError as error:
        if isinstance(error.reason, ssl.SSLError):
            raise Refused(_no_tls(url, error.reason)) from None
        raise Refused(f"no Ray dashboard answers at {url}: {error.reason}. {_elsewhere(url)}") from None
    except (HTTPException, OSError, ValueError, AttributeError):
        raise Refused(f"{stranger(url)}. {_elsewhere(url)}") from None


def left_open(url: str, mode: str) -> str:
    """Return what to say of a cluster with this mode of authentication, "" when it is well."""
    if mode != "disabled":
        return ""
    return (
        f"warning: the Ray cluster at {url} lets everybody in: who reaches its ports runs any code on all its nodes. "
        "Make a token (`ray get-auth-token --generate`), give it to each node, and start Ray with RAY_AUTH_MODE=token"
    )


def stranger(url: str) -> str:
    return f"what answers at {url} is no Ray dashboard"


def noticed(url: str) -> str:
    """Do as `knocked`, of a cluster that was joined otherwise: a dashboard that does not answer is no matter."""
    try:
        return knocked(url)
    except Refused:
        return ""


def _trusting(url: str) -> ssl.SSLContext | None:
    """Trust whom Ray's own client trusts. Raises Refused."""
    if not url.startswith("https:"):
        return None
    name = next((name for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE") if os.environ.get(name)), "")
    try:
        return ssl.create_default_context(cafile=os.environ.get(name))
    except (OSError, ssl.SSLError):
        raise Refused(f"{name} names {os.environ.get(name)}, which cannot be read as certificates") from None


def _no_tls(url: str, error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of {url} is not trusted here ({error.verify_message}): name the file of your authority's "
            "certificate in REQUESTS_CA_BUNDLE"
        )
    return f"{url} does not speak TLS: is it http://{urlsplit(url).netloc}?"


def _elsewhere(url: str) -> str:
    return "Name the dashboard of the cluster with --address" + ("" if url != HERE else ", such as http://head:8265")
