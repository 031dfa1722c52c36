from __future__ import annotations

import pytest
from rich.console import Console, Group

from analyze.explanation import explain
from analyze.printing.explanation import _without_rows, explanation_json, explanation_page
from analyze.queries import Queries
from analyze.store import open_store
from capture.recording.root import Root
from replay.printing.page import print_all
from tests.analyze.conftest import Trace, configure
from tests.conftest import Lines


def page_lines(queries: Queries, session_id: str, lines: Lines, width: int = 80) -> list[str]:
    return lines(Group(*explanation_page(explain(queries, session_id), width)), width)


def test_the_page_leads_with_what_happened(failed_session: str, queries: Queries, lines: Lines) -> None:
    shown = page_lines(queries, failed_session, lines)
    assert shown[0] == f"▲ {failed_session}  failed · captured · 1.0 s · 1 turn"
    assert shown[2].startswith("Every transcription of the user's speech failed")
    at = next(n for n, line in enumerate(shown) if line.startswith("▲ transcription_model_path_failure  "))
    assert shown[at + 1 : at + 3] == [
        "  evidence       730.0 ms ◂ …input_audio_transcription.failed",
        "                 server_error · Input transcription failed for item 'item_u1'.",
    ]
    labels = [line.split("  ")[1] for line in shown if line.startswith("  ") and line[2] != " "]
    assert labels[1:6] == [
        "numbers",
        "seen",
        "usual causes",
        "refuted if",
        "try next",
    ]
    assert shown.index("for support") > at
    assert any(line.startswith("  recorder       ● clean: nothing lost") for line in shown)
    assert any(line.startswith("  sent audio     ") for line in shown)


def test_commands_can_be_copied_at_80_columns(failed_session: str, queries: Queries, lines: Lines) -> None:
    shown = [line.strip().removeprefix("try next").strip() for line in page_lines(queries, failed_session, lines)]
    at = next(n for n, line in enumerate(shown) if line.startswith("wiretape replay run"))
    assert shown[at].endswith("\\")
    assert "--set 'session.audio.input.transcription.model=" in " ".join(shown[at : at + 4])


def test_a_command_is_never_cut(
    root: Root, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "mcp_list_tools.failed|SomethingThatNobodyKnowsWithALongName|404|"
    Trace(columns={"outcome": "failed", "failure_keys": [key]}).write(root)
    with open_store(root) as store:
        explanation = explain(Queries(store), "20260212T083055-00000001")
    narrow = Console(width=60, force_terminal=True, color_system=None)
    monkeypatch.setattr("replay.printing.page.page", lambda: narrow)
    print_all(*explanation_page(explanation, 60))
    shown = capsys.readouterr().out
    assert "'failure:mcp_list_tools.failed|SomethingThatNobodyKnowsWithALongName|404|*'" in shown


def test_hostile_text_is_escaped_and_unknown_failures_lead(root: Root, lines: Lines) -> None:
    evil = "\x1b]0;owned\x07 [bold]not bold[/] \u202e"
    columns = {
        "target": evil,
        "outcome": "failed",
        "failure_keys": [f"mcp_list_tools.failed|{evil}||{evil}"],
        "user_agent": evil,
    }
    trace = Trace(columns=columns)
    configure(trace)
    trace.server(100, "mcp_list_tools.failed", error={"type": evil, "message": evil})
    trace.write(root)
    with open_store(root) as store:
        shown = page_lines(Queries(store), trace.session_id, lines, 200)
    assert not {"\x1b", "\x07", "\u202e"} & set("".join(shown))
    assert shown[2].startswith(
        r"No signature knows one failure of this session: mcp_list_tools.failed · \x1b]0;owned\x07 [bold]not bold"
    )
    assert shown[4].startswith("? mcp_list_tools.failed|")
    assert shown[4].endswith("known to no signature")


def test_a_healthy_session_has_no_findings_but_all_facts(ok_session: str, queries: Queries, lines: Lines) -> None:
    shown = page_lines(queries, ok_session, lines)
    assert shown[2].startswith("Healthy: 1 turn, 1 answered, 1 transcribed")
    assert not any(line.startswith(("▲", "?")) for line in shown)
    assert "for support" in shown


def test_as_json(failed_session: str, queries: Queries) -> None:
    page = explanation_json(explain(queries, failed_session))
    (found,) = page["findings"]
    assert found["name"] == "transcription_model_path_failure"
    assert found["evidence"] == (found["rows"][0]["first_seq"],)
    assert found["commands"][0].startswith(f"wiretape replay run {failed_session} --to azure-eastus2 ")
    assert page["unknown_failures"] == []
    assert page["recorder"].clean
    assert {"session", "started", "endpoint", "model"} <= {fact["name"] for fact in page["support"]}


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("handshake|404|404|none", "the handshake (below)"),
        ("close|server|1011|", "how the connection ended (below)"),
        ("response.done|server_error||sorry", "no row that can be read"),
    ],
)
def test_a_failure_without_rows_says_where_to_look(key: str, words: str) -> None:
    assert _without_rows(key) == words
