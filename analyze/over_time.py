"""Failures over time: rates span by span, and the stretch in which sessions failed by more than chance; pure.

The stretch is the one that the likelihood ratio of Kulldorff's scan statistic (1997, "A spatial scan statistic", for
yes or no outcomes) picks among all stretches of spans. Its p-value comes from spreading the same number of failures
by chance over the same sessions, so that looking at many stretches is accounted for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from analyze.answers import FailingWindow, RateOverTime, RateSpan
from replay.statistics import wilson

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ALL = "all"
SPANS = 48
"""Spans at most."""
SERIES = 12
"""Values that are shown on their own at most, those with the most failures."""
SIGNIFICANT = 0.01
"""A stretch stands out where its p-value is no higher, over all values that are looked at together."""
_SPREADS = 3 * (SERIES + 1) * round(1 / SIGNIFICANT) - 1
# No p-value is below 1 / (1 + _SPREADS): a third of the strictest limit, so that an outage can be told at all.
_SPREADS_AT_ONCE = 25
# 48 spans have 1,176 stretches: this many rows of them stay in the processor's cache.
_SEED = 20260212
_STEPS_S = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
    2_592_000, 31_536_000, 315_360_000,
)  # fmt: skip
# Not the full block, which would touch the line above.
_BARS = "▁▂▃▄▅▆▇"


@dataclass(frozen=True, slots=True)
class _Session:
    at: datetime
    outcome: str | None


def rates_over_time(rows: Sequence[Mapping[str, Any]]) -> list[RateOverTime]:
    """Count failures over time: all sessions first, then value by value where rows have a `label`.

    A row has `started_at` (naive UTC, as the views hold it; those without are left out) and `outcome`.
    """
    known = sorted((row for row in rows if row["started_at"] is not None), key=lambda row: row["started_at"])
    if not known:
        return []
    edges = _edges(known[0]["started_at"], known[-1]["started_at"])
    grouped: dict[str, list[_Session]] = {ALL: []}
    for row in known:
        session = _Session(row["started_at"], row["outcome"])
        grouped[ALL].append(session)
        if "label" in row:
            grouped.setdefault(str(row["label"]), []).append(session)
    worst = sorted(grouped, key=lambda name: (name != ALL, -_failed(grouped[name]), -len(grouped[name]), name))
    shown = worst[: SERIES + 1]
    return [_rate(name, grouped[name], edges, SIGNIFICANT / len(shown)) for name in shown]


def spark(spans: Sequence[RateSpan]) -> str:
    """Draw a bar a span: the share that failed, however small; a dot where no session failed or passed."""
    return "".join(_bar(span) if span.trials else "·" for span in spans)


def _bar(span: RateSpan) -> str:
    # The lowest one means that none failed: one of a hundred must not look like none.
    return _BARS[max(round(span.failed / span.trials * (len(_BARS) - 1)), int(span.failed > 0))]


def window_words(rate: RateOverTime) -> str:
    """Say when sessions began to fail and when that ended; empty where no stretch stands out."""
    window = rate.window
    if window is None:
        return ""
    shares = f"{window.failed}/{window.trials} failed, {window.failed_outside}/{window.trials_outside} outside"
    before = "" if window.last_ok_at is None else f" (last ok {_time(window.last_ok_at)})"
    after = f"cleared by {_time(window.clear_at)}" if window.clear_at else "not cleared since"
    return f"from {_time(window.onset_at)}{before} to {_time(window.last_failed_at)}, {after}: {shares}"


def _time(at: datetime) -> str:
    return f"{at:%m-%d %H:%M:%S}"


def _failed(sessions: Sequence[_Session]) -> int:
    return sum(session.outcome == "failed" for session in sessions)


def _edges(first: datetime, last: datetime) -> list[datetime]:
    """Cut the time into spans of a length that people think in, beginning at a multiple of it."""
    length_s = (last - first).total_seconds()
    # The first span begins before the first session, and the last one ends after the last.
    step_s = next((step for step in _STEPS_S if length_s / step + 2 <= SPANS), _STEPS_S[-1])
    epoch = datetime(1970, 1, 1)  # noqa: DTZ001 - as the views hold times
    begin = epoch + timedelta(seconds=(first - epoch).total_seconds() // step_s * step_s)
    count = int((last - begin).total_seconds() // step_s) + 1
    return [begin + timedelta(seconds=step_s * number) for number in range(count + 1)]


def _rate(name: str, sessions: Sequence[_Session], edges: Sequence[datetime], limit: float) -> RateOverTime:
    counts = [[0, 0, 0] for _ in edges[1:]]
    step = edges[1] - edges[0]
    counted = [session for session in sessions if session.outcome in ("failed", "ok")]
    for session in sessions:
        kind = {"failed": 0, "ok": 1}.get(session.outcome or "", 2)
        counts[(session.at - edges[0]) // step][kind] += 1
    spans = [_span(edges[n], edges[n + 1], *counts[n]) for n in range(len(counts))]
    window = _window(counted, edges, spans, limit)
    return RateOverTime(name, tuple(spans), _failed(counted), len(counted), window)


def _span(begin: datetime, end: datetime, failed: int, ok: int, not_counted: int) -> RateSpan:
    low, high = wilson(failed, failed + ok)
    return RateSpan(_utc(begin), _utc(end), failed, failed + ok, low, high, not_counted)


def _window(
    sessions: Sequence[_Session], edges: Sequence[datetime], spans: Sequence[RateSpan], limit: float
) -> FailingWindow | None:
    import numpy as np

    # Spans without a session that counts separate nothing: without them there are fewer stretches to look at.
    full = [number for number, span in enumerate(spans) if span.trials]
    failed = np.array([spans[number].failed for number in full], dtype=np.int64)
    trials = np.array([spans[number].trials for number in full], dtype=np.int64)
    if len(full) < 2 or not 0 < failed.sum() < trials.sum():
        return None
    begins, ends = np.triu_indices(len(full))
    likelihood = _Likelihood(trials, begins, ends)
    ratios = likelihood.ratios(failed[None, :])[0]
    best = int(ratios.argmax())
    if ratios[best] <= 0:
        return None
    p_value = _p_value(likelihood, int(failed.sum()), ratios[best], limit)
    if p_value is None:
        return None
    begin, end = edges[full[begins[best]]], edges[full[ends[best]] + 1]
    return _to_sessions(sessions, begin, end, p_value)


def _p_value(likelihood: _Likelihood, failed: int, ratio: float, limit: float) -> float | None:
    """Give how often chance marks a stretch at least as much as `ratio`; None: more often than the limit allows."""
    import numpy as np

    random = np.random.default_rng(_SEED)
    p_value = 1 / (1 + _SPREADS)
    for done in range(0, _SPREADS, _SPREADS_AT_ONCE):
        size = min(_SPREADS_AT_ONCE, _SPREADS - done)
        chance = random.multivariate_hypergeometric(likelihood.trials, failed, size=size)
        p_value += int((likelihood.ratios(chance).max(axis=1) >= ratio - 1e-6).sum()) / (1 + _SPREADS)
        # What is no more than chance shows soon: most of what is looked at takes the first spreads only.
        if p_value > limit:
            return None
    return p_value


class _Likelihood:
    """Log likelihood ratios of stretches of spans, for any failures in the same sessions."""

    def __init__(self, trials: NDArray[np.int64], begins: NDArray[np.intp], ends: NDArray[np.intp]) -> None:
        import numpy as np

        self.trials = trials
        """Sessions that count, span by span."""
        self._begins, self._ends = begins, ends + 1
        totals = np.concatenate([np.zeros(1, np.int64), trials.cumsum()])
        counts = np.arange(totals[-1] + 1)
        # n log n for each count there can be: looking it up takes a fraction of a logarithm. Of none it is 0.
        self._n_log_n = counts * np.log(np.maximum(counts, 1))
        self._inside = totals[self._ends] - totals[begins]
        self._outside = totals[-1] - self._inside
        self._all = totals[-1:]

    def ratios(self, failed: NDArray[np.int64]) -> NDArray[np.float64]:
        """Give the ratio of each stretch in each row of failures; 0 where it fails no more than what is outside."""
        import numpy as np

        sums = np.concatenate([np.zeros((len(failed), 1), np.int64), failed.cumsum(axis=1)], axis=1)
        inside = sums.take(self._ends, axis=1) - sums.take(self._begins, axis=1)
        outside = sums[:, -1:] - inside
        ratios = self._log_likelihood(inside, self._inside) + self._log_likelihood(outside, self._outside)
        ratios -= self._log_likelihood(sums[:, -1:], self._all)
        # A stretch of all sessions has nothing outside, and is never worse than that.
        return np.where(inside * self._outside > outside * self._inside, ratios, 0.0)

    def _log_likelihood(self, failed: NDArray[np.int64], trials: NDArray[np.int64]) -> NDArray[np.float64]:
        import numpy as np

        look_up = self._n_log_n.take
        return np.asarray(look_up(failed) + look_up(trials - failed) - look_up(trials), np.float64)


def _to_sessions(sessions: Sequence[_Session], begin: datetime, end: datetime, p_value: float) -> FailingWindow:
    """Draw the stretch in to its first and its last failure, and say what stands beside it."""
    failures = [session.at for session in sessions if session.outcome == "failed" and begin <= session.at < end]
    onset, last = failures[0], failures[-1]
    inside = [session for session in sessions if onset <= session.at <= last]
    ok_before = [session.at for session in sessions if session.outcome == "ok" and session.at < onset]
    ok_after = [session.at for session in sessions if session.outcome == "ok" and session.at > last]
    return FailingWindow(
        onset_at=_utc(onset),
        last_ok_at=_utc(ok_before[-1]) if ok_before else None,
        last_failed_at=_utc(last),
        clear_at=_utc(ok_after[0]) if ok_after else None,
        failed=len(failures),
        trials=len(inside),
        failed_outside=_failed(sessions) - len(failures),
        trials_outside=len(sessions) - len(inside),
        p_value=p_value,
    )


def _utc(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)
