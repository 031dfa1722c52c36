"""Place a call from an audio file: configure the session, speak at real time, wait for everything due, record it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import pybase64
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from capture.audio import PCM16_24K, AudioFormat, clip_as
from capture.errors import UsageProblem
from capture.in_process import connect_recorded
from capture.realtime.audio_formats import parse_format
from capture.realtime.configuration import ConfigurationTracker, get_path, merge, read_setting, set_path
from capture.recorder import Recorder, SessionRecording
from capture.recording.facts import SessionEnd
from capture.redaction import redact_url
from capture.sealing import SealedSession
from capture.splice import LagHistogram
from capture.targets import Target

Turns = Literal["server_vad", "semantic_vad", "manual"]
Json = dict[str, Any]

DEFAULT_MODEL = "gpt-realtime"

_CHUNK_MS = 20
_TRANSCRIPTION = "conversation.item.input_audio_transcription."
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


async def place_call(
    target: Target,
    plan: CallPlan,
    recorder: Recorder,
    *,
    on_progress: Callable[[CallProgress], None] = lambda _: None,
) -> CallResult:
    """Call the target, say the clip, and record the session.

    Raises `UsageProblem` for a clip or a setting that cannot be used, before anything is sent, and
    `EndpointRefused` where no session came about (it is recorded all the same).
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
    )
    headers = [*target.credential_headers(), *target.headers.items()]
    recording = recorder.start_session(facts)
    call = _Call(plan, update, spoken, recording, on_progress)
    call.tell("connecting")
    async with connect_recorded(url, recording=recording, headers=headers) as connection:
        await call.run(connection)
    call.tell("sealing")
    return call.result(await asyncio.wrap_future(recording.end()))


def call_url(target: Target, model: str | None = None) -> str:
    """Compose the URL of a call: the target's own, completed with the GA path and a model where it has none."""
    path = "/openai/v1/realtime" if target.host.endswith(".azure.com") else "/v1/realtime"
    url = replace(target, model=model or target.model).request_url(path)
    asked = parse_qs(urlsplit(url).query)
    if asked.keys() & {"model", "deployment", "call_id"} or asked.get("intent") == ["transcription"]:
        return url
    return f"{url}{'&' if urlsplit(url).query else '?'}model={model or DEFAULT_MODEL}"


def parse_setting(text: str) -> tuple[str, Any]:
    """Read `PATH=JSON`; what is no JSON is taken as a string. Raises `UsageProblem` without a path."""
    path, separator, value = text.partition("=")
    if not separator or not path.strip():
        raise UsageProblem(f"{text!r} sets nothing: write PATH=VALUE, such as session.audio.output.voice=marin")
    try:
        return path.strip(), json.loads(value)
    except ValueError:
        return path.strip(), value


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


class _Owed:
    """What the endpoint has done in a call, and what it still owes; pure."""

    def __init__(self, update: Json) -> None:
        self._update = update
        self.configuration = ConfigurationTracker()
        self.began = False
        self.update_answered = False
        self.rejection: str | None = None
        self.turns = 0
        self.is_speech_open = False
        self.heard: list[str] = []
        self.answers: list[str] = []
        self._responses_due = 0
        self._active_responses: list[str] = []
        self._transcriptions_due: list[str] = []

    @property
    def is_manual(self) -> bool:
        return self.configuration.turn_detection == "none"

    def missing(self) -> list[str]:
        """List what is due and has not come."""
        return [
            *(["a turn: the endpoint heard no speech in the clip"] if not self.turns else []),
            *(["the end of the speech that it heard begin"] if self.is_speech_open else []),
            *(f"the transcription of {item}" for item in self._transcriptions_due),
            *("the response to a turn" for _ in range(self._responses_due)),
            *(f"response.done of {response}" for response in self._active_responses),
        ]

    def response_asked(self) -> None:
        """Count a response.create."""
        self._responses_due += 1

    def observe(self, event: Json) -> None:
        """Take an event of the endpoint in."""
        self.configuration.observe("server", event)
        event_type = str(event.get("type"))
        if event_type in ("session.created", "session.updated"):
            self.began = True
            if event_type == "session.updated" and not self.update_answered:
                self.update_answered = True
                # Only now: what is asked and rejected is never in force.
                self.configuration.observe("client", self._update)
        elif event_type.startswith("input_audio_buffer."):
            self._observe_turn(event_type, event)
        elif event_type.startswith(_TRANSCRIPTION):
            self._observe_transcription(event_type, event)
        elif event_type in ("response.created", "response.done"):
            self._observe_response(event_type, event)
        elif event_type in ("response.output_audio_transcript.done", "response.output_text.done"):
            self.answers.append(str(event.get("transcript") or event.get("text") or ""))
        elif event_type == "error":
            self._observe_error(event)

    def _observe_turn(self, event_type: str, event: Json) -> None:
        if event_type.endswith("speech_started"):
            self.is_speech_open = True
        elif event_type.endswith("committed"):
            self.is_speech_open = False
            self.turns += 1
            if self._setting("audio.input.transcription"):
                self._transcriptions_due.append(str(event.get("item_id")))
            detection = self._setting("audio.input.turn_detection")
            answers = isinstance(detection, dict) and detection.get("create_response") is not False
            if answers and not self.configuration.is_transcription_session:
                self._responses_due += 1

    def _observe_transcription(self, event_type: str, event: Json) -> None:
        if event_type.endswith((".completed", ".failed")):
            with suppress(ValueError):
                self._transcriptions_due.remove(str(event.get("item_id")))
        if event_type.endswith(".completed"):
            self.heard.append(str(event.get("transcript")))

    def _observe_response(self, event_type: str, event: Json) -> None:
        response_id = str(get_path(event, "response.id"))
        if event_type == "response.created":
            self._responses_due = max(self._responses_due - 1, 0)
            self._active_responses.append(response_id)
        elif response_id in self._active_responses:
            self._active_responses.remove(response_id)

    def _observe_error(self, event: Json) -> None:
        culprit = get_path(event, "error.event_id")
        # Some endpoints do not say which event was wrong: until the update is answered, it is the suspect.
        if culprit == _UPDATE_ID or (culprit is None and self.began and not self.update_answered):
            self.update_answered = True
            self.rejection = str(get_path(event, "error.message"))
        elif culprit == _RESPONSE_ID:
            self._responses_due = max(self._responses_due - 1, 0)

    def _setting(self, path: str) -> object:
        configuration = self.configuration
        return read_setting(merge(configuration.asked, configuration.echoed), path)


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
        self._owed = _Owed(update)
        self._changed = asyncio.Event()
        self._is_closed = False
        self._notes: list[str] = []
        self._lateness = LagHistogram()
        self._drift_us: float | None = None

    def tell(self, phase: str, spoken_ms: float = 0, clip_ms: float = 0) -> None:
        self._on_progress(CallProgress(self._recording.session_id, phase, spoken_ms, clip_ms))

    def result(self, sealed: SealedSession) -> CallResult:
        owed = self._owed
        return CallResult(sealed, tuple(self._notes), owed.began, tuple(owed.heard), tuple(owed.answers))

    async def run(self, connection: ClientConnection) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(connection), name="wiretape call listener")
            with suppress(ConnectionClosed):
                await self._converse(connection)
            if connection.close_code is not None:
                said = f"{connection.close_code} {connection.close_reason or ''}".rstrip()
                self._notes.append(f"the endpoint closed the connection: {said}")
            await connection.close()
        self._recording.end(
            SessionEnd(
                offset_ns=self._recording.now_ns(),
                end_reason="; ".join(self._notes) or "the call was over",
                pacing_p50_us=self._lateness.quantile_us(0.5),
                pacing_p99_us=self._lateness.quantile_us(0.99),
                drift_us=self._drift_us,
            )
        )

    async def _listen(self, connection: ClientConnection) -> None:
        try:
            async for message in connection:
                event = _parse(message)
                if event is not None:
                    self._owed.observe(event)
                    self._changed.set()
        except ConnectionClosed:
            pass
        finally:
            self._is_closed = True
            self._changed.set()

    async def _converse(self, connection: ClientConnection) -> None:
        if not await self._until(lambda: self._owed.began, self._plan.answer_timeout_s):
            self._notes.append("no session.created came")
            return
        await connection.send(json.dumps(self._update))
        if not await self._until(lambda: self._owed.update_answered, self._plan.answer_timeout_s):
            self._notes.append("the session.update was not answered")
        if self._owed.rejection is not None:
            self._notes.append(f"the session.update was rejected: {self._owed.rejection}")
        await self._speak(connection)
        if self._owed.is_manual:
            await self._end_turn(connection)
            await self._until(lambda: not self._owed.missing(), self._plan.timeout_s)
        self._notes += [f"did not come within {self._plan.timeout_s:g} s: {due}" for due in self._owed.missing()]

    async def _end_turn(self, connection: ClientConnection) -> None:
        self.tell("waiting for the answer")
        await connection.send(json.dumps({"type": "input_audio_buffer.commit"}))
        if not self._owed.configuration.is_transcription_session:
            self._owed.response_asked()
            await connection.send(json.dumps({"type": "response.create", "event_id": _RESPONSE_ID}))

    async def _speak(self, connection: ClientConnection) -> None:
        """Send what the microphone gives, each piece at its own time."""
        started_s = asyncio.get_running_loop().time()
        for number, chunk in enumerate(self._microphone()):
            # Absolute deadlines: a piece that was late does not make the next one late.
            await self._sleep_until(started_s + number * _CHUNK_MS / 1000)
            await connection.send(_append(chunk))

    def _microphone(self) -> Iterator[bytes]:
        """Give the clip in pieces of 20 ms; then silence, as a live microphone would, while turns end by voice."""
        audio_format = self._format_in_force()
        clip, silence = self._spoken[audio_format], audio_format.silence(_CHUNK_MS)
        clip_ms = audio_format.milliseconds(len(clip))
        for start in range(0, len(clip), len(silence)):
            self.tell("speaking", audio_format.milliseconds(start), clip_ms)
            yield clip[start : start + len(silence)]
        if self._owed.is_manual:
            return
        self.tell("listening", clip_ms, clip_ms)
        sent_ms, enough_ms = 0.0, self._silence_needed_ms()
        while sent_ms < enough_ms or (self._owed.missing() and sent_ms < self._plan.timeout_s * 1000):
            yield silence
            sent_ms += _CHUNK_MS

    def _silence_needed_ms(self) -> float:
        # The last words are a turn once the endpoint has waited its own silence out.
        waits = read_setting(self._owed.configuration.echoed, "audio.input.turn_detection.silence_duration_ms")
        least = float(self._plan.trailing_silence_ms)
        return max(least, waits + 700.0) if isinstance(waits, int | float) else least

    async def _sleep_until(self, due_s: float) -> None:
        clock = asyncio.get_running_loop()
        await asyncio.sleep(due_s - clock.time())
        late_us = max(clock.time() - due_s, 0.0) * 1e6
        self._lateness.add(int(late_us * 1000))
        self._drift_us = late_us

    def _format_in_force(self) -> AudioFormat:
        if self._owed.rejection is None:
            return _asked_format(self._update)
        # The rejected update set no format: speak the endpoint's own, or what nearly all of them take.
        echoed = self._owed.configuration.input_format
        return echoed if echoed in self._spoken else PCM16_24K

    async def _until(self, reached: Callable[[], bool], timeout_s: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not reached() and not self._is_closed:
                    self._changed.clear()
                    await self._changed.wait()
        return reached()


def _append(chunk: bytes) -> str:
    return f'{{"type":"input_audio_buffer.append","audio":"{pybase64.b64encode_as_string(chunk)}"}}'


def _parse(message: str | bytes) -> Json | None:
    try:
        event = json.loads(message)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None
