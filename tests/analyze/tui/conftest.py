"""A source that holds made-up answers: fixed ids, fixed times, a hostile payload, the founding incident."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_textual_snapshot import SVGImageExtension  # type: ignore[import-untyped]
from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen

from analyze.answers import (
    DiffRow,
    EventDetail,
    Facet,
    FailureMatrix,
    LatencyDelta,
    MatrixCell,
    PathChange,
    RateOverTime,
    RunSummary,
    SessionDetail,
    SessionDiff,
    SessionSummary,
    TimelineRow,
    TranscriptDiff,
    Turn,
)
from analyze.audio_health import NO_AUDIO, AudioHealth
from analyze.findings import Finding, UnknownFailure, find_unknown
from analyze.over_time import rates_over_time
from analyze.session_order import FINDING as BY_FINDING
from analyze.session_order import NEWEST_FIRST, ListedSessions, NotedSession, Order, order_sql
from analyze.side_by_side import SideBySide, set_beside
from analyze.summaries import by_finding
from analyze.tui.console_source import ConsoleSource
from capture.errors import UsageProblem
from capture.following import FollowedSession
from capture.live import LiveSession
from capture.recording.root import Root
from replay.simulator import Simulator
from replay.statistics import wilson
from replay.verdict import Verdict
from tests.sample import SAMPLE

# pytest-textual-snapshot 1.0.0 sets the name that syrupy had before 5; without this the pictures end in `.raw`.
SVGImageExtension.file_extension = "svg"

TARGETS = """
[targets.eastus2]
url = "ws://127.0.0.1:9/eastus2/openai/v1/realtime"
model = "gpt-realtime"
region = "eastus2"
[targets.swedencentral]
url = "ws://127.0.0.1:9/swedencentral/openai/v1/realtime"
model = "gpt-realtime"
region = "swedencentral"
"""
"""A wiretape.toml; nobody listens there."""


def targets_of(simulator: Simulator) -> str:
    """Write the same wiretape.toml for a simulator."""
    return TARGETS.replace("ws://127.0.0.1:9", simulator.origin)


FIRST_AT = datetime(2026, 2, 12, 8, 30, 55, tzinfo=UTC)
FAILURE_KEY = (
    "conversation.item.input_audio_transcription.failed|server_error|null|"
    "Input transcription failed for item '<id>'. Please try again."
)
CONCLUSION = "it takes both. Neither the target (region eastus2) nor the transcription model alone explains it."
SENTENCE = (
    "With this session transcription fails at eastus2 with gpt-4o-transcribe, 5/5; 0/5 at swedencentral with"
    " gpt-4o-transcribe, 0/5 at eastus2 with whisper-1, 0/5 at swedencentral with whisper-1: "
    f"{CONCLUSION} The same audio passes in the three other cells. Other audio, other options, the realtime model and"
    " the dialect were not tested."
)
FINDING = Finding(
    session_id="",
    name="transcription_model_path_failure",
    confidence="likely",
    evidence=(106,),
    first_at=FIRST_AT,
    last_at=FIRST_AT + timedelta(seconds=31),
    numbers={"failed_transcriptions": 1.0},
    explains=(FAILURE_KEY,),
)
HOSTILE = "\x1b[31mred\x1b[0m [bold]not bold[/bold] \u202egnp.exe"


def make_session(
    number: int, *, region: str, transcription: str, failed: bool, replayed: bool = True
) -> SessionSummary:
    return SessionSummary(
        session_id=f"20260212T0830{55 - number:02d}-{0x4F3A9C12 + number:08x}",
        started_at=FIRST_AT - timedelta(seconds=number),
        role="replayed" if replayed else "captured",
        target=region,
        provider="simulator",
        region=region,
        model="gpt-realtime",
        transcription_model=transcription,
        dialect="ga",
        turns=1,
        duration_ms=9812.0 + number * 3,
        first_audio_ms=598.0 + number * 7,
        outcome="failed" if failed else "ok",
        errors=int(failed),
        first_error="Input transcription failed" if failed else None,
        failure_keys=(FAILURE_KEY,) if failed else (),
        complete=True,
        run_id="r20260212T083000-7c1d" if replayed else None,
        cell=f"{region} · transcription.model={transcription}" if replayed else None,
        trial=number % 5 + 1 if replayed else None,
        trial_outcome=("failed" if failed else "ok") if replayed else None,
        replay_of="20260212T083035-4f3a9c26" if replayed else None,
        tags={},
    )


def make_sessions() -> list[SessionSummary]:
    cells = [(r, t) for r in ("eastus2", "swedencentral") for t in ("gpt-4o-transcribe", "whisper-1")]
    replayed = [
        make_session(number, region=region, transcription=model, failed=(region, model) == cells[0])
        for number, (region, model) in enumerate(cell for cell in cells for _ in range(5))
    ]
    captured = make_session(20, region="eastus2", transcription="gpt-4o-transcribe", failed=True, replayed=False)
    cut_off = replace(replayed[7], outcome="incomplete", complete=False, first_audio_ms=None, duration_ms=1203.0)
    return [*replayed[:7], cut_off, *replayed[8:], captured]


def make_noted(session: SessionSummary) -> NotedSession:
    place = session.region or session.target or "unknown"
    return NotedSession(session.session_id, session.outcome, place, next(iter(session.failure_keys), None))


TURN = Turn(
    number=1,
    item_id="item_D81pQ",
    speech_started_ms=780.0,
    speech_stopped_ms=3260.0,
    committed_ms=3402.1,
    first_audio_ms=3871.0,
    response_done_ms=6181.0,
    transcribed_ms=3914.6,
    response_id="resp_D81pR",
    response_status="completed",
    transcription="failed",
    transcript=None,
    answer="Your order left the warehouse this morning.",
)


def row(seq: int, offset_ms: float, sender: str, event_type: str, summary: str = "", **more: object) -> TimelineRow:
    fields: dict[str, object] = {
        "first_seq": seq,
        "last_seq": seq,
        "offset_ms": offset_ms,
        "sender": sender,
        "kind": "event",
        "type": event_type,
        "count": 1,
        "audio_ms": None,
        "error": None,
        "item_id": None,
        "response_id": None,
        "summary": summary,
    }
    return TimelineRow(**(fields | more))  # type: ignore[arg-type]


FAILED = "conversation.item.input_audio_transcription.failed"
TIMELINE = [
    row(0, 0.4, "server", "session.created", "gpt-realtime"),
    row(1, 1.9, "client", "session.update", "transcription gpt-4o-transcribe"),
    row(2, 4.0, "server", "session.updated"),
    row(3, 20.3, "client", "input_audio_buffer.append", last_seq=9, count=7, audio_ms=140.0),
    row(10, 780.0, "server", "input_audio_buffer.speech_started", "at 0.8 s"),
    row(11, 800.2, "client", "input_audio_buffer.append", last_seq=60, count=50, audio_ms=1000.0),
    row(61, 3260.0, "server", "input_audio_buffer.speech_stopped"),
    row(62, 3402.1, "server", "input_audio_buffer.committed", "item_D81pQ"),
    row(63, 3402.9, "server", "conversation.item.added", "user · " + HOSTILE),
    row(64, 3871.0, "server", "response.output_audio.delta", last_seq=105, count=41, audio_ms=2310.0),
    row(106, 3914.6, "server", FAILED, error="server_error: Input transcription failed for item 'item_D81pQ'."),
    row(107, 6181.0, "server", "response.done", "completed · 212 tokens"),
    row(108, 6182.0, "server", "rate_limits.updated"),
    row(109, 9800.0, "client", "", "1000", kind="close", type=None),
]


def make_event(seq: int) -> EventDetail:
    folded = next(row for row in TIMELINE if row.first_seq <= seq <= row.last_seq)
    payload: dict[str, object] = {"type": folded.type, "event_id": f"event_{seq:04d}"}
    if folded.type == FAILED:
        payload["item_id"] = "item_D81pQ"
        payload["error"] = {"type": "server_error", "code": None, "message": "Input transcription failed for item."}
    if folded.type == "conversation.item.added":
        payload["item"] = {"role": "user", "content": [{"type": "input_text", "text": HOSTILE}]}
    if folded.audio_ms:
        payload["audio"] = "«0.02 s of audio»"
    offset_ms = (folded.offset_ms or 0.0) + 20.0 * (seq - folded.first_seq)
    return EventDetail(
        seq=seq,
        offset_ms=offset_ms,
        at=FIRST_AT + timedelta(milliseconds=offset_ms),
        sender=folded.sender,
        kind=folded.kind,
        type=folded.type,
        payload=json.dumps(payload, ensure_ascii=False),
        wire_bytes=1301,
        redacted=folded.type == "session.update",
    )


def unfolded(folded: TimelineRow) -> list[TimelineRow]:
    return [
        replace(folded, first_seq=seq, last_seq=seq, count=1, audio_ms=20.0, offset_ms=make_event(seq).offset_ms)
        for seq in range(folded.first_seq, folded.last_seq + 1)
    ]


def make_cell(row_name: str, column: str, sessions: Sequence[SessionSummary], not_counted: int = 0) -> MatrixCell:
    failed = sum(session.outcome == "failed" for session in sessions)
    low, high = wilson(failed, len(sessions))
    ids = tuple(session.session_id for session in sessions)
    return MatrixCell(row_name, column, failed, len(sessions), low, high, not_counted, ids)


def make_matrix(by: Sequence[str], sessions: Sequence[SessionSummary]) -> FailureMatrix:
    def value(session: SessionSummary, name: str) -> str:
        return str(getattr(session, name, None) or "–")

    counted = [session for session in sessions if session.outcome != "incomplete"]
    rows = tuple(sorted({value(session, by[0]) for session in sessions}))
    columns = tuple(sorted({value(session, by[1]) for session in sessions}))
    cells = {
        (r, c): make_cell(r, c, [s for s in counted if (value(s, by[0]), value(s, by[1])) == (r, c)])
        for r in rows
        for c in columns
    }
    return FailureMatrix(
        by=tuple(by),
        rows=rows,
        columns=columns,
        cells=cells,
        row_totals={r: make_cell(r, "all", [s for s in counted if value(s, by[0]) == r]) for r in rows},
        column_totals={c: make_cell("all", c, [s for s in counted if value(s, by[1]) == c]) for c in columns},
        total=make_cell("all", "all", counted, len(sessions) - len(counted)),
    )


@dataclass
class FakeSource:
    """Answers from memory; keeps what it was asked."""

    root: Root
    listed: list[SessionSummary]
    in_flight: list[LiveSession] = field(default_factory=list)
    health: AudioHealth = NO_AUDIO
    opens_slowly: bool = False
    """Whether there is anything to glance at before the root is open."""
    slow: str = ""
    failing: dict[str, Exception] = field(default_factory=dict)
    """Questions that raise, by name."""
    foreign: dict[Path, str] = field(default_factory=dict)
    asked: list[tuple[object, ...]] = field(default_factory=list)
    looks: int = 0
    console: ConsoleSource = field(default_factory=lambda: ConsoleSource(SAMPLE))
    """The real one, over the sample in the repository."""

    def _note(self, *question: object) -> None:
        self.asked.append(question)
        if problem := self.failing.get(str(question[0])):
            raise problem

    def live(self) -> list[LiveSession]:
        return list(self.in_flight)

    def follow(self, session_id: str) -> FollowedSession:
        return FollowedSession(self.root, session_id, clock_s=lambda: (FIRST_AT + timedelta(seconds=14)).timestamp())

    def annotate(self, session_ids: Sequence[str], tags: Mapping[str, str | None], notes: Sequence[str]) -> None:
        self._note("annotate", tuple(session_ids), dict(tags), tuple(notes))
        self.looks += 1
        given = {name: value for name, value in tags.items() if value is not None}
        self.listed = [
            replace(s, tags=s.tags | given, notes=(*s.notes, *notes)) if s.session_id in session_ids else s
            for s in self.listed
        ]

    def facets(self, filter: str = "") -> list[Facet]:  # noqa: A002
        self._note("facets", filter)
        found = self._picked(filter)
        return [
            Facet(name, value, len(having), sum(s.outcome == "failed" for s in having))
            for name in ("outcome", "region", "transcription_model", "cell")
            for value in sorted({str(getattr(s, name)) for s in found if getattr(s, name)})
            for having in [[s for s in found if getattr(s, name) == value]]
        ]

    def leave(self) -> None:
        self._note("leave")

    def reload(self) -> None:
        self._note("reload")
        self.looks += 1

    def is_behind(self) -> bool:
        return False

    def unreadable(self) -> dict[Path, str]:
        return self.foreign

    def session_count(self) -> int:
        self._note("session_count")
        return len(self.listed)

    def sessions(self, filter: str = "", *, limit: int | None = None) -> list[SessionSummary]:  # noqa: A002
        self._note("sessions", filter, limit)
        return self._picked(filter)[:limit]

    def _picked(self, filter: str) -> list[SessionSummary]:  # noqa: A002
        terms = [term.partition(":") for term in filter.split()]
        for name, _, _ in terms:
            if self.listed and not hasattr(self.listed[0], name):
                raise UsageProblem(f"sessions have no field {name!r} to filter by; nearest are region, role")
        return [s for s in self.listed if all(str(getattr(s, name)) == wanted for name, _, wanted in terms)]

    def glance(self, limit: int) -> tuple[list[SessionSummary], int] | None:
        self._note("glance", limit)
        return (self.listed[:limit], len(self.listed)) if self.opens_slowly else None

    def sessions_in_order(
        self,
        filter: str = "",  # noqa: A002
        *,
        order: Order = NEWEST_FIRST,
        only: Collection[str] | None = None,
        names: Mapping[str, tuple[str, ...]] | None = None,
    ) -> ListedSessions:
        self._note("sessions_in_order", filter, order)
        order_sql(order)
        found = [s for s in self.sessions(filter) if only is None or s.session_id in only]
        noted = tuple(map(make_noted, (s for s in found if s.outcome != "ok" or s.failure_keys)))
        field_name = {
            "started": "started_at",
            "duration": "duration_ms",
            "first_audio": "first_audio_ms",
            "run": "run_id",
        }
        if order != NEWEST_FIRST and order[0] != BY_FINDING:
            name = field_name.get(order[0], order[0])

            def value(session: SessionSummary) -> Any:
                if name == "said":
                    return " ".join([*map("=".join, session.tags.items()), *session.notes[-1:]])
                return getattr(session, name)

            found.sort(key=lambda s: (value(s) is not None, value(s) or ""), reverse=order[1])
        listed = ListedSessions([s.session_id for s in found], noted)
        return by_finding(listed, names or {}, descends=order[1]) if order[0] == BY_FINDING else listed

    def sessions_by_id(self, session_ids: Sequence[str]) -> list[SessionSummary]:
        self._note("sessions_by_id", len(session_ids))
        wanted = set(session_ids)
        return [s for s in self.listed if s.session_id in wanted]

    def session(self, session_id: str) -> SessionDetail:
        self._note("session", session_id)
        summary = next(session for session in self.listed if session.session_id == session_id)
        asked = {"audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}, "instructions": "Be brief."}
        echoed = {
            "audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}, "output": {"voice": "marin"}},
            "instructions": "Be brief and kind.",
        }
        slower = 0.0 if summary.outcome == "failed" else 122.0
        turn = replace(TURN, first_audio_ms=3871.0 + slower)
        return SessionDetail(summary, {"server_session_id": "sess_D81pA"}, asked, echoed, (turn,), (), self.health)

    def timeline(self, session_id: str) -> list[TimelineRow]:
        self._note("timeline", session_id)
        return TIMELINE

    def run(self, session_id: str, row: TimelineRow) -> list[TimelineRow]:
        self._note("run", session_id, row.first_seq)
        return unfolded(row)

    def events(self, session_id: str, first_seq: int, last_seq: int) -> list[EventDetail]:
        self._note("events", session_id, first_seq, last_seq)
        return [make_event(seq) for seq in range(first_seq, last_seq + 1)]

    def levels(self, session_id: str, track: str, bins: int) -> list[float]:
        self._note("levels", session_id, track, bins)
        begin, end = (0.08, 0.33) if track == "client" else (0.4, 0.63)
        loud = range(int(begin * bins), int(end * bins))
        return [0.005 * 2 ** (7 * abs(math.sin(at / 9))) if at in loud else 0.0 for at in range(bins)]

    def event_levels(self, session_id: str, row: TimelineRow, bins: int) -> list[float]:
        self._note("event_levels", session_id, row.first_seq, row.last_seq, bins)
        return [0.005 * 2 ** (7 * abs(math.sin(at / 3))) for at in range(bins)]

    def find(self, session_id: str, words: str) -> list[int]:
        self._note("find", session_id, words)
        seqs = range(TIMELINE[-1].last_seq + 1)
        return [seq for seq in seqs if words.casefold() in make_event(seq).payload.casefold()]

    def side_by_side(self, session_ids: Sequence[str]) -> SideBySide:
        self._note("side_by_side", *session_ids)
        baseline, *others = session_ids
        details = [self.session(session_id) for session_id in session_ids]
        # The third is like the baseline: then rows and places differ in some of the sessions only.
        diffs = [self._diff(baseline, other) for other in others]
        diffs[1:2] = [_alike(diff) for diff in diffs[1:2]]
        return set_beside(details, diffs)

    def _diff(self, left_id: str, right_id: str) -> SessionDiff:
        left, right = self.session(left_id).summary, self.session(right_id).summary
        completed = row(106, 3950.0, "server", FAILED.replace("failed", "completed"), "Where is my order?")
        changed = PathChange("session.audio.input.transcription.model", '"gpt-4o-transcribe"', '"whisper-1"')
        rows = (
            *(DiffRow("=", None, r, r, (), None, None) for r in (TIMELINE[0],)),
            DiffRow("≠", None, TIMELINE[1], TIMELINE[1], (changed,), None, None),
            *(DiffRow("=", 1, r, r, (), 10.0, 14.0) for r in TIMELINE[2:10]),
            DiffRow("-", 1, TIMELINE[10], None, (), 654.6, None),
            DiffRow("+", 1, None, completed, (), None, 690.0),
            *(DiffRow("=", 1, r, r, (), 10.0, 14.0) for r in TIMELINE[11:13]),
        )
        return SessionDiff(
            left=left,
            right=right,
            rows=rows,
            configuration_asked=(changed,),
            configuration_echoed=(),
            latencies=(
                LatencyDelta("first_audio", 1, 611.0, 733.0),
                LatencyDelta("commit", 1, 142.0, 141.0),
                LatencyDelta("transcription", 1, 512.5, None),
            ),
            transcripts=(
                TranscriptDiff(1, "user", None, "Where is my order?", (("+", "Where is my order?"),)),
                TranscriptDiff(
                    1,
                    "assistant",
                    "Your order left the warehouse this morning.",
                    "Your parcel left the warehouse today.",
                    (
                        ("=", "Your"),
                        ("-", "order"),
                        ("+", "parcel"),
                        ("=", "left the warehouse"),
                        ("-", "this morning."),
                        ("+", "today."),
                    ),
                ),
            ),
        )

    def failures(self, by: Sequence[str], *, filter: str = "") -> FailureMatrix:  # noqa: A002
        self._note("failures", *by)
        return make_matrix(by, self._picked(filter))

    def failures_over_time(self, by: str | None = None, *, filter: str = "") -> list[RateOverTime]:  # noqa: A002
        self._note("failures_over_time", by, filter)
        return rates_over_time(
            [
                {
                    "started_at": s.started_at and s.started_at.replace(tzinfo=None),
                    "outcome": s.outcome,
                    "label": getattr(s, by or "region"),
                }
                for s in self._picked(filter)
            ]
        )

    def findings(self, filter: str = "") -> list[Finding]:  # noqa: A002
        self._note("findings")
        named = [session.session_id for session in self._picked(filter) if FAILURE_KEY in session.failure_keys]
        return [replace(FINDING, session_id=session_id) for session_id in named]

    def session_findings(self, session_id: str) -> list[Finding]:
        self._note("session_findings", session_id)
        summary = next(session for session in self.listed if session.session_id == session_id)
        return [replace(FINDING, session_id=session_id)] if FAILURE_KEY in summary.failure_keys else []

    def unknown_failures(self, filter: str = "") -> list[UnknownFailure]:  # noqa: A002
        self._note("unknown_failures", filter)
        rows = [asdict(session) for session in reversed(self._picked(filter))]
        return find_unknown(rows, self.findings())

    def runs(self) -> list[RunSummary]:
        self._note("runs")
        replayed = [session for session in self.listed if session.run_id]
        if not replayed:
            return []
        origin = tuple({session.replay_of for session in replayed if session.replay_of})
        return [RunSummary(str(replayed[0].run_id), FIRST_AT, origin, 4, len(replayed), 5, 14, 1)]

    def verdict(self, *run_ids: str) -> Verdict:
        self._note("verdict", *run_ids)
        return Verdict(" + ".join(run_ids), "20260212T083035-4f3a9c26", "combination", SENTENCE, (), (), (), CONCLUSION)

    def audio_health(self, session_id: str) -> AudioHealth:
        self._note("audio_health", session_id)
        return self.health

    def play(self, session_id: str, track: str) -> Any:
        self._note("play", session_id, track)
        return SimpleNamespace(ended=Event(), stop=lambda: self._note("stop"))

    def write_wav(self, session_id: str, folder: Path, *, overwrite: bool = False) -> list[Path]:
        self._note("write_wav", session_id, folder, overwrite)
        return [folder / f"{session_id}-{track}.wav" for track in ("client", "server")]


def _alike(diff: SessionDiff) -> SessionDiff:
    equal = [row for row in diff.rows if row.left is not None]
    rows = tuple(
        replace(row, marker="=", right=row.left, changes=(), latency_right_ms=row.latency_left_ms) for row in equal
    )
    said = tuple(replace(each, right=each.left, words=(("=", each.left or ""),)) for each in diff.transcripts)
    return replace(diff, rows=rows, configuration_asked=(), transcripts=said)


@pytest.fixture
def source() -> Iterator[FakeSource]:
    """The founding incident: one captured session, 20 replays in four cells, one of them cut off."""
    made = FakeSource(Root(Path("recordings")), make_sessions())
    yield made
    made.console.close()


@pytest.fixture
def empty_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSource:
    monkeypatch.chdir(tmp_path)
    Path("recordings").mkdir()
    return FakeSource(Root(Path("recordings")), [])


@pytest.fixture
def make_live() -> Callable[..., LiveSession]:
    """Make a session in flight, the newest with the highest number."""

    def make(number: int = 0, **more: object) -> LiveSession:
        fields: dict[str, object] = {
            "session_id": f"20260212T0931{number:02d}-{number:08x}",
            "state": "live",
            "is_left_behind": False,
            "started_at": FIRST_AT + timedelta(hours=1, seconds=number),
            "age_s": 14.2,
            "target": "azure-eastus2",
            "bytes": 1_204_000,
            "sent_bytes": 840_000,
            "lost_bytes": 0,
            "events": 611,
            "last_error": None,
        }
        return LiveSession(**(fields | more))  # type: ignore[arg-type]

    return make


@pytest.fixture
def many_sessions() -> Callable[[int], FakeSource]:
    """Make a source of any number of sessions."""

    def make(count: int) -> FakeSource:
        some = make_sessions()
        listed = [
            replace(some[number % len(some)], session_id=f"20260212T083055-{number:08x}") for number in range(count)
        ]
        return FakeSource(Root(Path("recordings")), listed)

    return make


@pytest.fixture(autouse=True)
def _nothing_is_remembered_of_other_tests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(autouse=True)
def _idle_is_when_nothing_is_left_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for the event loop and the screen themselves.

    Textual takes a process for idle that used less than 1 of 20 ms: on a busy machine that is one which was not let run
    either, and what its screen then shows is half drawn.
    """

    async def pause(pilot: Pilot[Any], delay: float | None = None) -> None:
        await pilot._wait_for_screen()
        await asyncio.sleep(delay or 0)
        await until_nothing_is_ready()
        # It draws nothing while a batch of changes is under way: then it is asked again.
        while is_to_be_drawn(pilot.app.screen):
            pilot.app.screen._on_timer_update()
            await until_nothing_is_ready()

    monkeypatch.setattr(Pilot, "pause", pause)
    monkeypatch.setattr("textual.app.wait_for_idle", until_nothing_is_ready)
    monkeypatch.setattr("textual.pilot.wait_for_idle", until_nothing_is_ready)


async def until_nothing_is_ready(*_: float) -> None:
    """Wait until all other tasks of the loop wait: for an event, a thread, or a timer that lies ahead."""
    # Longer than a frame, so that the timers that draw one come first.
    await asyncio.sleep(0.02)
    while asyncio.get_running_loop()._ready:  # type: ignore[attr-defined]  # noqa: ASYNC110 - no event says so
        await asyncio.sleep(0)


def is_to_be_drawn(screen: Screen[Any]) -> bool:
    """Tell whether the screen's timer would find something to do."""
    is_changed = screen._layout_required or screen._scroll_required or screen._repaint_required
    is_awaited = bool(is_changed or screen._dirty_widgets or screen._callbacks)
    return is_awaited and screen.is_current and not screen.app._exit


@pytest.fixture
def shown() -> Callable[[App[None]], str]:
    """Read the text on the screen."""

    def read(app: App[None]) -> str:
        return "\n".join(strip.text for strip in app.screen._compositor.render_strips())

    return read


@pytest.fixture
def turn() -> Turn:
    return TURN


@pytest.fixture
def timeline() -> list[TimelineRow]:
    return TIMELINE


@pytest.fixture
def hostile() -> str:
    """Text that would colour the terminal, be read as markup, and turn round its letters."""
    return HOSTILE
