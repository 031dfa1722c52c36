from __future__ import annotations

from typing import Any

import pytest

from replay.simulator.protocol.item_shapes import ITEMS
from replay.simulator.protocol.mistakes import ClientMistake
from replay.simulator.protocol.shapes import Tagged


@pytest.mark.parametrize(
    ("item", "code", "path"),
    [
        ({"type": "message"}, "missing_required_parameter", "item.role"),
        ({"type": "message", "role": "robot", "content": []}, "invalid_value", "item.role"),
        (
            {"type": "message", "role": "user", "content": [{"type": "text", "text": "beta"}]},
            "invalid_value",
            "item.content[0].type",
        ),
        ({"type": "function_call_output", "call_id": "call/1", "output": ""}, "invalid_value", "item.call_id"),
    ],
)
def test_refuses_what_is_no_item(item: dict[str, Any], code: str, path: str) -> None:
    with pytest.raises(ClientMistake) as refused:
        Tagged("type", ITEMS).check(item, "item")

    assert (refused.value.code, refused.value.param) == (code, path)
