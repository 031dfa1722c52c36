from pathlib import Path

import pytest

from capture.errors import UsageProblem
from replay.simulator.scenario import (
    Circumstance,
    Conditions,
    Effect,
    Fault,
    Scenario,
    Server,
    TranscriptionFailed,
    combine,
    find_effect,
    list_scenarios,
    load_scenario,
)

FAILED = Effect(transcription_failed=TranscriptionFailed(message="no"))


def write(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(f'name = "mine"\nsummary = "s"\n{text}')
    return str(path)


def test_shipped_scenarios_load_and_are_named_as_their_files() -> None:
    names = [name for name, _ in list_scenarios()]

    assert names == sorted(names)
    assert {"healthy", "transcription_model_path_failure"} <= set(names)
    assert [load_scenario(name).name for name in names] == names
    assert all(summary and "\n" not in summary for _, summary in list_scenarios())


def test_the_founding_scenario_fails_one_model_in_one_region() -> None:
    server = load_scenario("transcription_model_path_failure").server

    struck = {
        (region, model)
        for region in ("eastus2", "swedencentral")
        for model in ("gpt-4o-transcribe", "whisper-1")
        if find_effect(server, Circumstance(region, "gpt-realtime", model, turn=1), lambda _: 0.0)
    }
    assert struck == {("eastus2", "gpt-4o-transcribe")}


def test_all_conditions_that_are_given_must_hold() -> None:
    server = Server(faults=(Fault(FAILED, Conditions(region="eastus2", turn=2)),))

    def strikes(region: str, turn: int) -> bool:
        return find_effect(server, Circumstance(region, "m", "t", turn), lambda _: 0.0) is not None

    assert [strikes("eastus2", 1), strikes("eastus2", 2), strikes("westus", 2)] == [False, True, False]


def test_a_chance_is_drawn_only_where_all_else_holds() -> None:
    server = Server(faults=(Fault(FAILED, Conditions(region="eastus2", probability=0.5)),))
    drawn: list[str] = []

    def draw(name: str) -> float:
        drawn.append(name)
        return 0.4

    assert find_effect(server, Circumstance("westus", "m", None, 1), draw) is None
    assert find_effect(server, Circumstance("eastus2", "m", None, 1), draw) is FAILED
    assert find_effect(server, Circumstance("eastus2", "m", None, 1), lambda _: 0.5) is None
    assert drawn == ["fault 0"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[server]\nanswers = 'x'", r"unknown field `answers` - at `\$.server`"),
        ("[server]\nanswer = 'answer_rome'", "has no clip 'answer_rome'"),
        ("[server]\nanswer_speed = 0", "must be above 0"),
        ("[[server.faults]]\nwhen = {region = 'x'}", r"missing required field `then` - at `\$.server.faults"),
        ("[[server.faults]]\nthen = {}", "takes exactly one of"),
        (
            "[[server.faults]]\nwhen = {city = 'x'}\nthen = {transcription_failed = {message = ''}}",
            r"unknown field `city` - at `\$.server.faults\[0\].when`",
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


def test_an_unknown_name_is_answered_with_the_nearest_and_the_list() -> None:
    with pytest.raises(UsageProblem, match="did you mean healthy") as refused:
        load_scenario("healty")
    assert "transcription_model_path_failure" in str(refused.value)


def test_staged_together_scenarios_add_their_faults() -> None:
    first = Scenario("a", "s", Server(answer_speed=8, faults=(Fault(FAILED),)))
    second = Scenario("b", "s", Server(transcript="Hi", faults=(Fault(FAILED, Conditions(turn=2)),)))

    assert combine([first, second]) == Server(
        answer_speed=8, transcript="Hi", faults=first.server.faults + second.server.faults
    )


def test_scenarios_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(UsageProblem, match=r"disagree on server\.answer_speed"):
        combine([Scenario("a", "s", Server(answer_speed=8)), Scenario("b", "s", Server(answer_speed=2))])
