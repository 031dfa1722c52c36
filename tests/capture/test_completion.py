"""What a shell is offered: as it asks for it, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sample import CALL, SAMPLE

PROJECT = Path(__file__).parents[2]

CONFIGURATION = """
[targets.eastus2]
url = "wss://contoso-eastus2.openai.azure.com/openai/v1/realtime"
region = "eastus2"
[targets.local]
url = "ws://127.0.0.1:8900"
"""


def offered(line: str, folder: Path, shell: str = "bash", **environment: str) -> list[str]:
    """Type a line in a folder and press TAB; what stands on stderr would stand in the middle of the line."""
    words = line.split(" ")
    asked = {
        "bash": {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    ended = subprocess.run(
        [sys.executable, "-c", "from wiretape import main; main()"],
        env=os.environ | {"PYTHONPATH": str(PROJECT), "_WIRETAPE_COMPLETE": f"complete_{shell}"} | asked | environment,
        cwd=folder,
        capture_output=True,
        check=False,
        text=True,
    )
    assert ended.stderr == ""
    return [line for line in ended.stdout.split("\n") if line]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a configuration, and recordings where they are looked for."""
    (tmp_path / "wiretape.toml").write_text(CONFIGURATION)
    (tmp_path / "recordings").symlink_to(SAMPLE.path)
    return tmp_path


def test_sessions_come_newest_first_behind_last(folder: Path) -> None:
    words = offered("wiretape analyze show ", folder)
    assert words[0] == "last"
    assert words[1:] == sorted(words[1:], reverse=True)
    assert CALL in words


def test_a_beginning_narrows_them(folder: Path) -> None:
    assert offered(f"wiretape replay run {CALL[:-3]}", folder) == [CALL]
    assert offered("wiretape replay serve l", folder) == ["last"]


def test_shells_that_show_more_say_how_a_session_went(folder: Path) -> None:
    assert offered(f"wiretape analyze explain {CALL}", folder, "fish") == [f"{CALL}\tfailed, eastus2"]


def test_what_failures_are_counted_by_is_offered_for_rows_and_columns(folder: Path) -> None:
    assert offered("wiretape analyze failures --by tra", folder) == [
        "transcription_model",
        "transcription_model_echoed",
    ]
    assert offered("wiretape analyze failures --by region,reg", folder) == []
    assert offered("wiretape analyze failures --by region,voi", folder) == ["region,voice"]


def test_what_is_removed_for_good_is_never_the_last_one(folder: Path) -> None:
    assert "last" not in offered("wiretape capture drop ", folder)


@pytest.mark.parametrize("line", ["analyze show --recordings {root} ", "analyze --recordings {root} diff last "])
def test_the_root_that_was_typed_is_asked(line: str, tmp_path: Path) -> None:
    assert CALL in offered(f"wiretape {line}".format(root=SAMPLE.path), tmp_path)


def test_the_root_of_the_environment_is_asked(tmp_path: Path) -> None:
    assert CALL in offered("wiretape analyze show ", tmp_path, WIRETAPE_RECORDINGS=str(SAMPLE.path))


def test_targets_are_those_of_the_configuration(folder: Path) -> None:
    assert offered("wiretape replay run last --to ", folder) == ["eastus2", "local"]
    assert offered("wiretape capture call --to ", folder, "fish") == ["eastus2\teastus2", "local\t127.0.0.1"]


def test_nothing_is_offered_and_nothing_said_where_nothing_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "wiretape.toml").write_text("[targets")
    (tmp_path / "recordings").write_text("no folder")
    assert offered("wiretape capture proxy --to ", tmp_path) == []
    assert offered("wiretape capture drop ", tmp_path) == []
    assert offered("wiretape capture drop --recordings= ", tmp_path) == []


def test_a_damaged_recording_is_offered_without_a_word_of_it(tmp_path: Path) -> None:
    damaged = tmp_path / "recordings" / "sessions" / "date=2026-02-12" / "20260212T083055-0000000a.parquet"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"PAR1")
    assert offered("wiretape capture drop ", tmp_path, "fish") == ["20260212T083055-0000000a"]


def test_a_session_in_flight_is_offered_to_who_follows(tmp_path: Path) -> None:
    journal = tmp_path / "recordings" / "journal"
    journal.mkdir(parents=True)
    (journal / "20260212T083055-0000000a.journal").touch()
    assert offered("wiretape analyze follow ", tmp_path) == ["last", "20260212T083055-0000000a"]


def test_a_name_that_a_shell_would_evaluate_is_not_offered(tmp_path: Path) -> None:
    journals = tmp_path / "recordings" / "journal"
    journals.mkdir(parents=True)
    for name in ("plain", r"\$(touch x)", "$(touch x)", "`id`", "';id;'", 'a"b', "a b", "a\nb", ";id", "*", "\x1b[2J"):
        (journals / f"{name}.journal").touch()
    assert offered("wiretape analyze follow ", tmp_path) == ["last", "plain"]
