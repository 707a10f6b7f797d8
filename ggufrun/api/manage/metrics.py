"""What Prometheus may scrape: counters and histograms over the calls, and the state of the models.

Labels take known values only: routes as they are declared, models that are served, statuses.
"""

import re
from collections.abc import Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from ggufrun.pool.served import ServedModel
from ggufrun.records.ledger import Entry

_TTFT_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_REQUEST_S: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_SPEED: Final = (1, 2, 5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000)


class Metrics:
    """One server's metrics, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # twice the lines, and nobody reads them
        registry = self._registry = CollectorRegistry()
        self._requests = Counter(
            "ggufrun_requests", "Requests that have ended.", ("endpoint", "model", "status"), registry=registry
        )
        self._tokens = Counter(
            "ggufrun_tokens",
            "Tokens; cached ones are part of the prompt's and were not computed again.",
            ("model", "kind"),
            registry=registry,
        )
        self._ttft = Histogram(
            "ggufrun_ttft_seconds", "Time to the first token.", ("model",), buckets=_TTFT_S, registry=registry
        )
        self._seconds = Histogram(
            "ggufrun_request_seconds", "From a request to its end.", ("model",), buckets=_REQUEST_S, registry=registry
        )
        self._speed = Histogram(
            "ggufrun_tokens_per_second",
            "Speed of an answer, all its choices together.",
            ("model",),
            buckets=_SPEED,
            registry=registry,
        )
        self._routed = Counter(
            "ggufrun_routed", "Answers of routes, by engine and why.", ("model", "engine", "why"), registry=registry
        )
        self._spent = Counter("ggufrun_spent_usd", "What engines elsewhere charge.", ("model",), registry=registry)
        self._loaded = Gauge("ggufrun_models_loaded", "Models in memory.", registry=registry)
        self._active = Gauge("ggufrun_active_requests", "Requests being answered.", ("model",), registry=registry)

    def record(self, entry: Entry, why: str = "") -> None:
        """Count a call that has ended. `why`: what its reply says of the engine, where a route has chosen it."""
        self.count(entry.endpoint, entry.model, entry.status)
        if not entry.model:
            return
        if why:
            self._routed.labels(entry.model, entry.engine, re.split("[:;]", why)[0]).inc()
        if entry.spent_usd:
            self._spent.labels(entry.model).inc(entry.spent_usd)
        for kind, tokens in (
            ("prompt", entry.prompt_tokens),
            ("cached", entry.cached_tokens),
            ("completion", entry.completion_tokens),
        ):
            self._tokens.labels(entry.model, kind).inc(tokens)
        self._seconds.labels(entry.model).observe(entry.total_s)
        if entry.ttft_s is not None:
            self._ttft.labels(entry.model).observe(entry.ttft_s)
        if entry.tokens_per_s > 0:
            self._speed.labels(entry.model).observe(entry.tokens_per_s)

    def count(self, endpoint: str, model: str, status: int) -> None:
        """Count a request; `model` is "" where it got none."""
        self._requests.labels(endpoint, model, str(status)).inc()

    def exposition(self, served: Sequence[ServedModel], accept: str = "") -> tuple[bytes, str]:
        """Everything in the format that the Accept header asks for, and its content type."""
        self._loaded.set(sum(model.state == "ready" for model in served))
        self._active.clear()
        for model in served:
            self._active.labels(model.info.name).set(model.active)
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type
