"""What is typed, as the commands take it."""

from __future__ import annotations

from typing import Any

import pytest

from capture.arguments import parse_listen, parse_setting
from capture.errors import UsageProblem


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("session.a=1", ("session.a", 1)),
        ('session.a={"b":null}', ("session.a", {"b": None})),
        ("session.a=marin", ("session.a", "marin")),
        ("session.a=x=y", ("session.a", "x=y")),
        ("session.a=", ("session.a", "")),
    ],
)
def test_a_setting_is_json_or_else_text(text: str, setting: tuple[str, Any]) -> None:
    assert parse_setting(text) == setting


@pytest.mark.parametrize("text", ["session.voice", "=marin", " =marin", ""])
def test_a_setting_without_a_path_is_refused(text: str) -> None:
    with pytest.raises(UsageProblem, match="sets nothing"):
        parse_setting(text)


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("127.0.0.1:8765", ("127.0.0.1", 8765)),
        ("[::1]:80", ("::1", 80)),
        (":9000", ("127.0.0.1", 9000)),
        (":0", ("127.0.0.1", 0)),
        ("9000", ("127.0.0.1", 9000)),
    ],
)
def test_an_address_is_read(listen: str, address: tuple[str, int]) -> None:
    assert parse_listen(listen) == address


@pytest.mark.parametrize("listen", ["", "localhost", "h:http", "h:65536", "h:-1"])
def test_an_address_without_a_port_is_refused(listen: str) -> None:
    with pytest.raises(UsageProblem, match="HOST:PORT"):
        parse_listen(listen)
