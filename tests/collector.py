"""An OpenTelemetry collector for tests: a real HTTP server that reads what the real exporter sends.

A double, because a collector is no Python package. The messages are read by the classes of opentelemetry-proto:
https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/collector/trace/v1/trace_service.proto
"""

from __future__ import annotations

import gzip
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Told:
    """A span as it came."""

    name: str
    id: bytes
    parent: bytes
    start: float
    end: float
    tells: dict[str, Any]
    kind: int
    failed: bool
    within: list[Told] = field(default_factory=list)

    def named(self, name: str) -> list[Told]:
        return [one for one in self.within if one.name == name]


class Collector:
    def __init__(self, status: int = 200) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                assert self.path == "/v1/traces"
                owner.bodies.append(body)
                owner.headers.append({name.lower(): value for name, value in self.headers.items()})
                self.send_response(status)
                self.end_headers()

            def log_message(self, *args: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def resources(self) -> dict[str, Any]:
        return {one.key: _value(one.value) for group in self._groups() for one in group.resource.attributes}

    def traces(self) -> dict[str, list[Told]]:
        """Return the roots of each trace, with what is within them; a span whose parent never came is a root."""
        found: dict[str, list[Told]] = defaultdict(list)
        for group in self._groups():
            for scope in group.scope_spans:
                for span in scope.spans:
                    found[span.trace_id.hex()].append(
                        Told(
                            span.name,
                            span.span_id,
                            span.parent_span_id,
                            span.start_time_unix_nano / 1e9,
                            span.end_time_unix_nano / 1e9,
                            {one.key: _value(one.value) for one in span.attributes},
                            span.kind,
                            span.status.code == 2,
                        )
                    )
        return {trace: _roots(spans) for trace, spans in found.items()}

    def named(self, name: str) -> list[Told]:
        """Return the roots that are called so, in the order of their beginning."""
        roots = [one for trace in self.traces().values() for one in trace if one.name == name]
        return sorted(roots, key=lambda one: one.start)

    def _groups(self) -> list[Any]:
        return [group for body in self.bodies for group in ExportTraceServiceRequest.FromString(body).resource_spans]

    def __enter__(self) -> Self:
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def _roots(spans: list[Told]) -> list[Told]:
    known = {one.id: one for one in spans}
    assert len(known) == len(spans), "each has an id of its own"
    roots = []
    for one in spans:
        (known[one.parent].within if one.parent in known else roots).append(one)
    return roots


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_value(one) for one in value.array_value.values] if kind == "array_value" else getattr(value, kind)
