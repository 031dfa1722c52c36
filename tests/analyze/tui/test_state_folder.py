"""What outlives the screens: where it is, who reads it, and that it is whole."""

from __future__ import annotations

from pathlib import Path

from analyze.tui.state_folder import write_state


def test_what_is_written_is_private_and_takes_the_place_of_the_last(tmp_path: Path) -> None:
    path = tmp_path / "wiretape" / "kept"
    write_state(path, "a longer one\n")
    write_state(path, "short\n")
    assert path.read_text() == "short\n"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert list(path.parent.iterdir()) == [path]


def test_where_nothing_can_be_written_nobody_is_disturbed(tmp_path: Path) -> None:
    (tmp_path / "wiretape").write_text("a file in the place of the folder")
    write_state(tmp_path / "wiretape" / "kept", "content")
    assert (tmp_path / "wiretape").is_file()
