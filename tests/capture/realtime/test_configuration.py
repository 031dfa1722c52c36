"""What a session was asked to be, and what the endpoint says it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.audio import PCM16_24K, AudioFormat
from capture.realtime.configuration import (
    ConfigurationTracker,
    get_path,
    list_paths,
    merge,
    read_setting,
    set_path,
)

names = st.text("abc", min_size=1, max_size=2)
trees = st.dictionaries(
    names,
    st.recursive(
        st.none() | st.integers() | st.lists(st.integers(), max_size=2),
        lambda children: st.dictionaries(names, children, max_size=3),
        max_leaves=6,
    ),
    max_size=3,
)


def tracked(*messages: tuple[str, str, object]) -> ConfigurationTracker:
    tracker = ConfigurationTracker()
    for sender, event_type, session in messages:
        tracker.observe(sender, {"type": event_type, "session": session})
    return tracker


def tracked_log(messages: list[Any]) -> ConfigurationTracker:
    tracker = ConfigurationTracker()
    for message in messages:
        tracker.observe(message.sender, message.event)
    return tracker


def test_a_real_azure_session(wire_log: Any) -> None:
    tracker = tracked_log(wire_log("azure_ws-audio_in_server_vad_transcribes"))
    assert tracker.model is None
    assert tracker.model_echoed == "gpt-realtime"
    assert tracker.transcription_model == "gpt-realtime-whisper"
    assert tracker.transcription_model_echoed == "gpt-realtime-whisper"
    assert tracker.voice == "alloy"
    assert tracker.turn_detection == "server_vad"
    assert tracker.input_format == tracker.output_format == PCM16_24K
    assert tracker.server_session_id == "sess_E4ySycQHtWxjv0mkxoXs6"
    assert get_path(tracker.asked, "audio.input.turn_detection.create_response") is True
    assert get_path(tracker.echoed, "audio.input.turn_detection.silence_duration_ms") == 200


def test_a_real_voice_live_session_in_the_flat_dialect(wire_log: Any) -> None:
    tracker = tracked_log(wire_log("azure_voice_live_ws-audio_in_server_vad_turn"))
    assert tracker.model_echoed == "gpt-realtime-global-standard"
    assert tracker.transcription_model == tracker.transcription_model_echoed == "whisper-1"
    assert tracker.voice == "alloy"
    assert tracker.turn_detection == "server_vad"
    assert tracker.input_format == PCM16_24K


def test_a_real_xai_session_that_mixes_both(wire_log: Any) -> None:
    messages = wire_log("xai_ws-audio_in_server_vad_turn")
    assert tracked_log(messages[:1]).turn_detection == "none"
    tracker = tracked_log(messages)
    assert tracker.model_echoed == "grok-voice-latest"
    assert tracker.transcription_model == tracker.transcription_model_echoed == "grok-transcribe"
    assert tracker.turn_detection == "server_vad"
    assert tracker.output_format == PCM16_24K


def test_updates_are_merged_in_the_order_they_were_sent() -> None:
    tracker = tracked(
        ("client", "session.update", {"audio": {"input": {"transcription": {"model": "a", "language": "en"}}}}),
        ("client", "session.update", {"audio": {"input": {"transcription": {"model": "b"}}, "output": {"voice": "x"}}}),
    )
    assert tracker.asked == {
        "audio": {"input": {"transcription": {"model": "b", "language": "en"}}, "output": {"voice": "x"}}
    }
    assert (tracker.transcription_model, tracker.voice) == ("b", "x")


def test_an_echo_replaces_the_one_before() -> None:
    tracker = tracked(
        ("server", "session.created", {"id": "sess_1", "model": "m1", "voice": "alloy"}),
        ("server", "session.updated", {"id": "sess_1", "model": "m2"}),
    )
    assert tracker.echoed == {"id": "sess_1", "model": "m2"}
    assert tracker.voice is None


def test_an_update_is_answered_once_it_is_echoed() -> None:
    update = ("client", "session.update", {"voice": "marin"})
    created, updated = ("server", "session.created", {"id": "sess_1"}), ("server", "session.updated", {"id": "sess_1"})

    assert not tracked(created).is_answered
    assert not tracked(created, update).is_answered
    assert tracked(created, update, updated).is_answered
    assert not tracked(created, update, update, updated).is_answered
    assert tracked(created, update, updated).created == {"id": "sess_1"}


@pytest.mark.parametrize(
    ("told", "expires_at_s"),
    [(1770888655, 1770888655), (None, None), ("soon", None), (0, None), (True, None), (2**60, None)],
)
def test_the_end_of_a_session_is_told_in_seconds(told: object, expires_at_s: int | None) -> None:
    assert tracked(("server", "session.created", {"expires_at": told})).expires_at_s == expires_at_s


def test_what_was_asked_and_never_echoed_is_kept_apart() -> None:
    tracker = tracked(
        ("server", "session.created", {"audio": {"input": {"transcription": None}, "output": {"voice": "alloy"}}}),
        ("client", "session.update", {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}),
    )
    assert (tracker.transcription_model, tracker.transcription_model_echoed) == ("whisper-1", None)


def test_an_echo_says_what_is_in_force_and_a_part_that_it_leaves_out_was_asked() -> None:
    asked = {"audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": False}}}}
    path = "audio.input.turn_detection"
    tracker = tracked(("client", "session.update", asked))
    assert tracker.in_force(f"{path}.type") == tracker.setting(f"{path}.type") == "server_vad"
    tracker.observe("server", {"type": "session.updated", "session": {"turn_detection": {"type": "semantic_vad"}}})
    assert tracker.in_force(f"{path}.type") == tracker.setting(f"{path}.type") == "semantic_vad"
    assert (tracker.in_force(f"{path}.create_response"), tracker.setting(f"{path}.create_response")) == (None, False)


@pytest.mark.parametrize(
    ("sender", "event"),
    [
        ("server", {"type": "session.update", "session": {"model": "m"}}),
        ("client", {"type": "session.updated", "session": {"model": "m"}}),
        ("client", {"type": "session.update", "session": None}),
        ("client", {"type": "session.update"}),
        ("client", {"type": ["session.update"], "session": {"model": "m"}}),
        ("client", {"type": "response.create", "response": {"session": {"model": "m"}}}),
    ],
)
def test_other_messages_change_nothing(sender: str, event: dict[str, Any]) -> None:
    tracker = ConfigurationTracker()
    tracker.observe(sender, event)
    assert (tracker.asked, tracker.echoed) == ({}, {})


@pytest.mark.parametrize(
    ("voice", "named"), [("marin", "marin"), ({"id": "voice_1"}, "voice_1"), ({"name": "ava"}, "ava"), (5, None)]
)
def test_a_voice_is_named_by_text_or_object(voice: object, named: str | None) -> None:
    assert tracked(("server", "session.updated", {"audio": {"output": {"voice": voice}}})).voice == named


@pytest.mark.parametrize(
    ("session", "detection"),
    [
        ({"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}}, "semantic_vad"),
        ({"audio": {"input": {"turn_detection": None}}}, "none"),
        ({"turn_detection": {"type": "server_vad"}}, "server_vad"),
        ({"turn_detection": {"type": "none"}}, "none"),
        ({"turn_detection": {"type": None}}, "none"),
        ({"audio": {"input": {}}}, None),
        ({}, None),
    ],
)
def test_turn_detection_is_told_from_manual_turns_and_from_silence(session: object, detection: str | None) -> None:
    assert tracked(("server", "session.updated", session)).turn_detection == detection
    assert tracked(("client", "session.update", session)).turn_detection == detection


def test_audio_is_24_khz_pcm_until_somebody_says_otherwise() -> None:
    tracker = ConfigurationTracker()
    assert tracker.input_format == tracker.output_format == PCM16_24K


def test_the_clients_audio_changes_when_it_asks_and_the_endpoints_when_it_says_so() -> None:
    pcmu = {"type": "audio/pcmu"}
    session = {"audio": {"input": {"format": pcmu}, "output": {"format": pcmu}}}
    created = {
        "audio": {"input": {"format": {"type": "audio/pcm"}}, "output": {"format": {"type": "audio/pcm"}}},
    }
    tracker = tracked(("server", "session.created", created), ("client", "session.update", session))
    assert tracker.input_format == AudioFormat("audio/pcmu", 8000)
    assert tracker.output_format == PCM16_24K
    tracker.observe("server", {"type": "session.updated", "session": session})
    assert tracker.output_format == AudioFormat("audio/pcmu", 8000)


@pytest.mark.parametrize(
    ("event_type", "session", "is_transcription"),
    [
        ("session.created", {"type": "transcription"}, True),
        ("transcription_session.created", {"input_audio_format": "pcm16"}, True),
        ("transcription_session.updated", {}, True),
        ("session.created", {"type": "realtime"}, False),
        ("session.created", {}, False),
    ],
)
def test_sessions_that_only_transcribe(event_type: str, session: object, is_transcription: bool) -> None:
    assert tracked(("server", event_type, session)).is_transcription_session is is_transcription


def test_a_client_that_asks_for_transcription_in_vain_has_an_ordinary_session() -> None:
    tracker = tracked(
        ("server", "session.created", {"type": "realtime"}),
        ("client", "session.update", {"type": "transcription"}),
    )
    assert not tracker.is_transcription_session


def test_lone_surrogates_reach_no_column() -> None:
    tracker = tracked(("server", "session.created", {"id": "sess_\ud800", "model": "m\udfff", "voice": "\ud800"}))
    assert (tracker.server_session_id, tracker.model_echoed, tracker.voice) == ("sess_?", "m?", "?")


def test_a_setting_is_read_by_its_ga_path_in_both_dialects() -> None:
    ga = {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    beta = {"input_audio_transcription": {"model": "whisper-1"}, "turn_detection": None}
    for session in (ga, beta):
        assert read_setting(session, "audio.input.transcription.model") == "whisper-1"
        assert read_setting(session, "audio.input.transcription") == {"model": "whisper-1"}
    assert read_setting(beta, "audio.input.turn_detection", missing="nothing") is None
    assert read_setting(ga, "audio.input.turn_detection", missing="nothing") == "nothing"
    assert read_setting(ga, "audio.input.transcription.language") is None


def test_merging_replaces_everything_but_objects() -> None:
    base = {"a": {"x": 1, "y": [1, 2]}, "b": {"deep": 1}, "c": 1}
    update = {"a": {"y": [3], "z": None}, "b": None, "c": {"now": "an object"}}
    assert merge(base, update) == {"a": {"x": 1, "y": [3], "z": None}, "b": None, "c": {"now": "an object"}}
    assert base == {"a": {"x": 1, "y": [1, 2]}, "b": {"deep": 1}, "c": 1}


@given(trees, trees)
def test_after_a_merge_every_leaf_of_the_update_is_there(base: dict[str, Any], update: dict[str, Any]) -> None:
    merged = merge(base, update)
    for path in list_paths(update):
        value = get_path(update, path)
        if not isinstance(value, dict):
            assert get_path(merged, path) == value
    assert merge(merged, update) == merged
    assert merge(base, {}) == base


def test_a_path_leads_to_a_value_or_to_what_is_said_to_be_missing() -> None:
    tree = {"a": {"b": None}, "c": [{"d": 1}]}
    assert get_path(tree, "a.b", "missing") is None
    assert get_path(tree, "a.b.c", "missing") == "missing"
    assert get_path(tree, "c.0.d", "missing") == "missing"
    assert get_path(tree, "", "missing") == "missing"


def test_setting_a_path_copies_the_tree_and_makes_what_is_missing() -> None:
    tree = {"a": {"b": 1}, "s": "text"}
    assert set_path(tree, "a.c.d", 2) == {"a": {"b": 1, "c": {"d": 2}}, "s": "text"}
    assert set_path(tree, "s.t", 3) == {"a": {"b": 1}, "s": {"t": 3}}
    assert tree == {"a": {"b": 1}, "s": "text"}


def test_a_path_is_set_beside_what_is_nested_deeply() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"d": deep}
    assert get_path(set_path({"a": {"deep": deep}}, "a.b", 1), "a.b") == 1


@given(trees, st.lists(names, min_size=1, max_size=3).map(".".join), st.integers())
def test_what_was_set_is_read_back(tree: dict[str, Any], path: str, value: int) -> None:
    changed = set_path(tree, path, value)
    assert get_path(changed, path) == value
    assert path in list(list_paths(changed))


def test_paths_are_listed_objects_before_what_they_hold() -> None:
    assert list(list_paths({"a": {"b": {"c": 1}}, "d": [], "e": {}})) == ["a", "a.b", "a.b.c", "d", "e"]
