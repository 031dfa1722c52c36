"""Processes of our own run our modules, whatever lies in the folder where they are started."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from capture.own_program import end_first, own_program


def test_a_function_of_ours_is_called_with_the_arguments_and_no_module_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "capture").mkdir()
    (tmp_path / "capture" / "__init__.py").write_text("raise SystemExit('not ours')")
    (tmp_path / "json.py").write_text("raise SystemExit('not the standard one')")
    program = own_program("capture.narration", "print_line(*sys.argv[1:])")
    ran = subprocess.run([sys.executable, *program, "told"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("told\n", "")


def test_all_else_is_found_as_usual_and_not_beside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as started:
        # Without what pytest adds to it, which differs with the way that it is started.
        started.setattr(sys, "path", [])
        program = own_program("capture.narration", "print_line(repr(sys.path[-1]))")
    told = subprocess.run([sys.executable, *program], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert told.strip() == repr(str(Path(__file__).parents[2]))


def test_libraries_are_found_where_this_process_has_them_and_the_program_s_own_modules_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled, beside_main = tmp_path / "bundled", tmp_path / "application"
    with monkeypatch.context() as started:
        started.setattr("__main__.__file__", str(beside_main / "main.py"), raising=False)
        started.setattr(sys, "path", [str(beside_main), "", str(bundled), tmp_path])
        program = own_program("capture.narration", "print_line(repr(sys.path))")
    told = subprocess.run([sys.executable, *program], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    path = ast.literal_eval(told)
    assert path[-1] == str(bundled)
    assert not {"", str(beside_main)} & {*path}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_where_memory_is_short_what_carries_no_call_goes_first() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        end_first(process.pid, 500)
        urgency = Path(f"/proc/{process.pid}/oom_score_adj").read_text()
        process.kill()
    assert urgency == "500\n"
    end_first(process.pid, 500)
