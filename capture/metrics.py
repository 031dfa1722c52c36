"""What a proxy has carried, recorded and lost, counted for Prometheus; nothing of it reads a disk."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import datetime
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from capture import __version__
from capture.sealing import SealedSession, SealingFailed

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of the text format that every Prometheus reads."""
_MOST_FAILURES = 50
"""Series: types and codes are the endpoint's own words, and a store of metrics keeps each of them."""
_MOST_LETTERS = 100
_OTHER = ("other", "", "")
_LAG_BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0)


class Carried(Protocol):
    """What carries calls."""

    @property
    def live_sessions(self) -> int:
        """How many sessions are being carried."""

    @property
    def is_draining(self) -> bool:
        """Whether no new session is taken any more."""

    @property
    def unrecorded_sessions(self) -> int:
        """How many sessions were carried without a recording."""


class Recorded(Protocol):
    """What records them."""

    @property
    def unsealed_sessions(self) -> int:
        """How many sessions have ended and wait to be sealed."""

    @property
    def buffer_high_water(self) -> int:
        """The most bytes that ever waited to be written."""

    @property
    def faltered_sessions(self) -> int:
        """How many sessions lost something while they went on."""


class _RecordingFaults(Collector):
    """Counts what is lost at once: a call may go on for an hour, and is sealed only then."""

    def __init__(self, relay: Carried, recorder: Recorded) -> None:
        self._relay = relay
        self._recorder = recorder

    def collect(self) -> Iterator[Metric]:
        count = self._relay.unrecorded_sessions + self._recorder.faltered_sessions
        meaning = "Sessions of which something was not recorded, counted while they go on."
        yield CounterMetricFamily("wiretape_recording_faults", meaning, value=count)


class Metrics:
    """The figures of one proxy since its start."""

    def __init__(self, target_name: str) -> None:
        """`target_name` as it may be shown: without a key."""
        # A second series for each, which nobody asks.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry = CollectorRegistry()
        self._named: set[tuple[str, str, str]] = set()
        self._relay: Carried | None = None
        Info("wiretape", "The proxy.", registry=registry).info({"version": __version__, "target": target_name})
        self._sessions = Counter(
            "wiretape_sessions", "Sessions that were sealed.", ["outcome", "kept"], registry=registry
        )
        self._failures = Counter(
            "wiretape_failures",
            "Sessions that failed in this way; `absent:` is what never came.",
            ["event", "type", "code"],
            registry=registry,
        )
        self._turns = Counter("wiretape_turns", "Turns of the users in sealed sessions.", registry=registry)
        self._seconds = Counter("wiretape_session_seconds", "Length of sealed sessions.", registry=registry)
        self._lossy = Counter(
            "wiretape_sessions_with_loss", "Sealed sessions of which something is missing.", registry=registry
        )
        self._lost_bytes = Counter("wiretape_lost_bytes", "Bytes that were not recorded.", registry=registry)
        self._not_sealed = Counter(
            "wiretape_sealing_failures",
            "Sessions that could not be sealed; their journals are kept.",
            ["quarantined"],
            registry=registry,
        )
        self._lag = Histogram(
            "wiretape_relay_lag_p99_seconds",
            "From bytes readable to handed on, p99 of each sealed session.",
            buckets=_LAG_BUCKETS_S,
            registry=registry,
        )
        ProcessCollector(registry=registry)
        self._begin_at_nothing()

    def watch(
        self,
        relay: Carried,
        recorder: Recorded,
        certificate_ends_at: Callable[[], datetime | None] | None = None,
    ) -> None:
        """Show what is going on in these whenever the figures are read; without TLS there is no certificate."""
        self._relay = relay
        if certificate_ends_at is not None:
            Gauge(
                "wiretape_certificate_expiration_timestamp_seconds",
                "Until when the certificate that clients are met with is valid.",
                registry=self._registry,
            ).set_function(lambda: ends_at.timestamp() if (ends_at := certificate_ends_at()) else math.nan)
        self._registry.register(_RecordingFaults(relay, recorder))
        for name, meaning, read in (
            ("live_sessions", "Sessions being carried.", lambda: relay.live_sessions),
            (
                "unsealed_sessions",
                "Sessions that have ended and wait to be sealed.",
                lambda: recorder.unsealed_sessions,
            ),
            ("journal_waiting_bytes_max", "Most bytes that waited for the disk.", lambda: recorder.buffer_high_water),
        ):
            Gauge(f"wiretape_{name}", meaning, registry=self._registry).set_function(read)

    def count(self, done: Future[SealedSession]) -> None:
        """Count a session that was sealed, or could not be; on any thread."""
        error = done.exception()
        if error is not None:
            is_quarantined = isinstance(error, SealingFailed) and error.is_quarantined
            self._not_sealed.labels(str(is_quarantined).lower()).inc()
            return
        sealed = done.result()
        self._sessions.labels(sealed.outcome, sealed.kept).inc()
        for failure in dict.fromkeys(map(self._labels_of, sealed.failure_keys)):
            self._failures.labels(*failure).inc()
        self._turns.inc(sealed.turns)
        self._seconds.inc(max(sealed.duration_ms, 0.0) / 1000)
        self._lossy.inc(sealed.has_loss)
        self._lost_bytes.inc(sealed.lost_bytes)
        if sealed.relay_lag_p99_us is not None:
            self._lag.observe(sealed.relay_lag_p99_us / 1e6)

    @property
    def is_serving(self) -> bool:
        """Whether new sessions are taken."""
        return self._relay is not None and not self._relay.is_draining

    def exposition(self) -> bytes:
        """Write all figures in Prometheus' text format."""
        return generate_latest(self._registry)

    def _begin_at_nothing(self) -> None:
        # An alert on a rate needs the series before the first of them.
        for quarantined in ("true", "false"):
            self._not_sealed.labels(quarantined)
        for outcome in ("ok", "failed", "incomplete"):
            for kept in ("whole", "none" if outcome == "ok" else "window"):
                self._sessions.labels(outcome, kept)

    def _labels_of(self, failure_key: str) -> tuple[str, str, str]:
        event, kind, code, *_ = [*failure_key.split("|"), "", ""]
        labels = (event[:_MOST_LETTERS], kind[:_MOST_LETTERS], code[:_MOST_LETTERS])
        if labels not in self._named and len(self._named) >= _MOST_FAILURES:
            return _OTHER
        self._named.add(labels)
        return labels
