import pytest

from replay.simulator.protocol.mistakes import ClientMistake
from replay.simulator.protocol.shapes import (
    Audio,
    Choice,
    Either,
    Flag,
    ListOf,
    Nullable,
    Number,
    Shape,
    Table,
    Tagged,
    Text,
    TextMap,
    Whole,
)

NESTED = Table({"tools": ListOf(Table({"name": Text(max_length=4)}, required=("name",))), "on": Flag()})


@pytest.mark.parametrize(
    ("shape", "value", "code", "message", "param"),
    [
        (NESTED, {"off": 1}, "unknown_parameter", "Unknown parameter: 'x.off'.", "x.off"),
        (
            NESTED,
            {"tools": [{"name": "a"}, {}]},
            "missing_required_parameter",
            "Missing required parameter: 'x.tools[1].name'.",
            "x.tools[1].name",
        ),
        (
            NESTED,
            {"tools": [{"name": "much too long"}]},
            "string_above_max_length",
            (
                "Invalid 'x.tools[0].name': string too long. Expected a string with maximum length 4, "
                "but got a string with length 13 instead."
            ),
            "x.tools[0].name",
        ),
        (
            NESTED,
            {"on": "yes"},
            "invalid_type",
            "Invalid type for 'x.on': expected a boolean, but got a string instead.",
            "x.on",
        ),
        (
            Whole(0),
            1.5,
            "invalid_type",
            "Invalid type for 'x': expected an integer, but got a decimal number instead.",
            "x",
        ),
        (
            Whole(24000, 24000),
            16000,
            "integer_below_min_value",
            "Invalid 'x': integer below minimum value. Expected a value >= 24000, but got 16000 instead.",
            "x",
        ),
        (
            Number(0.25, 1.5),
            3,
            "decimal_above_max_value",
            "Invalid 'x': decimal above maximum value. Expected a value <= 1.5, but got 3 instead.",
            "x",
        ),
        (
            Choice(("low", "medium", "high")),
            "slow",
            "invalid_value",
            "Invalid value: 'slow'. Supported values are: 'low', 'medium', and 'high'.",
            "x",
        ),
        (
            Either((Choice(("auto",)), Table({}))),
            7,
            "invalid_type",
            "Invalid type for 'x': expected one of a string or an object, but got an integer instead.",
            "x",
        ),
        (
            Tagged("type", {"a": Table({}), "b": Table({})}),
            {"type": "c"},
            "invalid_value",
            "Invalid value: 'c'. Supported values are: 'a' and 'b'.",
            "x.type",
        ),
        (
            Audio(),
            "no base64!",
            "invalid_value",
            "Invalid 'x'. Expected base64-encoded audio bytes (mono PCM16 at 24kHz) but got an invalid value.",
            "x",
        ),
        (
            Audio(),
            "",
            "invalid_value",
            "Invalid 'x'. Expected base64-encoded audio bytes (mono PCM16 at 24kHz) but got empty bytes.",
            "x",
        ),
        (
            TextMap(1, 8, 8),
            {"a": "1", "b": "2"},
            "object_above_max_properties",
            (
                "Invalid 'x': too many properties. Expected an object with at most 1 properties, "
                "but got an object with 2 properties instead."
            ),
            "x",
        ),
    ],
)
def test_refuses_in_the_words_of_the_endpoint(shape: Shape, value: object, code: str, message: str, param: str) -> None:
    with pytest.raises(ClientMistake) as refused:
        shape.check(value, "x")

    assert (refused.value.code, refused.value.message, refused.value.param) == (code, message, param)


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        (NESTED, {"tools": [{"name": "a"}], "on": True}),
        (Nullable(Whole()), None),
        (Nullable(Whole()), 3),
        (Number(0, 1), 1),
        (Either((Whole(1, 4096), Choice(("inf",)))), "inf"),
        (Either((Whole(1, 4096), Choice(("inf",)))), 100),
        (Audio(), "AAAA"),
        (TextMap(1, 8, 8), {"a": "1"}),
    ],
)
def test_takes_what_fits(shape: Shape, value: object) -> None:
    shape.check(value, "x")


@pytest.mark.parametrize("value", [True, False])
def test_a_boolean_is_no_number(value: bool) -> None:
    for shape in (Whole(), Number()):
        with pytest.raises(ClientMistake, match="but got a boolean instead"):
            shape.check(value, "x")
