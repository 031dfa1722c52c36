"""A session in flight, printed as it goes on."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from analyze.follow_command import follow, resolve_in_flight
from capture.errors import UsageProblem
from capture.journal import JournalWriter
from capture.recording.root import Root
from capture.sealing import seal
from tests.capture.test_live import CREATED, FAILED, SESSION_ID, Session

APPEND = json.dumps({"type": "input_audio_buffer.append", "audio": "AAAA" * 100})
ERROR = json.dumps({"type": "error", "error": FAILED | {"message": "\x1b[31mTry again"}})


@pytest.fixture
def goes_on(root: Root, writer: JournalWriter) -> Callable[[float], None]:
    """Give what happens between looks: audio, a failure and audio once more, the end."""
    session = Session(writer)
    session.say("server", CREATED, 10)
    session.catch_up()

    def speak() -> None:
        for number in range(3):
            session.say("client", APPEND, 20 * (number + 1))
        session.catch_up()

    def fail() -> None:
        session.say("client", APPEND, 80)
        session.say("server", ERROR, 90)
        session.say("client", APPEND, 100)
        session.catch_up()

    def end() -> None:
        session.end()
        seal(root.path, SESSION_ID)

    steps = iter((speak, fail, end))
    return lambda _: next(steps)()


def test_each_row_is_printed_when_it_begins(
    root: Root, goes_on: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    follow(root, resolve_in_flight(root, "last"), every=False, as_json=False, sleep=goes_on)
    printed = capsys.readouterr()
    assert [" ".join(line.split()) for line in printed.out.splitlines()] == [
        "10.0 ◂ session.created sess_1",
        "20.0 ▸ input_audio_buffer.append × 3 0.02 s",
        "90.0 ◂ error ✕ server_error · overloaded · \\x1b[31mTry again",
    ]
    assert f"{SESSION_ID} is over: wiretape analyze show {SESSION_ID}" in printed.err


def test_each_event_has_a_line_where_all_are_asked_for(
    root: Root, goes_on: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    follow(root, SESSION_ID, every=True, as_json=False, sleep=goes_on)
    times_ms = [float(line.split()[0]) for line in capsys.readouterr().out.splitlines()]
    assert times_ms == [10, 20, 40, 60, 80, 90, 100]


@pytest.mark.parametrize("every", [True, False], ids=["all", "folded"])
def test_a_call_longer_than_a_timeline_is_printed_from_its_beginning(
    root: Root,
    writer: JournalWriter,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    every: bool,
) -> None:
    monkeypatch.setattr("analyze.follow_command.MOST_ROWS", 5)
    session = Session(writer)
    session.say("server", CREATED, 10)
    for number in range(12):
        session.say("server", json.dumps({"type": "conversation.item.added", "item": {}}), 20 + number)
    session.catch_up()

    def end(_: float) -> None:
        session.end()
        seal(root.path, SESSION_ID)

    follow(root, SESSION_ID, every=every, as_json=False, sleep=end)
    times_ms = [float(line.split()[0]) for line in capsys.readouterr().out.splitlines()]
    assert times_ms == [10, *range(20, 32)]


def test_json_has_a_line_a_message_with_the_columns_of_the_events_table(
    root: Root, goes_on: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    follow(root, SESSION_ID, every=False, as_json=True, sleep=goes_on)
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    messages = [json.loads(line) for line in printed.splitlines()]
    assert [message["seq"] for message in messages] == list(range(7))
    failed = messages[5]
    assert (failed["type"], failed["error_code"], failed["offset_ns"]) == ("error", "overloaded", 90_000_000)
    assert json.loads(failed["payload"]) == json.loads(ERROR)


def test_what_a_killed_recorder_left_is_printed_and_told(
    root: Root, writer: JournalWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    session = Session(writer)
    session.say("server", CREATED, 10)
    session.catch_up()
    journal = root.journal_of(SESSION_ID)
    told = journal.read_bytes()
    session.end()
    journal.write_bytes(told)
    follow(root, SESSION_ID, every=False, as_json=False)
    printed = capsys.readouterr()
    assert "session.created" in printed.out
    assert "is over: left behind: run wiretape capture recover" in printed.err


def test_only_a_session_in_flight_can_be_followed(root: Root, writer: JournalWriter) -> None:
    with pytest.raises(UsageProblem, match="no session is in flight"):
        resolve_in_flight(root, "last")
    session = Session(writer)
    session.catch_up()
    assert resolve_in_flight(root, SESSION_ID[:12]) == SESSION_ID
    with pytest.raises(UsageProblem, match=f"in flight: {SESSION_ID}"):
        resolve_in_flight(root, "2025")
    session.end()
    seal(root.path, SESSION_ID)
    with pytest.raises(UsageProblem, match=f"is over: `wiretape analyze show {SESSION_ID} --recordings "):
        resolve_in_flight(root, SESSION_ID)
