"""A session is followed through the journal of a real writer, and becomes a recording under the eyes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from textual import events
from textual.app import App
from websockets.frames import Frame, Opcode

from analyze.tui.app import WiretapeApp
from analyze.tui.lines import plain
from analyze.tui.screens.follow import FollowScreen
from analyze.tui.screens.session import SessionScreen
from analyze.tui.screens.sessions import SessionsScreen
from analyze.tui.screenshot import press, settle
from analyze.tui.source import RootSource
from analyze.tui.widgets.painted import Block
from capture.journal import Direction, JournalWriter
from capture.recording.root import Root
from capture.sealing import seal
from tests.capture.test_live import CREATED, FAILED, SESSION_ID, Session

Shown = Callable[[App[None]], str]
APPEND = json.dumps({"type": "input_audio_buffer.append", "audio": "AAAA" * 40})


@pytest.fixture
def call(writer: JournalWriter) -> Session:
    call = Session(writer)
    call.say("server", CREATED, 12)
    call.catch_up()
    return call


@pytest.fixture
def app(root: Root, call: Session) -> Iterator[WiretapeApp]:
    source = RootSource(root)
    yield WiretapeApp(source)
    source.close()


def follow(app: WiretapeApp) -> FollowScreen:
    assert isinstance(app.screen, FollowScreen)
    return app.screen


async def look(pilot: object, app: WiretapeApp, call: Session) -> None:
    call.catch_up()
    # A look that is under way may have been too early, and there are never two.
    await settle(pilot)  # type: ignore[arg-type]
    follow(app).look()
    await settle(pilot)  # type: ignore[arg-type]


async def test_a_call_is_followed_until_its_recording_is_there(
    root: Root, call: Session, app: WiretapeApp, shown: Shown
) -> None:
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        assert "No recordings yet" in shown(app)
        await press(pilot, "enter")
        assert f"◌ {SESSION_ID}  eastus2  since 02-12 08:30:55 UTC" in shown(app)
        assert "session.created" in shown(app)
        for number in range(350):
            call.say("client", APPEND, 20 + 20 * number)
        hostile = {"type": "error", "error": {"type": "server_error", "message": "\x1b[31mred [bold]x"}}
        call.say("server", json.dumps(hostile), 7000)
        await look(pilot, app, call)
        assert "▹       20.0  ▸  input_audio_buffer.append   76 kB  × 350" in shown(app)
        assert "× 350" in shown(app)
        assert "▲    7,000.0  ◂  error" in shown(app)
        assert r"▲ error: server_error \x1b[31mred [bold]x" in shown(app)
        assert "following · newest at the bottom" in shown(app)
        await press(pilot, "enter")
        page = shown(app)
        assert '"message": "\\u001b[31mred [bold]x"' in page
        assert r"server_error · \x1b[31mred [bold]x" in page
        assert "after    7,000.0 ms" in page
        await press(pilot, "enter")
        assert isinstance(app.screen, FollowScreen)
        call.end()
        await look(pilot, app, call)
        assert "being sealed" in shown(app)
        seal(root.path, SESSION_ID)
        await look(pilot, app, call)
        assert "over and sealed: failed · enter opens the session" in shown(app)
        await press(pilot, "enter")
        assert isinstance(app.screen, SessionScreen)
        await press(pilot, "q")
        assert isinstance(app.screen, SessionsScreen)
        app.screen.look_at_live()
        await settle(pilot)
        current = app.screen.table.current
        assert current is not None
        assert (current.session_id, app.screen.table.has_focus) == (SESSION_ID, True)


async def test_the_newest_event_stays_in_sight_until_somebody_looks_back(
    call: Session, app: WiretapeApp, shown: Shown
) -> None:
    async with app.run_test(size=(100, 20)) as pilot:
        await settle(pilot)
        await press(pilot, "enter")
        for number in range(60):
            call.say("server", json.dumps({"type": f"made.up.{number}"}), 100 + number)
        await look(pilot, app, call)
        assert "made.up.59" in shown(app)
        await press(pilot, "up", "up")
        assert "2 rows below · end follows again" in shown(app)
        call.say("server", json.dumps({"type": "error", "error": FAILED}), 900)
        await look(pilot, app, call)
        seen = follow(app).events
        assert seen.current is not None
        assert seen.current.row.type == "made.up.57"
        assert "3 rows below" in shown(app)
        await press(pilot, "n")
        assert seen.current.row.type == "error"
        assert seen.follows
        # The wheel leaves the newest event as keys do.
        seen.post_message(events.MouseScrollUp(seen, 5, 5, 0, -1, 0, False, False, False))
        await settle(pilot)
        assert not seen.follows
        top = seen.scroll_offset.y
        call.say("server", json.dumps({"type": "made.up.last"}), 950)
        await look(pilot, app, call)
        assert seen.scroll_offset.y == top
        assert "made.up.last" not in shown(app)
        await press(pilot, "end")
        assert seen.follows
        assert "made.up.last" in shown(app)


async def test_a_long_call_is_caught_up_with_piece_by_piece(
    call: Session, app: WiretapeApp, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        call.say("server", json.dumps({"type": f"made.up.{number}"}), 100 + number)
    call.catch_up()
    looks: list[str] = []
    look_once = FollowScreen._show

    def noting(screen: FollowScreen, answer: object) -> None:
        look_once(screen, answer)  # type: ignore[arg-type]
        screen._show_tally()
        looks.append("\n".join(plain(line) for line in screen.query_one("#tally", Block).lines))

    monkeypatch.setattr("capture.following.RECORDS_A_LOOK", 10)
    monkeypatch.setattr(FollowScreen, "_show", noting)
    async with app.run_test(size=(100, 20)) as pilot:
        await settle(pilot)
        await press(pilot, "enter")
        assert "made.up.39" in shown(app)
        assert " catching up …" in looks[0]
        assert looks[-1].startswith(" following")


async def test_messages_that_may_not_be_shown_are_not(writer: JournalWriter, root: Root, shown: Shown) -> None:
    call = Session(writer, redact=["a-newer-rule"])
    call.say("server", CREATED)
    call.catch_up()
    app = WiretapeApp(RootSource(root))
    async with app.run_test(size=(120, 20)) as pilot:
        await settle(pilot)
        await press(pilot, "enter")
        assert "its messages are not shown" in shown(app)
        assert "session.created" not in shown(app)
        assert "1 event" in shown(app)


async def test_every_event_has_a_row_where_it_is_asked_for(call: Session, app: WiretapeApp, shown: Shown) -> None:
    for number in range(8):
        call.say("client", APPEND, 20 + 20 * number)
    call.catch_up()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "enter")
        assert shown(app).count("input_audio_buffer.append") == 1
        await press(pilot, "a")
        assert shown(app).count("input_audio_buffer.append") == 8
        assert "160.0" in shown(app)
        await press(pilot, "a", "n")
        assert shown(app).count("input_audio_buffer.append") == 1
        await press(pilot, "escape")
        assert isinstance(app.screen, SessionsScreen)


async def test_what_is_not_kept_or_cannot_be_sealed_is_said(
    root: Root, call: Session, app: WiretapeApp, shown: Shown
) -> None:
    async with app.run_test(size=(120, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "enter")
        call.journal.path.unlink()
        follow(app).look()
        await settle(pilot)
        assert "over: no recording is left of it" in shown(app)
        await press(pilot, "enter")
        assert "event    session.created" in shown(app)
        await press(pilot, "q", "q")
        assert isinstance(app.screen, SessionsScreen)
        root.quarantine.mkdir()
        (root.quarantine / call.journal.path.name).touch()
        app.on_source_screen_follow_chosen(SessionsScreen.FollowChosen(SESSION_ID))
        await settle(pilot)
        assert "its journal is in journal/quarantine/" in shown(app)


async def test_a_call_whose_recorder_died_is_not_said_to_be_followed(
    writer: JournalWriter, call: Session, app: WiretapeApp, shown: Shown
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "enter")
        assert "following · newest at the bottom" in shown(app)
        writer.close()
        follow(app).look()
        await settle(pilot)
        assert "left behind: wiretape capture recover" in shown(app)
        assert "its recorder is gone: nothing more comes" in shown(app)
        assert "following ·" not in shown(app)


async def test_a_frame_without_a_message_has_none(
    writer: JournalWriter, call: Session, app: WiretapeApp, shown: Shown
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "enter")
        ping = Frame(Opcode.PING, b"now").serialize(mask=False)
        call.journal.append(Direction.SERVER, 20_000_000, ping)
        await look(pilot, app, call)
        await press(pilot, "end", "enter")
        assert "event  (ping)" in shown(app)
        assert "5 bytes on the wire" in shown(app)
        assert "not held here" not in shown(app)
