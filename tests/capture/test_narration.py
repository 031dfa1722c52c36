from __future__ import annotations

import io
import json
import logging
import time
from typing import cast

import pytest
from rich.console import Console

from capture.narration import Seldom, counted, first_of, narrate, print_json, print_line, progress_told, size, tell


def test_data_goes_to_stdout_and_narration_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    print_line("20260212T083055-4f3a9c12")
    print_json({"region": "schweden-süd", "said": "\x9b2J\u202e"})
    tell("1 session was sealed")

    printed = capsys.readouterr()
    first, _, rest = printed.out.partition("\n")
    assert first == "20260212T083055-4f3a9c12"
    assert json.loads(rest) == {"region": "schweden-süd", "said": "\x9b2J\u202e"}
    assert rest.count("\\u") == 2
    assert printed.err == "1 session was sealed\n"


def test_long_work_shows_on_a_terminal_how_far_it_is_and_short_work_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=80)
    monkeypatch.setattr("capture.narration.console", lambda: screen)
    drawn = cast("io.StringIO", screen.file)
    with progress_told("reading", after_s=float("inf")) as show:
        show(4_000, 20_000)
    assert drawn.getvalue() == ""
    with progress_told("reading", after_s=0) as show:
        show(4_000, 20_000)
    assert "reading" in drawn.getvalue()
    assert " 20%" in drawn.getvalue()


def test_a_pipe_gets_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_told("reading", after_s=0) as show:
        show(4_000, 20_000)
    assert capsys.readouterr().err == ""


def test_what_an_endpoint_says_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    tell("\x1b[2J[bold]gone[/bold]")

    assert capsys.readouterr().err == "\\x1b[2J[bold]gone[/bold]\n"


def test_the_log_is_narration(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setattr(time, "time", lambda: 1_770_885_055.25)
    monkeypatch.setattr(time, "time_ns", lambda: 1_770_885_055_250_000_000)
    narrate()
    logging.getLogger("capture").info("draining: [3] sessions")
    logging.getLogger("capture").info("refused: \x1b[2J\u202e\nthe second line")
    logging.getLogger("capture").info("failed: %s", "x" * 300)

    printed = capsys.readouterr()
    # Of several lines in one second each has its time, and a long one stays in one piece: both are for `grep`.
    assert printed.err.splitlines() == [
        "2026-02-12T08:30:55.250Z draining: [3] sessions",
        r"2026-02-12T08:30:55.250Z refused: \x1b[2J\u202e",
        "  the second line",
        f"2026-02-12T08:30:55.250Z failed: {'x' * 300}",
    ]
    assert printed.out == ""


def test_things_are_counted_as_people_do() -> None:
    said = [counted(number, "session") for number in (0, 1, 2, 1204)]
    assert said == ["0 sessions", "1 session", "2 sessions", "1,204 sessions"]


def test_of_many_parts_the_first_are_written() -> None:
    parts = [f"part {number}" for number in range(1203)]
    assert [first_of(parts[:many], 2) for many in (0, 1, 2)] == ["", "part 0", "part 0; part 1"]
    assert first_of(parts, 2) == "part 0; part 1; and 1,201 more"


@pytest.mark.parametrize(("count", "words"), [(0, "0 B"), (999, "999 B"), (41_400, "41 kB"), (1_250_000, "1.2 MB")])
def test_bytes_have_a_unit(count: int, words: str) -> None:
    assert size(count) == words


def test_what_happens_again_and_again_is_said_once_in_a_while() -> None:
    said: list[tuple[str, ...]] = []
    seldom = Seldom(lambda *words: said.append(words))
    seldom("refused: %s", "a")
    seldom("refused: %s", "b")
    assert said == [("refused: %s", "a")]
    always = Seldom(lambda *words: said.append(words), pause_s=0)
    always("c")
    always("c")
    assert said[1:] == [("c",), ("c",)]
