from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from replay.simulator.effects import AnyEffect, Effect, TranscriptionFailed


def read(effect: dict[str, Any]) -> Effect:
    return msgspec.convert(effect, Effect)


def test_the_one_that_is_given_is_found() -> None:
    effect = read({"transcription_failed": {"message": "no"}})

    assert (effect.name, effect.given) == ("transcription_failed", TranscriptionFailed("no"))


@pytest.mark.parametrize("given", [{}, {"drop": {}, "audio_cut": {}}])
def test_a_fault_does_exactly_one_thing(given: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError, match="takes exactly one of transcription_failed, "):
        read(given)


@pytest.mark.parametrize(
    ("effect", "told"),
    [
        ({"drop": {"after_ms": 3}}, r"unknown field `after_ms` - at `\$.drop`"),
        ({"close": {"code": 1006}}, "for 1006 take `drop`"),
        ({"close": {"code": 999}}, "999 is no close code"),
        ({"error": {"message": "no", "then_close": 1005}}, "1005 is no close code"),
        ({"refuse_handshake": {"status": 200, "code": "c", "message": "m"}}, "200 is no status of an HTTP error"),
        ({"http_error": {"status": 499, "message": "m"}}, "499 is no status of an HTTP error"),
        ({"audio_cut": {"keep_share": 2}}, "`keep_share` must be from 0 to 1"),
        ({"audio_gaps": {"gap_ms": 0}}, "`gap_ms` must be above 0"),
        ({"transcription_repeated": {"times": 1}}, "`times` must be above 1"),
        ({"keepalive": {"interval_s": 1, "timeout_s": 0}}, "`timeout_s` must be above 0"),
        ({"response_incomplete": {"reason": "tired"}}, "Invalid enum value 'tired'"),
    ],
)
def test_what_cannot_be_done_is_refused(effect: dict[str, Any], told: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=told):
        read(effect)


def leaves(kind: type[AnyEffect]) -> set[type[AnyEffect]]:
    below = kind.__subclasses__()
    return {leaf for inner in below for leaf in leaves(inner)} if below else {kind}


def test_every_effect_can_be_given_in_a_file() -> None:
    types = get_type_hints(Effect)
    given = {kind for name in Effect.__struct_fields__ for kind in get_args(types[name]) if kind is not type(None)}

    assert given == leaves(AnyEffect)
