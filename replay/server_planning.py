"""Turn a recording into the server's side of it: find what each message of the server followed.

A message of the server depends on the client's message that it answers (protocol section 2), on the client's audio
up to a place (server VAD), and on what the server had said before of the same item or response. Nothing in a
recording names these ties, but for error.event_id: they are found by type, by id, and by order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from capture.realtime.answering import ANSWERS, CANCEL, COMMIT
from capture.realtime.asides import Asides
from capture.realtime.configuration import ConfigurationTracker, get_path
from capture.realtime.dialects import ga_name
from capture.realtime.events import object_of, parse_event
from replay.id_map import IdIndex
from replay.plan import APPEND, Message
from replay.server_plan import OPENED, Heard, Outgoing, ServerPlan, audio_length_ms, kind_of
from replay.unanswered import Awaited, Moment, Unanswered
from replay.window import WindowScope

Json = dict[str, Any]

_OF_ITS_OWN = ("conversation.", "rate_limits.", "response.content_part.", "response.output_item.")
"""What a server says unasked, whatever the client has just sent."""


def make_server_plan(
    messages: Iterable[Message], gaps: Iterable[Mapping[str, Any]] = (), *, dropped_at_ns: int | None = None
) -> ServerPlan:
    """Plan the server's side of a recorded session; `gaps` is the column of its row.

    `dropped_at_ns` is when the connection was gone, where nobody had said goodbye.
    """
    planner = _Planner(gaps)
    for message in messages:
        planner.take(message)
    return planner.finish(dropped_at_ns)


class _Planner:
    def __init__(self, gaps: Iterable[Mapping[str, Any]]) -> None:
        self._scope = WindowScope(gaps, IdIndex())
        self._moments: list[Moment] = [Moment(OPENED, 0)]
        self._first_sent = self._last_sent = OPENED
        self._unanswered = Unanswered()
        self._asides = Asides()
        self._counts: Counter[str] = Counter()
        self._turns_due: list[int] = []
        """Turns committed by server VAD and not answered yet."""
        self._first_of: dict[str, int] = {}
        self._last_of: dict[str, int] = {}
        """Item or response -> what was said of it first, and last."""
        self._last_done: int | None = None
        self._last_speech: int | None = None
        self._configuration = ConfigurationTracker()
        self._ends_ms: list[float] = []
        self._ends: list[tuple[int, int]] = []
        """Of each append: where its audio ended; when it came, and after what."""
        self._items: dict[int, str] = {}
        self._responses: dict[str, int] = {}
        self._errors: dict[str, int] = {}
        self._not_sent: list[str] = []
        self._is_closed = False

    def take(self, message: Message) -> None:
        if self._is_closed or message.kind in ("ping", "pong"):
            return
        if message.kind == "close":
            self._take_close(message)
        elif message.kind in ("event", "text", "binary"):
            if message.sender == "client":
                self._take_client(message)
            else:
                self._take_server(message)
        elif message.sender == "server" and message.kind == "raw":
            self._not_sent.append(f"{len(message.content)} undecodable bytes at {message.offset_ns / 1e9:.1f} s")

    def finish(self, dropped_at_ns: int | None) -> ServerPlan:
        if dropped_at_ns is not None and not self._is_closed:
            self._end("drop", self._scope.elapsed_ns(dropped_at_ns), b"")
        dependents: dict[int, list[Outgoing]] = defaultdict(list)
        expected: dict[int, list[Awaited | Heard]] = defaultdict(list)
        for moment in self._moments:
            if isinstance(moment, Outgoing):
                moment.soft.difference_update(moment.hard)
                for cause in moment.hard | moment.soft:
                    dependents[cause].append(moment)
            elif isinstance(moment, Awaited | Heard):
                expected[moment.after].append(moment)
        return ServerPlan(
            moments=tuple(self._moments),
            dependents={cause: tuple(found) for cause, found in dependents.items()},
            expected={cause: tuple(found) for cause, found in expected.items()},
            audio_ms=self._ends_ms[-1] if self._ends_ms else 0.0,
            items=self._items,
            responses=self._responses,
            errors=self._errors,
            not_sent=tuple(self._not_sent),
        )

    def _take_client(self, message: Message) -> None:
        at_ns = self._scope.elapsed_ns(message.offset_ns)
        if message.type == APPEND:
            before_ms = self._ends_ms[-1] if self._ends_ms else 0.0
            self._ends_ms.append(before_ms + audio_length_ms(message.content, self._configuration))
            self._ends.append((at_ns, self._last_sent))
            return
        # A `type` that is no word makes it no event.
        event = (parse_event(message.content) or {}) if message.type is not None else {}
        self._configuration.observe("client", event)
        self._asides.observe(event)
        event_type = message.type or kind_of(message.content)
        self._counts[event_type] += 1
        name = f"{event_type} #{self._counts[event_type]}, at {message.offset_ns / 1e9:.2f} s of the recording"
        awaited = Awaited(len(self._moments), at_ns, self._last_sent, event_type, event, name)
        self._moments.append(awaited)
        self._unanswered.add(awaited)

    def _take_server(self, message: Message) -> None:
        event = parse_event(message.content) or {}
        event_type = message.type or kind_of(message.content)
        self._asides.observe(event)
        # Places in the audio are moments of their own, so the causes come first.
        hard, soft = self._causes(ga_name(event_type), event)
        # No server says anything before it has opened the session, however early it was asked.
        soft.add(self._first_sent)
        at_ns = self._scope.elapsed_ns(message.offset_ns)
        sent = Outgoing(len(self._moments), at_ns, "message", event_type, message.content, hard, soft)
        self._moments.append(sent)
        self._configuration.observe("server", event)
        self._note(ga_name(event_type), event, sent)
        self._last_sent = sent.number
        if self._first_sent == OPENED:
            self._first_sent = sent.number

    def _take_close(self, message: Message) -> None:
        if message.sender == "server":
            content = message.content if isinstance(message.content, bytes) else message.content.encode()
            self._end("close", self._scope.elapsed_ns(message.offset_ns), content)
        self._is_closed = True

    def _end(self, kind: Literal["close", "drop"], at_ns: int, content: bytes) -> None:
        # The end comes after all that the server still had to say.
        soft = {moment.number for moment in self._moments if isinstance(moment, Outgoing)} | {OPENED}
        self._moments.append(Outgoing(len(self._moments), at_ns, kind, kind, content, self._unnamed_cause(), soft))

    def _causes(self, kind: str, event: Json) -> tuple[set[int], set[int]]:
        if self._last_sent == OPENED or kind == "session.created":
            return {self._last_sent}, set()
        ids = _ids_of(event)
        hard = {self._last_of[name] for name in ids if name in self._last_of}
        soft: set[int] = set()
        before = event.get("previous_item_id")
        if isinstance(before, str) and before in self._first_of:
            soft.add(self._first_of[before])
        cause = self._cause(kind, event, ids)
        if cause is not None:
            hard.add(cause)
        if kind == "response.created" and not self._asides.holds(event):
            soft |= set() if self._last_done is None else {self._last_done}
        if kind == "error" and cause is None:
            return self._unnamed_cause(), {self._last_sent}
        if not hard:
            hard = {self._last_sent} if kind.startswith(_OF_ITS_OWN) else {self._last_sent} | self._unnamed_cause()
        return hard, soft

    def _cause(self, kind: str, event: Json, ids: list[str]) -> int | None:
        is_told_of = bool(set(ids) & self._last_of.keys())
        found: Awaited | None = None
        if kind in ANSWERS:
            found = self._unanswered.answer(ANSWERS[kind], item_id=event.get("item_id"))
        elif kind == "error":
            found = self._unanswered.culprit(object_of(event, "error"))
            self._note_error(event, found)
        elif kind == "response.created":
            return self._asker(event)
        elif kind == "input_audio_buffer.committed":
            found = self._unanswered.answer({COMMIT})
            # Server VAD tells of a turn's speech before; without that only the audio can have made it.
            if found is None and not is_told_of:
                return self._hearing(event)
        elif kind.startswith("input_audio_buffer."):
            return self._hearing(event)
        elif kind in ("conversation.item.added", "conversation.item.done") and not is_told_of:
            found = self._unanswered.creation(object_of(event, "item"))
            if found is not None and ids:
                self._items[found.number] = ids[0]
        return None if found is None else found.number

    def _asker(self, event: Json) -> int | None:
        response = object_of(event, "response")
        turn = self._turns_due[0] if self._turns_due and not self._asides.holds(event) else None
        asked = self._unanswered.response(response, before=turn)
        if asked is None:
            self._turns_due[: turn is not None] = []
            return turn
        if isinstance(response.get("id"), str):
            self._responses[response["id"]] = asked.number
        return asked.number

    def _hearing(self, event: Json) -> int | None:
        """Give the place in the audio that an event of server VAD was about."""
        if not self._ends_ms:
            return None
        heard_ms = self._ends_ms[-1]
        named_ms = event.get("audio_end_ms", event.get("audio_start_ms"))
        # A client that sends a file at once had sent more by then than the endpoint had listened to.
        if isinstance(named_ms, int | float) and 0 < named_ms < heard_ms:
            heard_ms = float(named_ms)
        at_ns, after = self._ends[bisect_left(self._ends_ms, heard_ms)]
        heard = Heard(len(self._moments), at_ns, after, heard_ms)
        self._moments.append(heard)
        return heard.number

    def _unnamed_cause(self) -> set[int]:
        """Give what the client had sent since the server spoke last: what comes then may well be about that."""
        last = self._unanswered.last_since(self._last_sent)
        return set() if last is None else {last.number}

    def _note(self, kind: str, event: Json, sent: Outgoing) -> None:
        if kind == "input_audio_buffer.speech_started":
            self._last_speech = sent.number
            # The caller goes on talking: the endpoint may drop the answer that was due.
            self._turns_due.clear()
        elif kind == "input_audio_buffer.committed" and self._answers_turns():
            self._turns_due.append(sent.number)
        elif kind == "response.done":
            response = object_of(event, "response")
            self._note_cancellation(response, sent)
            if not self._asides.holds(event):
                self._last_done = sent.number
        # What answers a client about an item is not what others about that item follow.
        if kind not in ANSWERS and kind != "error":
            for name in _ids_of(event):
                self._first_of.setdefault(name, sent.number)
                self._last_of[name] = sent.number

    def _note_error(self, event: Json, about: Awaited | None) -> None:
        error, error_id = event.get("error"), event.get("event_id")
        if about is None or "event_id" in about.event or not isinstance(error, dict) or not isinstance(error_id, str):
            return
        if error.get("event_id") is None:
            self._errors[error_id] = about.number

    def _answers_turns(self) -> bool:
        detection = self._configuration.in_force("audio.input.turn_detection")
        answers = isinstance(detection, dict) and detection.get("create_response") is not False
        return answers and not self._configuration.is_transcription_session

    def _note_cancellation(self, response: Json, done: Outgoing) -> None:
        reason = get_path(response, "status_details.reason")
        cause = self._last_speech if reason == "turn_detected" else None
        if reason == "client_cancelled" and (cancel := self._unanswered.answer({CANCEL})):
            cause = cancel.number
        if cause is None:
            return
        # The response ends with the interruption, not where the recorded caller happened to interrupt. If that never
        # comes, it ends all the same: a response that is never done would hold up all others.
        done.soft.add(cause)
        for moment in self._moments[cause + 1 :]:
            if (
                isinstance(moment, Outgoing)
                and moment.type.startswith("response.")
                and moment.type.endswith(".done")
                and response.get("id") in _ids_of(parse_event(moment.content) or {})
            ):
                moment.soft.add(cause)
                break


def _ids_of(event: Json) -> list[str]:
    """List the item and the response that an event is about."""
    found = (
        event.get("item_id"),
        object_of(event, "item").get("id"),
        event.get("response_id"),
        object_of(event, "response").get("id"),
    )
    return list(dict.fromkeys(name for name in found if isinstance(name, str)))
