"""Redirects: where a server sends us on to is asked about as if we had been told to go there."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import IO, Any
from urllib.parse import urljoin
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

from operators import outward


class _Redirects(HTTPRedirectHandler):
    def __init__(self, purpose: str) -> None:
        self._purpose = purpose

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        outward.check(self._purpose, newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def opener(purpose: str, url: str, context: ssl.SSLContext | None = None) -> OpenerDirector:
    """Return what opens a URL with urllib, and follows redirects no further than is allowed. Raises outward.Forbidden,
    also while it opens."""
    outward.check(purpose, url)
    return build_opener(_Redirects(purpose), HTTPSHandler(context=context))


def heeding(purpose: str) -> Callable[..., None]:
    """Return what a session of `requests` calls with each response, before it follows it."""

    def heed(response: Any, *_: Any, **__: Any) -> None:
        if to := response.headers.get("Location", "") if response.is_redirect else "":
            outward.check(purpose, urljoin(response.url, to))

    return heed
