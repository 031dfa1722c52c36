from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest

from analyze.tui.console_source import ConsoleSource
from capture.errors import UsageProblem
from capture.recording.root import Root


def test_it_answers_exports_and_opens_again_after_a_close(failed_session: str, root: Root, tmp_path: Path) -> None:
    console = ConsoleSource(root)
    # Nothing runs yet: nothing to break off.
    console.interrupt()
    assert console.run("SELECT session_id FROM sessions").rows == [(failed_session,)]
    assert "turns" in console.catalog()
    assert console.unreadable() == 0
    console.close()
    assert console.export("SELECT 1 AS one", tmp_path / "one.csv", overwrite=False) == 1
    console.close()
    console.close()


def test_closing_breaks_off_what_runs(failed_session: str, root: Root) -> None:
    console = ConsoleSource(root)
    problems: list[UsageProblem] = []

    def ask() -> None:
        with pytest.raises(UsageProblem, match="broken off") as raised:
            console.run("SELECT COUNT(*) FROM range(1000000000) a, range(1000000000) b")
        problems.append(raised.value)

    console.catalog()
    asking = Thread(target=ask)
    asking.start()
    while asking.is_alive() and not problems:
        console.close()
        asking.join(0.02)
    console.close()
    assert problems
