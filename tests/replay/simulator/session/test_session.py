import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.audio import PCM16_24K, AudioFormat, clip_as
from replay.simulator.clips import clip_path, read_text
from replay.simulator.ids import IdSource
from replay.simulator.protocol.admission import Admitted
from replay.simulator.protocol.client_events import CLIENT_EVENTS
from replay.simulator.scenario import Server
from replay.simulator.session.session import Close, Session

if TYPE_CHECKING:
    from tests.replay.simulator.conftest import Talk

Event = dict[str, Any]
QUESTION = PCM16_24K.silence(480) + clip_as(clip_path("question_weather"), PCM16_24K) + PCM16_24K.silence(320)
TEXT = read_text("question_weather")
TRANSCRIPTION = "conversation.item.input_audio_transcription"


def transcribed(model: str) -> dict[str, Any]:
    return {"input": {"transcription": {"model": model}}}


def types(events: list[Event]) -> list[str]:
    return [event["type"] for event in events]


def by_type(events: list[Event], *event_types: str) -> list[Event]:
    return [event for event in events if event["type"] in event_types]


@pytest.mark.usefixtures("shared")
def test_the_oracle_of_these_tests_is_strict(check_event: Callable[[Event], None]) -> None:
    committed = {"type": "input_audio_buffer.committed", "event_id": "e", "previous_item_id": None, "item_id": "i"}

    check_event(committed)
    changes: list[Event] = [{"item_id": None}, {"item": {}}, {"previous_item_id": 3}]
    for wrong in changes:
        with pytest.raises((AssertionError, ValueError)):
            check_event({**committed, **wrong})


def test_greets_with_the_whole_session(talk: "Talk") -> None:
    (created,) = talk.heard

    assert created["type"] == "session.created"
    assert created["session"]["id"].startswith("sess_")
    assert created["session"]["expires_at"] == 1_700_003_600
    assert created["session"]["model"] == "gpt-realtime"


def test_an_update_is_echoed_and_a_bad_one_changes_nothing(talk: "Talk") -> None:
    (updated,) = talk.configure(instructions="Be brief.", audio=transcribed("whisper-1"))
    error = talk.refused(
        {
            "type": "session.update",
            "event_id": "update_2",
            "session": {"type": "realtime", "instructions": "Gone.", "temperature": 0.8},
        }
    )
    (again,) = talk.configure()

    assert (error["code"], error["param"], error["event_id"]) == (
        "unknown_parameter",
        "session.temperature",
        "update_2",
    )
    assert again["session"] == updated["session"]
    assert again["session"]["instructions"] == "Be brief."


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ("not json", "invalid_json", None),
        ('{"type": "session.update', "invalid_json", None),
        ("[" * 5000, "invalid_json", None),
        ("\ud800", "invalid_json", None),
        (b"\x00" * 64, "invalid_event", None),
        ("[]", "invalid_type", "event"),
        ({"type": "nope"}, "invalid_value", "type"),
        ({"type": "session.update", "session": {}}, "missing_required_parameter", "session.type"),
        ({"type": "session.update", "session": {"type": "transcription"}}, "invalid_parameter", "session.type"),
        ({"type": "input_audio_buffer.append", "audio": "!"}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.append", "audio": ""}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.commit"}, "input_audio_buffer_commit_empty", None),
        ({"type": "conversation.item.delete", "item_id": "x"}, "item_delete_invalid_item_id", "item_id"),
        ({"type": "conversation.item.retrieve", "item_id": "x"}, "item_retrieve_invalid_item_id", "item_id"),
        (
            {"type": "conversation.item.truncate", "item_id": "x", "content_index": 0, "audio_end_ms": 0},
            "item_truncate_invalid_item_id",
            "item_id",
        ),
        ({"type": "response.cancel"}, "response_cancel_not_active", None),
        ({"type": "response.create", "response": {"voice": "alloy"}}, "unknown_parameter", "response.voice"),
    ],
)
def test_a_mistake_is_an_error_event_and_the_session_goes_on(
    talk: "Talk", message: Any, code: str, param: str | None
) -> None:
    error = talk.refused(message)

    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
    assert types(talk.configure()) == ["session.updated"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
# Names that the protocol knows, so that values get past the first check.
NAMES = st.sampled_from(
    [
        "type",
        "session",
        "item",
        "response",
        "audio",
        "input",
        "output",
        "format",
        "turn_detection",
        "transcription",
        "role",
        "content",
        "id",
        "item_id",
        "voice",
        "tools",
        "metadata",
        "event_id",
        "previous_item_id",
        "model",
    ]
)
WORDS = st.sampled_from(["realtime", "message", "user", "input_text", "server_vad", "audio/pcmu", "root", "none"])
LIKELY = st.recursive(
    JSON | WORDS, lambda inner: st.dictionaries(NAMES, inner, max_size=4) | st.lists(inner, max_size=2), max_leaves=12
)


@settings(deadline=None)
@given(st.sampled_from(sorted(CLIENT_EVENTS)), st.dictionaries(NAMES, LIKELY, max_size=4))
def test_whatever_a_client_sends_the_session_goes_on(event_type: str, fields: Event) -> None:
    session = Session(Server(), Admitted("eastus2", "gpt-realtime"), IdSource(0, 1), 0)
    session.open()
    message = json.dumps({**fields, "type": event_type})

    assert all(isinstance(output, dict) for output in session.receive(message, 0))
    (updated,) = session.receive('{"type": "session.update", "session": {"type": "realtime"}}', 0)
    assert isinstance(updated, dict)
    assert updated["type"] == "session.updated"


def test_a_spoken_turn_is_detected_transcribed_and_answered(talk: "Talk") -> None:
    talk.configure(audio=transcribed("gpt-4o-transcribe"))
    events = talk.say(QUESTION) + talk.wait(5000)

    turn = [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    assert types(events)[: len(turn)] == turn
    started, stopped, committed, added, _done, _created = events[: len(turn)]
    item_id = started["item_id"]
    assert {stopped["item_id"], committed["item_id"], added["item"]["id"]} == {item_id}
    assert committed["previous_item_id"] is None
    assert 0 < started["audio_start_ms"] < stopped["audio_end_ms"] < 48 * len(QUESTION)
    (completed,) = by_type(events, f"{TRANSCRIPTION}.completed")
    assert (completed["item_id"], completed["transcript"]) == (item_id, TEXT)
    assert by_type(events, "response.done")[0]["response"]["status"] == "completed"
    answer = by_type(events, "response.output_item.added")[0]["item"]["id"]
    assert by_type(talk.say(QUESTION), "input_audio_buffer.committed")[0]["previous_item_id"] == answer


def test_transcription_comes_beside_the_answer(talk: "Talk") -> None:
    talk.configure(audio=transcribed("gpt-4o-transcribe"))
    names = types(talk.say(QUESTION) + talk.wait(5000))

    completed = names.index(f"{TRANSCRIPTION}.completed")
    assert names.index("response.created") < completed < names.index("response.done")


@pytest.mark.parametrize("audio_type", ["audio/pcmu", "audio/pcma"])
def test_telephone_audio_is_heard_and_spoken(talk: "Talk", audio_type: Any) -> None:
    phone = AudioFormat(audio_type, 8000)
    talk.configure(audio={"input": {"format": {"type": audio_type}}, "output": {"format": {"type": audio_type}}})
    question = phone.silence(480) + clip_as(clip_path("question_weather"), phone) + phone.silence(320)

    events = talk.say(question, phone) + talk.wait(5000)

    assert len(by_type(events, "input_audio_buffer.committed")) == 1
    assert by_type(events, "response.done")[0]["response"]["audio"]["output"]["format"] == {"type": audio_type}


def test_speaking_over_the_answer_interrupts_it(start_talk: "Callable[..., Talk]") -> None:
    talk = start_talk(answer_speed=1.5)
    talk.say(QUESTION)
    talk.wait(500)
    events = talk.say(QUESTION)

    names = types(events)
    started = names.index("input_audio_buffer.speech_started")
    done = by_type(events, "response.done")[0]
    assert done["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert names[started + 1 : names.index("response.done")] == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
    ]
    cut = done["response"]["output"][0]["id"]
    (truncated,) = talk.ask("conversation.item.truncate", item_id=cut, content_index=0, audio_end_ms=200)
    assert (truncated["item_id"], truncated["audio_end_ms"]) == (cut, 200)
    assert len(by_type(events, "response.created")) == 1


def test_without_interruption_the_next_answer_waits(talk: "Talk") -> None:
    talk.configure(audio={"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}})
    slow_speech = QUESTION[: 48 * 2900]
    talk.ask("response.create")
    events = [*talk.append(slow_speech), *talk.append(PCM16_24K.silence(400)), *talk.wait(5000)]

    names = types(by_type(events, "input_audio_buffer.speech_stopped", "response.done", "response.created"))
    assert names == ["input_audio_buffer.speech_stopped", "response.done", "response.created", "response.done"]
    assert {event["response"]["status"] for event in by_type(events, "response.done")} == {"completed"}


def test_without_create_response_nobody_answers(talk: "Talk") -> None:
    talk.configure(audio={"input": {"turn_detection": {"type": "server_vad", "create_response": False}}})
    events = talk.say(QUESTION) + talk.wait(5000)

    assert types(events)[-1] == "conversation.item.done"
    assert types(talk.ask("response.create")) == ["response.created"]


def test_a_manual_turn_is_committed_and_answered_on_request(talk: "Talk") -> None:
    talk.configure(audio={"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}})

    assert talk.say(QUESTION) == []
    assert types(talk.ask("input_audio_buffer.commit")) == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert types(talk.ask("response.create")) == ["response.created"]
    events = talk.wait(5000)
    assert by_type(events, f"{TRANSCRIPTION}.completed")[0]["transcript"] == TEXT


def test_a_cleared_buffer_has_nothing_to_commit(talk: "Talk") -> None:
    talk.configure(audio={"input": {"turn_detection": None}})
    talk.say(QUESTION)

    assert types(talk.ask("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]
    error = talk.refused({"type": "input_audio_buffer.commit", "event_id": "c"})
    assert error["event_id"] == "c"
    assert error["message"].endswith("Expected at least 100ms of audio, but buffer only has 0.00ms of audio.")


def test_a_user_s_audio_can_be_retrieved(talk: "Talk") -> None:
    talk.configure(audio={"input": {"turn_detection": None}})
    talk.say(QUESTION)
    item_id = talk.ask("input_audio_buffer.commit")[0]["item_id"]

    (retrieved,) = talk.ask("conversation.item.retrieve", item_id=item_id)
    (deleted,) = talk.ask("conversation.item.delete", item_id=item_id)

    assert len(retrieved["item"]["content"][0]["audio"]) == len(QUESTION) // 3 * 4
    assert deleted["item_id"] == item_id


def test_a_truncation_beyond_what_was_sent_is_refused(talk: "Talk") -> None:
    talk.ask("response.create")
    item_id = by_type(talk.wait(5000), "response.output_item.added")[0]["item"]["id"]

    error = talk.refused(
        {"type": "conversation.item.truncate", "item_id": item_id, "content_index": 0, "audio_end_ms": 57340}
    )
    assert error["message"] == "Audio content of 4175ms is already shorter than 57340ms"


def test_the_voice_cannot_change_after_the_assistant_spoke(talk: "Talk") -> None:
    assert types(talk.configure(audio={"output": {"voice": "marin"}})) == ["session.updated"]
    talk.ask("response.create")
    talk.wait(400)

    update = {"type": "realtime", "tools": [], "audio": {"output": {"voice": "cedar"}}}
    error = talk.refused({"type": "session.update", "session": update})
    assert (error["code"], error["message"]) == (
        "cannot_update_voice",
        "Cannot update a conversation's voice if assistant audio is present.",
    )


def test_items_keep_the_client_s_ids_and_places(talk: "Talk") -> None:
    def add(item_id: str | None, previous: str | None = None) -> Event:
        item = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Be kind."}]}
        fields = {"item": item if item_id is None else {"id": item_id, **item}}
        return talk.ask("conversation.item.create", **fields, previous_item_id=previous)[0]

    assert add("first")["item"]["id"] == "first"
    assert add(None)["item"]["id"].startswith("item_")
    assert add("second", "first")["previous_item_id"] == "first"
    assert add("head", "root")["previous_item_id"] is None
    assert add("lost", "gone")["error"]["code"] == "item_create_invalid_previous_item_id"


def test_ends_at_its_maximum_age(start_talk: "Callable[..., Talk]") -> None:
    talk = start_talk(session_max_duration_s=1800)
    events = talk.wait(1_800_000)

    message = "Your session hit the maximum duration of 30 minutes."
    assert [event["error"]["code"] for event in events] == ["session_expired"]
    assert events[0]["error"]["message"] == message
    assert talk.closed == Close(1001, message)
    assert talk.configure() == []


@pytest.mark.parametrize("region", ["eastus2", "swedencentral"])
@pytest.mark.parametrize("model", ["gpt-4o-transcribe", "whisper-1"])
def test_the_founding_incident(start_talk: "Callable[..., Talk]", region: str, model: str) -> None:
    talk = start_talk("transcription_model_path_failure", region=region)
    talk.configure(audio=transcribed(model))
    events = [event for _ in range(3) for event in talk.say(QUESTION) + talk.wait(3000)]

    outcomes = by_type(events, f"{TRANSCRIPTION}.failed", f"{TRANSCRIPTION}.completed")
    items = [event["item_id"] for event in by_type(events, "input_audio_buffer.committed")]
    assert [event["item_id"] for event in outcomes] == items
    assert len(items) == 3
    assert [event["response"]["status"] for event in by_type(events, "response.done")] == ["completed"] * 3
    if (region, model) != ("eastus2", "gpt-4o-transcribe"):
        assert [event["transcript"] for event in outcomes] == [TEXT] * 3
        return
    assert [event["error"] for event in outcomes] == [
        {
            "type": "server_error",
            "code": None,
            "message": f"Input transcription failed for item '{item_id}'.",
            "param": None,
        }
        for item_id in items
    ]
    assert by_type(events, f"{TRANSCRIPTION}.delta", "error") == []


def test_the_same_seed_and_client_give_the_same_events(start_talk: "Callable[..., Talk]") -> None:
    def converse(seed: int, connection: int = 1) -> list[Event]:
        talk = start_talk(seed=seed, connection=connection)
        talk.configure(audio=transcribed("gpt-4o-transcribe"))
        talk.say(QUESTION)
        talk.wait(700)
        talk.say(QUESTION)
        talk.wait(5000)
        return talk.heard

    assert converse(1) == converse(1)
    assert converse(1)[0]["session"]["id"] != converse(2)[0]["session"]["id"]
    assert converse(1, 1)[0]["session"]["id"] != converse(1, 2)[0]["session"]["id"]


def test_ends_when_the_client_has_long_been_silent(start_talk: "Callable[..., Talk]") -> None:
    talk = start_talk(session_max_idle_s=60)
    talk.wait(59_000)
    talk.configure()
    talk.wait(59_000)
    assert talk.closed is None

    assert talk.wait(1000) == []
    assert talk.closed == Close(1001, "Nothing came from the client for 60 seconds.")


def test_old_age_ends_a_session_that_is_idle_too(start_talk: "Callable[..., Talk]") -> None:
    talk = start_talk(session_max_idle_s=60, session_max_duration_s=60)

    assert [event["error"]["code"] for event in talk.wait(60_000)] == ["session_expired"]


def test_a_response_that_finds_no_tokens_left_fails_and_the_next_minute_is_fine(
    start_talk: "Callable[..., Talk]",
) -> None:
    talk = start_talk(tokens_per_minute=100)

    def respond() -> Event:
        (done,) = by_type(talk.ask("response.create") + talk.wait(5000), "response.done")
        response: Event = done["response"]
        return response

    assert respond()["status"] == "completed"
    assert talk.heard[-1]["rate_limits"][0]["remaining"] == 0
    throttled = respond()
    assert throttled["status_details"]["error"]["code"] == "rate_limit_exceeded"
    assert (throttled["usage"]["total_tokens"], throttled["output"]) == (0, [])
    talk.wait(60_000)
    assert respond()["status"] == "completed"


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({"modalities": ["audio", "text"], "voice": "sage"}, "missing_required_parameter", "session.type"),
        ({"type": "realtime", "modalities": ["text"]}, "unknown_parameter", "session.modalities"),
        ({"type": "realtime", "input_audio_format": "pcm16"}, "unknown_parameter", "session.input_audio_format"),
        ({"type": "realtime", "turn_detection": None}, "unknown_parameter", "session.turn_detection"),
    ],
)
def test_a_beta_update_is_refused_by_a_ga_session(talk: "Talk", session: Event, code: str, param: str) -> None:
    error = talk.refused({"type": "session.update", "session": session})

    assert (error["code"], error["param"]) == (code, param)
    assert param in error["message"]


def test_the_beta_event_of_transcription_sessions_is_gone(talk: "Talk") -> None:
    error = talk.refused({"type": "transcription_session.update", "session": {}})

    assert error["message"].startswith("Invalid value: 'transcription_session.update'. Supported values are:")


class TestTranscriptionSession:
    @pytest.fixture
    def talk(self, start_talk: "Callable[..., Talk]") -> "Talk":
        return start_talk(session_type="transcription", model="")

    def update(self, talk: "Talk", **audio_input: Any) -> list[Event]:
        return talk.ask("session.update", session={"type": "transcription", "audio": {"input": audio_input}})

    def test_every_turn_is_transcribed_and_none_answered(self, talk: "Talk") -> None:
        (updated,) = self.update(talk, transcription={"model": "gpt-4o-transcribe"})
        events = talk.say(QUESTION) + talk.wait(3000)

        assert talk.heard[0]["session"]["object"] == "realtime.transcription_session"
        assert updated["session"]["audio"]["input"]["transcription"]["model"] == "gpt-4o-transcribe"
        names = types(events)
        assert names[:5] == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
        ]
        assert set(names[5:]) == {f"{TRANSCRIPTION}.delta", f"{TRANSCRIPTION}.completed"}

    def test_turns_may_be_manual(self, talk: "Talk") -> None:
        self.update(talk, transcription={"model": "gpt-realtime-whisper"}, turn_detection=None)
        talk.say(QUESTION)
        (committed, *_) = talk.ask("input_audio_buffer.commit")

        (completed,) = by_type(talk.wait(3000), f"{TRANSCRIPTION}.completed")
        assert completed["item_id"] == committed["item_id"]

    def test_asking_for_answers_changes_nothing(self, talk: "Talk") -> None:
        self.update(talk, turn_detection={"type": "server_vad", "create_response": True})

        assert types(talk.say(QUESTION) + talk.wait(3000))[-1] == "conversation.item.done"

    @pytest.mark.parametrize(
        ("message", "code", "words"),
        [
            ({"type": "response.create"}, "invalid_value", "response.create"),
            (
                {"type": "session.update", "session": {"type": "realtime"}},
                "invalid_parameter",
                "Passing a realtime session update event to a transcription session is not allowed.",
            ),
            (
                {"type": "session.update", "session": {"type": "transcription", "instructions": "Hi"}},
                "unknown_parameter",
                "session.instructions",
            ),
            (
                {"type": "session.update", "session": {"type": "transcription", "audio": {"output": {}}}},
                "unknown_parameter",
                "session.audio.output",
            ),
        ],
    )
    def test_what_belongs_to_realtime_sessions_is_refused(
        self, talk: "Talk", message: Event, code: str, words: str
    ) -> None:
        error = talk.refused(message)

        assert error["code"] == code
        assert words in error["message"]

    def test_the_url_may_name_the_model(self, start_talk: "Callable[..., Talk]") -> None:
        talk = start_talk(session_type="transcription", model="my-transcribe")

        events = talk.say(QUESTION) + talk.wait(3000)
        assert by_type(events, f"{TRANSCRIPTION}.completed")[0]["transcript"] == TEXT
