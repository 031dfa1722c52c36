"""What the questions are answered with: plain frozen values, shown alike by the command line and the TUI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from analyze.audio_health import NO_AUDIO, AudioHealth

Sender = Literal["client", "server"]
Marker = Literal["=", "≠", "+", "-"]
TranscriptionState = Literal["completed", "failed", "missing"]


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """One session as a row of a list."""

    session_id: str
    started_at: datetime | None
    """UTC; None: an imported session's is not known."""
    role: str
    """`captured`, `replayed` or `imported`."""
    target: str | None
    provider: str | None
    region: str | None
    model: str | None
    transcription_model: str | None
    dialect: str | None
    turns: int
    duration_ms: float | None
    first_audio_ms: float | None
    """Median over the turns from the end of speech to the first audio of the answer; None without one."""
    outcome: str
    """`failed`, `ok` or `incomplete`."""
    errors: int
    first_error: str | None
    failure_keys: tuple[str, ...]
    complete: bool
    run_id: str | None
    cell: str | None
    trial: int | None
    trial_outcome: str | None
    replay_of: str | None
    tags: dict[str, str]
    findings: tuple[str, ...] | None = None
    """Names of what the signatures found, the surest first; None where nobody looked."""
    notes: tuple[str, ...] = ()
    """What people wrote about it later, in the order it was written."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One user turn and its answer; times are milliseconds on the session's clock, None where it did not happen."""

    number: int
    """Counts from 1."""
    item_id: str | None
    speech_started_ms: float | None
    """When the endpoint said that speech had started."""
    speech_stopped_ms: float | None
    committed_ms: float | None
    first_audio_ms: float | None
    response_done_ms: float | None
    transcribed_ms: float | None
    """When the transcription completed or failed."""
    response_id: str | None
    response_status: str | None
    transcription: TranscriptionState | None
    """None where no transcription was asked for."""
    transcript: str | None
    """What the user said, as transcribed."""
    answer: str | None
    """What the assistant said or wrote."""
    asked_ms: float | None = None
    """When the client itself ended the turn: its commit, or its written message."""
    first_transcript_ms: float | None = None
    """When the first words of the transcription came, in pieces or whole."""

    @property
    def end_of_speech_ms(self) -> float | None:
        """Where latencies count from: the end of speech as heard, else as the client said."""
        if self.speech_stopped_ms is not None:
            return self.speech_stopped_ms
        return self.committed_ms if self.asked_ms is None else self.asked_ms

    @property
    def commit_ms(self) -> float | None:
        """Milliseconds from the end of speech to the commit."""
        return _elapsed(self.end_of_speech_ms, self.committed_ms)

    @property
    def first_audio_latency_ms(self) -> float | None:
        """Milliseconds from the end of speech to the first audio of the answer."""
        return _elapsed(self.end_of_speech_ms, self.first_audio_ms)

    @property
    def transcription_latency_ms(self) -> float | None:
        """Milliseconds from the commit to the transcription's end, completed or failed."""
        return _elapsed(self.committed_ms, self.transcribed_ms)

    @property
    def response_latency_ms(self) -> float | None:
        """Milliseconds from the end of speech to the end of the response."""
        return _elapsed(self.end_of_speech_ms, self.response_done_ms)


def _elapsed(start_ms: float | None, end_ms: float | None) -> float | None:
    return None if start_ms is None or end_ms is None else end_ms - start_ms


@dataclass(frozen=True, slots=True)
class TrackFacts:
    """The measures of one audio track of a session."""

    track: str
    """`client`, `server` or `other`."""
    format: str
    rate: int
    duration_ms: float
    rms_dbfs: float | None
    """Loudness of the whole track; -150 for digital silence, None where nobody measured."""
    peak: float | None
    """0..1."""
    clipped: int
    """Samples at full scale."""
    speech_ms: float
    silence_ms: float


@dataclass(frozen=True, slots=True)
class SessionDetail:
    """One session with its configuration, turns and audio."""

    summary: SessionSummary
    row: dict[str, Any]
    """The whole row of the sessions table."""
    configuration_asked: dict[str, Any]
    """Every `session.update` of the client, merged."""
    configuration_echoed: dict[str, Any]
    """The last session that the endpoint sent back."""
    turns: tuple[Turn, ...]
    audio: tuple[TrackFacts, ...]
    audio_health: AudioHealth = NO_AUDIO
    """What is to be said about the audio the client sent."""
    is_transcription_session: bool = False
    """Whether the session only transcribes, so that no answers are due."""


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """One event, or a run of events of one kind folded into one row."""

    first_seq: int
    last_seq: int
    offset_ms: float | None
    """Milliseconds from the session's start to the first event of the row; None: an imported session without times."""
    sender: Sender
    kind: str
    """`event`, `text`, `binary`, `ping`, `pong`, `close`, `raw` or `http`."""
    type: str | None
    count: int
    audio_ms: float | None
    """Audio carried by the row; None where it carries none."""
    error: str | None
    """What failed, in one line; None where nothing did."""
    item_id: str | None
    response_id: str | None
    summary: str
    """A few words for people; control characters are escaped, markup is not."""


@dataclass(frozen=True, slots=True)
class EventDetail:
    """One message as it was stored."""

    seq: int
    offset_ms: float | None
    at: datetime | None
    """UTC; None, as in offset_ms: not known."""
    sender: Sender
    kind: str
    type: str | None
    payload: str
    """The text as stored; cut audio shows as `«0.20 s of audio»`, bytes that are no text as hexadecimal."""
    wire_bytes: int | None
    """None: an imported session's are not known."""
    redacted: bool


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """How often sessions of one row and one column failed."""

    row: str
    column: str
    failed: int
    trials: int
    """Sessions that failed or passed: the n of k/n."""
    low: float
    """Wilson interval, 95 %; 0..1."""
    high: float
    not_counted: int
    """Sessions that say nothing of the failure: incomplete, throttled, not run, failed otherwise."""
    session_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FailureMatrix:
    """Failures over one or two dimensions."""

    by: tuple[str, ...]
    """One or two dimensions: rows first, then columns."""
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    """`("all",)` where only one dimension was asked for."""
    cells: dict[tuple[str, str], MatrixCell]
    """(row, column) -> cell; absent where there are no sessions."""
    row_totals: dict[str, MatrixCell]
    column_totals: dict[str, MatrixCell]
    total: MatrixCell


@dataclass(frozen=True, slots=True)
class PathChange:
    """A place in a JSON object where two sessions differ."""

    path: str
    left: str | None
    """JSON text; None where the path is absent."""
    right: str | None


@dataclass(frozen=True, slots=True)
class DiffRow:
    """One line of an aligned pair of sessions."""

    marker: Marker
    """`=` equal, `≠` changed, `+` only right, `-` only left."""
    turn: int | None
    left: TimelineRow | None
    right: TimelineRow | None
    changes: tuple[PathChange, ...]
    latency_left_ms: float | None
    """Milliseconds since the turn's end of speech; None before the first turn."""
    latency_right_ms: float | None


@dataclass(frozen=True, slots=True)
class LatencyDelta:
    """One latency of one turn on both sides."""

    name: str
    turn: int
    left_ms: float | None
    right_ms: float | None

    @property
    def delta_ms(self) -> float | None:
        """Right minus left."""
        return _elapsed(self.left_ms, self.right_ms)

    @property
    def ratio(self) -> float | None:
        """Right over left; None where left is missing or zero."""
        return self.right_ms / self.left_ms if self.left_ms and self.right_ms is not None else None


@dataclass(frozen=True, slots=True)
class TranscriptDiff:
    """What was said in one turn, on both sides, word by word."""

    turn: int
    who: Literal["user", "assistant"]
    left: str | None
    right: str | None
    words: tuple[tuple[Literal["=", "+", "-"], str], ...]
    """Runs of words in reading order: common, only right, only left."""
    word_error_rate: float | None = None
    """Words to replace, leave out and put in to make right of left, over the words of left; case and punctuation aside.

    None where left has no words, and for the assistant, who may say the same in other words.
    """


@dataclass(frozen=True, slots=True)
class SessionDiff:
    """Two sessions side by side."""

    left: SessionSummary
    right: SessionSummary
    rows: Sequence[DiffRow]
    configuration_asked: tuple[PathChange, ...]
    configuration_echoed: tuple[PathChange, ...]
    latencies: tuple[LatencyDelta, ...]
    transcripts: tuple[TranscriptDiff, ...]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run of replay, from the sessions it recorded."""

    run_id: str
    started_at: datetime | None
    """UTC, of its first session; None where none says when it was."""
    replay_of: tuple[str, ...]
    cells: int
    trials: int
    """Sessions recorded so far."""
    failed: int
    ok: int
    not_counted: int


@dataclass(frozen=True, slots=True)
class Facet:
    """One value of one field, and how many of the picked sessions have it."""

    field: str
    """As the filter names it; a tag's is `tag`, and its value `NAME=VALUE`."""
    value: str
    sessions: int
    failed: int


@dataclass(frozen=True, slots=True)
class RateSpan:
    """How often sessions failed that began in one span of time."""

    begin_at: datetime
    """UTC."""
    end_at: datetime
    """UTC; the next span begins here."""
    failed: int
    trials: int
    """Sessions that failed or passed: the n of k/n; 0 where there were none."""
    low: float
    """Wilson interval, 95 %; 0..1."""
    high: float
    not_counted: int
    """Sessions that say nothing of the failure."""


@dataclass(frozen=True, slots=True)
class FailingWindow:
    """A stretch of time in which sessions failed more often than before and after, by more than chance."""

    onset_at: datetime
    """UTC; start of the first session in it that failed."""
    last_ok_at: datetime | None
    """UTC; start of the last session that passed before the onset, None where none did."""
    last_failed_at: datetime
    """UTC; start of the last session in it that failed."""
    clear_at: datetime | None
    """UTC; start of the first session after it that passed, None: it goes on as far as anybody knows."""
    failed: int
    trials: int
    failed_outside: int
    trials_outside: int
    p_value: float
    """Chance of so marked a stretch anywhere, were the failures spread by chance over the same sessions."""


@dataclass(frozen=True, slots=True)
class RateOverTime:
    """Failures of some sessions over time."""

    name: str
    """Value of the dimension; `all` for all sessions."""
    spans: tuple[RateSpan, ...]
    """Of equal length, one after the other, the same for every name."""
    failed: int
    trials: int
    window: FailingWindow | None
    """The most marked stretch; None where none stands out."""
