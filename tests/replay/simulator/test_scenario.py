import re
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from capture.errors import UsageProblem
from replay.simulator.faults.conditions import Circumstance, Conditions
from replay.simulator.faults.effects import Effect, TranscriptionEffect, TranscriptionFailed
from replay.simulator.faults.faults import Fault, Faults
from replay.simulator.scenario import Scenario, Server, combine, list_scenarios, load_scenario

FAILED = Effect(transcription_failed=TranscriptionFailed(message="no"))


INCIDENTS = """
audio_clipped audio_too_quiet audio_wrong_rate audio_bytes_swapped audio_wrong_format audio_chunks_duplicated
audio_chunks_missing
transcription_model_path_failure azure_deployment_missing azure_deployment_name_expected transcription_outage_window
transcription_quota session_type_mismatch token_mint_500_with_transcription transcription_terminal_missing
transcription_duplicate silence_hallucination
response_server_error_midstream peak_hour_capacity model_variant_capacity inference_rate_limited
account_refused audio_starvation_midresponse audio_truncated_transcript_complete text_only_response
content_filter_incomplete response_never_done response_never_started
abnormal_close_1006 session_max_duration keepalive_timeout keepalive_timeout_sent beta_api_disabled
beta_ga_shape_mismatch invalid_key_close_3000 handshake_refused error_right_after_session_created
close_1000_after_session_update config_rejected_session_runs_default configuration_not_honoured
vad_accepted_but_dead active_response_race commit_empty truncate_beyond_audio tool_call_without_followup
bad_tool_call_id self_interruption
"""
HEALTHY = """
healthy healthy_beta healthy_tools healthy_barge_in healthy_transcription healthy_manual healthy_text
"""


DOCS = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text()


def first_cells(header: str) -> list[str]:
    """Read the first column of the table with this first heading."""
    table = DOCS[DOCS.index(f"\n| {header} |") :].partition("\n\n")[0]
    return [row.split("|")[1].strip(" `") for row in table.splitlines()[3:]]


def test_the_docs_list_every_scenario_with_its_line() -> None:
    listed = "\n".join(f"| `{name}` | {summary} |" for name, summary in list_scenarios())

    assert f"\n|---|---|\n{listed}\n\n" in DOCS


def test_the_docs_list_every_condition_and_every_effect_with_its_fields() -> None:
    assert first_cells("condition") == list(Conditions.__struct_fields__)
    assert first_cells("effect") == list(Effect.__struct_fields__)
    for name, effect in get_type_hints(Effect).items():
        fields = next(row for row in DOCS.splitlines() if row.startswith(f"| `{name}` |")).split("|")[3]
        assert set(re.findall(r"`(\w+)`", fields)) == set(get_args(effect)[0].__struct_fields__)


def write(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(f'name = "mine"\nsummary = "s"\n{text}')
    return str(path)


def test_shipped_scenarios_load_and_are_named_as_their_files() -> None:
    names = [name for name, _ in list_scenarios()]

    assert names == sorted(names)
    assert set(names) >= set(INCIDENTS.split()) | set(HEALTHY.split())
    assert [load_scenario(name).name for name in names] == names
    assert all(summary and "\n" not in summary for _, summary in list_scenarios())


def test_the_founding_scenario_fails_one_model_in_one_region() -> None:
    faults = Faults(load_scenario("transcription_model_path_failure").server.faults, 0)

    struck = {
        (region, model)
        for region in ("eastus2", "swedencentral")
        for model in ("gpt-4o-transcribe", "whisper-1")
        if faults.find_effect(TranscriptionEffect, Circumstance(region, 0, "gpt-realtime", model, 1), lambda _: 0.0)
    }
    assert struck == {("eastus2", "gpt-4o-transcribe")}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[server]\nanswers = 'x'", r"unknown field `answers` - at `\$.server`"),
        (
            "[server]\nanswer = 'answer_rome'",
            r"has no clip 'answer_rome': take one of answer_paris, .* - at `\$.server`",
        ),
        ("[server]\nanswer_speed = 0", r"> 0.0 - at `\$.server.answer_speed`"),
        ("[[server.faults]]\nwhen = {region = 'x'}", r"missing required field `then` - at `\$.server.faults"),
        ("[[server.faults]]\nthen = {}", "takes exactly one of"),
        (
            "[[server.faults]]\nwhen = {city = 'x'}\nthen = {transcription_failed = {message = ''}}",
            r"unknown field `city` - at `\$.server.faults\[0\].when`",
        ),
        (
            "[[server.faults]]\nthen = {drop = {after_event = 'response.don'}}",
            r"`after_event`: the simulator sends no 'response.don', but .* - at `\$.server.faults\[0\]",
        ),
        ("[server", "mine.toml is not right"),
    ],
)
def test_a_fault_in_a_file_is_told_with_its_place(tmp_path: Path, text: str, place: str) -> None:
    with pytest.raises(UsageProblem, match=place):
        load_scenario(write(tmp_path, text))


def test_a_file_of_one_s_own_is_loaded_by_its_path(tmp_path: Path) -> None:
    assert load_scenario(write(tmp_path, "[server]\ntranscript = 'Good evening.'")).server.transcript_text == (
        "Good evening."
    )
    with pytest.raises(UsageProblem, match="cannot be read"):
        load_scenario(str(tmp_path / "gone.toml"))
    foreign = tmp_path / "foreign.toml"
    foreign.write_text("name = 'mine'", encoding="utf-16")
    with pytest.raises(UsageProblem, match="cannot be read: it is no UTF-8; save it as that"):
        load_scenario(str(foreign))


def test_an_unknown_name_is_answered_with_the_nearest_and_the_list_a_line_each() -> None:
    with pytest.raises(UsageProblem, match="there is no scenario 'healty': did you mean healthy") as refused:
        load_scenario("healty")

    _told, *lines = str(refused.value).splitlines()
    assert [tuple(line.split(maxsplit=1)) for line in lines] == list_scenarios()


@pytest.mark.parametrize(("line", "signature"), [("", "mine"), ("expects = 'other'", "other"), ("expects = ''", None)])
def test_a_scenario_expects_the_signature_of_its_name_another_or_none(
    tmp_path: Path, line: str, signature: str | None
) -> None:
    assert load_scenario(write(tmp_path, line)).signature == signature


def test_staged_together_scenarios_add_their_faults() -> None:
    first = Scenario("a", "s", Server(answer_speed=8, faults=(Fault(FAILED),)))
    second = Scenario("b", "s", Server(transcript="Hi", faults=(Fault(FAILED, Conditions(turn=2)),)))

    assert combine([first, second]) == Server(
        answer_speed=8, transcript="Hi", faults=first.server.faults + second.server.faults
    )


def test_scenarios_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(UsageProblem, match=r"disagree on server\.answer_speed"):
        combine([Scenario("a", "s", Server(answer_speed=8)), Scenario("b", "s", Server(answer_speed=2))])
