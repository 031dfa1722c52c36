"""Measure the proxy beside other relays: latency, CPU, memory and a flood, in one run on one machine.

Run `python bench/relay.py [--quick] [--runs N] [--peers A,B] [--sessions 1,50,flood] [--json FILE]`. Latency is one
way, from a client's write to the endpoint's read, on one clock; clients and endpoint have a process each and share
the machine with the relay. Every session sends 1.3 KB every 20 ms and gets bursts of audio deltas. Absolute figures
belong to the machine: the targets are ratios inside one run, and the median of the runs decides.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.traffic.environments import Ends
from bench.traffic.peers import Peer, find_peers
from bench.traffic.targets import TARGETS, Run
from bench.traffic.trial import FLOOD, Load, Trial, try_flood, try_voice

LOADS, QUICK_LOADS = (1, 50, 200, 500, FLOOD), (1, 50, FLOOD)
_TLS_LOADS = (50, 500)
_CLIENTS_LAG_MS = 20
"""A whole interval of theirs."""
_narration = Console(stderr=True)


def main() -> int:
    """Run the measurement, print the tables, and say whether the targets are met."""
    chosen = _options().parse_args()
    _raise_file_limit()
    peers, absent, where = find_peers()
    if chosen.peers:
        peers = [peer for peer in peers if peer.name in chosen.peers.split(",")]
    loads = _loads(chosen)
    seconds = chosen.seconds or (3.0 if chosen.quick else 5.0)
    asked = [Load(load, seconds, tick_us=0 if chosen.spread else 1000) for load in loads]
    runs = [Run(_run(peers, where, asked, number)) for number in range(1, chosen.runs + 1)]
    rows = _medians(runs)
    for load in loads:
        _print_load(load, [row for row in rows if row.sessions == load], peers)
    told = [*_conditions(where, asked[0], chosen.runs, absent), *_disturbances(rows)]
    print("\n".join(told))
    judged = _judge(runs)
    if chosen.json:
        chosen.json.write_text(json.dumps(_as_json(runs, rows, judged, told), indent=2) + "\n")
    return 1 if any(met is False for _, _, met in judged) else 0


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--quick", action="store_true", help="1 and 50 sessions and the flood, 3 s each")
    options.add_argument("--runs", type=int, default=1, help="the targets take the median of them")
    options.add_argument("--peers", metavar="A,B", help="only these rows, as the table names them")
    options.add_argument("--sessions", metavar="1,50,flood", help="only these loads")
    options.add_argument("--seconds", type=float, help="to measure each, after a second of warming up")
    options.add_argument("--spread", action="store_true", help="no two messages at once: a wake-up for every one")
    options.add_argument("--json", type=Path, metavar="FILE")
    return options


def _loads(chosen: argparse.Namespace) -> tuple[int, ...]:
    if chosen.sessions:
        return tuple(FLOOD if word == "flood" else int(word) for word in chosen.sessions.split(","))
    return QUICK_LOADS if chosen.quick else LOADS


def _raise_file_limit() -> None:
    # A session takes a relay two sockets and a journal; the children inherit the limit.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _run(peers: Sequence[Peer], where: Ends, loads: Sequence[Load], number: int) -> list[Trial]:
    trials = []
    for load in loads:
        for peer in peers:
            if load.sessions > peer.most_sessions or (peer.is_tls and load.sessions not in _TLS_LOADS):
                continue
            _narration.print(f"run {number}: {_load_name(load.sessions)}, {peer.name}", style="dim")
            trials.append(_try(peer, where, load))
    return trials


def _try(peer: Peer, where: Ends, load: Load) -> Trial:
    try:
        return (try_flood if load.sessions == FLOOD else try_voice)(peer, where, load)
    except (RuntimeError, OSError) as error:
        _narration.print(f"{peer.name}: {error}", style="red", markup=False)
        return Trial(peer.name, load.sessions, "", problem=str(error).splitlines()[0])


def _medians(runs: Sequence[Run]) -> list[Trial]:
    """Make one row a peer and load, each figure the median of the runs."""
    rows = []
    for first in runs[0].trials:
        numbers = {name for name, value in first.as_json().items() if isinstance(value, int | float)} - {"sessions"}
        middle: dict[str, Any] = {name: median(_values(runs, first, name)) for name in numbers}
        all_same = {run.value(first.peer, first.sessions, "same") for run in runs}
        same = first.same if len(all_same) == 1 else "no"
        rows.append(replace(first, same=same, **middle))
    return rows


def _values(runs: Sequence[Run], row: Trial, name: str) -> list[float]:
    values = (run.value(row.peer, row.sessions, name) for run in runs)
    return [value for value in values if value is not None]


def _load_name(load: int) -> str:
    if load == FLOOD:
        return "flood, 1.4 KB messages over one connection"
    return "1 session at voice pace" if load == 1 else f"{load} sessions at voice pace"


def _print_load(load: int, rows: Sequence[Trial], peers: Sequence[Peer]) -> None:
    if not rows:
        return
    table = Table(title=_load_name(load), title_justify="left", title_style="bold", box=None, pad_edge=False)
    notes = {peer.name: peer.note for peer in peers}
    run = Run(rows)
    columns = _flood_columns if load == FLOOD else _voice_columns
    for name in columns(rows[0], run):
        table.add_column(name, justify="left" if name in ("relay", "loop", "same", "") else "right")
    for row in rows:
        cells = columns(row, run)
        table.add_row(*(cells | {"": row.problem or notes.get(row.peer, "")}).values())
    # Wide enough for all columns, also in a log file.
    Console(width=max(160, Console().width), highlight=False).print(table, "", markup=False)


def _voice_columns(row: Trial, run: Run) -> dict[str, str]:
    return {
        "relay": row.peer,
        "loop": row.loop,
        "p50 µs": _number(row.p50_us),
        "added": _number(run.added_us(row.peer, row.sessions) if "direct" not in row.peer else None),
        "p99": _number(row.p99_us),
        "added p99": _number(run.added_us(row.peer, row.sessions, "p99_us") if "direct" not in row.peer else None),
        "p99.9": _number(row.p999_us),
        "> 20 ms": _number(row.late),
        "missing": _number(row.missing),
        "CPU µs/msg": _number(row.cpu_us, 1),
        "+ journals": _number(row.journal_cpu_us, 1),
        "core %": _number(row.core_percent, 1),
        "MB": _number(row.memory_mb),
        "same": row.same or "",
        "": "",
    }


def _flood_columns(row: Trial, _: Run) -> dict[str, str]:
    return {
        "relay": row.peer,
        "loop": row.loop,
        "messages/s": _number(row.flood_per_s),
        "CPU µs/msg": _number(row.cpu_us, 2),
        "core %": _number(row.core_percent, 1),
        "MB": _number(row.memory_mb),
        "recorded %": _number(row.recorded_percent, 1),
        "": "",
    }


def _number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _conditions(where: Ends, load: Load, runs: int, absent: Sequence[str]) -> list[str]:
    shared = f"clients and endpoint ({where.loop}) share {os.cpu_count()} cores with the relay"
    pace = f"timers of {load.tick_us / 1000:g} ms" if load.tick_us else "messages spread evenly"
    counted = f"{load.seconds:g} s each after {load.warm_up_s:g} s of warming up"
    load_1m = f"load average {os.getloadavg()[0]:.1f}"
    told = "; ".join((shared, load_1m, pace, counted, f"median of {runs} runs" if runs > 1 else "one run"))
    return [told, *(f"left out: {reason}" for reason in absent)]


def _disturbances(rows: Sequence[Trial]) -> list[str]:
    """Say where the machine was too busy: figures of that load are the machine's and not the relays'."""
    told = []
    for row in rows:
        is_late = row.peer == "direct" and row.late
        lag_ms = (row.generator_late_p99_us or 0) / 1000
        if is_late or lag_ms > _CLIENTS_LAG_MS:
            late = f"{row.late} messages over 20 ms late, " if is_late else ""
            told.append(
                f"disturbed: {row.peer}, {_load_name(row.sessions)}: {late}clients {lag_ms:.0f} ms behind (p99)"
            )
    return told


def _judge(runs: Sequence[Run]) -> list[tuple[str, float | None, bool | None]]:
    judged = [(target.name, *target.judge(runs)) for target in TARGETS]
    print()
    for name, figure, met in judged:
        verdict = {True: "ok", False: "MISSED", None: "not measured"}[met]
        print(f"{verdict:12}  {name}" + ("" if figure is None else f": {figure:,.3g}"))
    missed = [name for name, _, met in judged if met is False]
    measured = sum(met is not None for _, _, met in judged)
    print(f"{measured - len(missed)} of {measured} measured targets met, {len(judged) - measured} not measured")
    return judged


def _as_json(
    runs: Sequence[Run], rows: Sequence[Trial], judged: Sequence[tuple[str, float | None, bool | None]], told: list[str]
) -> dict[str, Any]:
    return {
        "conditions": told,
        "medians": [row.as_json() for row in rows],
        "runs": [[trial.as_json() for trial in run.trials] for run in runs],
        "targets": [{"name": name, "figure": figure, "met": met} for name, figure, met in judged],
    }


if __name__ == "__main__":
    sys.exit(main())
