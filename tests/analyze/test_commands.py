from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyze.answers import SessionSummary
from analyze.commands import AGAIN, command_lines, fill_in
from analyze.queries import Queries
from capture.recording.root import Root

HERE = Root(Path("recordings"))


@pytest.fixture
def session(failed_session: str, queries: Queries) -> SessionSummary:
    return queries.session(failed_session).summary


def test_the_command_goes_to_where_the_session_went(session: SessionSummary) -> None:
    assert fill_in(AGAIN, session, HERE) == "wiretape replay run 20260212T083055-0000000a --to azure-eastus2 --trials 5"


def test_another_root_is_named(session: SessionSummary) -> None:
    assert fill_in(AGAIN, session, Root(Path("/srv/my calls"))).endswith("--recordings '/srv/my calls'")


def test_a_hostile_target_cannot_leave_its_word(session: SessionSummary) -> None:
    hostile = replace(session, target="x; rm -rf ~ #")
    assert "--to 'x; rm -rf ~ #' --trials" in fill_in(AGAIN, hostile, HERE)


@pytest.mark.parametrize("target", [None, "wss://a.example/v1/realtime?api-key=[redacted]"])
def test_without_a_usable_target_a_place_is_left(target: str | None, session: SessionSummary) -> None:
    assert "--to TARGET " in fill_in(AGAIN, replace(session, target=target), HERE)


def test_the_values_of_a_signature_keep_their_quotes(session: SessionSummary) -> None:
    template = (
        "wiretape replay run {session} --to {target} --set 'session.audio.input.transcription.model=\"whisper-1\"'"
    )
    filled = fill_in(template, session, HERE)
    assert filled.endswith("--set 'session.audio.input.transcription.model=\"whisper-1\"'")
    assert shlex.split(filled)[-1] == 'session.audio.input.transcription.model="whisper-1"'


@pytest.mark.parametrize(
    ("failing", "instead"),
    [
        ("gpt-4o-transcribe", "whisper-1"),
        ("whisper-1", "gpt-4o-mini-transcribe"),
        ("our-whisper", "gpt-4o-mini-transcribe"),
        (None, "whisper-1"),
    ],
)
def test_another_transcription_model_is_never_the_one_that_failed(
    session: SessionSummary, failing: str | None, instead: str
) -> None:
    template = """wiretape replay run {session} --to {target} --set 'model="{another_transcription_model}"'"""
    filled = fill_in(template, replace(session, transcription_model=failing), HERE)
    assert shlex.split(filled)[-1] == f'model="{instead}"'


def test_beta_sessions_name_their_transcription_model_elsewhere(session: SessionSummary) -> None:
    template = "wiretape replay run {session} --to {target} --set session.audio.input.transcription.model=null"
    filled = fill_in(template, replace(session, dialect="beta"), HERE)
    assert shlex.split(filled)[-1] == "session.input_audio_transcription.model=null"


def test_beta_sessions_name_every_setting_as_beta_does(session: SessionSummary) -> None:
    template = """wiretape replay run {session} --to {target} --set 'session.audio.input.turn_detection={"type":"x"}'"""
    filled = fill_in(template, replace(session, dialect="beta"), HERE)
    assert shlex.split(filled)[-1] == 'session.turn_detection={"type":"x"}'
    assert shlex.split(fill_in(template, session, HERE))[-1] == 'session.audio.input.turn_detection={"type":"x"}'


def test_a_long_command_breaks_before_its_options() -> None:
    command = "wiretape replay run 20260212T083055-0000000a --to azure-eastus2 --set 'a b=\"c\"' --trials 5"
    assert command_lines(command, 100) == [command]
    assert command_lines(command, 60) == [
        "wiretape replay run 20260212T083055-0000000a \\",
        "  --to azure-eastus2 --set 'a b=\"c\"' --trials 5",
    ]


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\n"), min_size=1), min_size=1),
    st.integers(5, 80),
)
def test_a_shell_reads_the_lines_as_the_same_command(words: list[str], width: int) -> None:
    command = shlex.join(words)
    # A backslash before the end of a line joins it with the next.
    assert shlex.split("\n".join(command_lines(command, width)).replace("\\\n", "")) == words
