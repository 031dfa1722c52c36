"""What a colleague on call wants to know of one session: what happened, on which rows it rests, what to try next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

from analyze.answers import SessionDetail, TimelineRow
from analyze.commands import AGAIN, fill_in
from analyze.findings import Finding
from analyze.left_out import unreadable_words, windows_words
from analyze.queries import Queries
from analyze.signatures import Signature, load_signatures
from analyze.totals import unexplained
from analyze.wording import handshake_words
from capture.keeping import OUTSIDE_WINDOW
from capture.narration import counted
from capture.plain_text import visible

ROWS_SHOWN = 5
"""Rows of evidence that are enough to believe it."""
STALL_MS = 100
"""Bytes that a recorder held longer than this may be heard: a client's buffer is about as long."""

_REPLAY = "wiretape replay run "
_CALL = "wiretape capture call --to {target} --audio KNOWN_GOOD.wav"
_WHAT_REPLAYS_SHOW = "wiretape analyze failures --run last"
_TOLD_BY_THE_END = ("close|", "handshake|")
"""Failure keys of how a connection ended, or never began: no message tells of these."""
_UNREADABLE = (
    "The session's events cannot be read, so no signature could look at them;"
    " what is said here comes from its row in the sessions table alone."
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The rows that something rests on."""

    seqs: tuple[int, ...]
    rows: tuple[TimelineRow, ...]
    """The first few of them."""

    @property
    def more(self) -> int:
        """How many rows are not shown."""
        return len(self.seqs) - len(self.rows)


@dataclass(frozen=True, slots=True)
class ExplainedFinding:
    """A finding with what its signature knows and its evidence."""

    finding: Finding
    signature: Signature
    evidence: Evidence
    """No row where the handshake is the evidence."""
    commands: tuple[str, ...]
    """Replays to try next, ready for a shell."""


@dataclass(frozen=True, slots=True)
class ExplainedFailure:
    """A failure of the session that no finding accounts for."""

    failure_key: str
    evidence: Evidence
    """No row where something never came, or no message told of it."""
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecorderHealth:
    """Whether the recorder can have been at fault."""

    clean: bool
    words: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """The page about one session."""

    detail: SessionDetail
    sentence: str
    """What happened, for people."""
    unknown: tuple[ExplainedFailure, ...]
    findings: tuple[ExplainedFinding, ...]
    support: tuple[tuple[str, str], ...]
    """Facts that support asks for: what it is, and its value. A name may come again."""
    recorder: RecorderHealth


def explain(queries: Queries, session_id: str) -> Explanation:
    """Explain one session; raises `UsageProblem` for an unknown id."""
    detail = queries.session(session_id)
    found = queries.session_findings(session_id)
    signatures = {signature.name: signature for signature in load_signatures()}
    findings = tuple(_explained(queries, detail, finding, signatures[finding.name]) for finding in found)
    told = queries.failing_seqs(session_id)
    unknown = tuple(_unknown_failures(queries, detail, found, told))
    return Explanation(
        detail=detail,
        sentence=_UNREADABLE if queries.lacks_events(session_id) else say_what_happened(detail, findings, unknown),
        unknown=unknown,
        findings=findings,
        support=tuple(_support_facts(detail, findings, unknown, list(_failed_at(queries, detail, found, told)))),
        recorder=recorder_health(detail.row),
    )


def say_what_happened(
    detail: SessionDetail, findings: Sequence[ExplainedFinding], unknown: Sequence[ExplainedFailure]
) -> str:
    """Say in a plain sentence or two what happened; what nobody knows comes first."""
    said = []
    if unknown:
        kinds = "one failure" if len(unknown) == 1 else f"{len(unknown)} kinds of failure"
        names = "; ".join(failure_words(failure.failure_key).removesuffix(".") for failure in unknown[:2])
        said.append(f"No signature knows {kinds} of this session: {names}{'; …' if len(unknown) > 2 else ''}.")
    if findings:
        said.append(("Beside that: " if unknown else "") + findings[0].signature.happened)
        others = [each.finding.name for each in findings[1:]]
        if others:
            said.append(f"Also found: {', '.join(others)}.")
    return " ".join(said) or _say_without_findings(detail)


def failure_words(key: str) -> str:
    """Write a failure key for people: what failed, then the endpoint's words."""
    if key.startswith("absent:"):
        return visible(f"{key.removeprefix('absent:')} never came")
    return visible(" · ".join(part for part in key.split("|") if part))


def recorder_health(row: Mapping[str, Any]) -> RecorderHealth:
    """Say in one line whether the recorder lost or held anything."""
    faults = list(_losses(row))
    lag_ms = _in_ms(row["relay_lag_max_us"])
    measured = list(filter(None, [windows_words(row)]))
    if lag_ms is not None:
        p99_ms = _in_ms(row["relay_lag_p99_us"]) or 0.0
        held = f"bytes waited {lag_ms:,.1f} ms in it at most (p99 {p99_ms:,.1f} ms)"
        (faults if lag_ms > STALL_MS else measured).append(held)
    elif row["role"] == "imported":
        measured.append("imported, recorded by another tool")
    else:
        measured.append("it stood beside the call, not in its path")
    for side in ("client", "server"):
        waited_ms = row[f"backpressure_{side}_ms"] or 0.0
        if waited_ms > STALL_MS:
            measured.append(f"bytes waited {waited_ms:,.0f} ms because the {side} was slow to read")
    pacing_ms = _in_ms(row["pacing_p99_us"])
    if pacing_ms is not None:
        measured.append(f"sends of the replay off their time by {pacing_ms:,.1f} ms (p99)")
    lead = "; ".join(faults) if faults else "clean: nothing lost"
    return RecorderHealth(not faults, "; ".join([lead, *measured]))


def _losses(row: Mapping[str, Any]) -> Iterator[str]:
    if row["lost_bytes"]:
        gaps = [gap for gap in row["gaps"] or () if gap["reason"] != OUTSIDE_WINDOW]
        reasons = visible(", ".join(dict.fromkeys(str(gap["reason"]) for gap in gaps if gap["reason"])))
        yield f"{row['lost_bytes']:,} bytes were forwarded but not recorded" + (f" ({reasons})" if reasons else "")
    if row["undecodable_bytes"]:
        yield f"{row['undecodable_bytes']:,} bytes could not be decoded"
    unreadable = unreadable_words(row)
    if unreadable:
        yield unreadable
    elif not row["complete"] and not (row["lost_bytes"] or row["undecodable_bytes"]):
        untold = row["role"] == "imported" and row["complete"] is None
        yield "the file does not tell whether all is there" if untold else "the end of the session was not seen"


def _in_ms(value_us: float | None) -> float | None:
    return None if value_us is None else value_us / 1000


def _say_without_findings(detail: SessionDetail) -> str:
    summary = detail.summary
    if summary.outcome == "failed":
        return f"Failed, and no message says why: {visible(summary.first_error or 'no failure was told')}."
    # Not `sessions.turns`: that counts messages which only seed the conversation, and none that the system says.
    counts = [counted(len(detail.turns), "turn")]
    answers = sum(turn.response_status == "completed" for turn in detail.turns)
    transcripts = sum(turn.transcription == "completed" for turn in detail.turns)
    counts += [f"{answers} answered"] * bool(answers) + [f"{transcripts} transcribed"] * bool(transcripts)
    first_audio = [turn.first_audio_latency_ms for turn in detail.turns if turn.first_audio_latency_ms is not None]
    if first_audio:
        counts.append(f"first audio after {median(first_audio):,.0f} ms (median)")
    what = ", ".join(counts)
    if summary.outcome == "incomplete":
        return f"The recording is incomplete; in what is here nothing failed: {what}."
    if detail.row["role"] == "imported" and detail.row["complete"] is None:
        return f"In what the file holds nothing failed, and no signature matched: {what}."
    return f"Healthy: {what}. Nothing failed, and no signature matched."


def _explained(queries: Queries, detail: SessionDetail, finding: Finding, signature: Signature) -> ExplainedFinding:
    commands = tuple(_commands(queries, detail, signature.replays, is_failure=bool(finding.explains)))
    evidence = _evidence(queries, detail.summary.session_id, finding.evidence)
    return ExplainedFinding(finding, signature, evidence, commands)


def _commands(queries: Queries, detail: SessionDetail, templates: Iterable[str], *, is_failure: bool) -> Iterator[str]:
    replays = [template for template in templates if template.startswith(_REPLAY)]
    others = [template for template in templates if not template.startswith(_REPLAY)]
    if replays and detail.row["events_sent"] == 0:
        # A client that sent nothing has nothing to be replayed: a new session meets the same endpoint.
        replays = [_CALL]
    elif replays and not is_failure:
        # Replays are compared by their failures. What no message told of, only the signatures find again.
        replays.append(_WHAT_REPLAYS_SHOW)
    for template in dict.fromkeys([*others, *replays]):
        yield fill_in(template, detail.summary, queries.store.root)


def _evidence(queries: Queries, session_id: str, seqs: Sequence[int]) -> Evidence:
    return Evidence(tuple(seqs), tuple(queries.rows_at(session_id, seqs[:ROWS_SHOWN])) if seqs else ())


def _unknown_failures(
    queries: Queries, detail: SessionDetail, findings: Iterable[Finding], told: Mapping[str, Sequence[int]]
) -> Iterator[ExplainedFailure]:
    summary, root = detail.summary, queries.store.root
    unknown = unexplained(summary.failure_keys, findings)
    again = tuple(_commands(queries, detail, [AGAIN], is_failure=True))
    for key in unknown:
        elsewhere = fill_in(f'wiretape analyze sessions "failure:{_pattern(key)}"', summary, root)
        yield ExplainedFailure(key, _evidence(queries, summary.session_id, told.get(key, [])), (*again, elsewhere))


def _pattern(key: str) -> str:
    """Write a failure key as a filter's pattern: without its message, which may hold anything."""
    parts = key.split("|")
    lead = "|".join(parts[:3]) + "|*" if len(parts) > 1 else key
    return "".join(letter if letter.isalnum() or letter in "|:._-" else "*" for letter in lead)


def _support_facts(
    detail: SessionDetail,
    findings: Sequence[ExplainedFinding],
    unknown: Sequence[ExplainedFailure],
    failed_at: Sequence[datetime],
) -> Iterator[tuple[str, str]]:
    """Give what support asks for; the handshake's headers exist nowhere else."""
    row, summary = detail.row, detail.summary
    facts: list[tuple[str, Iterable[object]]] = [
        ("session", (row["server_session_id"],)),
        *((name, (value,)) for name, value in (row["request_ids"] or {}).items()),
        ("started", (_utc(row["started_at"]),)),
        ("ended", (_utc(row["ended_at"]),)),
        *_failure_times(failed_at),
        *_ids([*(each.evidence for each in unknown), *(each.evidence for each in findings)]),
        ("endpoint", (summary.provider, summary.region, row["host"], row["remote_ip"])),
        ("x-ms-region", ((row["response_headers"] or {}).get("x-ms-region"),)),
        ("url", (row["url"],)),
        ("dialect", (summary.dialect,)),
        ("model", _asked_and_echoed(summary.model, row["model_echoed"])),
        ("transcription", _asked_and_echoed(summary.transcription_model, row["transcription_model_echoed"])),
        ("handshake", (handshake_words(row),)),
        ("close", (_numbered("code", row["close_code"]), row["close_reason"], _by(row["closed_by"]))),
        ("ended because", (row["end_reason"],)),
        ("client", (row["user_agent"], _numbered("recorded by wiretape", row["tool_version"]))),
    ]
    for name, values in facts:
        words = " · ".join(str(value) for value in values if value not in (None, ""))
        if words:
            yield visible(name), visible(words)


def _failed_at(
    queries: Queries, detail: SessionDetail, findings: Iterable[Finding], told: Mapping[str, Sequence[int]]
) -> Iterator[datetime]:
    """Give when the session failed, UTC: among these times are the first failure and the last."""
    keys = detail.summary.failure_keys
    seqs = [seq for key in keys for seq in told.get(key, ())]
    for seq in {min(seqs), max(seqs)} if seqs else ():
        yield from (message.at for message in queries.events(detail.summary.session_id, seq, seq) if message.at)
    if any(key.startswith(_TOLD_BY_THE_END) for key in keys) and detail.row["ended_at"] is not None:
        yield detail.row["ended_at"].replace(tzinfo=UTC)
    # What no message told of has the times of the finding that accounts for it; other findings say of no failure when.
    silent = {key for key in keys if key not in told and not key.startswith(_TOLD_BY_THE_END)}
    for finding in findings:
        if silent.intersection(finding.explains):
            yield from (at for at in (finding.first_at, finding.last_at) if at is not None)


def _failure_times(failed_at: Sequence[datetime]) -> Iterator[tuple[str, Iterable[object]]]:
    if failed_at:
        yield "first failure", (_utc(min(failed_at)),)
    if failed_at and max(failed_at) != min(failed_at):
        yield "last failure", (_utc(max(failed_at)),)


def _ids(evidence: Iterable[Evidence]) -> Iterator[tuple[str, Iterable[object]]]:
    rows = [row for each in evidence for row in each.rows]
    yield "items", dict.fromkeys(row.item_id for row in rows)
    yield "responses", dict.fromkeys(row.response_id for row in rows)


def _asked_and_echoed(asked: str | None, echoed: str | None) -> tuple[str | None, ...]:
    return (f"{asked} asked" if asked else None, f"{echoed} echoed" if echoed else None)


def _numbered(word: str, value: object) -> str | None:
    return None if value is None else f"{word} {value}"


def _by(closed_by: str | None) -> str | None:
    return f"by the {closed_by}" if closed_by else None


def _utc(at: datetime | None) -> str | None:
    return f"{at:%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC" if at is not None else None
