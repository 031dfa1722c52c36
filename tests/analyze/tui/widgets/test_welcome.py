from __future__ import annotations

from analyze.tui.lines import plain, width_of
from analyze.tui.widgets.welcome import Welcome


def test_it_names_the_root_and_the_ways_to_record() -> None:
    welcome = Welcome()
    welcome.welcome("recordings/", has_folder=True)
    written = "\n".join(plain(line) for line in welcome.lines)
    assert "No recordings yet in recordings/" in written
    for command in (
        "wiretape demo",
        "wiretape capture proxy --to",
        "wiretape capture call --to",
        "--recordings FOLDER",
    ):
        assert command in written


def test_a_folder_that_is_not_there_is_not_called_empty() -> None:
    welcome = Welcome()
    welcome.welcome("/mnt/share/recordings/", has_folder=False)
    assert plain(welcome.lines[0]) == "No recordings: there is no folder /mnt/share/recordings/"


def test_it_fits_80_columns() -> None:
    welcome = Welcome()
    welcome.welcome("recordings/", has_folder=True)
    assert max(width_of(line) for line in welcome.lines_at(72)) <= 72
