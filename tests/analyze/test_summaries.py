from __future__ import annotations

from analyze.filters import read_filter
from analyze.queries import Queries
from analyze.store import Store, open_store
from analyze.summaries import Summaries
from capture.recording.root import Root
from tests.analyze.conftest import Trace, spoken_turn

EVERY = read_filter("")


def test_sessions_within_a_limit_and_without_their_events(
    failed_session: str, ok_session: str, queries: Queries
) -> None:
    (newest,) = queries.sessions(limit=1, latency=False)
    assert (newest.session_id, newest.first_audio_ms) == (ok_session, None)
    assert queries.session_count() == 2


def test_what_was_measured_is_not_measured_again(failed_session: str, root: Root, store: Store) -> None:
    summaries = Summaries(store)
    (measured,) = summaries.newest(EVERY, limit=None, latency=True)
    root.table_file("events", failed_session).unlink()

    (remembered,) = summaries.newest(EVERY, limit=None, latency=True)

    assert measured.first_audio_ms == remembered.first_audio_ms == 600.0


def test_first_audio_is_the_median_over_the_turns(root: Root) -> None:
    trace = Trace()
    for number, answer_after_ms in enumerate((300.0, 500.0, 1000.0)):
        spoken_turn(
            trace, 3000.0 * number, item=f"item_{number}", response=f"resp_{number}", answer_after_ms=answer_after_ms
        )
    trace.write(root)
    with open_store(root) as store:
        queries = Queries(store)
        assert queries.sessions()[0].first_audio_ms == 500.0
        assert queries.session(trace.session_id).summary.first_audio_ms == 500.0
