"""A recording, ready to be replayed: its plan, its handshake, and what is known of how it went."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from capture.errors import UsageProblem
from replay.client import Upgrade, read_upgrade
from replay.foreign import protocol_of_url, refusal
from replay.plan import Plan, make_plan
from replay.runs import RunRecording
from replay.shortening import shorten

if TYPE_CHECKING:
    from capture.recording.reader import Recording
    from capture.targets import Target

_OPTIONS = (
    "session.audio.input.transcription.language",
    "session.audio.input.transcription.prompt",
    "session.audio.input.noise_reduction",
    "session.audio.input.turn_detection.silence_duration_ms",
    "session.input_audio_transcription.language",
    "session.input_audio_noise_reduction",
    "session.turn_detection.silence_duration_ms",
)
"""Options most likely to matter to a failure, the likeliest first."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the recorded session used."""

    input_tokens: int | None = None
    """As its responses told it; None where they told nothing."""
    output_tokens: int | None = None
    sent_ms: float = 0.0
    """Audio that the client appended."""
    answered_ms: float = 0.0
    """Audio that came back."""


@dataclass(frozen=True)
class Source:
    """A recording, ready to be replayed."""

    recording: RunRecording
    plan: Plan
    upgrade: Upgrade
    url: str
    """The recorded URL, redacted."""
    usage: Usage = field(default_factory=Usage)


def prepare(recording: Recording) -> Source:
    """Read a recording and plan its replay."""
    session = recording.session
    plan = make_plan(recording.messages(), session["gaps"] or ())
    options = {path: value for path in _OPTIONS if (value := plan.setting(path)) is not None}
    return Source(
        recording=RunRecording(
            session_id=session["session_id"],
            outcome=session["outcome"],
            failure_keys=list(session["failure_keys"] or ()),
            target=session["target"],
            region=session["region"],
            model=session["model"] or session["model_echoed"],
            transcription_model=session["transcription_model"] or session["transcription_model_echoed"],
            dialect=session["dialect"],
            options=options,
            digest=digest_of(plan),
        ),
        plan=plan,
        upgrade=read_upgrade(session),
        url=session["url"] or "",
        usage=Usage(
            input_tokens=session["input_tokens"],
            output_tokens=session["output_tokens"],
            sent_ms=session["audio_in_ms"] or 0.0,
            answered_ms=session["audio_out_ms"] or 0.0,
        ),
    )


def digest_of(plan: Plan) -> str:
    """Sum up what a plan sends and when, so that a run that is resumed can tell that it still sends the same."""
    digest = hashlib.sha256()
    for step in plan.steps:
        content = step.content if isinstance(step.content, bytes) else step.content.encode("utf-8", "surrogatepass")
        digest.update(f"{step.type}|{step.not_before_ns}|{len(content)}|".encode())
        digest.update(content)
    return digest.hexdigest()[:32]


def shortened(source: Source, *, until_turn: int | None = None, longest_idle_s: float | None = None) -> Source:
    """Make every replay of a recording shorter, as `shorten` does."""
    return replace(source, plan=shorten(source.plan, until_turn=until_turn, longest_idle_s=longest_idle_s))


def check_protocol(source: Source) -> None:
    """Check that a recording speaks a protocol that is replayed.

    Raises `UsageProblem` with the reason.
    """
    protocol = protocol_of_url(source.url) or source.plan.protocol
    if protocol is not None:
        raise UsageProblem(f"recording {source.recording.session_id} cannot be replayed: {refusal(protocol)}")


def nearness(target: Target, source: Source) -> int:
    """Tell how surely a target is the recorded one: by name, by URL, by region; 0 if not."""
    if target.name == source.recording.target:
        return 3
    asked = target.request_url(source.upgrade.path_and_query)
    if source.url and asked.split("?")[0] == source.url.split("?")[0]:
        return 2
    return 1 if target.region and target.region == source.recording.region else 0
