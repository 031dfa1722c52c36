"""A recording, ready to be replayed."""

from __future__ import annotations

from pathlib import Path

from capture.recording.reader import list_session_ids, open_recording
from capture.recording.root import Root
from capture.targets import Target
from replay.plan import make_plan
from replay.source import digest_of, nearness, prepare, shortened

SAMPLES = Root(Path(__file__).parents[2] / "recordings")


def test_a_sample_says_what_it_used_and_where_it_was_recorded() -> None:
    recording = open_recording(SAMPLES, list_session_ids(SAMPLES)[0])
    source, row = prepare(recording), recording.session
    assert (source.usage.input_tokens, source.usage.output_tokens) == (row["input_tokens"], row["output_tokens"])
    assert (source.usage.sent_ms, source.usage.answered_ms) == (row["audio_in_ms"], row["audio_out_ms"])
    assert nearness(Target(name=row["target"], url="wss://elsewhere.example"), source) == 3
    assert nearness(Target(name="another", url=row["url"]), source) == 2
    assert nearness(Target(name="another", url="wss://elsewhere.example"), source) == 0


def test_the_digest_is_of_what_is_sent_and_when() -> None:
    recording = open_recording(SAMPLES, list_session_ids(SAMPLES)[0])
    source = prepare(recording)
    messages = list(recording.messages())
    assert source.recording.digest == digest_of(make_plan(messages)) != ""
    # Of the recording, also where less of it is sent.
    assert shortened(source, until_turn=1).recording.digest == source.recording.digest
    sent = [at for at, message in enumerate(messages) if message.sender == "client" and message.kind == "event"]
    assert digest_of(make_plan(messages[: sent[-1]])) != source.recording.digest
