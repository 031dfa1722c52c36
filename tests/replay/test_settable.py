"""What a replay can be asked to change, checked before anything is sent."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from capture.errors import UsageProblem
from capture.targets import Target
from replay.client import Upgrade
from replay.planning import make_plan
from replay.runs import RunRecording
from replay.settable import Wanted, check_dialects, check_wanted, settable_paths
from replay.source import Source

TARGET = Target(name="t", url="wss://east.example")


@pytest.fixture
def source(script: Any) -> Source:
    script.server({"type": "session.created", "session": {"voice": "marin"}})
    script.client({"type": "session.update", "session": {"instructions": "Be kind."}}, 5)
    script.client({"type": "response.create", "response": {"metadata": {"k": "v"}}}, 20)
    return Source(
        RunRecording(session_id="s", dialect="ga"), make_plan(script.messages), Upgrade("/v1/realtime?model=rt"), ""
    )


def test_every_place_has_its_own_check(source: Source) -> None:
    settings = {"session.voice": "cedar", "response.instructions": "x", "connection.query.a": "b", "dialect": "beta"}
    wanted = Wanted(
        settings, {"connection.model": ("a", "b"), "audio": ("recorded", "noise:20")}, ("response.metadata",)
    )
    assert len(wanted.values) == 6
    check_wanted(wanted, source, [TARGET])


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        (Wanted({"session.voic": "x"}), r"has no 'session\.voic': nearest are session\.voice"),
        (Wanted({"session.model": "x"}), r"the URL chooses the model, .*: set connection\.model"),
        (Wanted({"response.instruction": "x"}), r"nearest are response\.instructions"),
        (Wanted(varied={"connection.header.api-key": ("x",)}), "is a credential"),
        (Wanted(unset=("connection.query.intent",)), "cannot be unset"),
        (Wanted(unset=("session.voice",)), "never asked for"),
        (Wanted({"audio": "silence"}, {"audio": ("recorded",)}), "chosen twice"),
        (Wanted({"audio": "noise:loud"}), "noise takes a ratio"),
        (Wanted({"dialect": "gamma"}), "takes ga or beta"),
        (Wanted(unset=("audio",)), "'audio' cannot be unset"),
        (Wanted({"response.metadata.k": 1}, unset=("response.metadata",)), r"while 'response\.metadata\.k' is set"),
    ],
)
def test_what_cannot_be_changed_is_refused(source: Source, wanted: Wanted, complaint: str) -> None:
    with pytest.raises(UsageProblem, match=complaint):
        check_wanted(wanted, source, [TARGET])


def test_a_setting_of_the_dialect_can_be_set_though_nobody_told_of_it(source: Source) -> None:
    eager = "session.audio.input.turn_detection.eagerness"
    check_wanted(Wanted({eager: "low", "session.truncation": "disabled"}), source, [TARGET])
    listed = settable_paths(source)
    assert {"model", "voice", "audio", "dialect", eager, "session.instructions", "response.metadata.k"} <= {*listed}
    assert "session.model" not in listed
    beta = dataclasses.replace(source, recording=RunRecording(session_id="s", dialect="beta"))
    with pytest.raises(UsageProblem, match=r"nearest are session\.turn_detection\.eagerness"):
        check_wanted(Wanted({eager: "low"}), beta, [TARGET])
    for path in settable_paths(beta):
        if path.startswith(("session.", "response.")):
            check_wanted(Wanted({path: "x"}), beta, [TARGET])


def test_a_recording_without_a_dialect_is_not_written_in_one(source: Source) -> None:
    unknown = dataclasses.replace(source, recording=RunRecording(session_id="s"))
    with pytest.raises(UsageProblem, match="shows no dialect"):
        check_dialects(["beta"], unknown)
