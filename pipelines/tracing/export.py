"""Sends traces to an OpenTelemetry collector, by OTLP over HTTP."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Self

from operators import outward
from pipelines.hops import heeding
from pipelines.neutral import plain

if TYPE_CHECKING:
    from pipelines.tracing.stretches import Stretch

PLACES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
HEADERS = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
"""What a collector is entered with: withheld from workers."""
SPEAKS = "http/protobuf"
SCHEMA = "https://opentelemetry.io/schemas/1.41.0"
Tell = Callable[[str], None]


def warn(line: str) -> None:
    print(plain(line), file=sys.stderr, flush=True)


def asked(tell: Tell = warn) -> Traces | None:
    """Return where traces go, None when nobody asked for any by OpenTelemetry's own variables
    (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables). What it cannot do it tells."""
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "otlp" if _first(PLACES) else "none").strip()
    if exporter == "none" or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    protocol = _first(PROTOCOLS) or SPEAKS
    if exporter != "otlp":
        why = f"OTEL_TRACES_EXPORTER is {exporter!r}, Umbau knows otlp and none"
    elif protocol != SPEAKS:
        why = f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}, Umbau speaks {SPEAKS}: a collector does at port 4318"
    elif not _installed():
        why = "the exporter is not installed: pip install 'umbau[tracing]'"
    elif not (why := _forbidden()):
        return Traces(_first(HEADERS), tell)
    tell(f"traces are not exported: {why}")
    return None


def _forbidden() -> str:
    try:
        outward.check("traces", _first(PLACES) or "http://localhost:4318")
    except outward.Forbidden as error:
        return str(error)
    return ""


def _first(names: tuple[str, ...]) -> str:
    return next((found for name in names if (found := os.environ.get(name, "").strip())), "")


def _installed() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:  # nor is what it would stand in
        return False


class Traces:
    """Where traces go. Nothing is imported, and nobody connected to, before there is one."""

    def __init__(self, headers: str, tell: Tell) -> None:
        """`headers`: as the variable has them. They are kept here, and the variable is withheld from workers."""
        self._headers, self._tell = headers, tell
        self._ids: Any = None
        self._provider: Any = None
        self._tracer: Any = None

    def tell(self, trace: str, root: Stretch) -> None:
        """Have a trace sent, in a while and from another thread."""
        if self._provider is None:
            self._open()
        self._ids.trace, self._ids.count = int(trace, 16) or 1, 0
        self._ids.start = root.start
        self._span(root, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Send what was not yet."""
        if self._provider is not None:
            self._provider.shutdown()

    def _open(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.util.re import parse_env_headers
        from requests import Session

        logger = logging.getLogger("opentelemetry")
        logger.propagate = False
        logger.handlers = [_Once(self._tell)]
        own = {"service.version": version("umbau")}
        if not os.environ.get("OTEL_SERVICE_NAME"):
            own["service.name"] = "umbau"
        self._ids = _ids()
        self._provider = TracerProvider(resource=Resource.create(own), id_generator=self._ids)
        session = Session()
        session.hooks["response"].append(heeding("traces"))
        exporter = OTLPSpanExporter(headers=parse_env_headers(self._headers, liberal=True), session=session)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("umbau", own["service.version"], schema_url=SCHEMA)

    def _span(self, stretch: Stretch, context: Any) -> None:
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context

        kind = SpanKind.CLIENT if stretch.calls else SpanKind.INTERNAL
        span = self._tracer.start_span(
            stretch.name, context or Context(), kind, dict(stretch.tells), start_time=_nano(stretch.start)
        )
        if stretch.failed:
            span.set_status(StatusCode.ERROR)
        for part in stretch.within:
            self._span(part, set_span_in_context(span, Context()))
        span.end(_nano(stretch.start + stretch.seconds))


def _nano(seconds: float) -> int:
    return int(seconds * 1e9)


def _ids() -> Any:
    """Return what gives a trace its id, and each span in it one that is the same when it is told again."""
    from opentelemetry.sdk.trace.id_generator import IdGenerator

    class Ids(IdGenerator):
        trace, count, start = 1, 0, 0.0

        def generate_trace_id(self) -> int:
            return self.trace

        def generate_span_id(self) -> int:
            self.count += 1
            seed = f"{self.trace:032x} {self.start} {self.count}"
            return int(sha256(seed.encode()).hexdigest()[:16], 16) or 1

    return Ids()


class _Once(logging.Handler):
    """Says once that traces do not get where they should; the work goes on without."""

    def __init__(self, tell: Tell) -> None:
        super().__init__(logging.WARNING)
        self._tell, self._told = tell, False

    def emit(self, record: logging.LogRecord) -> None:
        if not self._told:
            self._told = True
            self._tell(f"traces are not exported: {record.getMessage().partition(chr(10))[0][:300]}")
