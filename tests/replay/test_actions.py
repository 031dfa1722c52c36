"""What a player asks for."""

from __future__ import annotations

import dataclasses

import pytest

from replay.actions import Action, Diverged, Finished, Send, WaitUntil


def test_what_is_asked_for_stands_as_it_was_asked() -> None:
    asked: list[Action] = [Send(0, "{}", 5), WaitUntil(7), Diverged(0, "not_sent", "x", "", "left out"), Finished("x")]
    assert Send(0, "{}", 5) == Send(0, "{}", 5, changes=())
    for action in asked:
        field = dataclasses.fields(action)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(action, field, 1)
