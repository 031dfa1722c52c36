import signal
import subprocess
import sys
from pathlib import Path

import pytest

from capture.errors import UsageProblem
from replay.simulator.command import list_scenarios, run_simulator

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_tells_where_it_listens_and_ends_well_on_a_signal(number: signal.Signals) -> None:
    call = "run_simulator(['transcription_model_path_failure'], ['eastus2', 'westus'], '127.0.0.1:0', 0, True)"
    program = f"from replay.simulator.command import run_simulator; {call}"
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as simulator:
        assert simulator.stdout is not None
        lines = [simulator.stdout.readline().split() for _ in range(2)]
        simulator.send_signal(number)
        assert simulator.wait(timeout=30) == 0

    assert [region for region, _ in lines] == ["eastus2", "westus"]
    assert all(url.startswith("ws://127.0.0.1:") and url.endswith("/openai/v1/realtime") for _, url in lines)
    assert lines[0][1] != lines[1][1]


def test_an_unknown_scenario_is_answered_with_the_list() -> None:
    with pytest.raises(UsageProblem, match=r"there is no scenario 'nope'.*\n(.*\n)*  healthy +Nothing fails"):
        run_simulator(["nope"], [], "127.0.0.1:0", 0, separate_origins=False)


def test_a_fault_for_a_region_that_is_not_served_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mistyped = tmp_path / "mine.toml"
    refusal = '{ refuse_handshake = { status = 503, code = "503", message = "No." } }'
    fault = f'[[server.faults]]\nwhen = {{ region = "eastus22" }}\nthen = {refusal}\n'
    mistyped.write_text(f'name = "mine"\nsummary = "Refused."\n{fault}')

    with pytest.raises(UsageProblem):
        run_simulator([str(mistyped)], ["eastus2", "westus"], "nowhere", 0, separate_origins=False)

    told = capsys.readouterr().err
    assert told == "mine: a fault asks for eastus22, which is none of the regions: eastus2, westus\n"


def test_a_region_must_fit_into_a_path() -> None:
    with pytest.raises(UsageProblem, match="not 'East US 2'"):
        run_simulator([], ["East US 2"], "127.0.0.1:0", 0, separate_origins=False)


def test_scenarios_are_listed_with_a_line_each() -> None:
    assert dict(list_scenarios())["healthy"].startswith("Nothing fails")


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(UsageProblem, match="HOST:PORT"):
        run_simulator([], [], "localhost:http", 0, separate_origins=False)
