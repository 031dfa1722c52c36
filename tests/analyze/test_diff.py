"""The founding incident beside the same call with another transcription model, which worked."""

from __future__ import annotations

import pytest

from analyze.answers import PathChange, SessionDiff
from analyze.diff import diff_words, word_error_rate
from analyze.queries import Queries
from analyze.store import open_store
from capture.recording.root import Root
from tests.analyze.conftest import Trace, configure, spoken_turn

MODEL = "audio.input.transcription.model"


@pytest.fixture
def diff(failed_session: str, ok_session: str, queries: Queries) -> SessionDiff:
    return queries.side_by_side([failed_session, ok_session]).diffs[0]


def test_the_configuration_differs_in_one_place_asked_and_echoed(diff: SessionDiff) -> None:
    change = PathChange(MODEL, '"gpt-4o-transcribe"', '"whisper-1"')
    assert diff.configuration_asked == (change,)
    assert diff.configuration_echoed == (change,)


def test_latencies_as_deltas(diff: SessionDiff) -> None:
    first_audio = next(each for each in diff.latencies if each.name == "first audio")
    assert (first_audio.turn, first_audio.left_ms, first_audio.right_ms) == (1, 600.0, 722.0)
    assert first_audio.delta_ms == 122.0
    assert first_audio.ratio == pytest.approx(1.203, abs=0.001)


def test_words_of_both_sides(diff: SessionDiff) -> None:
    user, assistant = diff.transcripts
    assert (user.who, user.left, user.words) == ("user", None, (("+", "what is the weather"),))
    assert assistant.words == (("=", "Sunny,"), ("-", "all"), ("+", "most of the"), ("=", "day."))


def test_events_are_aligned_with_ids_and_times_masked(diff: SessionDiff) -> None:
    sides = [(row, row.left or row.right) for row in diff.rows]
    told = [(row.marker, row.turn, side.type) for row, side in sides if side is not None]
    assert told == [
        ("=", None, "session.created"),
        ("≠", None, "session.update"),
        ("≠", None, "session.updated"),
        ("=", None, "input_audio_buffer.append"),
        ("=", 1, "input_audio_buffer.speech_started"),
        ("=", 1, "input_audio_buffer.speech_stopped"),
        ("=", 1, "input_audio_buffer.committed"),
        ("=", 1, "conversation.item.added"),
        ("=", 1, "response.created"),
        ("=", 1, "response.output_audio.delta"),
        ("≠", 1, "response.output_audio_transcript.delta"),
        ("-", 1, "conversation.item.input_audio_transcription.failed"),
        ("+", 1, "conversation.item.input_audio_transcription.completed"),
        ("≠", 1, "response.output_audio_transcript.done"),
        ("=", 1, "response.done"),
        ("=", 1, None),
    ]


def test_latencies_of_events_count_from_the_end_of_speech(diff: SessionDiff) -> None:
    (first_audio,) = [row for row in diff.rows if row.left and row.left.type == "response.output_audio.delta"]
    assert (first_audio.latency_left_ms, first_audio.latency_right_ms) == (600.0, 722.0)


def test_a_session_does_not_differ_from_itself(failed_session: str, queries: Queries) -> None:
    diff = queries.side_by_side([failed_session, failed_session]).diffs[0]
    assert {row.marker for row in diff.rows} == {"="}
    assert not diff.configuration_asked
    assert {each.delta_ms for each in diff.latencies} == {0.0}


def test_other_ids_and_pieces_of_a_stream_are_no_difference(root: Root) -> None:
    ids = []
    for number, item in enumerate(("item_a", "item_b")):
        trace = Trace(f"20260212T08300{number}-0000000a")
        configure(trace)
        spoken_turn(trace, 100 + number, item=item, response=f"resp_{number}")
        # One chunk more or less is timing.
        for extra in range(number * 3):
            trace.client(900 + extra, "input_audio_buffer.append", audio="AAAA")
        ids.append(trace.write(root))
    with open_store(root) as store:
        rows = Queries(store).side_by_side(ids).diffs[0].rows
    assert {row.marker for row in rows if row.left} == {"="}


@pytest.mark.parametrize(
    ("asked", "other", "path"),
    [
        ({"prompt": {"id": "pmpt_1"}}, {"prompt": {"id": "pmpt_2"}}, "prompt.id"),
        (
            {"audio": {"output": {"voice": {"id": "voice_1"}}}},
            {"audio": {"output": {"voice": {"id": "voice_2"}}}},
            "audio.output.voice.id",
        ),
        ({"tools": [{"connector_id": "mail"}]}, {"tools": [{"connector_id": "drive"}]}, "tools[0].connector_id"),
        (
            {"tools": [{"vector_store_ids": ["a"]}]},
            {"tools": [{"vector_store_ids": ["b"]}]},
            "tools[0].vector_store_ids[0]",
        ),
    ],
)
def test_what_a_configuration_names_by_an_id_is_a_difference(
    root: Root, asked: dict[str, object], other: dict[str, object], path: str
) -> None:
    ids = []
    for number, session in enumerate((asked, other)):
        trace = Trace(f"20260212T08300{number}-0000000a")
        given = {"id": f"sess_{number}", "expires_at": 1770888655 + number}
        trace.server(0, "session.created", session=given)
        trace.client(5, "session.update", session=session)
        trace.server(10, "session.updated", session=given | session)
        trace.client(15, "response.create", response=session)
        ids.append(trace.write(root))
    with open_store(root) as store:
        diff = Queries(store).side_by_side(ids).diffs[0]
    (change,) = diff.configuration_asked
    assert change.path == path
    assert diff.configuration_echoed == (change,)
    assert [[place.path for place in row.changes] for row in diff.rows] == [
        [],
        [f"session.{path}"],
        [f"session.{path}"],
        [f"response.{path}"],
    ]


def test_the_second_session_has_a_turn_more(root: Root, failed_session: str) -> None:
    longer = Trace("20260212T083300-0000000f")
    configure(longer)
    spoken_turn(longer, 20, transcript=None)
    spoken_turn(longer, 2000, item="item_u2", response="resp_2")
    longer.write(root)
    with open_store(root) as store:
        diff = Queries(store).side_by_side([failed_session, longer.session_id]).diffs[0]
    assert {row.marker for row in diff.rows if row.turn == 2} == {"+"}
    assert [(each.left_ms, each.delta_ms) for each in diff.latencies if each.turn == 2] == [(None, None)] * 4


@pytest.mark.parametrize(
    ("left", "right", "words"),
    [
        ("", "", []),
        ("a b", "a b", [("=", "a b")]),
        ("a b c", "a x c", [("=", "a"), ("-", "b"), ("+", "x"), ("=", "c")]),
        ("", "hello there", [("+", "hello there")]),
        ("a  b\n", "a b", [("=", "a b")]),
    ],
)
def test_words(left: str, right: str, words: list[tuple[str, str]]) -> None:
    assert list(diff_words(left, right)) == words


@pytest.mark.parametrize(
    ("reference", "heard", "rate"),
    [
        ("what is the weather", "what is the weather", 0.0),
        ("Where is my order?", "where is my order", 0.0),
        ("don't", "don’t", 0.0),
        ("your order left this morning", "your parcel left today", 3 / 5),
        ("one", "one two three", 2.0),
        ("all gone", "", 1.0),
        ("", "anything", None),
        ("…", "anything", None),
    ],
)
def test_the_word_error_rate(reference: str, heard: str, rate: float | None) -> None:
    assert word_error_rate(reference, heard) == rate
