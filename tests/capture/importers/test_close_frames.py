from __future__ import annotations

import pytest

from capture.importers.close_frames import close_code, close_payload


@pytest.mark.parametrize("told", [None, "1000", True, 1000.0, 999, 5000])
def test_what_is_no_code(told: object) -> None:
    assert close_code(told) is None


def test_a_frame_carries_code_and_reason() -> None:
    assert close_code(4000) == 4000
    assert close_payload(1000, None) == b"\x03\xe8"
    assert close_payload(1000, "bye \ud800") == b"\x03\xe8bye ?"
