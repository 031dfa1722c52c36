"""Read what `--expect` asks for, and tell whether a run meets it; pure.

`ok`: every trial is ok. `failed`: the recording's failure comes again at least once. `no-failures`: no trial fails, in
the recorded way or another. `same-outcome`: every trial that counts comes out as its recording did.
`max-latency-ms=N`: no turn waits longer than N ms for its first audio.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from capture.errors import UsageProblem
from replay.runs import Run, RunCell, Trial, TrialOutcome

_LATENCY = "max-latency-ms"
_FAILURES: tuple[TrialOutcome, ...] = ("failed", "failed_otherwise")
_KINDS = ("ok", "failed", "no-failures", "same-outcome", _LATENCY)


@dataclass(frozen=True, slots=True)
class Gate:
    """One `--expect`."""

    kind: str
    limit_ms: float | None = None

    def __str__(self) -> str:
        """Write it as it is given."""
        return self.kind if self.limit_ms is None else f"{self.kind}={self.limit_ms:g}"


@dataclass(frozen=True, slots=True)
class GateResult:
    """Whether a run meets a gate."""

    gate: str
    reasons: tuple[str, ...]
    """Why it does not; empty where it does."""

    @property
    def is_met(self) -> bool:
        """Whether it does."""
        return not self.reasons


def parse_gates(texts: Sequence[str]) -> list[Gate]:
    """Read the values of `--expect`; raises `UsageProblem` for what is none."""
    return [_parse_gate(text.strip()) for text in dict.fromkeys(texts)]


def needs_latencies(gates: Sequence[Gate]) -> bool:
    """Tell whether the recordings of the trials have to be read."""
    return any(gate.kind == _LATENCY for gate in gates)


def check_gates(
    run: Run, gates: Sequence[Gate], latencies_ms: Mapping[str, Sequence[float]] | None = None
) -> list[GateResult]:
    """Tell for each gate whether a run meets it; a run with trials left to make meets none.

    `latencies_ms` gives the first-audio latency of each turn by session; a trial without a turn has none.
    """
    missing = len(run.cells) * run.trials - run.finished_trials
    left = [f"{missing} of {len(run.cells) * run.trials} trials were not made"] if missing > 0 else []
    return [GateResult(str(gate), (*left, *_check(gate, run, latencies_ms or {}))) for gate in gates]


def _parse_gate(text: str) -> Gate:
    kind, separator, limit = text.partition("=")
    if kind == _LATENCY:
        try:
            limit_ms = float(limit)
        except ValueError:
            limit_ms = -1.0
        if not 0 < limit_ms < float("inf"):
            raise UsageProblem(f"--expect {_LATENCY} takes milliseconds, such as {_LATENCY}=1500, not {text!r}")
        return Gate(kind, limit_ms)
    if separator or kind not in _KINDS:
        raise UsageProblem(f"--expect takes ok, failed, no-failures, same-outcome or {_LATENCY}=N, not {text!r}")
    return Gate(kind)


def _check(gate: Gate, run: Run, latencies_ms: Mapping[str, Sequence[float]]) -> list[str]:
    if gate.limit_ms is not None:
        return _check_latency(run, gate.limit_ms, latencies_ms)
    return _CHECKS[gate.kind](run)


def _check_ok(run: Run) -> list[str]:
    return [
        f"{_named(cell, run)}: {_list(trials)} of {len(cell.trials)} trials"
        for cell in run.cells
        if (trials := [trial for trial in cell.trials if trial.outcome != "ok"])
    ]


def _check_failed(run: Run) -> list[str]:
    trials = run.all_trials
    if any(trial.outcome == "failed" for trial in trials):
        return []
    return [f"none of {len(trials)} trials failed as the recording did ({_list(trials)})"]


def _check_no_failures(run: Run) -> list[str]:
    reasons = [
        f"{_named(cell, run)}: {_list(failed)} of {len(cell.trials)} trials"
        for cell in run.cells
        if (failed := [trial for trial in cell.trials if trial.outcome in _FAILURES])
    ]
    # Nothing that failed because nothing was tried proves nothing.
    idle = [cell for cell in run.cells if not any(t.outcome in ("ok", *_FAILURES) for t in cell.trials)]
    return reasons + [f"{_named(cell, run)}: no trial says anything ({_list(cell.trials)})" for cell in idle]


def _check_same_outcome(run: Run) -> list[str]:
    recorded = {each.session_id: "failed" if each.failure_keys else "ok" for each in run.recordings}
    reasons = []
    for cell in run.cells:
        expected = recorded.get(cell.session_id, "ok")
        counted = [trial for trial in cell.trials if trial.outcome in ("ok", *_FAILURES)]
        other = [trial for trial in counted if trial.outcome != expected]
        if other:
            reasons.append(
                f"{_named(cell, run)}: {_list(other)} of {len(counted)} trials, where the recording was {expected}"
            )
        elif not counted:
            reasons.append(f"{_named(cell, run)}: no trial says anything ({_list(cell.trials)})")
    return reasons


_CHECKS: dict[str, Callable[[Run], list[str]]] = {
    "ok": _check_ok,
    "failed": _check_failed,
    "no-failures": _check_no_failures,
    "same-outcome": _check_same_outcome,
}


def _check_latency(run: Run, limit_ms: float, latencies_ms: Mapping[str, Sequence[float]]) -> list[str]:
    reasons = []
    for cell in run.cells:
        turns = [
            (wait_ms, turn, trial.session_id)
            for trial in cell.trials
            for turn, wait_ms in enumerate(latencies_ms.get(trial.session_id, ()), 1)
        ]
        late = [turn for turn in turns if turn[0] > limit_ms]
        if late:
            wait_ms, turn, session_id = max(late)
            reasons.append(
                f"{_named(cell, run)}: {len(late)} of {len(turns)} turns waited longer for their first audio;"
                f" the longest {wait_ms:,.0f} ms, turn {turn} of {session_id}"
            )
        elif not turns:
            reasons.append(f"{_named(cell, run)}: no turn was answered with audio")
    return reasons


def _named(cell: RunCell, run: Run) -> str:
    return f"{cell.session_id}, {cell.cell}" if len(run.recordings) > 1 else cell.cell


def _list(trials: Sequence[Trial]) -> str:
    counts = Counter(trial.outcome.replace("_", " ") for trial in trials)
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none was made"
