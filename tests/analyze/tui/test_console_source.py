from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest

from analyze.store.tables import StoredTables
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


def test_escape_breaks_off_the_reading_that_a_statement_waits_for_and_the_next_one_reads_on(
    failed_session: str, root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    console, read = ConsoleSource(root), StoredTables._refresh_sessions

    def interrupt_then_read(tables: StoredTables, names: list[str]) -> None:
        console.interrupt()
        read(tables, names)

    with monkeypatch.context() as at_first:
        at_first.setattr(StoredTables, "_refresh_sessions", interrupt_then_read)
        with pytest.raises(UsageProblem, match="broken off: not all of the root was read"):
            console.run("SELECT session_id FROM sessions")
    assert console.run("SELECT session_id FROM sessions").rows == [(failed_session,)]
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
