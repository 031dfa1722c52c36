"""One session, followed through its journal: the rows are those that sealing writes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from capture.following import FollowedSession
from capture.journal import JournalWriter
from capture.recording.reader import open_recording
from capture.recording.root import Root
from capture.sealing import seal
from tests.capture.test_live import CREATED, FAILED, SESSION_ID, STARTED_AT_S, Session

KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"


@pytest.fixture
def followed(root: Root) -> FollowedSession:
    return FollowedSession(root, SESSION_ID, clock_s=lambda: STARTED_AT_S + 12.5)


def types_of(rows: tuple[dict[str, Any], ...]) -> list[str | None]:
    return [row.get("type") for row in rows]


def test_each_look_gives_what_came_since_the_last(writer: JournalWriter, followed: FollowedSession) -> None:
    session = Session(writer)
    sent = session.say("client", '{"type":"session.update"}', 20)
    received = session.say("server", json.dumps({"type": "error", "error": FAILED}), 40)
    session.catch_up()
    look = followed.look()
    assert look.session is not None
    assert (look.session.state, look.session.target, look.session.age_s) == ("live", "eastus2", 12.5)
    assert (look.session.sent_bytes, look.session.bytes) == (sent, sent + received)
    assert look.session.last_error == "error: server_error overloaded Try again"
    assert types_of(look.rows) == ["session.update", "error"]
    assert [(row["seq"], row["offset_ns"], row["wire_bytes"]) for row in look.rows] == [
        (0, 20_000_000, sent),
        (1, 40_000_000, received),
    ]
    assert followed.look().rows == ()
    session.say("server", CREATED, 60)
    session.catch_up()
    assert types_of(followed.look().rows) == ["session.created"]


def test_what_is_followed_is_what_is_sealed(
    root: Root, write_journal: Callable[..., str], followed: FollowedSession
) -> None:
    audio = json.dumps({"type": "input_audio_buffer.append", "audio": "AAAA" * 100})
    said = [("server", CREATED), *[("client", audio)] * 5, ("server", json.dumps({"type": "error", "error": FAILED}))]
    write_journal(said, session_id=SESSION_ID)
    look = followed.look()
    assert look.session is not None
    assert (look.session.state, look.session.is_left_behind) == ("waiting", False)
    seal(root.path, SESSION_ID)
    sealed = [message.row for message in open_recording(root, SESSION_ID).messages()]
    for live, row in zip(look.rows, sealed, strict=True):
        for name in (
            "seq",
            "offset_ns",
            "sender",
            "kind",
            "type",
            "error_code",
            "payload",
            "audio_bytes",
            "wire_bytes",
        ):
            assert live.get(name) == row.get(name), name
    gone = followed.look()
    assert (gone.session, gone.rows) == (None, ())


def test_a_long_journal_is_caught_up_with_in_pieces(
    write_journal: Callable[..., str], followed: FollowedSession
) -> None:
    write_journal(
        [("server", json.dumps({"type": f"made.up.{number}"})) for number in range(20)], session_id=SESSION_ID
    )
    seen, looks = [], 0
    while (look := followed.look(most=6)).is_behind:
        assert len(look.rows) <= 6
        seen += types_of(look.rows)
        looks += 1
    seen += types_of(look.rows)
    assert seen == [f"made.up.{number}" for number in range(20)]
    assert looks == 4


def test_the_answer_of_an_endpoint_that_refused_is_there_when_it_is_over(
    write_journal: Callable[..., str], followed: FollowedSession
) -> None:
    write_journal([("server", b"busy")], status=503, session_id=SESSION_ID)
    assert [(row["kind"], row["payload"]) for row in followed.look().rows] == [("http", "busy")]
    assert followed.look().rows == ()


def test_secrets_and_what_is_redacted_are_not_shown(writer: JournalWriter, followed: FollowedSession) -> None:
    session = Session(writer, redact=["transcripts"])
    session.say("server", json.dumps({"type": "x.done", "transcript": "my order", "note": KEY}))
    session.catch_up()
    (row,) = followed.look().rows
    assert "my order" not in row["payload"]
    assert KEY not in row["payload"]


def test_a_rule_of_a_newer_version_hides_the_messages(writer: JournalWriter, followed: FollowedSession) -> None:
    session = Session(writer, redact=["a-newer-rule"])
    session.say("server", CREATED)
    session.catch_up()
    look = followed.look()
    assert look.rows == followed.look().rows == ()
    assert look.hidden is not None
    assert "a-newer-rule" in look.hidden
    assert look.session is not None
    assert look.session.events == 1


def test_damage_is_passed_over_and_decoding_never_goes_wrong(
    root: Root, writer: JournalWriter, followed: FollowedSession
) -> None:
    session = Session(writer)
    session.catch_up()
    begin = session.journal.path.stat().st_size
    session.say("server", json.dumps({"type": "made.up.lost"}))
    session.catch_up()
    end = session.journal.path.stat().st_size
    session.say("server", json.dumps({"type": "made.up.later"}))
    session.catch_up()
    with session.journal.path.open("r+b") as file:
        file.seek(begin)
        file.write(b"\xff" * (end - begin))
    kinds: list[str] = []
    while (look := followed.look(most=1)).is_behind:
        kinds += [row["kind"] for row in look.rows]
    # Of a gap of unknown size nothing says where the next frame begins.
    assert kinds == ["raw"]


def test_a_journal_that_was_written_anew_is_read_from_its_beginning(
    root: Root, write_journal: Callable[..., str], followed: FollowedSession
) -> None:
    write_journal([("server", CREATED)], session_id=SESSION_ID)
    assert types_of(followed.look().rows) == ["session.created"]
    path = root.journal_of(SESSION_ID)
    copy = Path(f"{path}.copy")
    copy.write_bytes(path.read_bytes())
    os.replace(copy, path)  # noqa: PTH105 - what a recovery does
    look = followed.look()
    assert (look.begins_anew, types_of(look.rows)) == (True, ["session.created"])


def test_there_is_nothing_to_follow_without_a_journal(followed: FollowedSession) -> None:
    assert followed.look().session is None
