"""Measure the questions that the terminal and the command line ask, over roots of many sessions.

Run `python bench/queries.py [--quick] [--json FILE]`. The roots are made of copies of real sealed calls (bench/roots):
10,000 sessions hold 14 million events. Each question is asked once of a store that was just opened (the files are in
the page cache) and five times after that, of which the median counts. Then the same question is put to the same
messages as JSON lines, and the terminal interface is opened over 100,000 sessions.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from statistics import median

from analyze.findings import find_all
from analyze.queries import Queries
from analyze.signatures import load_signatures
from analyze.store import Store
from bench.roots.filling import fill
from bench.roots.json_lines import LIKE, ask_duckdb, ask_jq, has_jq, write_json_lines
from bench.roots.terminal import open_root
from capture.recording.root import Root

_RUNS = 5
_LIKE = f"SELECT COUNT(*) FROM errors WHERE error_message LIKE '{LIKE}'"  # noqa: S608 - words of ours
_LATENCIES = (
    "SELECT name, quantile_cont(latency_ms, [0.5, 0.95, 0.99]) FROM latencies WHERE name = 'first_audio' GROUP BY name"
)
_OLDEST = "03-02 06:00:00"
"""How the screen writes when the first session of a root began."""


@dataclass(frozen=True)
class Question:
    """What is asked, and what it may take of a root of 10,000 sessions."""

    name: str
    ask: Callable[[Queries], object]
    target_ms: float | None = None
    """Of a warm store; None: measured only."""


@dataclass(frozen=True)
class Figure:
    """What one question took of one root, or what one use of the terminal took."""

    root: str
    name: str
    first: float
    then: float
    target: float | None = None
    unit: str = "ms"

    @property
    def is_met(self) -> bool:
        """Whether its target was met."""
        return self.target is None or self.then <= self.target


def _list_screen(queries: Queries) -> None:
    listed = queries.sessions_in_order()
    queries.sessions_by_id(listed.session_ids[:100])
    queries.session_count()


@lru_cache(maxsize=1)
def _newest(queries: Queries) -> str:
    return queries.resolve("last")


@lru_cache(maxsize=1)
def _ids(queries: Queries) -> Iterator[str]:
    return iter(queries.sessions_in_order().session_ids)


def _same_session(queries: Queries) -> None:
    queries.session(_newest(queries))


def _another_session(queries: Queries) -> None:
    queries.session(next(_ids(queries)))


def _session_screen(queries: Queries) -> None:
    session_id = _newest(queries)
    queries.session(session_id)
    queries.timeline(session_id)
    for track in ("client", "server"):
        queries.levels(session_id, track, 120)


def _failures_screen(queries: Queries) -> None:
    queries.failures(["region", "transcription_model"])
    queries.runs()


def _diff_screen(queries: Queries) -> None:
    queries.side_by_side(queries.sessions_in_order().session_ids[:2])


QUESTIONS = (
    Question("list of 100", lambda queries: queries.sessions(limit=100), 15),
    Question("matrix", lambda queries: queries.failures(["region", "transcription_model"]), 15),
    Question("error message LIKE", lambda queries: queries.store.console(_LIKE), 60),
    Question("percentiles of the first audio", lambda queries: queries.store.console(_LATENCIES), 170),
    Question("the id that `last` means", lambda queries: queries.resolve("last")),
    Question("one session", _same_session, 15),
    Question("another session each time", _another_session),
    Question("screen Sessions", _list_screen, 200),
    Question(
        "screen Sessions by first audio", lambda queries: queries.sessions_in_order(order=("first_audio", True)), 200
    ),
    Question("screen Failures", _failures_screen, 200),
    Question("screen Session", _session_screen, 200),
    Question("screen Diff", _diff_screen, 200),
    Question("all signatures", lambda queries: find_all(queries.store), 3000),
)


def main() -> int:
    """Make the roots, ask, print the table, and say whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="1,000 sessions instead of 10,000, 20,000 in the terminal")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    sizes, in_terminal = ((100, 1_000), 20_000) if options.quick else ((100, 1_000, 10_000), 100_000)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        for sessions in sizes:
            figures += measure_root(
                Path(folder) / f"{sessions}", f"{sessions:,}", sessions, has_target=sessions == sizes[-1]
            )
        figures += measure_root(Path(folder) / "own", "1,000 in own files", 1_000, compacted=False)
        figures += measure_growth(figures, sizes)
        figures += measure_json_lines(Path(folder))
        figures += measure_terminal(Path(folder) / "listed", in_terminal)
    report(figures)
    missed = [f"{figure.name} ({figure.root})" for figure in figures if not figure.is_met]
    print(f"MISSED: {', '.join(missed)}" if missed else "all targets met")
    if options.json:
        found = {"figures": [asdict(figure) for figure in figures], "missed": missed}
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 1 if missed else 0


def measure_root(
    path: Path, name: str, sessions: int, *, compacted: bool = True, has_target: bool = False
) -> list[Figure]:
    """Make a root and ask it everything; the targets are those of the largest, and of the list everywhere."""
    events = fill(path, sessions, compacted=compacted)
    print(f"{name} sessions, {events:,} events", flush=True)
    started_ns = time.perf_counter_ns()
    with Store(Root(path)):
        opened = Figure(name, "open", _elapsed_ms(started_ns), _elapsed_ms(started_ns))
    own_target_ms = None if compacted else 150.0
    return [
        opened,
        *(
            measure(
                path,
                name,
                question,
                question.target_ms if has_target else own_target_ms if _is_list(question) else None,
            )
            for question in QUESTIONS
        ),
    ]


def _is_list(question: Question) -> bool:
    return question.name in ("list of 100", "matrix")


def measure(path: Path, root: str, question: Question, target_ms: float | None) -> Figure:
    """Ask one question of a store of its own."""
    with Store(Root(path)) as store:
        queries = Queries(store)
        first_ms, *then_ms = (_timed_ms(lambda: question.ask(queries)) for _ in range(1 + _RUNS))
    return Figure(root, question.name, first_ms, median(then_ms), target_ms)


def measure_growth(figures: Sequence[Figure], sizes: Sequence[int]) -> list[Figure]:
    """Tell how much more each question takes of the largest root than of the one before, which holds a tenth."""
    before, largest = (f"{size:,}" for size in sizes[-2:])
    took = {(figure.root, figure.name): figure.then for figure in figures}
    return [
        Figure(
            "growth",
            question.name,
            took[before, question.name],
            took[largest, question.name] / took[before, question.name],
            10,
            "x",
        )
        for question in QUESTIONS
    ]


def measure_json_lines(folder: Path) -> list[Figure]:
    """Put the question for an error's words to a root of 100 sessions, and to its messages as JSON lines."""
    lines = folder / "messages.jsonl"
    write_json_lines(Root(folder / "100"), lines)
    with Store(Root(folder / "100")) as store:
        found = store.console(_LIKE).rows[0][0]
    peers: list[tuple[str, Callable[[Path], int]]] = [("DuckDB over JSON lines", ask_duckdb)]
    if has_jq():
        peers.append(("jq over JSON lines", ask_jq))
    else:
        print("left out: jq, which is not installed (apt-get install jq)")
    figures = []
    for name, ask in peers:
        if ask(lines) != found:
            raise RuntimeError(f"{name} does not find the {found} errors that the recording has")
        first_ms, then_ms = (_timed_ms(partial(ask, lines)) for _ in range(2))
        figures.append(Figure("100", f"error message LIKE: {name}", first_ms, then_ms))
    return figures


def measure_terminal(path: Path, sessions: int) -> list[Figure]:
    """Open the terminal interface over rows of the sessions table alone, and go to its end."""
    fill(path, sessions, tables=("sessions",))
    name = f"{sessions:,} listed"
    page = measure(path, name, Question("a page in the middle", _paging()), 15)
    order = measure(path, name, Question("put in order, counted", lambda queries: queries.sessions_in_order()), 200)
    first, then = open_root(path, sessions, _OLDEST), open_root(path, sessions, _OLDEST)
    return [
        page,
        order,
        Figure(name, "terminal: first paint", first.frame_ms, then.frame_ms, 400),
        Figure(name, "terminal: newest sessions", first.newest_ms, then.newest_ms),
        Figure(name, "terminal: all of them", first.whole_ms, then.whole_ms),
        Figure(name, "terminal: to the oldest", first.end_ms, then.end_ms, 200),
        Figure(name, "terminal: most memory", first.peak_mb, then.peak_mb, 600, "MB"),
    ]


def _paging() -> Callable[[Queries], object]:
    ids: list[str] = []

    def ask(queries: Queries) -> object:
        if not ids:
            ids.extend(queries.sessions_in_order().session_ids)
        return queries.sessions_by_id(ids[len(ids) // 2 :][:100])

    return ask


def _timed_ms(work: Callable[[], object]) -> float:
    started_ns = time.perf_counter_ns()
    work()
    return _elapsed_ms(started_ns)


def _elapsed_ms(started_ns: int) -> float:
    return (time.perf_counter_ns() - started_ns) / 1e6


def report(figures: Sequence[Figure]) -> None:
    """Print the table, root by root."""
    print(f"\n{'root':22} {'question':42} {'first':>9} {'then':>9} {'target':>9}")
    for figure in figures:
        target = "–" if figure.target is None else f"{figure.target:,.0f} {figure.unit}"
        print(f"{figure.root:22} {figure.name:42} {figure.first:9,.1f} {figure.then:9,.1f} {target:>9}")
    print(f"\nof {len(load_signatures())} signatures; growth: ms of the root of a tenth, and the ratio")


if __name__ == "__main__":
    sys.exit(main())
