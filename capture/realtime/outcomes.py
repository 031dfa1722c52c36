"""Turn a session's events into failure keys: what distinguishes one failure from another.

A failure key is `event type|error type|error code|masked message`, or `absent:EVENT TYPE` for what should have
come and did not. Names, causes and confidence are given to keys elsewhere (signatures); here nothing is guessed.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from capture.realtime.asides import Asides
from capture.realtime.configuration import ConfigurationTracker, get_path
from capture.realtime.events import OUTPUT_DONE, EventHeader, asks_out_of_band

Outcome = Literal["failed", "ok", "incomplete"]
TrialOutcome = Literal["failed", "ok", "failed_otherwise", "throttled", "not_run"]
Json = dict[str, Any]

ABSENT_AFTER_NS = 5_000_000_000
"""What is due counts as absent after so long, if the client was still there; a hang-up in between is no failure."""

NEVER_CAME = "never came"
"""What is said of an event that is absent."""
COMPLETED = "completed"
"""End reason of a replay that was played to its end."""
INTERRUPTED = "interrupted"
"""End reason of a replay that its user stopped."""

_TRANSCRIPTION = "conversation.item.input_audio_transcription."
UNANNOUNCED = frozenset({"error", "mcp_list_tools.failed"})
"""Failures that may come at any time, and in nothing's place."""
_FAILED_EVENTS = UNANNOUNCED | {f"{_TRANSCRIPTION}failed"}
_MCP_FAILED = "response.mcp_call.failed"
_COMMIT_EMPTY = "input_audio_buffer_commit_empty"
_THROTTLED = {"rate_limit_exceeded", "inference_rate_limit_exceeded", "insufficient_quota"}
_QUIET_CLOSES = {1000, 1005}
_NO_CLOSE_FRAME = 1006

_URL = re.compile(r"(?<![A-Za-z])(?:https?|wss?)://[^\s'\"<>]+")
# Not the names of fields: "Invalid 'item.call_id'" says which one.
_ID = re.compile(
    r"(?<![A-Za-z_])(item|resp|sess|event|evt|call|conv|req|msg|rs)_(?!(?:id|type|reference|output)\b)[A-Za-z0-9_-]+"
)
_UUID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\b[0-9a-f]{20,}\b")
# Whole, for the numbers behind its hyphens would stay. A date alone may be the version of a model or of an API.
_TIME = re.compile(
    r"(?<![\w.-])\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?(?![\w-])"
)
# With their unit of time: waits are told as 850ms, 1.2s or 6m0s. Numbers that are part of a name (gpt-4o,
# 2025-04-01-preview's tail) stay: they tell models apart.
_NUMBER = re.compile(r"(?<![\w.-])(?:\d+(?:[.,]\d+)*(?:(?:ms|[dhms])(?![A-Za-z]))?)+")


def mask_message(message: str) -> str:
    """Replace what differs from one occurrence to the next: ids, URLs, times, numbers."""
    # A mask may leave a word behind it that is an id by itself: what is masked must be masked whole.
    while (masked := _mask_once(message)) != message:
        message = masked
    return masked


def _mask_once(message: str) -> str:
    masked = _URL.sub("URL", message)
    masked = _ID.sub(r"\1_…", masked)
    masked = _UUID.sub("…", masked)
    masked = _TIME.sub("…", masked)
    return _NUMBER.sub("…", masked)


def failure_key(event_type: str, error_type: str | None, error_code: str | None, message: str | None) -> str:
    """Compose a failure key; an absent part is empty. The item that says why an MCP call failed has the key of that."""
    event_type = _MCP_FAILED if event_type == OUTPUT_DONE else event_type
    return "|".join((event_type, error_type or "", error_code or "", mask_message(message or "")))


def is_throttling(key: str) -> bool:
    """Tell whether a failure key is the endpoint's refusal to do more for now."""
    event_type, error_type, error_code, *_ = [*key.split("|"), "", ""]
    # Some endpoints give the code as the type (protocol section 5.2).
    return bool({error_type, error_code} & _THROTTLED) or (event_type, error_code) == ("handshake", "429")


def session_outcome(failure_keys: list[str], *, lost_bytes: int, end_seen: bool) -> Outcome:
    """Judge a session: a failure seen outweighs bytes that were not."""
    if failure_keys:
        return "failed"
    return "incomplete" if lost_bytes or not end_seen else "ok"


def is_benign(error_code: object, *, by_detection: bool) -> bool:
    """Tell whether an error is none: what it refuses was needless. `by_detection`: server VAD commits the turns."""
    return error_code == "response_cancel_not_active" or (error_code == _COMMIT_EMPTY and by_detection)


def trial_outcome(
    failure_keys: list[str], expected: list[str], handshake_status: int | None, end_reason: str | None
) -> TrialOutcome:
    """Judge a replay against its recording's failure keys (docs/replay.md).

    *failed* means that the recording's failure came again; other failures are never counted as reproduced.
    `end_reason` is the replay's own: None where it did not live to tell.
    """
    if set(failure_keys) & set(expected):
        return "failed"
    if any(is_throttling(key) for key in failure_keys):
        return "throttled"
    if handshake_status != 101 or any(key.startswith("handshake|") for key in failure_keys):
        return "not_run"
    if failure_keys:
        return "failed_otherwise"
    if end_reason in (None, INTERRUPTED):
        return "not_run"
    # Cut short without a failure: what it would have come to is not known, so it must not count as ok.
    return "ok" if end_reason == COMPLETED else "failed_otherwise"


class OutcomeTracker:
    """Collects the failures of one session; feed it every message in order, then `finish` it."""

    def __init__(self, configuration: ConfigurationTracker) -> None:
        self.failure_keys: list[str] = []
        """Each key once, in the order of first occurrence."""
        self.errors = 0
        """Failures seen, repeats included."""
        self.first_error: str | None = None
        """Type, code and message of the first failure, unmasked."""
        self.failure_offsets_ns: list[int] = []
        """When each failure came, repeats included; of what never came, when it was due. A refused upgrade has none."""
        self._configuration = configuration
        self._server_spoke = False
        self._commits_by_detection = False
        self._commits_asked = 0
        """Commits of the client that are not answered yet."""
        self._turns_detected: set[str | None] = set()
        """Items of turns that turn detection ended or that silence made: these it commits by itself."""
        self._transcriptions_due: dict[str, int] = {}
        self._transcriptions_ended: set[str] = set()
        self._silences: set[str | None] = set()
        """Items of what the endpoint takes in when nobody spoke for too long: there may be nothing to transcribe."""
        self._mcp_failed_ns: dict[str, int] = {}
        """MCP calls that failed, of which nothing has said why; and when."""
        self._mcp_explained: set[str] = set()
        self._responses_open: dict[str, int] = {}
        self._asides = Asides()
        self._asides_open: set[str] = set()
        """Responses out of band: they answer nobody, and stand in no answer's way."""
        self._response_due_ns: int | None = None

    def observe(self, sender: str, header: EventHeader, event: Json | None, offset_ns: int) -> None:
        """Take one message in; `event` (parsed) is read for response.* and response.create only."""
        if sender == "client":
            self._observe_client(header, event or {}, offset_ns)
            return
        self._server_spoke = True
        event_type = header.type or ""
        if header.response_id in self._responses_open:
            self._responses_open[header.response_id] = offset_ns
        if event_type in _FAILED_EVENTS:
            self._observe_failure(header, offset_ns)
        elif event_type in (_MCP_FAILED, OUTPUT_DONE):
            self._observe_mcp_call(header, offset_ns)
        if event_type.startswith("input_audio_buffer."):
            self._observe_buffer(header, offset_ns)
        elif event_type in (f"{_TRANSCRIPTION}completed", f"{_TRANSCRIPTION}failed"):
            self._transcriptions_ended.add(header.item_id or "")
            self._transcriptions_due.pop(header.item_id or "", None)
        elif event_type == "conversation.item.deleted":
            self._transcriptions_due.pop(header.item_id or "", None)
        elif event_type == "response.created":
            self._observe_response_created(header, event or {}, offset_ns)
        elif event_type == "response.done":
            self._observe_response_done(header, event or {}, offset_ns)

    def observe_no_event(self) -> None:
        """Take in a message of the endpoint that is no event: whatever it speaks, it is not silent."""
        self._server_spoke = True

    @property
    def is_owed(self) -> bool:
        """Whether the endpoint still owes something."""
        is_silent = not self._server_spoke
        return bool(is_silent or self._transcriptions_due or self._responses_open or self._response_due_ns is not None)

    def refuse(self, status: int | None, error_type: str | None, message: str) -> None:
        """Take in an upgrade that was refused (HTTP status) or that nobody answered (None)."""
        self._fail("handshake", error_type, "unreachable" if status is None else str(status), message)

    def finish(
        self,
        ended_ns: int,
        *,
        closed_by: str | None,
        close_code: int | None,
        close_reason: str | None,
        bytes_lost: bool = False,
        is_side_channel: bool = False,
    ) -> None:
        """Take in the end of an upgraded session: how it closed, and what never came.

        `is_side_channel`: the call itself went over WebRTC or SIP.
        """
        for failed_ns in self._mcp_failed_ns.values():
            self._fail(_MCP_FAILED, None, None, None, at_ns=failed_ns)
        endpoint_left = closed_by in ("server", "network")
        # What was not recorded may have come all the same: the close frame, and what is held to be due.
        if close_code is None and endpoint_left and not bytes_lost:
            close_code = _NO_CLOSE_FRAME
        if close_code is not None and _is_failing_close(closed_by, close_code):
            self._fail_by_close(closed_by, close_code, close_reason, ended_ns)
        if is_side_channel and close_code in _QUIET_CLOSES:
            # The endpoint says goodbye here when the caller hangs up there.
            endpoint_left = False
        if not bytes_lost:
            self._note_absent(ended_ns if endpoint_left else ended_ns - ABSENT_AFTER_NS)

    def _observe_client(self, header: EventHeader, event: Json, offset_ns: int) -> None:
        self._asides.observe(event)
        if header.type == "input_audio_buffer.commit":
            self._commits_asked += 1
        if header.type == "response.create" and not asks_out_of_band(event):
            self._response_due_ns = offset_ns

    def _observe_buffer(self, header: EventHeader, offset_ns: int) -> None:
        if header.type == "input_audio_buffer.speech_started":
            # The caller goes on talking: the endpoint may drop the answer that was due.
            self._response_due_ns = None
            return
        if header.type == "input_audio_buffer.timeout_triggered":
            self._silences.add(header.item_id)
        if header.type in ("input_audio_buffer.speech_stopped", "input_audio_buffer.timeout_triggered"):
            self._turns_detected.add(header.item_id)
        if header.type != "input_audio_buffer.committed":
            return
        item_id = header.item_id
        # A commit that the client asked for makes no answer, with turn detection as without.
        is_asked = self._commits_asked > 0 and item_id not in self._turns_detected
        self._commits_asked -= is_asked
        if self._configuration.in_force("audio.input.turn_detection.type") not in (None, "none"):
            self._commits_by_detection = True
            if not is_asked and self._is_answer_due():
                self._response_due_ns = offset_ns
        # xAI may complete a transcription before it commits the audio.
        if not item_id or item_id in self._transcriptions_ended or item_id in self._silences:
            return
        if self._configuration.in_force("audio.input.transcription"):
            self._transcriptions_due[item_id] = offset_ns

    def _observe_response_created(self, header: EventHeader, event: Json, offset_ns: int) -> None:
        is_aside = self._asides.observe(event)
        if not is_aside:
            self._response_due_ns = None
        if header.response_id:
            self._responses_open[header.response_id] = offset_ns
            if is_aside:
                self._asides_open.add(header.response_id)

    def _observe_response_done(self, header: EventHeader, event: Json, offset_ns: int) -> None:
        self._responses_open.pop(header.response_id or "", None)
        status = get_path(event, "response.status")
        reason = get_path(event, "response.status_details.reason")
        if status == "failed":
            self._fail("response.done", header.error_type, header.error_code, header.error_message, at_ns=offset_ns)
        elif status == "incomplete" and reason == "content_filter":
            self._fail("response.done", "incomplete", "content_filter", None, at_ns=offset_ns)

    def _observe_failure(self, header: EventHeader, offset_ns: int) -> None:
        if header.error_code == _COMMIT_EMPTY:
            self._commits_asked = max(self._commits_asked - 1, 0)
        if is_benign(header.error_code, by_detection=self._commits_by_detection):
            return
        # After an error nothing tells which request it refused: no answer is held to be due.
        if header.type == "error":
            self._response_due_ns = None
        self._fail(header.type or "", header.error_type, header.error_code, header.error_message, at_ns=offset_ns)

    def _observe_mcp_call(self, header: EventHeader, offset_ns: int) -> None:
        # The event that says that a call failed does not say why: the item does, before it or after it.
        item_id = header.item_id or ""
        if header.type == _MCP_FAILED:
            if item_id not in self._mcp_explained:
                self._mcp_failed_ns[item_id] = offset_ns
        elif header.error_type or header.error_code or header.error_message:
            self._mcp_explained.add(item_id)
            at_ns = self._mcp_failed_ns.pop(item_id, offset_ns)
            self._fail(_MCP_FAILED, header.error_type, header.error_code, header.error_message, at_ns=at_ns)

    def _note_absent(self, before_ns: int) -> None:
        due: dict[str, list[int]] = {
            "session.created": [] if self._server_spoke else [0],
            f"{_TRANSCRIPTION}completed": list(self._transcriptions_due.values()),
            "response.created": [] if self._response_due_ns is None else [self._response_due_ns],
            "response.done": list(self._responses_open.values()),
        }
        for event_type, due_ns in due.items():
            overdue_ns = [at_ns for at_ns in due_ns if at_ns <= before_ns]
            if overdue_ns:
                self._absent(event_type, overdue_ns)

    def _fail(
        self,
        event_type: str,
        error_type: str | None,
        error_code: str | None,
        message: str | None,
        *,
        at_ns: int | None = None,
    ) -> None:
        said = " ".join(part for part in (error_type, error_code, message) if part)
        self._count(failure_key(event_type, error_type, error_code, message), f"{event_type}: {said}")
        if at_ns is not None:
            self.failure_offsets_ns.append(at_ns)

    def _fail_by_close(self, closed_by: str | None, code: int, reason: str | None, at_ns: int) -> None:
        # An endpoint that drops the connection resets it where it had something left to read, and ends its stream where
        # it had not: by chance, so that one failure must not have two keys.
        sender = None if code == _NO_CLOSE_FRAME else closed_by
        said = " ".join(part for part in (closed_by, str(code), reason) if part)
        self._count(failure_key("close", sender, str(code), reason), f"close: {said}")
        self.failure_offsets_ns.append(at_ns)

    def _absent(self, event_type: str, due_ns: list[int]) -> None:
        self._count(f"absent:{event_type}", f"{event_type} {NEVER_CAME}")
        self.failure_offsets_ns += due_ns

    def _count(self, key: str, said: str) -> None:
        self.errors += 1
        self.first_error = self.first_error or said
        if key not in self.failure_keys:
            self.failure_keys.append(key)

    def _is_answer_due(self) -> bool:
        # While a response is open, endpoints differ in whether a commit makes another one.
        return not (
            self._responses_open.keys() - self._asides_open
            or self._configuration.is_transcription_session
            or self._creates_response is False
        )

    @property
    def _creates_response(self) -> object:
        # Some endpoints echo the kind of turn detection alone: then what was asked is all there is to go by.
        return self._configuration.setting("audio.input.turn_detection.create_response")


def _is_failing_close(closed_by: str | None, close_code: int | None) -> bool:
    if closed_by == "recorder" or close_code in _QUIET_CLOSES:
        return False
    if closed_by in ("server", "network"):
        return True
    # A client that goes away or drops the connection ends its own call; nothing failed.
    return close_code not in (None, 1001, _NO_CLOSE_FRAME)
