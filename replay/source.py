"""A recording that is ready to be replayed: its plan, its handshake, what it used, and what was recorded where."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from capture.errors import UsageProblem
from replay.audio_choice import RECORDED
from replay.blame import Blame, blamed_by
from replay.client import Upgrade, read_upgrade
from replay.foreign import protocol_of_url, refusal
from replay.paths import place_of
from replay.plan import Plan
from replay.planning import make_plan
from replay.responses import recorded_response
from replay.rewrite import TRANSCRIPTION_MODEL_PATHS
from replay.runs import CONNECTION_MODEL, RunRecording, describe_recording
from replay.shortening import shorten

if TYPE_CHECKING:
    from capture.recording.reader import RecordedMessage, Recording
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
    home: Target | None = None
    """The recorded target, where it is known; a run need not be sent to it."""

    def recorded(self, path: str) -> object:
        """Give what was recorded at a path that can be set; None where nothing was."""
        match place_of(path):
            case "audio":
                return RECORDED
            case "dialect":
                return self.recording.dialect
            case "response":
                return recorded_response(self.plan, path)
            case "connection":
                return self._recorded_connection(path)
        return self.plan.setting(path)

    def _recorded_connection(self, path: str) -> object:
        query = {name.lower(): value for name, value in parse_qsl(urlsplit(self.upgrade.path_and_query).query)}
        if path == CONNECTION_MODEL:
            return query.get("deployment") or query.get("model") or self.recording.model
        _, kind, name = path.split(".", 2)
        return (query if kind == "query" else dict(self.upgrade.headers)).get(name.lower())


def prepare(recording: Recording) -> Source:
    """Read a recording and plan its replay."""
    session = recording.session
    blame = Blame()
    plan = make_plan(_passing(recording.messages(), blame), session["gaps"] or (), _closed_ns(session))
    named = blame.named(plan.configuration.asked)
    likely = [path for path in (*named, *_OPTIONS) if path not in TRANSCRIPTION_MODEL_PATHS]
    options = {path: value for path in likely if (value := plan.setting(path)) is not None}
    described = describe_recording(session)
    return Source(
        recording=msgspec.structs.replace(
            described,
            options=options,
            blamed=[*named, *blamed_by(described.failure_keys, described.dialect)],
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


def check_not_empty(source: Source) -> None:
    """Check that there is something to send; raises `UsageProblem`."""
    if not source.plan.steps:
        raise UsageProblem(
            f"recording {source.recording.session_id} holds no message of its client: there is nothing to replay"
        )


def check_target(target: Target) -> None:
    """Check that a target speaks a protocol that is replayed, as far as its URL tells.

    Raises `UsageProblem` with the reason.
    """
    if (protocol := protocol_of_url(target.url)) is not None:
        raise UsageProblem(f"target {target.name} cannot be replayed to: {refusal(protocol)}")


def nearness(target: Target, source: Source) -> int:
    """Tell how surely a target is the recorded one: by name, by URL, by region; 0 if not."""
    if target.name == source.recording.target:
        return 3
    asked = target.request_url(source.upgrade.path_and_query)
    if source.url and asked.split("?")[0] == source.url.split("?")[0]:
        return 2
    return 1 if target.region and target.region == source.recording.region else 0


def recorded_target(source: Source, targets: Iterable[Target]) -> Target | None:
    """Find the recorded target: as the source knows it, else among these, by its name or URL; None if it is not there.

    One that says how models are called at it comes first: another one at the same URL may only have been typed.
    """
    if source.home is not None:
        return source.home
    found = [target for target in targets if is_home(target, source)]
    return max(found, key=lambda target: (_named_there(target), nearness(target, source)), default=None)


def _named_there(target: Target) -> int:
    return bool(target.transcription_models) + bool(target.models)


def is_home(target: Target, source: Source) -> bool:
    """Tell whether a target is the recorded one, under whatever name: what is deployed there was deployed then."""
    return nearness(target, source) > 1


def _closed_ns(session: Mapping[str, Any]) -> int | None:
    """Tell when the endpoint ended a session, where that was a failure; 0 where no times are known."""
    keys: Iterable[str] = session["failure_keys"] or ()
    was_failure = session["closed_by"] in ("server", "network") and any(key.startswith("close|") for key in keys)
    return int((session["duration_ms"] or 0.0) * 1e6) if was_failure else None


def _passing(messages: Iterable[RecordedMessage], blame: Blame) -> Iterator[RecordedMessage]:
    for message in messages:
        blame.observe(message)
        yield message
