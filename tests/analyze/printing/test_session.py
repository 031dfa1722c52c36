from __future__ import annotations

from analyze.printing.session import session_json, session_page, what_is_missing
from analyze.queries import Queries
from analyze.store import open_store
from capture.recording.root import Root
from tests.analyze.conftest import Trace, configure
from tests.conftest import Lines

PAGE = """
▲ 20260212T083055-0000000a  failed · captured · 1.0 s · 1 turn
▲ transcription_model_path_failure  possible
  Every transcription of the user's speech failed with server_error and no code,
  while the answers were healthy; no quota, outage or deployment name accounts
  for it.
  failed transcriptions 1 · completed transcriptions 0 · failed at endpoint 1 ·
  completed at endpoint 0 · other models working 0 · other models failing 0

  started        2026-02-12 08:30:55.000 UTC
  target         azure-eastus2 · azure · eastus2 · ga
  model          gpt-realtime
  transcription  gpt-4o-transcribe
  ids            sess_0000000a
  audio client   0.1 s · audio/pcm 24000 Hz · -9 dBFS · speech 0.1 s
  audio server   0.0 s · audio/pcm 24000 Hz · -9 dBFS · speech 0.0 s
  sent audio     0.1 s of audio are too little to judge
  failed         conversation.item.input_audio_transcription.failed ·
                 server_error · Input transcription failed for item 'item_…'.

turns (ms from the end of speech; transcription from the commit)
turn  commit  first audio  transcription  response
   1      10          600            600       630  ✕ transcription failed
   1  assistant “Sunny, all day.”

timeline
    +ms     event
    0.0  ◂  session.created                          sess_0000000a ·
                                                     gpt-realtime
    5.0  ▸  session.update                           transcription
                                                     gpt-4o-transcribe
   10.0  ◂  session.updated                          sess_0000000a ·
                                                     gpt-realtime ·
                                                     transcription
                                                     gpt-4o-transcribe
   20.0  ▸  input_audio_buffer.append × 5  0.10 s
   50.0  ◂  input_audio_buffer.speech_started        audio_start_ms 0
  120.0  ◂  input_audio_buffer.speech_stopped        audio_end_ms 100
  130.0  ◂  input_audio_buffer.committed
  131.0  ◂  conversation.item.added                  user
  140.0  ◂  response.created                         in_progress
  720.0  ◂  response.output_audio.delta × 2  0.04 s
  721.0  ◂  response.output_audio_transcript.delta   Sunny, all day.
  730.0  ◂  …input_audio_transcription.failed        ✕ server_error · Input
                                                     transcription failed for
                                                     item 'item_u1'.
  740.0  ◂  response.output_audio_transcript.done    “Sunny, all day.”
  750.0  ◂  response.done                            completed · 10 tokens in,
                                                     20 out
1,000.0  ▸  close                                    1000 bye
"""


def test_the_whole_page_at_80_columns(failed_session: str, queries: Queries, lines: Lines) -> None:
    found = queries.session_findings(failed_session)
    page = session_page(queries.session(failed_session), queries.timeline(failed_session), found)
    assert lines(page, 80) == PAGE.strip("\n").splitlines()


def test_what_never_came_is_named(root: Root, lines: Lines) -> None:
    columns = {"failure_keys": ["absent:response.created"], "lost_bytes": 1200, "undecodable_bytes": 3}
    trace = Trace(columns=columns)
    configure(trace)
    trace.server(100, "input_audio_buffer.committed", item_id="item_1")
    trace.server(110, "input_audio_buffer.committed", item_id="item_2")
    trace.server(120, "response.created", response={"id": "resp_1"})
    trace.write(root)
    with open_store(root) as store:
        detail = Queries(store).session(trace.session_id)
        page = session_page(detail, [], [])
    missing = [
        "turn 1: a transcription was asked for; it neither completed nor failed",
        "turn 1: no answer",
        "turn 2: a transcription was asked for; it neither completed nor failed",
        "turn 2: the answer never ended",
        "response.created never came",
        "1,200 bytes were forwarded but not recorded",
        "3 bytes could not be decoded",
    ]
    assert list(what_is_missing(detail)) == missing
    assert [line.strip() for line in lines(page, 100)][-len(missing) :] == missing
    assert session_json(detail, [], [])["missing"] == missing


def test_a_session_that_only_transcribes_lacks_no_answer(root: Root) -> None:
    trace = Trace()
    trace.server(10, "session.updated", session={"type": "transcription"})
    trace.server(100, "input_audio_buffer.committed", item_id="item_1")
    trace.write(root)
    with open_store(root) as store:
        assert list(what_is_missing(Queries(store).session(trace.session_id))) == []


def test_a_replay_says_what_it_is(root: Root, lines: Lines) -> None:
    replayed = {"run_id": "r1", "replay_of": "x", "cell": "eastus2 · whisper-1", "trial": 3, "trial_outcome": "ok"}
    closed = {"close_code": 1001, "close_reason": "expired", "closed_by": "server", "handshake_status": 429}
    trace = Trace(columns=replayed | closed | {"model_echoed": "gpt-realtime-2025", "tags": [("team", "voice")]})
    trace.write(root)
    with open_store(root) as store:
        shown = lines(session_page(Queries(store).session(trace.session_id), [], []), 100)
    facts = dict(line.strip().split(maxsplit=1) for line in shown[1:] if line.startswith("  "))
    assert facts["replay"] == "of x · run r1 · eastus2 · whisper-1 · trial 3: ok"
    assert facts["closed"] == "code 1001 · expired · by server"
    assert facts["handshake"] == "HTTP 429 Too Many Requests"
    assert facts["model"] == "gpt-realtime · echoed as gpt-realtime-2025"
    assert facts["tags"] == "team=voice"


def test_times_in_json_say_that_they_are_utc(failed_session: str, queries: Queries) -> None:
    found = session_json(queries.session(failed_session), queries.timeline(failed_session), [])["session"]
    assert (found["started_at"].isoformat(), found["expires_at"]) == ("2026-02-12T08:30:55+00:00", None)
