"""Effects of faults: everything that can go wrong with an endpoint, one struct each.

What they have in common with others, their kind, is a base class: of a kind at most one effect strikes at a time, and
effects of different kinds strike together. A new effect is a struct here and a field of `Effect`.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar, Literal

import msgspec

from replay.simulator.protocol.server_events import SERVER_EVENTS, check_event_name
from replay.simulator.protocol.settings import has_setting
from replay.simulator.quantities import Count, NotNegative, Ordinal, Plural, Positive, Share, check_close


class AnyEffect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all effects are."""

    conditions: ClassVar[frozenset[str]] = frozenset()
    """Conditions that can hold where effects of this kind are decided, beside region, chance and time."""


class TranscriptionEffect(AnyEffect, frozen=True):
    """Spoils the transcription of a user's turn; decided when the turn is committed."""

    conditions = frozenset({"model", "transcription_model", "turn", "quota"})


class TranscriptionFailed(TranscriptionEffect, frozen=True):
    """Input transcription ends in `…transcription.failed`, without deltas; the answer is unaffected."""

    message: str
    """`{item_id}` stands for the id of the turn's item."""
    type: str = "server_error"
    code: str | None = None
    """Absent is null, as TOML has no null."""
    param: str | None = None


class TranscriptionWithheld(TranscriptionEffect, frozen=True):
    """Nothing is ever heard of the transcription."""


class TranscriptionRepeated(TranscriptionEffect, frozen=True):
    """The same `…transcription.completed` comes several times."""

    times: Plural = 2


class ResponseEffect(AnyEffect, frozen=True):
    """Spoils how a response goes; decided when it is due."""

    conditions = frozenset({"model", "transcription_model", "turn", "response", "quota"})


class ResponseFailed(ResponseEffect, frozen=True, kw_only=True):
    """`response.done` with status failed; no `error` event, and the session goes on."""

    type: str = "server_error"
    code: str | None = None
    message: str
    after_deltas: Count = 0
    """Deltas of words and audio that come before; with none, no item is opened."""
    input_tokens: Count | None = None
    """What `usage` tells; absent: as counted."""
    output_tokens: Count | None = None


class ResponseIncomplete(ResponseEffect, frozen=True):
    """`response.done` with status incomplete."""

    reason: Literal["content_filter", "max_output_tokens"] = "content_filter"
    after_deltas: Count = 6


class ResponseNeverDone(ResponseEffect, frozen=True):
    """Everything comes but `response.done`: the response hangs."""


class ResponseWithheld(ResponseEffect, frozen=True):
    """No response comes at all, and no error."""


class AudioEffect(AnyEffect, frozen=True):
    """Spoils the audio of a response; decided when it is due."""

    conditions = ResponseEffect.conditions


class AudioGaps(AudioEffect, frozen=True):
    """The audio pauses again and again, longer than a listener has audio left: playback starves."""

    gap_ms: Positive = 2200
    after_deltas: Ordinal = 6
    """Audio deltas before each gap."""
    times: Ordinal = 2


class AudioCut(AudioEffect, frozen=True):
    """The audio ends early; the transcript is complete."""

    keep_share: Share = 0.25
    """Share of the audio deltas that come, from 0 to 1."""


class AudioWithheld(AudioEffect, frozen=True):
    """Audio was asked for, text comes."""

    transcript: bool = False
    """The words come as the transcript of audio that never comes, instead of as text."""


class RejectUpdate(AnyEffect, frozen=True):
    """The update is answered with an `error` event, and the session goes on with what it had.

    Decided when it comes.
    """

    conditions = frozenset({"model", "transcription_model", "turn", "response"})

    code: str
    message: str
    param: str | None = None


class IgnoreSettings(AnyEffect, frozen=True):
    """The update is taken without these settings, and no error says so; session.updated echoes what is in force.

    Decided when it comes.
    """

    conditions = frozenset({"model", "transcription_model", "turn", "response"})

    paths: list[str]
    """Of the GA session, such as `audio.output.voice`."""

    def __post_init__(self) -> None:
        """Refuse a setting that no session has."""
        for path in self.paths:
            if not has_setting(path):
                raise ValueError(f"`paths`: a session has no setting {path!r}; name one as session.update does")


class IgnoreAudio(AnyEffect, frozen=True):
    """Voice activity detection is on, as the session shows, and never hears anything; manual commits work.

    Decided when the session begins.
    """

    conditions = frozenset({"model"})

    turn_detection: Literal["server_vad", "semantic_vad"] | None = None
    """The type that is deaf; absent: any."""


class TimedEffect(AnyEffect, frozen=True, kw_only=True):
    """Strikes some time after a server event; decided each time that such an event is sent."""

    conditions = frozenset({"model", "transcription_model", "turn", "response"})

    after_event: str = "session.created"
    """Type of a server event, by its GA name."""
    after_s: NotNegative = 0
    spread_s: NotNegative = 0
    """Up to so much later still, drawn from the seed."""

    def __post_init__(self) -> None:
        """Refuse an event that never comes."""
        check_event_name("after_event", self.after_event, SERVER_EVENTS)


class EndingEffect(TimedEffect, frozen=True):
    """Ends the connection."""


class Drop(EndingEffect, frozen=True):
    """The TCP connection is gone, without a close frame."""


class Close(EndingEffect, frozen=True, kw_only=True):
    """A WebSocket close."""

    code: int
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse codes and reasons that may not be sent."""
        super().__post_init__()
        _check_close(self.code, self.reason)


class ErrorEvent(TimedEffect, frozen=True, kw_only=True):
    """An `error` event that no client event asked for."""

    type: str = "server_error"
    code: str | None = None
    message: str
    param: str | None = None
    then_close: int | None = None
    """Close code that follows at once; its reason is the error's type and code, as OpenAI's are (none for 1000)."""

    def __post_init__(self) -> None:
        """Refuse codes that may not be sent."""
        super().__post_init__()
        if self.then_close is not None:
            _check_close(self.then_close, ".".join(filter(None, (self.type, self.code))))


class Keepalive(AnyEffect, frozen=True):
    """The endpoint pings, and closes 1011 when no pong comes.

    Decided at the handshake.
    """

    conditions = frozenset({"model"})

    interval_s: Positive
    timeout_s: Positive


class RefuseHandshake(AnyEffect, frozen=True):
    """An upgrade that would have succeeded is answered with an HTTP error."""

    conditions = frozenset({"model"})

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = {}

    def __post_init__(self) -> None:
        """Refuse what is no HTTP error."""
        _check_status(self.status)


class HttpError(AnyEffect, frozen=True):
    """A plain HTTP request is answered with an error.

    Decided when it comes, by the models that its body names.
    """

    conditions = frozenset({"model", "transcription_model"})

    status: int
    message: str
    code: str | None = None
    path: str = "client_secrets"
    """Last segment of the paths that fail."""

    def __post_init__(self) -> None:
        """Refuse what is no HTTP error."""
        _check_status(self.status)


class Effect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a fault does: exactly one of its fields is given."""

    transcription_failed: TranscriptionFailed | None = None
    transcription_withheld: TranscriptionWithheld | None = None
    transcription_repeated: TranscriptionRepeated | None = None
    response_failed: ResponseFailed | None = None
    response_incomplete: ResponseIncomplete | None = None
    response_never_done: ResponseNeverDone | None = None
    response_withheld: ResponseWithheld | None = None
    audio_gaps: AudioGaps | None = None
    audio_cut: AudioCut | None = None
    audio_withheld: AudioWithheld | None = None
    reject_update: RejectUpdate | None = None
    ignore_settings: IgnoreSettings | None = None
    ignore_audio: IgnoreAudio | None = None
    drop: Drop | None = None
    close: Close | None = None
    error: ErrorEvent | None = None
    keepalive: Keepalive | None = None
    refuse_handshake: RefuseHandshake | None = None
    http_error: HttpError | None = None

    def __post_init__(self) -> None:
        """Refuse a fault that does nothing, or several things at once."""
        if len(self._given()) != 1:
            raise ValueError(f"`then` takes exactly one of {', '.join(self.__struct_fields__)}")

    @property
    def name(self) -> str:
        """Name of the one that is given."""
        return next(iter(self._given()))

    @property
    def given(self) -> AnyEffect:
        """The one that is given."""
        return next(iter(self._given().values()))

    def _given(self) -> dict[str, AnyEffect]:
        effects = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return {name: effect for name, effect in effects if effect is not None}


def _check_close(code: int, reason: str) -> None:
    if code == 1006:
        raise ValueError(f"{code} is no close code that may be sent; for 1006 take `drop`")
    check_close(code, reason)


def _check_status(status: int) -> None:
    if status < 400 or status not in {known.value for known in HTTPStatus}:
        raise ValueError(f"{status} is no status of an HTTP error")
