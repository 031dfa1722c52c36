from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from analyze.plain_values import plain_value

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates() | st.datetimes(),
    lambda inner: st.lists(inner) | st.dictionaries(st.integers() | st.text(), inner),
)


@given(VALUES)
def test_json_can_say_every_value(value: Any) -> None:
    json.dumps(plain_value(value), allow_nan=False)


def test_times_bytes_and_what_is_no_number() -> None:
    at = datetime(2026, 2, 12, 8, 30, tzinfo=UTC)
    assert plain_value([at, date(2026, 2, 12), b"\x01\xff", math.nan, {1: (2,)}]) == [
        "2026-02-12T08:30:00+00:00",
        "2026-02-12",
        "01ff",
        None,
        {"1": [2]},
    ]
