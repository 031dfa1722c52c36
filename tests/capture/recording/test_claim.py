"""Claims of real processes: one at a time holds a name, others see it, and the dead hold nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from capture.recording.claim import claimed, claimed_at_once, is_claimed, remove_dead_claims
from capture.recording.root import Root

NAME = "20260212T083055-4f3a9c12"
OTHER = "20260212T083056-00000002"
_REPOSITORY = Path(__file__).parents[3]

HOLDING = """
import sys
from pathlib import Path
from capture.recording.claim import claimed
from capture.recording.root import Root

with claimed(Root(Path(sys.argv[1])), sys.argv[2], "does the same"):
    print("held", flush=True)
    sys.stdin.readline()
"""

COUNTING = """
import sys
from pathlib import Path
from capture.recording.claim import claimed
from capture.recording.root import Root

count = Path(sys.argv[3])
for _ in range(200):
    with claimed(Root(Path(sys.argv[1])), sys.argv[2], "does the same"):
        count.write_text(str(int(count.read_text()) + 1))
"""


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, cwd=_REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def held_by_another(root: Root) -> subprocess.Popen[str]:
    process = start(HOLDING, root.path, NAME)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_name_is_claimed_while_another_process_holds_it(root: Root) -> None:
    assert not is_claimed(root, NAME)
    with held_by_another(root) as other:
        assert (is_claimed(root, NAME), is_claimed(root, OTHER)) == (True, False)
        with claimed_at_once(root, NAME) as is_ours:
            assert not is_ours
        assert is_claimed(root, NAME), "who did not get it took it away"
        other.communicate("\n")
    assert not is_claimed(root, NAME)
    with claimed_at_once(root, NAME) as is_ours:
        assert is_ours


def test_asking_changes_nothing_and_a_claim_leaves_no_file(root: Root) -> None:
    assert not is_claimed(root, NAME)
    assert not root.path.exists()
    with claimed(root, NAME, "does the same"):
        assert is_claimed(root, NAME)
        assert (root.journal.stat().st_mode & 0o777, next(root.journal.iterdir()).stat().st_mode & 0o777) == (
            0o700,
            0o600,
        )
    assert list(root.journal.iterdir()) == []


def test_of_processes_that_all_want_it_each_has_it_alone(root: Root, tmp_path: Path) -> None:
    count = tmp_path / "count"
    count.write_text("0")
    processes = [start(COUNTING, root.path, NAME, count) for _ in range(3)]
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert count.read_text() == "600"


def test_the_dead_claim_nothing_and_what_they_left_goes(root: Root) -> None:
    with held_by_another(root) as other:
        assert remove_dead_claims(root) == []
        other.kill()
    (left,) = root.journal.iterdir()
    assert not is_claimed(root, NAME)
    assert remove_dead_claims(root) == [left]
    assert list(root.journal.iterdir()) == []
