"""Place a call from an audio file: configure the session, speak at real time, wait for everything due, record it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import pybase64
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from capture.audio import PCM16_24K, AudioFormat, clip_as
from capture.errors import EndpointRefused, UsageProblem
from capture.in_process import connect_recorded
from capture.masking import MASK, masks_of
from capture.pacing import Pacing
from capture.realtime.audio_formats import parse_format
from capture.realtime.configuration import get_path, read_setting, set_path
from capture.realtime.events import parse_event
from capture.realtime.progress import Progress
from capture.recorder import Recorder, SessionRecording
from capture.recording.facts import Sender, SessionEnd
from capture.redaction import redact_text, redact_url
from capture.sealing import SealedSession
from capture.targets import Target
from capture.upstream import find_proxy

Turns = Literal["server_vad", "semantic_vad", "manual"]
Json = dict[str, Any]

DEFAULT_MODEL = "gpt-realtime"

_CHUNK_MS = 20
_UPDATE_ID, _RESPONSE_ID = "call_session_update", "call_response_create"


@dataclass(frozen=True)
class CallPlan:
    """What to say in a call, and how the session is to be configured."""

    clip: Path
    """A speech file: WAV, FLAC or OGG, any rate, mono or stereo."""
    transcription: str | None = None
    """Model for the transcription of the input; None asks for none."""
    turns: Turns = "server_vad"
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Further configuration by path, such as `session.audio.output.voice`."""
    model: str | None = None
    """Realtime model; None takes the target's, else the URL's, else `gpt-realtime`."""
    trailing_silence_ms: int = 1500
    """Silence that follows the clip at least, so that its last words are heard as a turn."""
    timeout_s: float = 30
    """How long to wait for what is due once the clip has been spoken."""
    answer_timeout_s: float = 10
    """How long to wait for session.created and session.updated."""
    redact: Sequence[str] = ()
    """What must not be kept of the call, as `--redact` names it."""


@dataclass(frozen=True, slots=True)
class CallProgress:
    """Where a call is."""

    session_id: str
    phase: str
    """In plain words, such as `speaking`."""
    spoken_ms: float = 0
    clip_ms: float = 0


@dataclass(frozen=True, slots=True)
class CallResult:
    """A call that is over and sealed."""

    sealed: SealedSession
    notes: tuple[str, ...]
    """What did not go as it should, in plain sentences; empty when all came."""
    began: bool
    """Whether the endpoint began the session at all."""
    heard: tuple[str, ...]
    """Transcripts of the input."""
    answers: tuple[str, ...]
    """Transcripts or texts of the answers."""
    refusal: EndpointRefused | None = None
    """Why no session came about; None where one did."""


async def place_call(
    target: Target,
    plan: CallPlan,
    recorder: Recorder,
    *,
    on_progress: Callable[[CallProgress], None] = lambda _: None,
) -> CallResult:
    """Call the target, say the clip, and record the session.

    Where the endpoint cannot be reached or refuses, that is recorded, and the result's `refusal` tells. Raises
    `UsageProblem` for a clip, a setting or a forward proxy that cannot be used, before anything is sent.
    """
    update = session_update(target, plan)
    # The default too: a rejected session.update leaves the endpoint with it.
    spoken = {known: clip_as(plan.clip, known) for known in {_asked_format(update), PCM16_24K}}
    url = call_url(target, plan.model)
    facts = recorder.new_facts(
        target=redact_url(target.name),
        provider=target.provider,
        region=target.region,
        host=target.host,
        url=redact_url(url),
        redact=list(plan.redact),
    )
    headers = [*target.credential_headers(), *target.headers.items()]
    # Where it cannot be used, nothing is placed, and nothing is recorded.
    find_proxy(target)
    recording = recorder.start_session(facts)
    call = _Call(plan, update, spoken, recording, on_progress)
    call.tell("connecting")
    refusal: EndpointRefused | None = None
    try:
        async with connect_recorded(url, recording=recording, headers=headers) as connection:
            await call.run(connection)
    except EndpointRefused as error:
        refusal = error
    call.tell("sealing")
    return replace(call.result(await asyncio.wrap_future(recording.end())), refusal=refusal)


def call_url(target: Target, model: str | None = None) -> str:
    """Compose the URL of a call: the target's own, completed with the GA path and a model where it has none."""
    path = "/openai/v1/realtime" if target.is_azure else "/v1/realtime"
    url = replace(target, model=model or target.model).request_url(path)
    asked = parse_qs(urlsplit(url).query)
    if asked.keys() & {"model", "deployment", "call_id"} or asked.get("intent") == ["transcription"]:
        return url
    return f"{url}{'&' if urlsplit(url).query else '?'}model={model or DEFAULT_MODEL}"


def session_update(target: Target, plan: CallPlan) -> Json:
    """Compose the session.update of a call, in the GA shape."""
    audio_input: Json = {
        "format": {"type": "audio/pcm", "rate": 24000},
        "turn_detection": None if plan.turns == "manual" else {"type": plan.turns},
    }
    if plan.transcription is not None:
        # On Azure the field takes the name of a deployment on that resource (protocol section 0.2).
        named = target.transcription_models.get(plan.transcription, plan.transcription)
        audio_input["transcription"] = {"model": named}
    event: Json = {
        "type": "session.update",
        "event_id": _UPDATE_ID,
        "session": {"type": "realtime", "audio": {"input": audio_input}},
    }
    for path, value in plan.settings.items():
        if not path.startswith("session.") or not all(path.split(".")):
            raise UsageProblem(f"a setting's path starts with session. as in session.audio.output.voice, not {path!r}")
        event = set_path(event, path, value)
    return event


def _asked_format(update: Json) -> AudioFormat:
    declared = get_path(update, "session.audio.input.format")
    known = parse_format(declared)
    if known is None:
        raise UsageProblem(
            f"session.audio.input.format {json.dumps(declared)} is no format a call can speak: give"
            ' {"type":"audio/pcm","rate":24000}, {"type":"audio/pcmu"} or {"type":"audio/pcma"}'
        )
    return known


class _Endpoint:
    """What the endpoint has done in a call, what it still owes, and what it said; pure."""

    def __init__(self) -> None:
        self.progress = Progress()
        self.rejection: str | None = None
        """Why it rejected the session.update."""
        self.heard: list[str] = []
        self.answers: list[str] = []

    @property
    def has_answered_update(self) -> bool:
        return self.rejection is not None or self.progress.updates_answered > 0

    @property
    def takes_manual_turns(self) -> bool:
        return self.progress.configuration.turn_detection == "none"

    def missing(self) -> list[str]:
        """List what is due and has not come."""
        return [
            *([] if self.progress.commits else ["a turn: the endpoint heard no speech in the clip"]),
            *(["the end of the speech that it heard begin"] if self.progress.speech_is_open else []),
            *self.progress.missing(),
        ]

    def observe(self, sender: Sender, event: Json) -> None:
        """Take in what was said, by either side."""
        event_type = event.get("type")
        if event_type == "error":
            self._observe_error(event)
        elif event_type == "conversation.item.input_audio_transcription.completed":
            self.heard.append(str(event.get("transcript")))
        elif event_type in ("response.output_audio_transcript.done", "response.output_text.done"):
            self.answers.append(str(event.get("transcript") or event.get("text") or ""))
        self.progress.observe(sender, event)

    def _observe_error(self, event: Json) -> None:
        culprit = get_path(event, "error.event_id")
        # Some endpoints do not say which event was wrong: until the update is answered, it is the suspect.
        is_suspect = culprit is None and self.progress.is_open and not self.has_answered_update
        if culprit == _UPDATE_ID or is_suspect:
            self.rejection = redact_text(str(get_path(event, "error.message")))


class _Call:
    """One call while it lasts."""

    def __init__(
        self,
        plan: CallPlan,
        update: Json,
        spoken: Mapping[AudioFormat, bytes],
        recording: SessionRecording,
        on_progress: Callable[[CallProgress], None],
    ) -> None:
        self._plan = plan
        self._update = update
        self._spoken = spoken
        self._recording = recording
        self._on_progress = on_progress
        self._endpoint = _Endpoint()
        self._changed = asyncio.Event()
        self._is_closed = False
        self._notes: list[str] = []
        self._pacing = Pacing()

    def tell(self, phase: str, spoken_ms: float = 0, clip_ms: float = 0) -> None:
        self._on_progress(CallProgress(self._recording.session_id, phase, spoken_ms, clip_ms))

    def result(self, sealed: SealedSession) -> CallResult:
        endpoint = self._endpoint
        return CallResult(
            sealed,
            notes=tuple(self._notes),
            began=endpoint.progress.is_open,
            heard=tuple(map(self._told, endpoint.heard)),
            answers=tuple(map(self._told, endpoint.answers)),
        )

    def _told(self, text: str) -> str:
        # What is printed ends in files too.
        masks = masks_of(self._plan.redact)
        return MASK * len(text) if masks.transcripts else masks.plain(text)

    async def run(self, connection: ClientConnection) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(connection), name="wiretape call listener")
            with suppress(ConnectionClosed):
                await self._converse(connection)
            if connection.close_code is not None:
                said = redact_text(f"{connection.close_code} {connection.close_reason or ''}".rstrip())
                self._notes.append(f"the endpoint closed the connection: {said}")
            await connection.close()
        punctuality = self._pacing.summary()
        self._recording.end(
            SessionEnd(
                offset_ns=self._recording.now_ns(),
                end_reason="; ".join(self._notes) or "the call was over",
                pacing_p50_us=punctuality.p50_us,
                pacing_p99_us=punctuality.p99_us,
                drift_us=punctuality.drift_us,
            )
        )

    async def _listen(self, connection: ClientConnection) -> None:
        try:
            async for message in connection:
                event = parse_event(message)
                if event is not None:
                    self._endpoint.observe("server", event)
                    self._changed.set()
        except ConnectionClosed:
            pass
        finally:
            self._is_closed = True
            self._changed.set()

    async def _converse(self, connection: ClientConnection) -> None:
        endpoint = self._endpoint
        if not await self._until(lambda: endpoint.progress.is_open, self._plan.answer_timeout_s):
            self._notes.append("no session.created came")
            return
        await self._send(connection, self._update)
        if not await self._until(lambda: endpoint.has_answered_update, self._plan.answer_timeout_s):
            self._notes.append("the session.update was not answered")
        if endpoint.rejection is not None:
            self._notes.append(f"the session.update was rejected: {endpoint.rejection}")
        await self._speak(connection)
        if endpoint.takes_manual_turns:
            await self._end_turn(connection)
            await self._until(lambda: not endpoint.missing(), self._plan.timeout_s)
        self._notes += [f"did not come within {self._plan.timeout_s:g} s: {due}" for due in endpoint.missing()]

    async def _end_turn(self, connection: ClientConnection) -> None:
        self.tell("waiting for the answer")
        await self._send(connection, {"type": "input_audio_buffer.commit"})
        if not self._endpoint.progress.configuration.is_transcription_session:
            await self._send(connection, {"type": "response.create", "event_id": _RESPONSE_ID})

    async def _send(self, connection: ClientConnection, event: Json) -> None:
        self._endpoint.observe("client", event)
        await connection.send(json.dumps(event))

    async def _speak(self, connection: ClientConnection) -> None:
        """Send what the microphone gives, each piece at its own time."""
        started_ns = self._recording.now_ns()
        for number, chunk in enumerate(self._microphone()):
            # Absolute deadlines: a piece that was late does not make the next one late.
            await self._sleep_until(started_ns + number * _CHUNK_MS * 1_000_000)
            await connection.send(_append(chunk))

    def _microphone(self) -> Iterator[bytes]:
        """Give the clip in pieces of 20 ms; then silence, as a live microphone would, while turns end by voice."""
        audio_format = self._format_in_force()
        clip, silence = self._spoken[audio_format], audio_format.silence(_CHUNK_MS)
        clip_ms = audio_format.milliseconds(len(clip))
        for start in range(0, len(clip), len(silence)):
            self.tell("speaking", audio_format.milliseconds(start), clip_ms)
            yield clip[start : start + len(silence)]
        if self._endpoint.takes_manual_turns:
            return
        self.tell("listening", clip_ms, clip_ms)
        sent_ms, enough_ms = 0.0, self._silence_needed_ms()
        while sent_ms < enough_ms or (self._endpoint.missing() and sent_ms < self._plan.timeout_s * 1000):
            yield silence
            sent_ms += _CHUNK_MS

    def _silence_needed_ms(self) -> float:
        # The last words are a turn once the endpoint has waited its own silence out.
        echoed = self._endpoint.progress.configuration.echoed
        waits = read_setting(echoed, "audio.input.turn_detection.silence_duration_ms")
        least = float(self._plan.trailing_silence_ms)
        return max(least, waits + 700.0) if isinstance(waits, int | float) else least

    async def _sleep_until(self, due_ns: int) -> None:
        await asyncio.sleep((due_ns - self._recording.now_ns()) / 1e9)
        self._pacing.note(due_ns, self._recording.now_ns())

    def _format_in_force(self) -> AudioFormat:
        if self._endpoint.rejection is None:
            return _asked_format(self._update)
        # The rejected update set no format: speak the endpoint's own, or what nearly all of them take.
        echoed = parse_format(read_setting(self._endpoint.progress.configuration.echoed, "audio.input.format"))
        return echoed if echoed is not None and echoed in self._spoken else PCM16_24K

    async def _until(self, reached: Callable[[], bool], timeout_s: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not reached() and not self._is_closed:
                    self._changed.clear()
                    await self._changed.wait()
        return reached()


def _append(chunk: bytes) -> str:
    return f'{{"type":"input_audio_buffer.append","audio":"{pybase64.b64encode_as_string(chunk)}"}}'
