from __future__ import annotations

from analyze.printing.side_by_side import side_by_side_json, side_by_side_page
from analyze.queries import Queries
from analyze.store import open_store
from capture.recording.root import Root
from tests.analyze.conftest import Trace, configure, spoken_turn
from tests.conftest import Lines


def three(root: Root, first: str, second: str) -> list[str]:
    third = Trace("20260212T083300-0000000f")
    configure(third, "whisper-1")
    spoken_turn(third, 20, transcript="what was the whether", answer_after_ms=900)
    third.write(root)
    return [first, second, third.session_id]


def test_three_sessions_on_a_page(root: Root, failed_session: str, ok_session: str, lines: Lines) -> None:
    ids = three(root, failed_session, ok_session)
    with open_store(root) as store:
        # The baseline is the one with a transcript, so that there is something to be wrong about.
        shown = Queries(store).side_by_side([ids[1], ids[0], ids[2]])
    page = lines(side_by_side_page(shown), 120)
    text = "\n".join(page)
    assert "≠  outcome              ok" in text
    assert '  audio.input.transcription.model: [1 3] "whisper-1"  [2] "gpt-4o-transcribe"' in page
    assert ["1", "first", "audio", "722", "600", "(0.8x)", "900", "(1.2x)"] in [line.split() for line in page]
    assert "  [3] turn 1 user (WER 50%): what [-is-] {+was+} the [-weather-] {+whether+}" in page
    assert "= 1 events alike" not in text
    every = lines(side_by_side_page(shown, every=True), 120)
    assert len(every) > len(page)
    assert not any("alike" in line for line in every)


def test_json_holds_every_comparison(root: Root, failed_session: str, ok_session: str) -> None:
    ids = three(root, failed_session, ok_session)
    with open_store(root) as store:
        told = side_by_side_json(Queries(store).side_by_side(ids))
    assert [session.session_id for session in told["sessions"]] == ids
    assert [each["right"].session_id for each in told["comparisons"]] == ids[1:]
    assert told["outcomes"]["outcome"] == ["failed", "ok", "ok"]
    assert [row.markers for row in told["rows"]][1] == ("=", "≠", "≠")
