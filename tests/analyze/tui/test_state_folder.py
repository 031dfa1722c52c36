"""What outlives the screens: where it is, who reads it, and that it is whole."""

from __future__ import annotations

from pathlib import Path

from analyze.tui.state_folder import StateFile


def test_what_is_written_is_private_and_takes_the_place_of_the_last(tmp_path: Path) -> None:
    path = tmp_path / "wiretape" / "kept"
    StateFile(path).write("a longer one\n")
    StateFile(path).write("short\n")
    assert path.read_text() == "short\n"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert list(path.parent.iterdir()) == [path]


def test_where_nothing_can_be_written_nobody_is_disturbed(tmp_path: Path) -> None:
    (tmp_path / "wiretape").write_text("a file in the place of the folder")
    StateFile(tmp_path / "wiretape" / "kept").write("content")
    assert (tmp_path / "wiretape").is_file()


def test_what_another_one_has_written_is_news(tmp_path: Path) -> None:
    ours, theirs = StateFile(tmp_path / "kept"), StateFile(tmp_path / "kept")
    assert ours.news() is None
    theirs.write("theirs")
    assert (ours.news(), ours.news(), theirs.news()) == ("theirs", None, None)
    ours.write("ours")
    assert (ours.news(), theirs.news()) == (None, "ours")
