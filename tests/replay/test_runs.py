"""Runs on disk."""

from __future__ import annotations

import errno
import json
import math
import os
import re
from datetime import UTC, datetime

import pytest

from capture.errors import OutOfFiles, UsageProblem
from capture.recording.root import Root
from replay.runs import (
    Axis,
    Run,
    RunCell,
    RunRecording,
    Trial,
    encode_run,
    list_run_ids,
    load_run,
    new_run_id,
    save_run,
)

STARTED = datetime(2026, 11, 23, 1, 15, tzinfo=UTC)


def make_run(run_id: str = "r20261123T011500-3f2a") -> Run:
    trial = Trial(trial=1, block=1, session_id="20261123T011501-aaaaaaaa", outcome="failed", kind="baseline")
    cell = RunCell(
        cell="eastus2", session_id="s", target="eastus2", values={"target": "eastus2"}, baseline=True, trials=[trial]
    )
    return Run(
        run_id=run_id,
        started_at=STARTED,
        recordings=[RunRecording(session_id="s", failure_keys=["error|x||"])],
        axes=[Axis(axis="target", values=["eastus2"])],
        cells=[cell],
        trials=5,
    )


def keep(root: Root, *run_ids: str) -> None:
    for run_id in run_ids:
        save_run(root, run_id, encode_run(make_run(run_id)))


def test_a_run_comes_back_as_it_was_saved(root: Root) -> None:
    keep(root, "r20261123T011500-3f2a")
    assert load_run(root, "r20261123T011500-3f2a") == make_run()
    assert make_run().finished_trials == 1


def test_a_run_without_a_clock_comes_back_as_one(root: Root) -> None:
    run = make_run()
    run.speed = math.inf
    save_run(root, run.run_id, encode_run(run))
    assert load_run(root, run.run_id) == run
    assert json.loads((root.runs / f"{run.run_id}.json").read_text())["speed"] == "max"


def test_a_run_is_plain_json_that_other_programs_read(root: Root) -> None:
    keep(root, "r20261123T011500-3f2a")
    path = root.runs / "r20261123T011500-3f2a.json"
    assert json.loads(path.read_text())["cells"][0]["trials"][0]["outcome"] == "failed"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in root.runs.iterdir()] == [path.name]


def test_run_ids_sort_by_time() -> None:
    assert re.fullmatch(r"r20261123T011500-[0-9a-f]{4}", new_run_id(STARTED))


def test_a_run_is_found_by_prefix_and_as_the_last(root: Root) -> None:
    keep(root, "r20261123T011500-3f2a", "r20261123T021500-aaaa")
    assert load_run(root, "r20261123T01").run_id == "r20261123T011500-3f2a"
    assert load_run(root, "last").run_id == "r20261123T021500-aaaa"
    assert list_run_ids(root) == ["r20261123T011500-3f2a", "r20261123T021500-aaaa"]


def test_an_unknown_or_ambiguous_run_names_the_nearest(root: Root) -> None:
    with pytest.raises(UsageProblem, match="there are no runs in"):
        load_run(root, "last")
    keep(root, "r20261123T011500-3f2a", "r20261123T021500-aaaa")
    with pytest.raises(UsageProblem, match=r"no run 'r20261123T011500-3f2b'; nearest are r20261123T011500-3f2a"):
        load_run(root, "r20261123T011500-3f2b")
    with pytest.raises(UsageProblem, match="fits 2 runs"):
        load_run(root, "r2026")


def test_a_damaged_file_and_one_of_a_newer_format_are_refused_in_a_sentence(root: Root) -> None:
    root.runs.mkdir(parents=True)
    damaged, newer_id = "r20261123T011500-0001", "r20261123T011500-0002"
    (root.runs / f"{damaged}.json").write_text('{"run_id": 7}')
    with pytest.raises(UsageProblem, match=rf"{damaged}\.json is no run that can be read"):
        load_run(root, damaged)
    os.mkfifo(root.runs / "r20261123T011500-0003.json")
    with pytest.raises(UsageProblem, match="is no run that can be read: it is no regular file"):
        load_run(root, "last")
    newer = make_run(newer_id)
    newer.format_version = 2
    save_run(root, newer_id, encode_run(newer))
    with pytest.raises(UsageProblem, match="newer wiretape"):
        load_run(root, newer_id)


def test_a_run_from_elsewhere_that_calls_itself_a_path_is_refused(root: Root) -> None:
    run_id = "r20261123T011500-3f2a"
    save_run(root, run_id, encode_run(make_run("../../package")))
    with pytest.raises(UsageProblem, match=r"it calls itself '\.\./\.\./package'"):
        load_run(root, run_id)


def test_a_file_that_is_no_run_is_never_the_last(root: Root) -> None:
    keep(root, "r20261123T011500-3f2a")
    (root.runs / "rotten.json").write_text("{bad")
    assert load_run(root, "last").run_id == "r20261123T011500-3f2a"


def test_a_run_that_cannot_be_written_is_said_so_with_the_systems_word(root: Root) -> None:
    (root.runs / "r20261123T011500-3f2a.json").mkdir(parents=True)
    with pytest.raises(UsageProblem, match=r"r20261123T011500-3f2a\.json cannot be written: Is a directory"):
        save_run(root, "r20261123T011500-3f2a", encode_run(make_run()))


def test_where_no_file_can_be_opened_any_more_it_is_the_limit_that_is_named(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more_files(*_: object, **__: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    encoded = encode_run(make_run())
    monkeypatch.setattr(os, "open", no_more_files)
    with pytest.raises(OutOfFiles, match="ulimit -n"):
        save_run(root, "r20261123T011500-3f2a", encoded)


def test_credentials_in_overrides_stay_in_memory(root: Root) -> None:
    run = make_run()
    tools = [{"type": "mcp", "authorization": "t0ken", "headers": {"X-Crm": "s3cr3t"}}]
    run.cells[0].overrides = {"session.tools": tools, "session.speed": 1.5}
    save_run(root, run.run_id, encode_run(run))
    assert run.cells[0].overrides["session.tools"] is tools
    kept = [{"type": "mcp", "authorization": "[redacted]", "headers": {"X-Crm": "[redacted]"}}]
    assert load_run(root, run.run_id).cells[0].overrides == {"session.tools": kept, "session.speed": 1.5}


def test_a_run_that_sets_text_cut_within_an_emoji_is_kept_as_it_is(root: Root) -> None:
    run = make_run()
    run.cells[0].overrides = {"session.instructions": "Be nice \ud83d"}
    save_run(root, run.run_id, encode_run(run))
    assert load_run(root, run.run_id).cells[0].overrides == {"session.instructions": "Be nice \ud83d"}
