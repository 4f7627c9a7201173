"""Values for dashboards, told to Ray, which has its nodes export them for a Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from pipelines.metrics import Metric


class RayMeter:
    """Tells from this process, which has joined a cluster; its node's agent goes on to export what it was told."""

    def __init__(self) -> None:
        self._made: dict[str, Callable[..., None]] = {}

    def tell(self, metric: Metric, value: float, *labels: str) -> None:
        """Add to a counter, set a gauge, or note in a histogram."""
        made = self._made.get(metric.name) or self._make(metric)
        made(value, dict(zip(metric.labels, labels, strict=True)))

    def _make(self, metric: Metric) -> Callable[..., None]:
        from ray.util.metrics import Counter, Gauge, Histogram

        name, text, labels = metric.name, metric.text, metric.labels
        if metric.kind == "counter":
            made: Callable[..., None] = Counter(name, text, labels).inc
        elif metric.kind == "gauge":
            made = Gauge(name, text, labels).set
        else:
            made = Histogram(name, text, list(metric.bounds), labels).observe
        self._made[metric.name] = made
        return made
