"""The filter language, asked of two sessions: A failed in eastus2, B passed in swedencentral."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyze.annotating import annotate
from analyze.filters import is_open, narrowed, read_filter, runs_of, split_sql
from analyze.queries import Queries
from analyze.store import Store, open_store
from capture.errors import UsageProblem
from capture.recording.root import Root
from tests.analyze.conftest import Trace


@pytest.fixture(scope="module")
def two_sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Queries]:
    root = Root(tmp_path_factory.mktemp("filters") / "recordings")
    failed = {"failure_keys": ["error|server_error||no"], "first_error": "100% gone", "outcome": "failed", "errors": 2}
    Trace("20260212T083000-0000000a", failed | {"tags": [("team", "voice"), ("demo", "")]}).write(root)
    ok = {"region": "swedencentral", "transcription_model": "whisper-1", "target": "azure sweden", "complete": False}
    annotate(
        root, [Trace("20260213T083000-0000000b", ok).write(root)], tags={"cause": "network"}, notes=["heard an echo"]
    )
    with open_store(root) as store:
        yield Queries(store)


@pytest.fixture(scope="module")
def three_sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, dict[str, str]]]:
    """Give a store of three sessions A, B and C, and their ids."""
    root = Root(tmp_path_factory.mktemp("findings") / "recordings")
    ids = {name: f"2026021{day}T083000-0000000a" for day, name in enumerate("ABC", start=2)}
    for session_id in ids.values():
        Trace(session_id).write(root)
    with open_store(root) as store:
        yield store, ids


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "AB"),
        ("region:eastus2", "A"),
        ("region:EASTUS2", "A"),
        ("region:east*", "A"),
        ("region:east", ""),
        ("region:eastus2,swedencentral", "AB"),
        ("region:*us*,sw*", "AB"),
        ("-region:eastus2", "B"),
        ("-transcription:whisper*", "A"),
        ("transcription:whisper-1 outcome:ok", "B"),
        ("outcome:failed region:swedencentral", ""),
        ("'target:azure sweden'", "B"),
        ("errors:2", "A"),
        ("errors:>1", "A"),
        ("errors:<=1", "B"),
        ("failure:*server_error*", "A"),
        ("-failure:*", "B"),
        ("tag:team", "A"),
        ("tag:team=voice", "A"),
        ("tag:team=v*", "A"),
        ("tag:team=other", ""),
        ("tag:nothing=x", ""),
        ("region!=eastus2", "B"),
        ("-region!=eastus2", "A"),
        ("errors!=2", "B"),
        ("note:echo", "B"),
        ("note!=echo", "A"),
        ("tag:cause=network", "B"),
        ("heard", "B"),
        ("=errors >= 2", "A"),
        ("= region = 'eastus2' -- a comment", "A"),
        ("since:2026-02-13 =errors >= 2", ""),
        ("=SELECT session_id FROM sessions WHERE region LIKE 's%'", "B"),
        ("=", "AB"),
        ("'= quoted'", ""),
        ("complete:true", "A"),
        ("complete:no", "B"),
        ("since:2026-02-13", "B"),
        ("until:2026-02-12T09:00", "A"),
        ("since:2026-02-12 until:2026-02-12", "A"),
        ("since:2026-02-12 until:2026-02-13", "AB"),
        ("until:2026-02-12T00:00", ""),
        ("until:9999-12-31", "AB"),
        ("-until:2026-02-12", "B"),
        ("since:2026-02-13T10:30:00+02:00", "B"),
        ("whisper", "B"),
        ("server_error", "A"),
        ("voice", "A"),
        ("100%", "A"),
        ("1_0", ""),
        ("nothing", ""),
    ],
)
def test_what_a_filter_finds(text: str, found: str, two_sessions: Queries) -> None:
    ids = [session.session_id[-1].upper() for session in two_sessions.sessions(text)]
    assert "".join(sorted(ids)) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("finding:transcription_model_path_failure", {"A"}),
        ("finding:TRANSCRIPTION_m*", {"A"}),
        ("finding:*", {"A", "B"}),
        ("finding:*duplicate,*quota", {"B"}),
        ("-finding:transcription_duplicate", {"A", "C"}),
        ("finding:transcription_outage_window", set()),
    ],
)
def test_findings_are_asked_for_by_name(
    text: str, found: set[str], three_sessions: tuple[Store, dict[str, str]]
) -> None:
    store, ids = three_sessions
    named = {"transcription_model_path_failure": [ids["A"]], "transcription_duplicate": [ids["B"]]}
    condition = read_filter(text, found=lambda: named)
    rows = store.rows(f"SELECT session_id FROM sessions WHERE {condition.sql}", condition.params)  # noqa: S608 - ours
    assert {row["session_id"] for row in rows} == {ids[name] for name in found}


def test_no_finding_is_looked_for_where_none_is_asked_for() -> None:
    def never() -> dict[str, list[str]]:
        raise AssertionError

    assert read_filter("region:eastus2 failure:* finding", found=never).params


def test_a_span_counts_back_from_now() -> None:
    now = datetime(2026, 2, 12, 8, 30, tzinfo=UTC)
    assert read_filter("since:90m", now=now).params == (datetime(2026, 2, 12, 7, 0),)  # noqa: DTZ001 - as the views
    assert read_filter("since:7d", now=now).params == (datetime(2026, 2, 5, 8, 30),)  # noqa: DTZ001


def test_words_never_become_sql() -> None:
    hostile = "x' OR 1=1 --"
    found = read_filter(f'region:"{hostile}"')
    assert hostile not in found.sql
    assert found.params == (hostile,)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("regoin:eastus2", "no field 'regoin' to filter by; nearest are region"),
        (
            "finding:transcription_model",
            "no signature is named 'transcription_model'; nearest are transcription_",
        ),
        ("turns:many", "turns:many does not read: give a number"),
        ("complete:flase", "complete:flase does not read: give complete:yes or complete:no"),
        ("since:yesterday", "'yesterday' is no time: give a span such as 2h"),
        ("'unclosed", "does not read: No closing quotation"),
    ],
)
def test_what_does_not_read_is_named(text: str, complaint: str) -> None:
    with pytest.raises(UsageProblem, match=complaint):
        read_filter(text)


@pytest.mark.parametrize(("typed", "nearest"), [("tr", "transcription_duplicate"), ("commit", "commit_empty")])
def test_the_beginning_of_a_signatures_name_finds_those_that_begin_so(typed: str, nearest: str) -> None:
    with pytest.raises(UsageProblem, match=f"no signature is named '{typed}'; nearest are (.*, )?{nearest}"):
        read_filter(f"finding:{typed}")


@pytest.mark.parametrize(
    ("condition", "complaint"),
    [
        ("=DROP TABLE x", "this SQL cannot be run"),
        ("=nope > 1", "this SQL cannot be run.*nope"),
        ("=(COPY (SELECT 1) TO 'file')", "this SQL cannot be run"),
    ],
)
def test_sql_in_a_filter_goes_through_the_console(condition: str, complaint: str, two_sessions: Queries) -> None:
    with pytest.raises(UsageProblem, match=complaint):
        two_sessions.sessions(condition)


@given(st.text(alphabet=" ='\"ab>\n", max_size=60))
def test_a_filter_splits_at_the_first_term_of_sql(text: str) -> None:
    words, condition = split_sql(text)
    assert text.startswith(words)
    assert condition == "" or text.rstrip().endswith(condition)
    assert split_sql(words) == (words, "")


def test_a_filter_is_narrowed_in_front_of_its_sql() -> None:
    assert split_sql(narrowed("since:2h = turns > 3", "session_id:x")) == ("session_id:x since:2h", "turns > 3")
    assert narrowed("", "region:eastus2") == "region:eastus2"


def test_a_filter_is_open_while_a_value_or_sql_is_being_typed() -> None:
    assert all(map(is_open, ("region:", "model!=", "since:2h = turns")))
    assert not any(map(is_open, ("", "region:e", "words")))


def test_a_filter_names_runs_by_id_and_by_tag() -> None:
    assert runs_of("run:r1,r2 region:eastus2 tag:run=mine = turns > 1") == ("r1", "r2", "mine")
    assert runs_of("-run:r1 run!=r2 run:r* run: tag:cause=run") == ()
    assert runs_of("run:r1 'half") == ()


@pytest.mark.parametrize("typed", ["since:99999999999999999999d", "until:0001-01-01T00:00+14:00", "region:\udc80"])
def test_what_no_time_or_text_can_be_is_refused_with_a_sentence(typed: str) -> None:
    with pytest.raises(UsageProblem):
        read_filter(typed)
