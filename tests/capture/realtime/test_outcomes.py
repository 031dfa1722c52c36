"""Failure keys: what went wrong in a session, told so that the same failure has the same key again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from capture.realtime.configuration import ConfigurationTracker
from capture.realtime.events import read_header
from capture.realtime.outcomes import (
    ABSENT_AFTER_NS,
    COMPLETED,
    INTERRUPTED,
    OutcomeTracker,
    failure_key,
    is_throttling,
    mask_message,
    session_outcome,
    trial_outcome,
)

SECOND_NS = 1_000_000_000
TRANSCRIPTION = "conversation.item.input_audio_transcription"
FOUNDING_KEY = f"{TRANSCRIPTION}.failed|server_error||Input transcription failed for item 'item_…'."

WIRE_LOGS = [
    "azure_voice_live_ws-audio_in_server_vad_turn",
    "azure_voice_live_ws-tool_call_round",
    "azure_ws-audio_in_server_vad_transcribes",
    "azure_ws-message_history_seeding",
    "azure_ws-text_in_audio_out_turn",
    "azure_ws-tool_call_round",
    "gateway_ws-gateway_openai_text_in_audio_out",
    "openai_ws-audio_in_server_vad_turn",
    "openai_ws-message_history_seeding",
    "openai_ws-text_in_audio_out_turn",
    "openai_ws-tool_call_round",
    "openai_ws_sideband-webrtc_sideband_audio_turn",
    "parity_ws-text_tool_round_parity-azure-current",
    "parity_ws-text_tool_round_parity-openai-current",
    "xai_ws-audio_in_server_vad_turn",
    "xai_ws-thinking_disabled",
    "xai_ws-tool_call_round",
]


class Session:
    """A session told message by message, on a clock of its own."""

    def __init__(self, *, detection: object = "server_vad", transcription: str | None = "gpt-4o-transcribe") -> None:
        self.now_ns = 0
        self._configuration = ConfigurationTracker()
        self.outcomes = OutcomeTracker(self._configuration)
        turn_detection = {"type": detection} if isinstance(detection, str) else detection
        listening = {"turn_detection": turn_detection, "transcription": transcription and {"model": transcription}}
        self.server("session.created", session={"type": "realtime", "audio": {"input": listening}})

    def client(self, event_type: str, **fields: object) -> None:
        self._observe("client", {"type": event_type, **fields})

    def server(self, event_type: str, **fields: object) -> None:
        self._observe("server", {"type": event_type, **fields})

    def turn(self, number: int = 1) -> None:
        """Let the caller speak, and the endpoint commit what was said."""
        item_id = f"item_{number}"
        for event_type in ("speech_started", "speech_stopped", "committed"):
            self.server(f"input_audio_buffer.{event_type}", item_id=item_id)

    def answer(self, number: int = 1, **response: object) -> None:
        """Let the endpoint answer."""
        self.server("response.created", response={"id": f"resp_{number}", "status": "in_progress"})
        self.server("response.done", response={"id": f"resp_{number}", "status": "completed", **response})

    def wait(self, seconds: float) -> None:
        self.now_ns += int(seconds * SECOND_NS)

    def end(
        self, closed_by: str | None = "client", code: int | None = 1000, reason: str = "", **facts: bool
    ) -> list[str]:
        """Close the session; give its failure keys."""
        self.outcomes.finish(self.now_ns, closed_by=closed_by, close_code=code, close_reason=reason, **facts)
        return self.outcomes.failure_keys

    def _observe(self, sender: str, event: dict[str, Any]) -> None:
        header = read_header(json.dumps(event))
        assert header is not None
        self.now_ns += 10_000_000
        self._configuration.observe(sender, event)
        self.outcomes.observe(sender, header, event, self.now_ns)


def transcribed(session: Session, number: int = 1) -> None:
    session.server(f"{TRANSCRIPTION}.completed", item_id=f"item_{number}", content_index=0, transcript="Hello")


# The founding incident


def test_the_founding_incident_has_one_key_for_all_its_turns() -> None:
    session = Session()
    for number in (1, 2, 3):
        session.turn(number)
        session.server(
            f"{TRANSCRIPTION}.failed",
            item_id=f"item_{number}",
            content_index=0,
            error={
                "type": "server_error",
                "code": None,
                "message": f"Input transcription failed for item 'item_D81p{number}abc'.",
                "param": None,
            },
        )
        session.answer(number)
    assert session.end() == [FOUNDING_KEY]
    assert session.outcomes.errors == 3
    assert session.outcomes.first_error == (
        f"{TRANSCRIPTION}.failed: server_error Input transcription failed for item 'item_D81p1abc'."
    )


def test_a_missing_deployment_has_another_key_than_the_founding_incident() -> None:
    session = Session()
    session.turn()
    session.server(
        f"{TRANSCRIPTION}.failed",
        item_id="item_1",
        error={
            "type": "server_error",
            "code": "DeploymentNotFound",
            "message": "Input transcription failed for item 'item_E4ySzyEXmG1cqrBzxotNa'.",
        },
    )
    session.answer()
    assert session.end() == [FOUNDING_KEY.replace("||", "|DeploymentNotFound|")]


# Healthy sessions


@pytest.mark.parametrize("log", WIRE_LOGS)
def test_real_healthy_sessions_have_no_failure_key(log: str, wire_log: Any) -> None:
    configuration = ConfigurationTracker()
    outcomes = OutcomeTracker(configuration)
    for message in wire_log(log):
        header = read_header(message.text)
        assert header is not None
        configuration.observe(message.sender, message.event)
        outcomes.observe(message.sender, header, message.event, message.offset_ns)
    # The endpoint leaves at once: whatever was still due now counts as absent.
    outcomes.finish(message.offset_ns, closed_by="server", close_code=1000, close_reason="")
    assert outcomes.failure_keys == []
    assert outcomes.errors == 0
    assert outcomes.first_error is None


def test_every_wire_log_is_read_here(shared: Any) -> None:
    assert sorted(path.stem for path in (shared / "fixtures").glob("*.jsonl")) == WIRE_LOGS


def test_a_barge_in_is_no_failure() -> None:
    session = Session(transcription=None)
    session.turn(1)
    session.server("response.created", response={"id": "resp_1"})
    session.server("input_audio_buffer.speech_started", item_id="item_2")
    session.server(
        "response.done",
        response={"id": "resp_1", "status": "cancelled", "status_details": {"reason": "turn_detected"}},
    )
    session.server("input_audio_buffer.speech_stopped", item_id="item_2")
    session.server("input_audio_buffer.committed", item_id="item_2")
    session.answer(2)
    assert session.end() == []


# Errors


def test_an_error_event_is_keyed_by_type_code_and_masked_message() -> None:
    session = Session()
    session.server(
        "error",
        error={
            "type": "invalid_request_error",
            "code": "invalid_tool_call_id",
            "message": "Tool call ID 'call_Ab12' not found in conversation.",
        },
    )
    assert session.end() == [
        "error|invalid_request_error|invalid_tool_call_id|Tool call ID 'call_…' not found in conversation."
    ]


def test_a_failed_response_is_found_without_an_error_event() -> None:
    session = Session(transcription=None)
    session.turn()
    error = {"type": "server_error", "code": None, "message": "The server had an error (sess_E4x)."}
    session.answer(status="failed", status_details={"type": "failed", "error": error})
    assert session.end() == ["response.done|server_error||The server had an error (sess_…)."]


def test_a_filtered_answer_is_a_failure_and_one_that_grew_too_long_is_none() -> None:
    session = Session(transcription=None)
    session.answer(1, status="incomplete", status_details={"reason": "max_output_tokens"})
    assert session.end() == []
    session.answer(2, status="incomplete", status_details={"reason": "content_filter"})
    assert session.end() == ["response.done|incomplete|content_filter|"]


def test_failed_mcp_calls_are_failures() -> None:
    session = Session()
    session.server("mcp_list_tools.failed", item_id="item_1")
    session.server("response.mcp_call.failed", item_id="item_2")
    assert session.end() == ["mcp_list_tools.failed|||", "response.mcp_call.failed|||"]


def mcp_call_done(session: Session, **told: object) -> None:
    item = {"id": "item_2", "type": "mcp_call", "name": "search_orders", "server_label": "crm", **told}
    session.server("response.output_item.done", response_id="resp_1", output_index=0, item=item)


TIMED_OUT = {"type": "tool_execution_error", "message": "orders timed out after 30s"}


@pytest.mark.parametrize("order", [[0, 1], [1, 0], [1]], ids=["item after", "item before", "item alone"])
def test_why_an_mcp_call_failed_is_told_by_its_item(order: list[int]) -> None:
    session = Session()
    tell = (
        lambda: session.server("response.mcp_call.failed", item_id="item_2", output_index=0),
        lambda: mcp_call_done(session, error=TIMED_OUT),
    )
    for place in order:
        tell[place]()
    assert session.end() == ["response.mcp_call.failed|tool_execution_error||orders timed out after …"]
    assert session.outcomes.errors == 1


def test_an_mcp_call_that_went_well_is_no_failure() -> None:
    session = Session()
    mcp_call_done(session, error=None, output="[]")
    assert session.end() == []


def test_cancelling_what_has_ended_is_benign() -> None:
    session = Session()
    session.server("error", error={"type": "invalid_request_error", "code": "response_cancel_not_active"})
    assert session.end() == []


def test_an_empty_commit_is_benign_only_after_detection_committed() -> None:
    empty = {"type": "invalid_request_error", "code": "input_audio_buffer_commit_empty", "message": "Too small."}
    after_detection = Session(transcription=None)
    after_detection.turn()
    after_detection.server("error", error=empty)
    after_detection.answer()
    assert after_detection.end() == []

    by_hand = Session(detection=None, transcription=None)
    by_hand.server("input_audio_buffer.committed", item_id="item_1")
    by_hand.server("error", error=empty)
    assert by_hand.end() == ["error|invalid_request_error|input_audio_buffer_commit_empty|Too small."]


def test_what_the_client_sends_is_never_a_failure() -> None:
    session = Session()
    session.client("error", error={"type": "server_error"})
    session.client("response.done", response={"id": "resp_1", "status": "failed"})
    assert session.end() == []


# What should have come and did not


def test_a_transcription_that_never_comes_is_absent_after_the_grace() -> None:
    session = Session()
    session.turn()
    session.answer()
    session.wait(4)
    assert session.end() == []
    session.wait(2)
    assert session.end() == [f"absent:{TRANSCRIPTION}.completed"]
    assert session.outcomes.first_error == f"{TRANSCRIPTION}.completed never came"


@pytest.mark.parametrize("closed_by", ["server", "network"])
def test_it_is_absent_at_once_where_the_endpoint_left(closed_by: str) -> None:
    session = Session()
    session.turn()
    session.answer()
    assert f"absent:{TRANSCRIPTION}.completed" in session.end(closed_by)


def test_a_caller_who_hangs_up_on_the_telephone_ends_the_side_channel_of_the_call() -> None:
    session = Session()
    session.turn()
    session.server("response.created", response={"id": "resp_1"})
    assert session.end("server", is_side_channel=True) == []
    assert session.end("server", 1011, is_side_channel=True)[0] == "close|server|1011|"
    assert "absent:response.done" in session.end("server", 1011, is_side_channel=True)


def test_a_transcription_is_due_only_where_it_was_configured() -> None:
    session = Session(transcription=None)
    session.turn()
    session.answer()
    session.wait(60)
    assert session.end() == []


def silence(session: Session, item_id: str) -> None:
    """Let the endpoint take in that nobody spoke, and ask whether the caller is there."""
    for event_type in ("timeout_triggered", "committed"):
        session.server(f"input_audio_buffer.{event_type}", item_id=item_id)
    session.answer(9)


def test_of_silence_that_the_endpoint_takes_in_no_transcription_is_due() -> None:
    session = Session(detection={"type": "server_vad", "idle_timeout_ms": 6000})
    silence(session, "item_2")
    session.wait(60)
    assert session.end() == []


def test_an_answer_to_silence_is_due() -> None:
    session = Session()
    for event_type in ("timeout_triggered", "committed"):
        session.server(f"input_audio_buffer.{event_type}", item_id="item_2")
    session.wait(60)
    assert session.end() == ["absent:response.created"]


def test_a_transcription_that_ended_before_the_commit_is_not_due_as_with_xai() -> None:
    session = Session()
    session.server("input_audio_buffer.speech_started", item_id="item_1")
    transcribed(session)
    session.server("input_audio_buffer.committed", item_id="item_1")
    session.answer()
    session.wait(60)
    assert session.end() == []


def test_a_deleted_item_is_not_waited_for() -> None:
    session = Session()
    session.turn()
    session.answer()
    session.server("conversation.item.deleted", item_id="item_1")
    session.wait(60)
    assert session.end() == []


def test_a_turn_without_an_answer() -> None:
    session = Session()
    session.turn()
    transcribed(session)
    session.wait(6)
    assert session.end() == ["absent:response.created"]


@pytest.mark.parametrize(
    "detection", [None, "none", {"type": None}, {"type": "server_vad", "create_response": False}], ids=str
)
def test_no_answer_is_due_that_nobody_asked_for(detection: object) -> None:
    session = Session(detection=detection)
    session.turn()
    transcribed(session)
    session.wait(60)
    assert session.end() == []


def test_a_turn_that_the_client_commits_itself_makes_no_answer_with_turn_detection_either() -> None:
    session = Session()
    session.turn()
    transcribed(session)
    session.answer()
    # The caller hangs up in the middle of a sentence; the client wants the words all the same.
    session.server("input_audio_buffer.speech_started", item_id="item_2")
    session.client("input_audio_buffer.commit")
    session.server("input_audio_buffer.committed", item_id="item_2")
    transcribed(session, 2)
    session.wait(60)
    assert session.end() == []


def test_a_turn_that_detection_commits_while_the_client_asks_for_it_is_answered() -> None:
    empty = {"type": "invalid_request_error", "code": "input_audio_buffer_commit_empty"}
    session = Session(transcription=None)
    session.server("input_audio_buffer.speech_started", item_id="item_1")
    session.client("input_audio_buffer.commit")
    session.server("input_audio_buffer.speech_stopped", item_id="item_1")
    session.server("input_audio_buffer.committed", item_id="item_1")
    session.server("error", error=empty)
    session.wait(6)
    assert session.end() == ["absent:response.created"]


def test_an_endpoint_that_echoes_the_kind_of_detection_alone_gives_no_answers_where_none_were_asked_for() -> None:
    session = Session(transcription=None)
    detection = {"type": "server_vad", "create_response": False}
    session.client("session.update", session={"audio": {"input": {"turn_detection": detection}}})
    session.server("session.updated", session={"audio": {"input": {"turn_detection": {"type": "server_vad"}}}})
    session.turn()
    session.wait(60)
    assert session.end() == []


def test_an_answer_the_client_asked_for_is_due() -> None:
    session = Session(detection=None)
    session.client("response.create")
    session.wait(6)
    assert session.end() == ["absent:response.created"]


@pytest.mark.parametrize("is_open", [True, False], ids=["goes on", "done"])
def test_a_response_outside_the_conversation_is_not_the_answer_that_is_due(*, is_open: bool) -> None:
    session = Session()
    session.client("response.create", response={"conversation": "none"})
    session.server("response.created", response={"id": "resp_m", "conversation_id": None})
    session.turn()
    transcribed(session)
    session.client("response.create", response={"conversation": "none"})
    session.server("response.created", response={"id": "resp_n", "conversation_id": None})
    for response in ["resp_n"] if is_open else ["resp_m", "resp_n"]:
        session.server("response.done", response={"id": response, "conversation_id": None, "status": "completed"})
    session.wait(6)
    assert session.end()[0] == "absent:response.created"


def test_an_endpoint_that_names_no_conversation_answers_all_the_same() -> None:
    session = Session()
    session.turn()
    transcribed(session)
    session.server("response.created", response={"id": "resp_1", "conversation_id": None})
    session.server("response.done", response={"id": "resp_1", "conversation_id": None, "status": "completed"})
    session.wait(6)
    assert session.end() == []


def test_an_answer_outside_the_conversation_cannot_be_told_from_others_and_is_not_waited_for() -> None:
    session = Session(detection=None)
    session.client("response.create", response={"conversation": "none"})
    session.wait(60)
    assert session.end() == []


def test_after_an_error_no_answer_is_held_to_be_due() -> None:
    session = Session(detection=None)
    session.client("response.create")
    session.server("error", error={"type": "invalid_request_error", "code": "conversation_already_has_active_response"})
    session.wait(60)
    assert session.end() == ["error|invalid_request_error|conversation_already_has_active_response|"]


@pytest.mark.parametrize("code", ["response_cancel_not_active", "input_audio_buffer_commit_empty"])
def test_after_an_error_that_is_none_the_answer_is_still_due(code: str) -> None:
    session = Session(transcription=None)
    session.turn()
    session.answer()
    session.client("response.create")
    session.server("error", error={"type": "invalid_request_error", "code": code})
    session.wait(6)
    assert session.end() == ["absent:response.created"]


def test_a_caller_who_goes_on_talking_may_get_no_answer_to_what_came_before() -> None:
    session = Session(transcription=None)
    session.turn(1)
    session.server("input_audio_buffer.speech_started", item_id="item_2")
    session.wait(60)
    assert session.end() == []


def test_a_turn_during_an_answer_may_get_none_of_its_own() -> None:
    session = Session(transcription=None)
    session.turn(1)
    session.server("response.created", response={"id": "resp_1"})
    session.turn(2)
    session.server("response.done", response={"id": "resp_1", "status": "completed"})
    session.wait(60)
    assert session.end() == []


@pytest.mark.parametrize(
    ("event_type", "configuration"),
    [
        ("session.updated", {"type": "transcription"}),
        ("session.updated", {"object": "realtime.transcription_session"}),
        ("transcription_session.updated", {}),
    ],
)
def test_transcription_sessions_give_no_answers(event_type: str, configuration: dict[str, Any]) -> None:
    session = Session()
    listening = {"turn_detection": {"type": "server_vad"}, "transcription": {"model": "m"}}
    session.server(event_type, session={"audio": {"input": listening}, **configuration})
    session.turn()
    transcribed(session)
    session.wait(60)
    assert session.end() == []


def test_an_answer_that_never_ends() -> None:
    session = Session(transcription=None)
    session.turn()
    session.server("response.created", response={"id": "resp_1"})
    session.wait(60)
    session.server("response.output_audio.delta", response_id="resp_1", delta="AAAA")
    session.wait(4)
    assert session.end() == [], "a client may hang up while the answer is still coming"
    session.wait(2)
    assert session.end() == ["absent:response.done"]


def test_an_endpoint_that_never_says_a_word() -> None:
    def silent() -> OutcomeTracker:
        return OutcomeTracker(ConfigurationTracker())

    hung_up, waited, left = silent(), silent(), silent()
    hung_up.finish(SECOND_NS, closed_by="client", close_code=1000, close_reason=None)
    waited.finish(ABSENT_AFTER_NS, closed_by="client", close_code=1000, close_reason=None)
    left.finish(SECOND_NS, closed_by="server", close_code=1000, close_reason=None)
    assert hung_up.failure_keys == []
    assert waited.failure_keys == left.failure_keys == ["absent:session.created"]


def test_what_was_not_recorded_is_not_called_absent() -> None:
    session = Session()
    session.turn()
    session.wait(60)
    assert session.end("server", bytes_lost=True) == []


# How sessions close


@pytest.mark.parametrize(
    ("closed_by", "code", "reason", "keys"),
    [
        ("client", 1000, "", []),
        ("client", 1001, "going away", []),
        ("client", 1005, "", []),
        ("client", 1006, "", []),
        ("client", None, "", []),
        ("client", 1011, "keepalive ping timeout", ["close|client|1011|keepalive ping timeout"]),
        ("client", 3000, "", ["close|client|3000|"]),
        ("client", 4000, "", ["close|client|4000|"]),
        ("server", 1000, "OK", []),
        ("server", 1005, "", []),
        (
            "server",
            1001,
            "Your session hit the maximum duration of 60 minutes.",
            ["close|server|1001|Your session hit the maximum duration of … minutes."],
        ),
        ("server", 1006, "", ["close||1006|"]),
        ("server", 1011, "internal error", ["close|server|1011|internal error"]),
        (
            "server",
            3000,
            "invalid_request_error.invalid_api_key",
            ["close|server|3000|invalid_request_error.invalid_api_key"],
        ),
        (
            "server",
            4000,
            "invalid_request_error.beta_api_shape_disabled",
            ["close|server|4000|invalid_request_error.beta_api_shape_disabled"],
        ),
        ("server", None, "", ["close||1006|"]),
        ("network", 1000, "", []),
        ("network", 1006, "", ["close||1006|"]),
        ("network", None, "", ["close||1006|"]),
        ("recorder", 1001, "", []),
        ("recorder", 1006, "", []),
        ("recorder", 1011, "", []),
        (None, None, "", []),
        (None, 1006, "", []),
    ],
)
def test_who_closed_and_how_decides_whether_a_close_is_a_failure(
    closed_by: str | None, code: int | None, reason: str, keys: list[str]
) -> None:
    assert Session().end(closed_by, code, reason) == keys


@pytest.mark.parametrize(
    ("status", "error_type", "message", "key"),
    [
        (401, "invalid_api_key", "Incorrect API key.", "handshake|invalid_api_key|401|Incorrect API key."),
        (429, None, "Retry after 30 seconds", "handshake||429|Retry after … seconds"),
        (None, None, "Connection refused", "handshake||unreachable|Connection refused"),
    ],
)
def test_a_refused_upgrade_is_keyed_by_its_status(
    status: int | None, error_type: str | None, message: str, key: str
) -> None:
    outcomes = OutcomeTracker(ConfigurationTracker())
    outcomes.refuse(status, error_type, message)
    assert outcomes.failure_keys == [key]


# Masking


@pytest.mark.parametrize(
    ("message", "masked"),
    [
        ("Input transcription failed for item 'item_D81pQ-x_9'.", "Input transcription failed for item 'item_…'."),
        ("Audio content of 9250ms is already shorter than 57340ms", "Audio content of … is already shorter than …"),
        ("Expected at least 100ms, but it only has 0.00ms.", "Expected at least …, but it only has …."),
        ("Please try again in 850ms.", "Please try again in …."),
        ("Please try again in 1.2s.", "Please try again in …."),
        ("Please try again in 6m0s.", "Please try again in …."),
        ("Limit 1,000, Used 999", "Limit …, Used …"),
        ("hit the maximum duration of 60 minutes", "hit the maximum duration of … minutes"),
        ("JWT expired at 2026-02-12T08:30:55.123Z. Current", "JWT expired at …. Current"),
        ("Timestamp: 2026-02-12 08:30:43Z", "Timestamp: …"),
        ("since 2026-02-12T08:30:55+00:00, until 2026-02-12T09:30", "since …, until …"),
        ("response in progress: resp_E4ySzvKW", "response in progress: resp_…"),
        ("(include session ID sess_E4 in your message)", "(include session ID sess_… in your message)"),
        ("request 787217e0-82ed-41d8-b376-81ea0b5b5774 failed", "request … failed"),
        ("id aea33af4e0394bbbacf1ff68f7e57f6c", "id …"),
        ("see https://platform.openai.com/docs?a=1 for more", "see URL for more"),
        ("wss://x.openai.azure.com/openai/v1/realtime refused", "URL refused"),
        ("The model gpt-4o-transcribe-2025-03-20 is unknown", "The model gpt-4o-transcribe-2025-03-20 is unknown"),
        ("gpt-realtime-1.5 and gpt-5 and whisper-1 and v2", "gpt-realtime-1.5 and gpt-5 and whisper-1 and v2"),
        ("Invalid 'item.call_id': no match", "Invalid 'item.call_id': no match"),
        ("a function_call_output item", "a function_call_output item"),
        ("", ""),
    ],
)  # fmt: skip
def test_what_differs_each_time_is_masked_and_what_tells_models_apart_stays(message: str, masked: str) -> None:
    assert mask_message(message) == masked


@given(
    st.text()
    | st.text(alphabet="0123456789abcdefitemrspul_-.,:/ '…ms")
    | st.lists(
        st.sampled_from(
            [
                "item_",
                "resp_x",
                "12",
                "5.",
                ",7",
                "ms",
                "6m0s",
                "2026-02-12T08:30",
                "-",
                " ",
                "https://a",
                "wss://",
                "deadbeef" * 3,
                "…",
                "URL",
            ]
        )
    ).map("".join)
)
@example("12item_abc")
@example("2026-02-12T08:30-2026-02-12 08:30:55Z")
@example("3https://a b")
@example("0m0a0000000000000000000")
def test_masking_what_is_masked_changes_nothing(message: str) -> None:
    masked = mask_message(message)
    assert mask_message(masked) == masked


def test_a_key_has_empty_places_for_what_is_absent() -> None:
    assert failure_key("error", None, None, None) == "error|||"
    assert failure_key("error", "t", "c", "took 5 s") == "error|t|c|took … s"


# Judgements


@pytest.mark.parametrize(
    ("key", "throttling"),
    [
        ("handshake||429|Too many requests", True),
        ("handshake|rate_limit|429|Too many requests", True),
        ("response.done|invalid_request_error|inference_rate_limit_exceeded|Slow down", True),
        ("response.done|tokens|rate_limit_exceeded|Rate limit reached", True),
        ("error|insufficient_quota||You exceeded your current quota", True),
        (f"{TRANSCRIPTION}.failed|server_error|rate_limit_exceeded|", True),
        ("handshake||401|Too many requests", False),
        ("handshake||503|429", False),
        ("error|429||", False),
        ("error||429|", False),
        ("close|server|1011|rate_limit_exceeded", False),
        ("absent:response.created", False),
        ("", False),
        (FOUNDING_KEY, False),
    ],
)
def test_throttling_is_told_from_failures(key: str, throttling: bool) -> None:
    assert is_throttling(key) is throttling


@pytest.mark.parametrize(
    ("keys", "lost_bytes", "end_seen", "outcome"),
    [
        ([], 0, True, "ok"),
        ([], 1, True, "incomplete"),
        ([], 0, False, "incomplete"),
        (["error|||"], 0, True, "failed"),
        (["error|||"], 1, False, "failed"),
    ],
)
def test_a_failure_that_was_seen_outweighs_bytes_that_were_not(
    keys: list[str], lost_bytes: int, end_seen: bool, outcome: str
) -> None:
    assert session_outcome(keys, lost_bytes=lost_bytes, end_seen=end_seen) == outcome


@pytest.mark.parametrize(
    ("keys", "expected", "status", "outcome"),
    [
        ([FOUNDING_KEY], [FOUNDING_KEY], 101, "failed"),
        (["error|||", FOUNDING_KEY], [FOUNDING_KEY], 101, "failed"),
        ([FOUNDING_KEY], ["close||1006|", FOUNDING_KEY], 101, "failed"),
        ([], [FOUNDING_KEY], 101, "ok"),
        ([], [], 101, "ok"),
        (["error|||"], [FOUNDING_KEY], 101, "failed_otherwise"),
        (["error|||"], [], 101, "failed_otherwise"),
        (["handshake||429|Slow down"], [FOUNDING_KEY], 429, "throttled"),
        (["response.done|tokens|rate_limit_exceeded|"], [FOUNDING_KEY], 101, "throttled"),
        (["handshake||429|Slow down"], ["handshake||429|Slow down"], 429, "failed"),
        (["handshake||401|No"], ["handshake||401|No"], 401, "failed"),
        (["handshake||401|No"], [FOUNDING_KEY], 401, "not_run"),
        (["handshake||unreachable|No route"], [FOUNDING_KEY], None, "not_run"),
        ([], [FOUNDING_KEY], None, "not_run"),
        (["handshake||101|its Sec-WebSocket-Accept answers another key"], [FOUNDING_KEY], 101, "not_run"),
    ],
)
def test_a_trial_failed_only_if_the_recordings_failure_came_again(
    keys: list[str], expected: list[str], status: int | None, outcome: str
) -> None:
    assert trial_outcome(keys, expected, status, COMPLETED) == outcome


@pytest.mark.parametrize(
    ("keys", "end_reason", "outcome"),
    [
        ([], "timed_out: missing transcription of item_1", "failed_otherwise"),
        ([], "closed_by_endpoint", "failed_otherwise"),
        ([], INTERRUPTED, "not_run"),
        ([], None, "not_run"),
        (["error|||"], INTERRUPTED, "failed_otherwise"),
        ([FOUNDING_KEY], None, "failed"),
    ],
)
def test_a_trial_that_was_cut_short_is_never_ok(keys: list[str], end_reason: str | None, outcome: str) -> None:
    assert trial_outcome(keys, [FOUNDING_KEY], 101, end_reason) == outcome


# When it failed


def test_each_failure_has_its_time_repeats_included() -> None:
    session = Session()
    seen: list[int] = []
    for number in (1, 2):
        session.wait(60)
        session.server("error", error={"type": "server_error", "message": "busy"})
        seen.append(session.now_ns)
        session.server("response.created", response={"id": f"resp_{number}"})
        session.server("response.done", response={"id": f"resp_{number}", "status": "failed"})
        seen.append(session.now_ns)
    session.server("error", error={"type": "invalid_request_error", "code": "response_cancel_not_active"})
    session.wait(1)
    session.end("server", 1011)
    assert session.outcomes.failure_offsets_ns == [*seen, session.now_ns]
    assert session.outcomes.errors == 5


def test_what_never_came_failed_when_it_was_due() -> None:
    session = Session()
    session.turn(1)
    first_ns = session.now_ns
    session.answer(1)
    session.turn(2)
    second_ns = session.now_ns
    session.answer(2)
    session.server("response.created", response={"id": "resp_3"})
    begun_ns = session.now_ns
    session.wait(60)
    assert session.end() == [f"absent:{TRANSCRIPTION}.completed", "absent:response.done"]
    assert session.outcomes.failure_offsets_ns == [first_ns, second_ns, begun_ns]
    assert session.outcomes.errors == 2
