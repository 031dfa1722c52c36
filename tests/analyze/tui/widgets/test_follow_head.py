from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.app import App, ComposeResult

from analyze.tui.lines import plain, width_of
from analyze.tui.widgets.follow_head import ERROR_LINES, NOT_KEPT, QUARANTINED, FollowHead, sealed_line

Make = Callable[..., Any]


class HeadApp(App[None]):
    def compose(self) -> ComposeResult:
        yield FollowHead()


def lines_of(session: Any, width: int = 100) -> list[str]:
    head = FollowHead()
    head.session = session
    return [plain(line).rstrip() for line in head.lines_at(width)]


def test_it_says_how_the_session_stands(make_live: Make) -> None:
    facts, moved = lines_of(make_live(1))
    assert facts.startswith(" ◌ 20260212T093101-00000001  azure-eastus2  since 02-12 09:30:56 UTC")
    assert facts.endswith("14 s · 611 events")
    assert moved == "   ▸ 840 kB sent  ◂ 364 kB received"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"last_error": "error: server_error"}, " ▲ error: server_error"),
        ({"lost_bytes": 1200}, "1,200 bytes lost"),
        ({"state": "waiting"}, "being sealed · 611 events"),
        ({"state": "waiting", "is_left_behind": True}, "364 kB received  left behind: wiretape capture recover"),
        ({"age_s": 3725.0}, "1 h 02 min · 611 events"),
    ],
)
def test_what_else_there_is_to_say(more: dict[str, object], words: str, make_live: Make) -> None:
    assert words in "\n".join(lines_of(make_live(**more)))


@pytest.mark.parametrize("is_left_behind", [False, True])
def test_in_80_columns_its_id_is_whole_and_its_start_makes_room(is_left_behind: bool, make_live: Make) -> None:
    session = make_live(1, target="ws://127.0.0.1:8931", age_s=3725.0, events=12_345, is_left_behind=is_left_behind)
    facts, _ = lines_of(session, 80)
    assert "20260212T093101-00000001  ws://127.0.0.1:8931 " in facts
    assert facts.endswith(" 12,345 events")
    assert "…" not in facts


@pytest.mark.parametrize("width", [20, 80, 200])
def test_hostile_words_are_escaped_and_fit(width: int, make_live: Make, hostile: str) -> None:
    head = FollowHead()
    head.session = make_live(target=hostile, last_error=hostile * 20)
    facts, moved, *error = head.lines_at(width)
    assert "\x1b" not in "".join(map(plain, (facts, moved, *error)))
    assert len(error) == ERROR_LINES
    assert plain(error[-1]).endswith("…")
    assert all(width_of(line) <= width for line in (facts, *error))


def test_in_80_columns_it_says_what_to_do_about_what_was_not_sealed(make_live: Make) -> None:
    head = FollowHead()
    head.session = make_live(1)
    head.show_end(QUARANTINED)
    *_, first, second = head.lines_at(80)
    assert " ".join(plain((*first, *second)).split()).endswith("see wiretape capture recover")


async def test_the_end_stands_below_and_the_time_stops(
    make_live: Make, source: Any, shown: Callable[[App[None]], str]
) -> None:
    app = HeadApp()
    async with app.run_test(size=(100, 8)) as pilot:
        head = app.query_one(FollowHead)
        head.show_end(NOT_KEPT)
        await pilot.pause()
        assert "over: no recording is left of it" in shown(app)
        head.show(make_live(1))
        head.show_end(sealed_line(source.listed[0]))
        await pilot.pause()
        assert "▲ over and sealed: failed · enter opens the session" in shown(app)
        assert "14 s" not in shown(app)
        head.show(make_live(1, is_left_behind=True))
        await pilot.pause()
        assert "left behind" not in shown(app)
