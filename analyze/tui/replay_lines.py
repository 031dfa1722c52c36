"""A planned replay and its progress in words; pure."""

from __future__ import annotations

from analyze.tui.figures import mark
from analyze.tui.lines import Line, Run, text
from analyze.tui.replay_plan import PlannedReplay
from analyze.tui.replay_runner import TrialProgress
from analyze.tui.widgets.virtual_table import Column
from capture.narration import counted
from replay.runs import Run as ReplayRun


def preview_lines(planned: PlannedReplay) -> list[Line]:
    """Say what a replay will send: sessions, minutes, tokens, then each cell."""
    cost, run = planned.cost, planned.run
    tokens = cost.input_tokens + cost.output_tokens
    cells, trials = counted(len(run.cells), "cell"), counted(run.trials, "trial")
    lines: list[Line] = [
        (*text(counted(cost.sessions, "session"), "strong"), *text(f"  {cells} × {trials}", "muted")),
        (*text(f"{cost.sent_minutes:,.1f} minutes", "strong"), Run(" of audio", "muted")),
        (
            *text(f"about {tokens:,.0f} tokens", "strong"),
            *text(f"  {cost.basis}", "muted"),
        ),
        text(f"{cost.time_in_words(run.concurrency)}, {run.concurrency} at a time", "muted"),
        (),
    ]
    for cell in run.cells:
        baseline = (Run("  "), Run("baseline", "muted")) if cell.baseline else ()
        lines.append((Run("· ", "muted"), *text(cell.cell), *baseline))
    first = run.cells[0]
    lines += [
        text(f"  in every cell: {path} changed", "changed") for path in first.overrides if path not in first.values
    ]
    lines += [text(f"  in every cell: {path} left out", "changed") for path in first.unset]
    for target, paths in planned.left_out.items():
        if paths:
            lines.append(text(f"  {target} has no place for {', '.join(paths)}: left out", "incomplete"))
    return lines


def question_lines(planned: PlannedReplay) -> list[Line]:
    """Ask before anything is sent."""
    cost = planned.cost
    tokens = cost.input_tokens + cost.output_tokens
    names = ", ".join(target.name for target in planned.targets)
    return [
        (*text(f"Send {counted(cost.sessions, 'session')} to ", "strong"), *text(names, "live")),
        (),
        text(f"{cost.sent_minutes:,.1f} minutes of audio, about {tokens:,.0f} tokens: this may cost money.", "muted"),
        text("Keys come from the environment. Every session is recorded here.", "muted"),
    ]


def said(progress: TrialProgress) -> Line:
    """Say what came of a trial; colours are those of the lists: the recording's failure again is failed."""
    if progress.outcome is None:
        return (mark("live"), Run(" running", "live"))
    sign = mark({"failed": "failed", "ok": "ok"}.get(progress.outcome, "incomplete"))
    return (sign, *text(f" {progress.outcome.replace('_', ' ')}", sign.tone))


TRIAL_COLUMNS: tuple[Column[TrialProgress], ...] = (
    Column("outcome", said, least=10, most=20),
    Column("cell", lambda progress: text(progress.cell), least=14, most=80),
    Column("trial", lambda progress: text(str(progress.trial)), least=5, most=5, align="right"),
    Column(
        "off time ms",
        lambda progress: text("" if progress.pacing_ms is None else f"{progress.pacing_ms:.2f}", "muted"),
        least=11,
        most=11,
        align="right",
        fold=1,
    ),
    Column("session", lambda progress: text(progress.session_id or "", "muted"), least=12, most=24, fold=3),
    Column("note", lambda progress: text(progress.note, "incomplete"), least=10, most=80, fold=2, elastic=True),
)


def progress_line(run: ReplayRun, sessions: int, *, is_over: bool) -> Line:
    """Say how far a run is."""
    outcomes = [trial.outcome for trial in run.all_trials]
    failed, ok = outcomes.count("failed"), outcomes.count("ok")
    others = len(outcomes) - failed - ok
    state = f" {run.status}" if is_over else " running"
    return (
        *text(f" run {run.run_id}", "strong"),
        *text(f"{state} · {len(outcomes):,} of {sessions:,} · ", "muted"),
        Run(f"▲ {failed:,} failed", "failed" if failed else "muted"),
        Run(f"  ● {ok:,} ok", "ok" if ok else "muted"),
        *(text(f"  ◐ {others:,} not counted", "incomplete") if others else ()),
    )
