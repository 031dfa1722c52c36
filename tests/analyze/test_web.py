"""What `analyze --web` is started with, and what each tab runs."""

from __future__ import annotations

import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from subprocess import run

import pytest

from analyze.web import command, serve
from capture.errors import UsageProblem

needs_the_extra = pytest.mark.skipif(find_spec("textual_serve") is None, reason="the extra `web` is not installed")


def test_each_tab_runs_the_terminal_browser(tmp_path: Path) -> None:
    folder = tmp_path / "my recordings; rm -rf x"
    words = shlex.split(command(folder))
    assert (words[0], words[-3:]) == (sys.executable, ["analyze", "--recordings", str(folder)])
    assert shlex.split(command(None))[-1] == "analyze"


def test_a_tab_runs_no_program_of_the_folder_that_it_is_started_in(tmp_path: Path) -> None:
    for name in ("analyze", "wiretape", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not ours')")
    ran = run([*shlex.split(command(None)), "--help"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Usage: wiretape analyze" in ran.stdout, ran.stderr


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textual_serve", None)
    monkeypatch.setitem(sys.modules, "textual_serve.server", None)
    with pytest.raises(UsageProblem, match=r"pip install 'wiretape\[web\]'"):
        serve("127.0.0.1:0", None)


@needs_the_extra
@pytest.mark.parametrize(
    ("listen", "words"),
    [("0.0.0.0:0", "this machine only, not 0.0.0.0"), ("example.org:80", "this machine only"), ("8", "HOST:PORT")],
)
def test_other_machines_are_not_served(listen: str, words: str) -> None:
    with pytest.raises(UsageProblem, match=words):
        serve(listen if listen != "8" else "127.0.0.1:99999", None)
