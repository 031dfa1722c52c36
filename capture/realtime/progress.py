"""Follow what an endpoint has done in a session so far, and what it still owes.

Who waits for an endpoint asks here: a call, before it hangs up; a replay's player, before it sends what depends on
something; a replay's plan asks a recording, to see what the client had seen before it sent something.
"""

from __future__ import annotations

from typing import Any

from capture.realtime.answering import ANSWERED, COMMIT, CREATE, UPDATES, find_answered
from capture.realtime.asides import Asides
from capture.realtime.audio_formats import decoded_bytes
from capture.realtime.configuration import ConfigurationTracker
from capture.realtime.dialects import ga_name
from capture.realtime.events import object_of
from capture.realtime.outcomes import UNANNOUNCED, is_benign

Json = dict[str, Any]

_FIRST_EVENTS = {"session.created", "transcription_session.created", "conversation.created"}
_UPDATED = {"session.updated", "transcription_session.updated"}
_TRANSCRIPTION = "conversation.item.input_audio_transcription."


class Progress:
    """Counts and open ends of one session; feed it the messages of both senders in order."""

    def __init__(self) -> None:
        self.configuration = ConfigurationTracker()
        self.is_open = False
        """Whether the endpoint has begun the session."""
        self.updates_answered = 0
        """session.update messages that were echoed or rejected."""
        self.responses_begun = 0
        """Responses of the conversation; those out of band are not counted."""
        self.responses_done = 0
        self.active_responses: set[str] = set()
        """Responses begun and not done, out of band too."""
        self.commits: list[str] = []
        """Items of audio turns."""
        self.speech_is_open = False
        """Whether speech has started in audio that is not committed yet."""
        self.audio_bytes: dict[str, int] = {}
        """Audio received so far, by assistant item."""
        self._unanswered: list[Json] = []
        """What the client sent and nothing has answered or refused yet."""
        self.refused: list[Json] = []
        """What the client sent and an error refused."""
        self.unowed_errors = 0
        """Errors that nobody waits for: none of them stands in the place of an answer, and none is benign."""
        self._asides = Asides()
        self._answers_due: list[str] = []
        self._transcriptions_due: list[str] = []
        self._silences: set[str] = set()
        """Items of what the endpoint takes in when nobody spoke for too long: there may be nothing to transcribe."""

    @property
    def is_idle(self) -> bool:
        """Whether no response is being generated or asked for."""
        return not self.active_responses and not self._open(CREATE)

    def missing(self) -> list[str]:
        """List the events that the endpoint still owes, each with what it belongs to."""
        return [
            *("input_audio_buffer.committed for a commit" for _ in self._open(COMMIT)),
            *(f"transcription of {item}" for item in self._transcriptions_due),
            *(f"response to {item}" for item in self._answers_due),
            *("response.created for a response.create" for _ in self._open(CREATE)),
            *(f"response.done of {response}" for response in sorted(self.active_responses)),
        ]

    def observe(self, sender: str, event: Json) -> None:
        """Take one message in."""
        self.configuration.observe(sender, event)
        event_type = event.get("type")
        if not isinstance(event_type, str):
            return
        is_aside = self._asides.observe(event)
        if sender == "client":
            if event_type in ANSWERED:
                self._unanswered.append(event)
            return
        event_type = ga_name(event_type)
        if event_type == "response.output_audio.delta":
            self._observe_audio(event)
            return
        self._observe_answer(event)
        if event_type.startswith("input_audio_buffer."):
            self._observe_buffer(event_type, event)
        elif event_type.startswith(_TRANSCRIPTION):
            self._observe_transcription(event_type, event)
        else:
            self._observe_other(event_type, event, is_aside=is_aside)

    def _observe_answer(self, event: Json) -> None:
        # The item of a committed turn answers the commit; no message that the client wrote made it.
        is_turn = object_of(event, "item").get("id") in self.commits
        place = None if is_turn else find_answered(event, self._unanswered)
        answered = None if place is None else self._unanswered.pop(place)
        if answered is not None and event["type"] == "error":
            self.refused.append(answered)
        if event["type"] in UNANNOUNCED and not self._is_awaited_or_benign(event, answered):
            self.unowed_errors += 1
        is_update = answered is not None and answered["type"] in UPDATES
        self.updates_answered += is_update or event["type"] in _UPDATED

    def _is_awaited_or_benign(self, error: Json, refused: Json | None) -> bool:
        if refused is not None and refused["type"] in (CREATE, COMMIT):
            return True
        detection = self.configuration.in_force("audio.input.turn_detection.type")
        by_detection = bool(self.commits) and detection not in (None, "none")
        return is_benign(object_of(error, "error").get("code"), by_detection=by_detection)

    def _open(self, event_type: str) -> list[Json]:
        return [event for event in self._unanswered if event["type"] == event_type]

    def _observe_buffer(self, event_type: str, event: Json) -> None:
        if event_type == "input_audio_buffer.speech_started":
            self.speech_is_open = True
            # The caller goes on talking: the endpoint may drop the answer that was due.
            self._answers_due.clear()
        elif event_type == "input_audio_buffer.timeout_triggered":
            self._silences.add(str(event.get("item_id")))
        elif event_type in ("input_audio_buffer.committed", "input_audio_buffer.cleared"):
            self.speech_is_open = False
            if event_type.endswith("committed") and isinstance(event.get("item_id"), str):
                self._observe_commit(event["item_id"])

    def _observe_commit(self, item_id: str) -> None:
        self.commits.append(item_id)
        detection = self.configuration.in_force("audio.input.turn_detection")
        answers = isinstance(detection, dict) and detection.get("create_response") is not False
        if answers and not self.configuration.is_transcription_session:
            self._answers_due.append(item_id)
        if item_id not in self._silences and self.configuration.in_force("audio.input.transcription"):
            self._transcriptions_due.append(item_id)

    def _observe_transcription(self, event_type: str, event: Json) -> None:
        if event_type.endswith((".completed", ".failed")) and event.get("item_id") in self._transcriptions_due:
            self._transcriptions_due.remove(event["item_id"])

    def _observe_audio(self, event: Json) -> None:
        item_id, delta = event.get("item_id"), event.get("delta")
        if isinstance(item_id, str) and isinstance(delta, str):
            self.audio_bytes[item_id] = self.audio_bytes.get(item_id, 0) + decoded_bytes(delta)

    def _observe_other(self, event_type: str, event: Json, *, is_aside: bool) -> None:
        if event_type in _FIRST_EVENTS or event_type == "session.updated":
            self.is_open = True
        elif event_type == "response.created":
            self._observe_response_begun(event, is_aside=is_aside)
        elif event_type == "response.done":
            self._observe_response_done(event, is_aside=is_aside)

    def _observe_response_begun(self, event: Json, *, is_aside: bool) -> None:
        response = event.get("response")
        if not isinstance(response, dict):
            return
        self.active_responses.add(str(response.get("id")))
        if not is_aside:
            self.responses_begun += 1
            self._answers_due[:1] = []

    def _observe_response_done(self, event: Json, *, is_aside: bool) -> None:
        response = event.get("response")
        if isinstance(response, dict):
            self.active_responses.discard(str(response.get("id")))
            self.responses_done += not is_aside
