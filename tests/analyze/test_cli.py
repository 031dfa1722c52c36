"""The commands as a user types them: what goes to stdout, what to stderr, and with which exit status."""

from __future__ import annotations

import csv
import io
import json
import re
import wave
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import wiretape
from analyze.cli import app
from analyze.store import open_store
from capture.compaction import compact_date
from capture.journal import JournalWriter
from capture.recording.root import Root
from replay.runs import Axis, Run, RunCell, RunRecording, Trial, TrialOutcome, encode_run, save_run
from tests.analyze.conftest import FAILED_KEY, Trace
from tests.capture.test_live import CREATED, SESSION_ID, Session

Analyze = Callable[..., tuple[int, str, str]]
"""Takes arguments; gives exit status, stdout, stderr."""


@pytest.fixture
def analyze(root: Root, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Analyze:
    monkeypatch.setenv("WIRETAPE_RECORDINGS", str(root.path))

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            wiretape.main(["analyze", *arguments])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


def test_sessions(failed_session: str, ok_session: str, analyze: Analyze) -> None:
    status, out, err = analyze("sessions")
    header, newest, oldest = out.splitlines()
    assert status == 0
    assert header.split()[:3] == ["session", "target", "transcription"]
    assert newest.split() == ["●", ok_session, "azure-sweden", "whisper-1", "1", "1.2", "722", "gpt-realtime"]
    assert oldest.split()[:2] == ["▲", failed_session]
    assert "2 of 2 sessions" in err


def test_a_limit_that_no_number_of_the_engine_holds_is_a_usage_error(failed_session: str, analyze: Analyze) -> None:
    status, _, err = analyze("sessions", "--limit", "99999999999999999999")
    assert status == 2
    assert "--limit" in err


def test_sessions_filtered_and_limited(failed_session: str, ok_session: str, analyze: Analyze) -> None:
    assert failed_session in analyze("sessions", "region:eastus2")[1]
    assert ok_session not in analyze("sessions", "region:eastus2")[1]
    found = json.loads(analyze("sessions", "--json", "--limit", "1")[1])
    assert [session["session_id"] for session in found] == [ok_session]
    assert found[0]["started_at"] == "2026-02-12T08:31:55+00:00"
    assert analyze("sessions", "region:nowhere")[:2] == (0, "")


def test_sessions_beyond_the_limit_are_counted(
    root: Root, failed_session: str, ok_session: str, analyze: Analyze
) -> None:
    Trace().write(root)
    assert "the newest 1 of 3 sessions in " in analyze("sessions", "--limit", "1")[2]
    for how in ((), ("--json",)):
        err = analyze("sessions", "turns:1", "--limit", "1", *how)[2]
        assert "the newest 1 of 2 that match (3 in all) in " in err
        assert "; --limit N shows more" in err
    assert analyze("sessions", "outcome:failed", "--limit", "1")[2].startswith("1 of 3 sessions in ")
    assert analyze("sessions", "--limit", "3", "--json")[2] == ""


@pytest.fixture
def many(root: Root, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record six calls, two of them in one second, of which the other id came last; lists are too long for findings."""
    monkeypatch.setattr("analyze.printing.listing._QUICKLY_PASSED", 0)
    monkeypatch.setattr("analyze.cli._MORE_HELD", 1)
    ids = [f"20260212T1{minute}0000-0000000a" for minute in range(4)]
    for session_id in ids:
        Trace(session_id, {"turn_latencies": []}).write(root)
    last_of_second = {"20260212T140000-0000000b": 900_000, "20260212T140000-0000000c": 100_000}
    for session_id, microsecond in last_of_second.items():
        started_at = datetime(2026, 2, 12, 14, 0, 0, microsecond, tzinfo=UTC)
        Trace(session_id, {"started_at": started_at, "turn_latencies": []}).write(root)
    return [*ids, "20260212T140000-0000000c", "20260212T140000-0000000b"]


def test_a_list_of_the_newest_opens_no_file_of_others(root: Root, many: list[str], analyze: Analyze) -> None:
    oldest = root.table_file("sessions", many[0])
    stored = oldest.read_bytes()
    # Its end is whole: only whoever reads it comes upon what is inside.
    oldest.write_bytes(stored[:4] + bytes(len(stored) // 4) + stored[4 + len(stored) // 4 :])
    status, out, err = analyze("sessions", "--limit", "3")
    assert status == 0
    assert [line.split()[1] for line in out.splitlines()[1:]] == [many[5], many[4], many[3]]
    assert err.startswith("the newest 3 of 6 sessions in ")
    assert len(err.splitlines()) == 1
    # A question about all of them names it.
    assert f"left out {oldest}" in analyze("sessions", "turns:>=0", "--limit", "3")[2]


@pytest.mark.parametrize("limit", ["1", "2", "3", "5"])
@pytest.mark.parametrize("odd", ["sound", "torn", "compacted in part", "tagged later", "older", "another's"])
def test_a_list_of_the_newest_is_that_of_all(
    limit: str, odd: str, root: Root, many: list[str], analyze: Analyze, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest, second = root.table_file("sessions", many[5]), root.table_file("sessions", many[4])
    if odd == "torn":
        torn = root.table_file("sessions", many[1])
        torn.write_bytes(torn.read_bytes()[:-1])
    elif odd == "compacted in part":
        compact_date(root, "2026-02-12", grace_s=0)
        Trace("20260212T150000-0000000a").write(root)
    elif odd == "tagged later":
        assert analyze("annotate", many[5], "--tag", "cause=network")[0] == 0
    elif odd == "older":
        pq.write_table(pq.read_table(newest, partitioning=None).drop_columns(["turn_latencies"]), newest)
    elif odd == "another's":
        second.rename(second.with_name("of-others.parquet"))
    some = analyze("sessions", "--limit", limit)
    monkeypatch.setattr("analyze.cli._MORE_HELD", 1000)
    assert some == analyze("sessions", "--limit", limit)
    assert some[0] == 0


def test_who_waits_for_many_small_files_learns_what_makes_it_quick(
    root: Root, many: list[str], analyze: Analyze, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analyze.store.small_files._MANY", 5)
    for command in (["failures"], ["explain", "last"], ["sql", "SELECT 1"], ["sessions", "turns:>0"]):
        first_line = analyze(*command)[2].splitlines()[0]
        assert first_line == (
            "reading 6 sessions, each from a file of its own, takes long:"
            f" `wiretape capture compact --recordings {root.path}` merges them"
        )
    # Nobody waits for these.
    assert "takes long" not in analyze("sessions", "--limit", "2")[2]
    assert "takes long" not in analyze("diff", *many[:2])[2]
    compact_date(root, "2026-02-12", grace_s=0)
    assert "takes long" not in analyze("failures")[2]
    for minute in range(6):
        Trace(f"{datetime.now(UTC):%Y%m%d}T00{minute:02}00-0000000a").write(root)
    assert f"`wiretape capture compact --all --recordings {root.path}`" in analyze("failures")[2]


def test_sessions_that_are_named_are_compared_without_reading_others(
    root: Root, failed_session: str, ok_session: str, many: list[str], analyze: Analyze
) -> None:
    compared = analyze("diff", failed_session, ok_session)
    other = root.table_file("sessions", many[0])
    stored = other.read_bytes()
    other.write_bytes(stored[:4] + bytes(len(stored) // 4) + stored[4 + len(stored) // 4 :])
    assert compared == analyze("diff", failed_session, ok_session)
    assert analyze("annotate", ok_session, "--note", "heard an echo")[0] == 0


def test_a_filter_may_begin_with_what_is_not_wanted(failed_session: str, ok_session: str, analyze: Analyze) -> None:
    status, out, _ = analyze("sessions", "-finding:* region:swedencentral", "--limit", "5")
    assert (status, failed_session in out, ok_session in out) == (0, False, True)
    status, out, _ = analyze("failures", "--by", "region", "-region:swedencentral", "--json")
    assert (status, "eastus2" in out, "swedencentral" in out) == (0, True, False)
    assert analyze("sessions", "-x")[0] == 2


def test_a_filter_without_its_quotes_is_told_of_them(failed_session: str, analyze: Analyze) -> None:
    for command in ("sessions", "failures"):
        status, _, err = analyze(command, "region:eastus2", "-outcome:ok")
        assert (status, "is one argument: quote it" in " ".join(err.split())) == (2, True)


def test_show(failed_session: str, analyze: Analyze) -> None:
    status, out, err = analyze("show", "last")
    assert (status, err) == (0, "")
    assert f"▲ {failed_session}  failed · captured · 1.0 s · 1 turn" in out
    assert "input_audio_buffer.append × 5  0.10 s" in out
    assert "✕ server_error · Input transcription failed for item 'item_u1'." in out
    assert "✕ transcription failed" in out
    assert "assistant “Sunny, all day.”" in out
    assert out.count("input_audio_buffer.append") == 1
    assert analyze("show", "last", "--all")[1].count("input_audio_buffer.append") == 5


def test_show_leads_with_findings(failed_session: str, analyze: Analyze) -> None:
    _, out, _ = analyze("show", "last")
    assert out.splitlines()[1].startswith("▲ transcription_model_path_failure  ")
    assert out.splitlines()[2].startswith("  Every transcription of the user's speech failed")
    shown = json.loads(analyze("show", "last", "--json")[1])
    assert [finding["name"] for finding in shown["findings"]] == ["transcription_model_path_failure"]
    assert shown["unknown_failures"] == []


def test_annotate(failed_session: str, ok_session: str, analyze: Analyze) -> None:
    status, out, err = analyze("annotate", "2026", "--note", "x")
    assert (status, out) == (2, "")
    assert "2026" in err
    status, out, err = analyze(
        "annotate", failed_session, "--tag", "cause=network", "--note", "heard an echo", "--json"
    )
    assert (status, json.loads(out)["notes"]) == (0, ["heard an echo"])
    assert json.loads(out)["tags"]["cause"] == "network"
    assert f"annotated {failed_session}" in err
    found = json.loads(analyze("sessions", "tag:cause=network note:echo", "--json")[1])
    assert [session["session_id"] for session in found] == [failed_session]
    page = analyze("show", failed_session)[1]
    assert "cause=network" in page
    assert "heard an echo" in page
    assert analyze("annotate", failed_session, "--tag", "cause=")[0] == 0
    assert "cause" not in json.loads(analyze("sessions", "note:echo", "--json")[1])[0]["tags"]
    assert analyze("annotate", failed_session)[0] == 2


def test_explain(failed_session: str, ok_session: str, analyze: Analyze) -> None:
    status, out, err = analyze("explain", failed_session)
    assert (status, err) == (0, "")
    assert "▲ transcription_model_path_failure" in out
    assert f"wiretape replay run {failed_session} --to azure-eastus2 --set" in out
    page = json.loads(analyze("explain", failed_session, "--json")[1])
    assert page["findings"][0]["rows"][0]["type"].endswith("input_audio_transcription.failed")
    assert "Healthy: 1 turn" in analyze("explain", "last")[1]


def test_sessions_show_and_filter_findings(failed_session: str, ok_session: str, analyze: Analyze) -> None:
    _, out, _ = analyze("sessions", "finding:transcription*")
    (row,) = out.splitlines()[1:]
    assert failed_session in row
    assert "transcription_model_path_failure" in row
    found = json.loads(analyze("sessions", "--json")[1])
    assert [session["findings"] for session in found] == [[], ["transcription_model_path_failure"]]


def test_show_as_json(failed_session: str, analyze: Analyze) -> None:
    shown = json.loads(analyze("show", failed_session, "--json")[1])
    assert shown["session"]["session_id"] == failed_session
    assert shown["turns"][0]["first_audio_latency_ms"] == 600.0
    assert shown["configuration_asked"]["audio"]["input"]["transcription"] == {"model": "gpt-4o-transcribe"}
    assert [row["type"] for row in shown["timeline"] if row["error"]] == [
        "conversation.item.input_audio_transcription.failed"
    ]


def test_diff(failed_session: str, ok_session: str, analyze: Analyze) -> None:
    status, out, _ = analyze("diff", failed_session, "last")
    assert status == 0
    assert 'audio.input.transcription.model  "gpt-4o-transcribe"  "whisper-1"' in out
    assert "+122 ms (1.2x)" in out
    assert "turn 1 assistant: Sunny, [-all-] {+most of the+} day." in out
    assert "12 events alike: input_audio_buffer.append … " in out
    diff = json.loads(analyze("diff", failed_session, "last", "--json")[1])
    assert diff["configuration_asked"] == [
        {"path": "audio.input.transcription.model", "left": '"gpt-4o-transcribe"', "right": '"whisper-1"'}
    ]
    assert diff["latencies"][1] == {
        "name": "first audio",
        "turn": 1,
        "left_ms": 600.0,
        "right_ms": 722.0,
        "delta_ms": 122.0,
        "ratio": pytest.approx(1.203, abs=0.001),
    }
    assert diff["outcomes"]["outcome"] == ["failed", "ok"]
    assert "events alike" not in analyze("diff", failed_session, "last", "--all")[1]


def test_diff_of_many(failed_session: str, ok_session: str, analyze: Analyze) -> None:
    status, out, _ = analyze("diff", failed_session, "last", failed_session)
    assert status == 0
    assert 'audio.input.transcription.model: [1 3] "gpt-4o-transcribe"  [2] "whisper-1"' in out
    told = json.loads(analyze("diff", failed_session, "last", failed_session, "--json")[1])
    assert [row["markers"] for row in told["rows"]][1] == ["=", "≠", "="]
    assert told["comparisons"][0]["transcripts"][0]["word_error_rate"] is None
    status, _, err = analyze("diff", *[failed_session] * 9)
    assert status == 2
    assert "2 to 8 sessions can be compared, not 9" in err


def test_failures(failed_session: str, ok_session: str, analyze: Analyze) -> None:
    status, out, err = analyze("failures", "--by", "region,transcription_model")
    assert status == 0
    assert out.splitlines()[0] == "findings"
    assert out.splitlines()[2].split()[:3] == ["1", "transcription_model_path_failure", "possible"]
    assert out.splitlines()[6].split() == ["eastus2", "▲", "1/1", "21–100", "%", "▲", "1/1", "21–100", "%"]
    assert "1 of 2 sessions failed, 0 not counted" in err
    matrix = json.loads(analyze("failures", "region:eastus2", "--by", "region", "--json")[1])
    assert matrix["total"]["wilson_95"] == [pytest.approx(0.2065, abs=0.001), 1.0]
    assert matrix["cells"][0]["session_ids"] == [failed_session]
    assert matrix["findings"][0]["sessions"] == [failed_session]
    assert matrix["unknown_failures"] == []


@pytest.fixture
def run_id(root: Root, failed_session: str) -> str:
    """Write a run of two cells of five trials: gpt-4o-transcribe failed, whisper-1 did not."""
    path = "session.audio.input.transcription.model"
    run = Run(
        run_id="r20260212T090000-abcd",
        started_at=datetime(2026, 2, 12, 9, tzinfo=UTC),
        recordings=[RunRecording(session_id=failed_session, outcome="failed", failure_keys=[FAILED_KEY])],
        axes=[Axis(axis=path, values=["gpt-4o-transcribe", "whisper-1"])],
        cells=[],
        trials=5,
    )
    outcomes: tuple[tuple[str, TrialOutcome], ...] = (("gpt-4o-transcribe", "failed"), ("whisper-1", "ok"))
    for at, (model, outcome) in enumerate(outcomes):
        cell = RunCell(
            cell=f"eastus2 · {model}",
            session_id=failed_session,
            target="eastus2",
            region="eastus2",
            values={"target": "eastus2", path: model},
            baseline=at == 0,
        )
        for number in range(5):
            session_id = f"20260212T09000{number}-0000000{at}"
            cell.trials.append(Trial(trial=number + 1, block=number, session_id=session_id, outcome=outcome))
            columns = {"run_id": run.run_id, "cell": cell.cell, "trial_outcome": outcome, "role": "replayed"}
            Trace(session_id, columns | {"transcription_model": model}).write(root)
        run.cells.append(cell)
    save_run(root, run.run_id, encode_run(run))
    return run.run_id


def test_verdict(run_id: str, failed_session: str, analyze: Analyze, root: Root) -> None:
    status, out, _ = analyze("verdict", "r2026")
    assert status == 0
    assert f"run {run_id} · replay of {failed_session}" in out
    assert re.search(r"▲ +eastus2 · gpt-4o-transcribe \(baseline\) +5/5", out)
    assert "0/5" in out
    assert "not tested" in out
    # The commands are there to be copied, and the run lies in no ./recordings.
    assert (
        f"    wiretape replay run {failed_session} --to eastus2 --to ANOTHER_TARGET --trials 5 --recordings {root.path}"
        in out
    )
    (verdict,) = json.loads(analyze("verdict", "--json")[1])
    assert [(cell["failed"], cell["trials"]) for cell in verdict["cells"]] == [(5, 5), (0, 5)]


def test_failures_of_one_run(run_id: str, analyze: Analyze) -> None:
    matrix = json.loads(analyze("failures", "--by", "transcription_model", "--run", "last", "--json")[1])
    assert {cell["row"]: (cell["failed"], cell["trials"]) for cell in matrix["cells"]} == {
        "gpt-4o-transcribe": (5, 5),
        "whisper-1": (0, 5),
    }


def test_failures_of_one_run_that_sql_narrows(run_id: str, analyze: Analyze) -> None:
    condition = "region:eastus2 =transcription_model = 'whisper-1'"
    status, out, _ = analyze("failures", condition, "--by", "region", "--run", run_id, "--json")
    assert status == 0
    assert (json.loads(out)["total"]["failed"], json.loads(out)["total"]["trials"]) == (0, 5)


def test_sql(failed_session: str, analyze: Analyze) -> None:
    statement = "SELECT sender, COUNT(*) AS n, NULL AS x FROM events GROUP BY sender ORDER BY sender"
    status, out, err = analyze("sql", statement)
    assert (status, err) == (0, "")
    assert [line.split() for line in out.splitlines()] == [
        ["sender", "n", "x"],
        ["client", "7", "NULL"],
        ["server", "13", "NULL"],
    ]
    assert json.loads(analyze("sql", statement, "--json")[1])[0] == {"sender": "client", "n": 7, "x": None}
    assert list(csv.reader(io.StringIO(analyze("sql", statement, "--csv")[1])))[1:] == [
        ["client", "7", ""],
        ["server", "13", ""],
    ]


def test_a_folder_that_is_not_there_is_no_root_without_failures(analyze: Analyze, tmp_path: Path) -> None:
    # As where its name was misspelt: a count of nothing would read as an answer.
    nowhere = tmp_path / "recodings"
    status, out, told = analyze("sql", "SELECT COUNT(*) AS n FROM sessions", "--csv", "--recordings", str(nowhere))
    assert (status, out.split()) == (0, ["n", "0"])
    assert told == f"there is no folder {nowhere}: give the one that holds recordings with --recordings\n"
    status, _, told = analyze("failures", "--recordings", str(nowhere))
    assert status == 2
    assert told.startswith(f"wiretape: no recordings: there is no folder {nowhere}; record one with:")
    nowhere.mkdir()
    assert analyze("sql", "SELECT COUNT(*) AS n FROM sessions", "--csv", "--recordings", str(nowhere))[2] == ""


def test_a_root_without_recordings_yet_is_an_empty_answer_and_json_all_the_same(root: Root, analyze: Analyze) -> None:
    # `wiretape analyze sessions --json | jq length` on a machine whose first call is still to come.
    root.path.mkdir(exist_ok=True)
    for command in ("sessions", "failures"):
        status, out, told = analyze(command, "--json")
        assert status == 0
        assert len(json.loads(out)["findings"] if command == "failures" else json.loads(out)) == 0
        assert told.startswith(f"no recordings in {root.path} yet; record one with: wiretape capture call")
        assert analyze(command)[:2] == (0, "")


def test_sql_errors_are_one_sentence_and_its_place(failed_session: str, analyze: Analyze) -> None:
    status, out, err = analyze("sql", "SELECT * FROM evnts")
    assert (status, out) == (2, "")
    assert err.startswith("wiretape: this SQL cannot be run: Catalog Error: Table with name evnts does not exist!")
    statement, place = err.splitlines()[1:]
    assert statement == "  SELECT * FROM evnts"
    # One version of the engine marks the word, another its first letter.
    assert place.rstrip("^") == " " * len("  SELECT * FROM ")


def test_audio(failed_session: str, analyze: Analyze, tmp_path: Path) -> None:
    path = tmp_path / "server.wav"
    status, out, err = analyze("audio", "last", "--track", "server", "-o", str(path))
    assert (status, out) == (0, "")
    assert "0.0 s of the server's audio in" in err
    with wave.open(str(path)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getnframes()) == (24_000, 1, 960)
    # Who names a file means that file, also where it is there already.
    assert analyze("audio", "last", "-o", str(path))[0] == 0


@pytest.mark.parametrize(
    ("command", "way"),
    [
        (["sessions"], "wiretape capture call"),
        (["failures"], "wiretape capture call"),
        (["show", "last"], "wiretape capture call"),
        (["explain", "last"], "wiretape capture call"),
        (["diff", "a", "b"], "wiretape capture call"),
        (["verdict"], "wiretape replay run"),
    ],
)
def test_an_empty_root_says_how_to_record(command: list[str], way: str, analyze: Analyze) -> None:
    status, out, err = analyze(*command)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert way in err


def test_a_damaged_file_is_named_while_the_rest_works(root: Root, failed_session: str, analyze: Analyze) -> None:
    damaged = root.table_file("sessions", "20260212T090000-00000bad")
    damaged.write_bytes(b"no parquet")
    status, out, err = analyze("sessions")
    assert status == 0
    assert failed_session in out
    assert f"left out {damaged}: no readable Parquet file" in err


def test_a_root_may_be_named_before_or_behind_the_command(
    failed_session: str, root: Root, analyze: Analyze, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WIRETAPE_RECORDINGS")
    assert failed_session in analyze("--recordings", str(root.path), "sessions")[1]
    assert failed_session in analyze("sessions", "--recordings", str(root.path))[1]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["show", "20260212T083O55"], "nearest: 20260212T083055-0000000a"),
        (["sessions", "regoin:x"], "no field 'regoin'"),
        (["sessions", "finding:comit_empty"], "no signature is named 'comit_empty'; nearest are"),
        (["failures", "--by", "regoin"], "cannot be counted by 'regoin'"),
        (["sql", "SELECT 1", "--json", "--csv"], "choose one"),
        (["sql", "SELECT 1", "--investigation", "closes"], "give one of them"),
        (["--listen", "127.0.0.1:8790"], "--listen goes with --web"),
        (["--web", "sessions"], "--web with no command"),
        (["sql", "DROP VIEW sessions"], "only one SELECT or EXPLAIN at a time"),
        (["audio", "last", "-o", "/nonexistent/x.wav"], "/nonexistent/x.wav cannot be written: No such file"),
        (["verdict", "r1"], "there are no runs in"),
    ],
)
def test_misuse_is_one_sentence_and_exit_status_2(
    arguments: list[str], complaint: str, failed_session: str, analyze: Analyze
) -> None:
    status, out, err = analyze(*arguments)
    assert (status, out) == (2, "")
    assert complaint in err
    assert "Traceback" not in err


@pytest.mark.parametrize("command", [["show"], ["explain"], ["diff", "last"], ["annotate", "--note", "odd"]])
def test_a_session_in_flight_says_how_it_stands(
    command: list[str], root: Root, failed_session: str, analyze: Analyze
) -> None:
    writer = JournalWriter(root.journal, tick_s=0.001)
    call = Session(writer)
    call.say("server", CREATED)
    call.catch_up()
    status, out, told = analyze(*command, SESSION_ID)
    writer.close()
    assert (status, out) == (2, "")
    assert told.startswith(f"wiretape: session {SESSION_ID} is no recording yet: live · ")
    assert "1 event ·" in told
    assert "`wiretape capture list --watch`" in told


@pytest.mark.parametrize("command", ["sessions", "failures"])
def test_before_the_first_call_is_over_a_list_says_that_one_goes_on(command: str, root: Root, analyze: Analyze) -> None:
    writer = JournalWriter(root.journal, tick_s=0.001)
    call = Session(writer)
    call.say("server", CREATED)
    call.catch_up()
    status, out, told = analyze(command)
    writer.close()
    assert (status, out) == (0, "")
    shows = root.command("wiretape capture list")
    assert "--recordings" in shows
    assert told.endswith(f"yet, and 1 session not sealed yet: `{shows}` shows how they stand\n")


def test_recorded_text_cannot_act_on_the_terminal(root: Root, analyze: Analyze) -> None:
    evil = "\x1b]0;owned\x07 [bold red]not bold[/] \u202e\x9b2J"
    columns: dict[str, Any] = {
        "target": evil,
        "transcription_model": evil,
        "failure_keys": [evil],
        "tags": [(evil, evil)],
    }
    trace = Trace(columns=columns | {"region": evil})
    trace.server(0, evil, error={"message": evil}, transcript=evil)
    trace.text("client", 1, json.dumps({"type": "session.update", "session": {"type": evil}}))
    trace.write(root)
    commands = (
        ["sessions"],
        ["show", "last"],
        ["explain", "last"],
        ["diff", "last", "last"],
        ["failures"],
        ["sql", "FROM events"],
    )
    for command in (*commands, *([*each, "--json"] for each in commands)):
        status, out, err = analyze(*command)
        assert status == 0
        assert not {"\x1b", "\x07", "\u202e", "\x9b"} & set(out + err), command
    assert "[bold red]not bold[/]" in analyze("sessions")[1]


def test_the_help_of_sql_names_every_table(analyze: Analyze, root: Root) -> None:
    _, out, _ = analyze("sql", "--help")
    with open_store(root) as store:
        assert [table for table in store.catalog() if table not in out] == []


def test_help_names_every_command(analyze: Analyze) -> None:
    _, out, _ = analyze("--help")
    for command in app.registered_commands:
        assert command.name is not None
        assert command.name in out
