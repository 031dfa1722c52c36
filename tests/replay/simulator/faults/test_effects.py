"""What effects may say, and what each does to a session; those of the handshake and of sockets: test_endpoint.py."""

import base64
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import msgspec
import pytest

from capture.audio import PCM16_24K, clip_as
from replay.simulator.clips import clip_path, read_text
from replay.simulator.faults.effects import AnyEffect, Effect, TranscriptionFailed
from replay.simulator.faults.faults import Fault
from replay.simulator.session.session import Close, Drop

if TYPE_CHECKING:
    from tests.replay.simulator.conftest import Talk

Event = dict[str, Any]
Start = Callable[..., "Talk"]

QUESTION = PCM16_24K.silence(480) + clip_as(clip_path("question_weather"), PCM16_24K) + PCM16_24K.silence(320)
ANSWER = read_text("answer_paris")
TRANSCRIPTION = "conversation.item.input_audio_transcription"


def read(effect: dict[str, Any]) -> Effect:
    return msgspec.convert(effect, Effect)


def test_the_one_that_is_given_is_found() -> None:
    effect = read({"transcription_failed": {"message": "no"}})

    assert (effect.name, effect.given) == ("transcription_failed", TranscriptionFailed("no"))


@pytest.mark.parametrize("given", [{}, {"drop": {}, "audio_cut": {}}])
def test_a_fault_does_exactly_one_thing(given: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError, match="takes exactly one of transcription_failed, "):
        read(given)


@pytest.mark.parametrize(
    ("effect", "told"),
    [
        ({"drop": {"after_ms": 3}}, r"unknown field `after_ms` - at `\$.drop`"),
        ({"close": {"code": 1006}}, "for 1006 take `drop`"),
        ({"close": {"code": 999}}, "999 is no close code"),
        ({"close": {"code": 1000, "reason": "ü" * 62}}, "more than the 123 bytes"),
        ({"close": {"code": 1006}}, "for 1006 take `drop`"),
        ({"error": {"message": "no", "then_close": 1005}}, "1005 is no close code"),
        ({"refuse_handshake": {"status": 200, "code": "c", "message": "m"}}, "200 is no status of an HTTP error"),
        ({"http_error": {"status": 499, "message": "m"}}, "499 is no status of an HTTP error"),
        ({"drop": {"after_s": -1}}, r">= 0.0 - at `\$.drop.after_s`"),
        ({"close": {"code": 1000, "spread_s": -1}}, r">= 0.0 - at `\$.close.spread_s`"),
        ({"response_failed": {"message": "m", "after_deltas": -1}}, r">= 0 - at `\$.response_failed.after_deltas`"),
        ({"audio_cut": {"keep_share": 2}}, r"<= 1.0 - at `\$.audio_cut.keep_share`"),
        ({"audio_gaps": {"gap_ms": 0}}, r"> 0.0 - at `\$.audio_gaps.gap_ms`"),
        ({"transcription_repeated": {"times": 1}}, r">= 2 - at `\$.transcription_repeated.times`"),
        ({"keepalive": {"interval_s": 1, "timeout_s": 0}}, r"> 0.0 - at `\$.keepalive.timeout_s`"),
        ({"drop": {"after_event": "session.begun"}}, "sends no 'session.begun', but session.created, "),
        ({"error": {"message": "m", "after_event": "response.audio.delta"}}, "sends no 'response.audio.delta'"),
        ({"close": {"code": 1000, "after_event": "input_audio_buffer.append"}}, "sends no 'input_audio_buffer.append'"),
        (
            {"ignore_settings": {"paths": ["audio.output.voce"]}},
            r"no setting 'audio.output.voce'.* - at `\$.ignore_",
        ),
        ({"response_incomplete": {"reason": "tired"}}, "Invalid enum value 'tired'"),
    ],
)
def test_what_cannot_be_done_is_refused(effect: dict[str, Any], told: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=told):
        read(effect)


def leaves(kind: type[AnyEffect]) -> set[type[AnyEffect]]:
    below = kind.__subclasses__()
    return {leaf for inner in below for leaf in leaves(inner)} if below else {kind}


def test_every_effect_can_be_given_in_a_file() -> None:
    types = get_type_hints(Effect)
    given = {kind for name in Effect.__struct_fields__ for kind in get_args(types[name]) if kind is not type(None)}

    assert given == leaves(AnyEffect)


def fault(then: dict[str, Any], **when: Any) -> Fault:
    return msgspec.convert({"then": then, "when": when}, Fault)


def types(events: list[Event]) -> list[str]:
    return [event["type"] for event in events]


def by_type(events: list[Event], *event_types: str) -> list[Event]:
    return [event for event in events if event["type"] in event_types]


def said(events: list[Event]) -> bytes:
    return b"".join(base64.b64decode(event["delta"]) for event in by_type(events, "response.output_audio.delta"))


def words(events: list[Event]) -> str:
    return "".join(event["delta"] for event in by_type(events, "response.output_audio_transcript.delta"))


def ask(talk: "Talk") -> list[Event]:
    """One spoken turn with its transcription and its answer."""
    talk.configure(audio={"input": {"transcription": {"model": "whisper-1"}}})
    return talk.say(QUESTION) + talk.wait(20_000)


def respond(talk: "Talk") -> list[Event]:
    """One response, asked for by the client."""
    return talk.ask("response.create") + talk.wait(20_000)


def test_transcription_failed_leaves_the_answer_alone(start_talk: Start) -> None:
    events = ask(start_talk(faults=(fault({"transcription_failed": {"message": "no {item_id}", "code": "c"}}),)))

    (failed,) = by_type(events, f"{TRANSCRIPTION}.failed", f"{TRANSCRIPTION}.completed", "error")
    assert failed["error"] == {
        "type": "server_error",
        "code": "c",
        "message": f"no {failed['item_id']}",
        "param": None,
    }
    assert by_type(events, "response.done")[0]["response"]["status"] == "completed"


def test_transcription_withheld_leaves_silence(start_talk: Start) -> None:
    events = ask(start_talk(faults=(fault({"transcription_withheld": {}}),)))

    assert not any(name.startswith(TRANSCRIPTION) for name in types(events))
    assert by_type(events, "response.done")[0]["response"]["status"] == "completed"


def test_transcription_repeated_tells_the_same_again(start_talk: Start) -> None:
    completed = by_type(
        ask(start_talk(faults=(fault({"transcription_repeated": {"times": 3}}),))), f"{TRANSCRIPTION}.completed"
    )

    assert [event["transcript"] for event in completed] == [read_text("question_weather")] * 3
    assert len({event["item_id"] for event in completed}) == 1


def test_response_failed_ends_it_between_deltas(start_talk: Start) -> None:
    effect = {"response_failed": {"message": "sorry", "after_deltas": 12}}
    talk = start_talk(faults=(fault(effect, response=1),))
    events = respond(talk)

    done = by_type(events, "response.done")[0]["response"]
    assert done["status"] == "failed"
    assert done["status_details"] == {
        "type": "failed",
        "error": {"type": "server_error", "code": None, "message": "sorry"},
    }
    assert done["output"][0]["status"] == "incomplete"
    assert sum(name.endswith(".delta") for name in types(events)) == 12
    assert types(events)[-1] == "rate_limits.updated"
    assert by_type(events, "error") == []
    assert by_type(respond(talk), "response.done")[0]["response"]["status"] == "completed"


def test_response_failed_before_any_delta_has_no_output_and_the_usage_it_says(start_talk: Start) -> None:
    effect = {"response_failed": {"message": "m", "code": "c", "input_tokens": 14_012, "output_tokens": 0}}
    events = respond(start_talk(faults=(fault(effect),)))

    assert types(events) == ["response.created", "response.done", "rate_limits.updated"]
    response = events[1]["response"]
    assert (response["output"], response["status_details"]["error"]["code"]) == ([], "c")
    assert (response["usage"]["input_tokens"], response["usage"]["output_tokens"]) == (14_012, 0)


def test_response_incomplete_tells_its_reason(start_talk: Start) -> None:
    events = respond(start_talk(faults=(fault({"response_incomplete": {}}),)))

    done = by_type(events, "response.done")[0]["response"]
    assert (done["status"], done["status_details"]) == (
        "incomplete",
        {"type": "incomplete", "reason": "content_filter"},
    )
    assert ANSWER.startswith(words(events))
    assert words(events) != ANSWER


def test_response_never_done_hangs_until_something_else_comes(start_talk: Start) -> None:
    talk = start_talk(faults=(fault({"response_never_done": {}}, response=1),))
    events = respond(talk)

    assert types(events)[-1] == "response.output_item.done"
    assert words(events) == ANSWER
    assert talk.refused({"type": "response.create"})["code"] == "conversation_already_has_active_response"
    spoken = ask(talk)
    assert len(by_type(spoken, "response.created")) == len(by_type(spoken, "response.done")) == 1


def test_response_withheld_is_silence_after_the_turn(start_talk: Start) -> None:
    talk = start_talk(faults=(fault({"response_withheld": {}}, response=1),))
    events = ask(talk)

    assert len(by_type(events, "input_audio_buffer.committed")) == 1
    assert not any(name.startswith(("response.", "error")) for name in types(events))
    assert by_type(respond(talk), "response.done") != []


def test_audio_gaps_starve_a_listener(start_talk: Start) -> None:
    talk = start_talk(faults=(fault({"audio_gaps": {"gap_ms": 2200, "after_deltas": 6, "times": 2}}),))
    talk.ask("response.create")
    at_ms: list[float] = []
    for _ in range(1000):
        at_ms += [talk.now_ns / 1e6] * len(by_type(talk.wait(10), "response.output_audio.delta"))

    steps_ms = [later - earlier for earlier, later in pairwise(at_ms)]
    assert [number for number, step_ms in enumerate(steps_ms, 1) if step_ms > 2000] == [6, 12]
    assert words(talk.heard) == ANSWER
    assert len(said(talk.heard)) == len(clip_as(clip_path("answer_paris"), PCM16_24K))


def test_audio_cut_keeps_the_transcript_whole(start_talk: Start) -> None:
    events = respond(start_talk(faults=(fault({"audio_cut": {"keep_share": 0.25}}),)))

    assert len(said(events)) == 6 * 9600
    assert words(events) == ANSWER
    assert by_type(events, "response.done")[0]["response"]["status"] == "completed"


@pytest.mark.parametrize("transcript", [False, True])
def test_audio_withheld_leaves_the_words(start_talk: Start, transcript: bool) -> None:
    events = respond(start_talk(faults=(fault({"audio_withheld": {"transcript": transcript}}),)))

    kind = "output_audio_transcript" if transcript else "output_text"
    done = by_type(events, "response.done")[0]["response"]
    assert said(events) == b""
    assert "".join(event["delta"] for event in by_type(events, f"response.{kind}.delta")) == ANSWER
    assert (done["status"], done["output_modalities"]) == ("completed", ["audio"])
    assert done["output"][0]["content"][0]["type"] == ("output_audio" if transcript else "output_text")


def test_audio_and_response_are_spoilt_together(start_talk: Start) -> None:
    faults = (fault({"audio_cut": {"keep_share": 0}}), fault({"response_never_done": {}}))
    events = respond(start_talk(faults=faults))

    assert (said(events), words(events)) == (b"", ANSWER)
    assert by_type(events, "response.done") == []


def test_reject_update_leaves_the_session_as_it_was(start_talk: Start) -> None:
    effect = {"reject_update": {"code": "invalid_value", "message": "no", "param": "session.audio"}}
    talk = start_talk(faults=(fault(effect),))
    error = talk.refused(
        {"type": "session.update", "event_id": "u", "session": {"type": "realtime", "instructions": "Be brief."}}
    )

    assert error == {
        "type": "invalid_request_error",
        "code": "invalid_value",
        "message": "no",
        "param": "session.audio",
        "event_id": "u",
    }
    response = by_type(talk.say(QUESTION) + talk.wait(5000), "response.done")[0]["response"]
    assert response["status"] == "completed"
    assert talk.heard[0]["session"]["instructions"] != "Be brief."


def test_ignore_settings_takes_the_rest_of_an_update(start_talk: Start) -> None:
    talk = start_talk(faults=(fault({"ignore_settings": {"paths": ["audio.output.voice"]}}),))

    (updated,) = talk.configure(instructions="Be brief.", audio={"output": {"voice": "marin"}})
    assert updated["session"]["audio"]["output"]["voice"] == "alloy"
    assert updated["session"]["instructions"] == "Be brief."


def test_ignore_audio_echoes_a_detection_that_hears_nothing(start_talk: Start) -> None:
    talk = start_talk(faults=(fault({"ignore_audio": {"turn_detection": "semantic_vad"}}),))

    (updated,) = talk.configure(audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
    assert updated["session"]["audio"]["input"]["turn_detection"]["type"] == "semantic_vad"
    assert talk.say(QUESTION) + talk.wait(5000) == []
    assert types(talk.ask("input_audio_buffer.commit"))[0] == "input_audio_buffer.committed"
    talk.configure(audio={"input": {"turn_detection": {"type": "server_vad"}}})
    assert types(talk.say(QUESTION))[0] == "input_audio_buffer.speech_started"


def test_drop_and_close_end_the_session_after_an_event(start_talk: Start) -> None:
    dropped = start_talk(faults=(fault({"drop": {"after_event": "response.created", "after_s": 0.5}}),))
    closed = start_talk(faults=(fault({"close": {"code": 1000, "after_event": "session.updated"}}),))

    dropped.wait(60_000)
    assert dropped.closed is None
    respond(dropped)
    assert dropped.closed == Drop()
    assert by_type(dropped.heard, "response.done") == []
    assert types(closed.configure()) == ["session.updated"]
    assert closed.closed == Close(1000, "")
    assert closed.configure() == []


def test_a_drop_comes_at_a_moment_that_the_seed_draws(start_talk: Start) -> None:
    def lives_ms(seed: int) -> float:
        talk = start_talk(seed=seed, faults=(fault({"drop": {"after_s": 2, "spread_s": 10}}),))
        for at_ms in range(0, 20_000, 10):
            if talk.closed is not None:
                return at_ms
            talk.wait(10)
        raise AssertionError("it never dropped")

    lives = [lives_ms(seed) for seed in (1, 1, 2)]
    assert lives[0] == lives[1] != lives[2]
    assert all(2000 <= at_ms <= 12_010 for at_ms in lives)


def test_error_comes_out_of_the_blue_and_may_close(start_talk: Start) -> None:
    effect: dict[str, Any] = {"type": "server_error", "code": "c", "message": "sorry"}
    stays = start_talk(faults=(fault({"error": effect}),))
    closes = start_talk(faults=(fault({"error": {**effect, "after_event": "session.updated", "then_close": 4000}}),))

    assert types(stays.heard) == ["session.created", "error"]
    assert stays.heard[1]["error"] == {**effect, "param": None, "event_id": None}
    assert types(stays.configure()) == ["session.updated"]
    assert types(closes.configure()) == ["session.updated", "error"]
    assert closes.closed == Close(4000, "server_error.c")


def test_what_comes_after_the_end_is_not_sent(start_talk: Start) -> None:
    talk = start_talk(faults=(fault({"drop": {"after_event": "input_audio_buffer.speech_stopped"}}),))
    talk.say(QUESTION)

    assert types(talk.heard)[-1] == "input_audio_buffer.speech_stopped"
    assert talk.closed == Drop()
