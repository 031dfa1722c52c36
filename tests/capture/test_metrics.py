"""Sessions that end are counted, so that an alert can say what goes wrong."""

from __future__ import annotations

import math
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from capture.metrics import Metrics
from capture.sealing import SealedSession, SealingFailed

FOUNDING = "conversation.item.input_audio_transcription.failed|server_error||Input transcription failed for item …."
ROW: dict[str, Any] = {"outcome": "ok", "turns": 0, "duration_ms": 0.0, "lost_bytes": 0, "failure_keys": []}


@dataclass
class Going:
    """What goes on in a proxy."""

    live_sessions: int = 0
    is_draining: bool = False
    unsealed_sessions: int = 0
    buffer_high_water: int = 0
    unrecorded_sessions: int = 0
    faltered_sessions: int = 0


def ended(**columns: Any) -> Future[SealedSession]:
    done: Future[SealedSession] = Future()
    done.set_result(SealedSession.from_row("20260212T083000-00000001", ROW | {"kept": "whole"} | columns))
    return done


def failed_to_seal(kept_in: Path | None) -> Future[SealedSession]:
    done: Future[SealedSession] = Future()
    done.set_exception(SealingFailed("20260212T083000-00000001", "the disk is full", kept_in))
    return done


def figures(metrics: Metrics) -> dict[str, float]:
    """Read the figures as Prometheus does; `name{label=value,…}`, labels in order -> value."""
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        f"{sample.name}{{{','.join(f'{name}={label}' for name, label in sorted(sample.labels.items()))}}}": sample.value
        for family in families
        for sample in family.samples
    }


def test_what_was_sealed_is_counted_by_outcome_and_by_failure() -> None:
    metrics = Metrics("azure-eastus2")
    metrics.count(ended(turns=3, duration_ms=61_000.0, relay_lag_p99_us=180.0))
    for _ in range(2):
        again = "conversation.item.input_audio_transcription.failed|server_error||Another sentence."
        metrics.count(ended(outcome="failed", failure_keys=[FOUNDING, again, "absent:response.done"], turns=1))
    metrics.count(ended(outcome="incomplete", lost_bytes=700, kept="window"))
    told = figures(metrics)
    assert told["wiretape_sessions_total{kept=whole,outcome=ok}"] == 1
    assert told["wiretape_sessions_total{kept=whole,outcome=failed}"] == 2
    assert told["wiretape_sessions_total{kept=window,outcome=incomplete}"] == 1
    transcription = "code=,event=conversation.item.input_audio_transcription.failed,type=server_error"
    assert told[f"wiretape_failures_total{{{transcription}}}"] == 2
    assert told["wiretape_failures_total{code=,event=absent:response.done,type=}"] == 2
    assert (told["wiretape_turns_total{}"], told["wiretape_session_seconds_total{}"]) == (5, 61)
    assert (told["wiretape_sessions_with_loss_total{}"], told["wiretape_lost_bytes_total{}"]) == (1, 700)
    assert told["wiretape_relay_lag_p99_seconds_bucket{le=0.00025}"] == 1
    assert told["wiretape_relay_lag_p99_seconds_bucket{le=0.0001}"] == 0


def test_a_session_that_cannot_be_sealed_is_counted_by_where_its_journal_is(tmp_path: Path) -> None:
    metrics = Metrics("azure-eastus2")
    assert figures(metrics)["wiretape_sealing_failures_total{quarantined=true}"] == 0, (
        "an alert needs the series before the first"
    )
    metrics.count(failed_to_seal(tmp_path / "quarantine" / "a.journal"))
    metrics.count(failed_to_seal(tmp_path / "journal" / "a.journal"))
    metrics.count(failed_to_seal(None))
    told = figures(metrics)
    assert told["wiretape_sealing_failures_total{quarantined=true}"] == 1
    assert told["wiretape_sealing_failures_total{quarantined=false}"] == 2


def test_what_goes_on_is_read_at_the_time_of_asking() -> None:
    metrics, going = Metrics("azure-eastus2"), Going()
    assert not metrics.is_serving
    metrics.watch(going, going)
    assert metrics.is_serving
    going.live_sessions, going.unsealed_sessions, going.buffer_high_water, going.is_draining = 4, 2, 9000, True
    told = figures(metrics)
    assert told["wiretape_live_sessions{}"] == 4
    assert told["wiretape_unsealed_sessions{}"] == 2
    assert told["wiretape_journal_waiting_bytes_max{}"] == 9000
    assert told["process_open_fds{}"] > 0
    assert not metrics.is_serving


def test_a_recording_that_falters_is_counted_while_the_call_goes_on() -> None:
    metrics, going = Metrics("azure-eastus2"), Going()
    metrics.watch(going, going)
    assert figures(metrics)["wiretape_recording_faults_total{}"] == 0
    going.unrecorded_sessions, going.faltered_sessions, going.live_sessions = 1, 3, 4
    assert figures(metrics)["wiretape_recording_faults_total{}"] == 4
    assert "# TYPE wiretape_recording_faults_total counter" in metrics.exposition().decode()


def test_the_end_of_a_certificate_is_told_as_it_is_renewed() -> None:
    name = "wiretape_certificate_expiration_timestamp_seconds{}"
    metrics = Metrics("azure-eastus2")
    metrics.watch(Going(), Going())
    assert name not in figures(metrics), "without TLS there is none"
    ends_at = [datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC), None]
    metrics = Metrics("azure-eastus2")
    metrics.watch(Going(), Going(), lambda: ends_at.pop(0))
    assert [figures(metrics)[name] for _ in range(2)] == [1772323200, 1780272000]
    assert math.isnan(figures(metrics)[name]), "OpenSSL may read a certificate that we do not"


def test_an_endpoint_cannot_flood_a_store_of_metrics_with_names_of_its_own() -> None:
    metrics = Metrics('hostile\n"endpoint"')
    for number in range(1000):
        metrics.count(ended(outcome="failed", failure_keys=[f'error|{"x" * 5000}\n"\\|c{number}|']))
    told = {name: value for name, value in figures(metrics).items() if name.startswith("wiretape_failures_total")}
    assert len(told) == 51
    assert told["wiretape_failures_total{code=,event=other,type=}"] == 950
    assert sum(told.values()) == 1000
    assert max(map(len, told)) < 200


def test_each_outcome_has_its_series_before_the_first_session() -> None:
    told = figures(Metrics("azure-eastus2"))
    assert {name for name in told if name.startswith("wiretape_sessions_total")} == {
        "wiretape_sessions_total{kept=none,outcome=ok}",
        "wiretape_sessions_total{kept=whole,outcome=ok}",
        "wiretape_sessions_total{kept=whole,outcome=failed}",
        "wiretape_sessions_total{kept=window,outcome=failed}",
        "wiretape_sessions_total{kept=whole,outcome=incomplete}",
        "wiretape_sessions_total{kept=window,outcome=incomplete}",
    }
