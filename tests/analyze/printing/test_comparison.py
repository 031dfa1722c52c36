from __future__ import annotations

from analyze.answers import LatencyDelta
from analyze.printing.comparison import delta_words, diff_json, diff_page
from analyze.queries import Queries
from tests.conftest import Lines

PAGE = """
- ▲ 20260212T083055-0000000a  azure-eastus2 · eastus2 · gpt-realtime ·
gpt-4o-transcribe · ga
+ ● 20260212T083155-0000000b  azure-sweden · swedencentral · gpt-realtime ·
whisper-1 · ga

configuration asked
path                             -                    +
audio.input.transcription.model  "gpt-4o-transcribe"  "whisper-1"

configuration echoed
path                             -                    +
audio.input.transcription.model  "gpt-4o-transcribe"  "whisper-1"

latencies
turn  latency        - ms  + ms      difference
   1  commit           10    10    +0 ms (1.0x)
   1  first audio     600   722  +122 ms (1.2x)
   1  transcription   600   722  +122 ms (1.2x)
   1  response        630   752  +122 ms (1.2x)

words
  turn 1 user: {+what is the weather+}
  turn 1 assistant: Sunny, [-all-] {+most of the+} day.

events
   turn  - ms  + ms  event
=                    1 event alike: session.created
≠           5     5  session.update
                       session.audio.input.transcription.model:
                     "gpt-4o-transcribe" → "whisper-1"
≠          10    10  session.updated
                       session.audio.input.transcription.model:
                     "gpt-4o-transcribe" → "whisper-1"
=                    12 events alike: input_audio_buffer.append …
                     response.output_audio.delta
≠     1   721   843  response.output_audio_transcript.delta
                       text: "Sunny, all day." → "Sunny, most of the day."
-     1   730        …input_audio_transcription.failed  server_error · Input
                     transcription failed for item 'item_u1'.
+     1         852  …input_audio_transcription.completed  “what is the weather”
≠     1   740   862  response.output_audio_transcript.done
                       transcript: "Sunny, all day." → "Sunny, most of the day."
=                    2 events alike: response.done … close
"""


def test_the_whole_page_at_80_columns(failed_session: str, ok_session: str, queries: Queries, lines: Lines) -> None:
    diff = queries.side_by_side([failed_session, ok_session]).diffs[0]
    assert lines(diff_page(diff), 80) == PAGE.strip("\n").splitlines()
    assert [each["delta_ms"] for each in diff_json(diff)["latencies"]] == [0.0, 122.0, 122.0, 122.0]


def test_differences_in_words() -> None:
    assert delta_words(LatencyDelta("commit", 1, 600.0, 722.0)) == "+122 ms (1.2x)"
    assert delta_words(LatencyDelta("commit", 1, 1200.0, 600.0)) == "-600 ms (0.5x)"
    assert delta_words(LatencyDelta("commit", 1, None, 600.0)) == "only on one side"
