from pathlib import Path

import pytest

from capture.errors import UsageProblem
from replay.simulator.client.script import Client, ClientSession, HttpRequest, ScenarioClock, Step
from replay.simulator.scenario import Scenario, load_scenario

HEARD = "conversation.item.input_audio_transcription"


def load(folder: Path, text: str) -> Scenario:
    path = folder / "mine.toml"
    path.write_text(f'name = "mine"\nsummary = "s"\n{text}')
    return load_scenario(str(path))


def test_without_tables_one_healthy_session_is_played_now(tmp_path: Path) -> None:
    scenario = load(tmp_path, "")

    [session] = scenario.client.sessions
    assert (session.region, session.model, session.path) == ("eastus2", "gpt-realtime", "/openai/v1/realtime")
    assert [step.title for step in session.steps] == [
        "update",
        "await session.updated",
        "speak",
        "silence_ms",
        f"await {HEARD}.completed or {HEARD}.failed",
        "await response.done",
        "close",
    ]
    assert scenario.clock.starts_at_ns is None


def test_a_script_reads_as_it_is_written(tmp_path: Path) -> None:
    scenario = load(
        tmp_path,
        """
        [[client.sessions]]
        region = "swedencentral"
        count = 3
        start_after_s = 3600
        steps = [
          { update = { instructions = "Hi" }, dialect = "beta" },
          { speak = "question_weather", from_ms = 250, ms = 300, pace = 4 },
          { noise_dbfs = -70, ms = 900 },
          { commit = true }, { respond = {} }, { cancel = true },
          { send = { type = "input_audio_buffer.clear" } },
          { await = ["response.done", "error"], timeout_s = 5, optional = true },
          { skip_s = 3600 }, { stall_s = 2 },
          { http = { path = "/openai/v1/realtime/client_secrets", json = { session = {} } } },
          { close = 1011, reason = "keepalive ping timeout" },
        ]
        [clock]
        starts_at = "2026-03-02T06:00:00Z"
        """,
    )
    [session] = scenario.client.sessions

    assert [step.action for step in session.steps] == [
        *("update", "speak", "noise_dbfs", "commit", "respond", "cancel"),
        *("send", "await", "skip_s", "stall_s", "http", "close"),
    ]
    assert session.steps[7].awaited_types == ("response.done", "error")
    assert session.has_socket
    assert scenario.clock.starts_at_ns == 1_772_431_200_000_000_000


def test_plain_requests_alone_open_no_socket() -> None:
    request = Step(http=HttpRequest(path="/"))

    assert not ClientSession(steps=(request,)).has_socket
    assert ClientSession(steps=(request, Step(close=1000))).has_socket
    assert ClientSession(steps=()).has_socket


@pytest.mark.parametrize(
    ("step", "place"),
    [
        ("{ speek = 'x' }", r"unknown field `speek` - at `\$.client.sessions\[0\].steps\[0\]`"),
        ("{}", "a step does exactly one of update, speak"),
        (
            "{ speak = 'question_weather', close = 1000 }",
            r"exactly one of .* - at `\$.client.sessions\[0\].steps\[0\]`",
        ),
        ("{ close = 1000, timeout_s = 3 }", "`timeout_s` does not go with `close`"),
        ("{ await = 'x', pace = 3 }", "`pace` does not go with `await`"),
        ("{ speak = 'rome' }", r"has no clip 'rome': .* - at `\$.client.sessions\[0\].steps\[0\]`"),
        ("{ noise_dbfs = -70 }", "needs `ms`"),
        ("{ silence_ms = -1 }", r">= 0.0 - at `\$.client.sessions\[0\].steps\[0\].silence_ms`"),
        ("{ silence_ms = 1, pace = 0 }", r"> 0.0 - at `\$.client.sessions\[0\].steps\[0\].pace`"),
        (
            "{ await = ['error', 'response.don'] }",
            r"`await`: the simulator sends no 'response.don', but .*, close - at `\$.client.sessions\[0\].steps\[0\]`",
        ),
        ("{ send = { text = 'x' } }", "with a `type`"),
        (
            "{ update = {}, dialect = 'gamma' }",
            r"Invalid enum value 'gamma' - at `\$.client.sessions\[0\].steps\[0\].dia",
        ),
        ("{ http = { url = 'x' } }", r"at `\$.client.sessions\[0\].steps\[0\].http`"),
        ("{ http = { path = 'v1/realtime' } }", r"begins with `/` .* - at `\$.client.sessions\[0\].steps\[0\].http`"),
        ("{ http = { path = '/a b' } }", "has no blanks, and only ASCII, not '/a b'"),
        ("{ http = { path = '/', method = 'G T' } }", "'G T' is no HTTP method"),
        ('{ http = { path = "/", headers = { x-a = "b\\r\\nc: d" } } }', "'x-a' is no header that can be sent"),
        ("{ close = 1005 }", r"1005 is no close code that may be sent - at `\$.client.sessions\[0\].steps\[0\]`"),
        (f"{{ close = 1000, reason = '{'x' * 124}' }}", "more than the 123 bytes that its frame takes"),
    ],
)
def test_a_fault_in_a_script_is_told_with_its_place(tmp_path: Path, step: str, place: str) -> None:
    with pytest.raises(UsageProblem, match=place):
        load(tmp_path, f"[[client.sessions]]\nsteps = [{step}]")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[client]\nsessions = []", r"has no sessions.* - at `\$.client`"),
        ("[[client.sessions]]\ncount = 0", r"sessions\[0\].count"),
        ("[[client.sessions]]\npath = 'v1/realtime'", r"begins with `/` .* - at `\$.client.sessions\[0\]`"),
        ("[[client.sessions]]\npath = '/v1/realtime?model=x'", "has no query: give that as `query = "),
        ('[[client.sessions]]\nheaders = { "x a" = "b" }', "'x a' is no header that can be sent"),
        ("[[client.sessions]]\nsubprotocols = ['a b']", "'a b' is no subprotocol"),
        ("[clock]\nstarts_at = '2026-03-02T06:00:00'", r"needs a time zone"),
        ("[clock]\nstarts_at = 'at six'", r"Invalid isoformat string: 'at six' - at `\$.clock`"),
        ("[clock]\nstarts = 1", r"unknown field `starts` - at `\$.clock`"),
    ],
)
def test_a_fault_in_a_table_is_told_with_its_place(tmp_path: Path, text: str, place: str) -> None:
    with pytest.raises(UsageProblem, match=place):
        load(tmp_path, text)


def test_defaults_are_one_session_and_no_start() -> None:
    assert Client().sessions == (ClientSession(),)
    assert ScenarioClock().starts_at_ns is None
