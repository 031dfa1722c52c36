"""The page that browsers open: nothing in it leads off this machine."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from analyze.web_page import DEFAULT_FONT_SIZE, SCRIPT, headers, page

HOST = "127.0.0.1:8790"


class Addresses(HTMLParser):
    """Collects whatever an attribute says could be loaded or gone to, and scripts that stand in the page."""

    def __init__(self, written: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(written)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        self.found += [value or "" for name, value in attrs if name in ("href", "src", "data-session-websocket-url")]
        self.scripts += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts += data.split()


def test_the_page_connects_to_the_host_it_was_opened_under() -> None:
    for host in (HOST, "localhost:9000", "[::1]:8790"):
        addresses = Addresses(page(host)).found
        assert f"ws://{host}/ws" in addresses
        assert [each for each in addresses if each and not each.startswith(("/", f"ws://{host}/"))] == []
        assert not any(each.startswith("//") for each in addresses)


def test_a_screen_that_ended_opens_again_under_its_address() -> None:
    # With the size of its letters: an empty address is that of the page, and what stood behind it.
    assert '<a href="">Open it again</a>' in page(HOST, "20")


def test_what_the_page_runs_is_served_by_this_machine() -> None:
    assert f"/{SCRIPT.name}" in Addresses(page(HOST)).found
    script = SCRIPT.read_text(encoding="utf-8")
    assert "//" not in re.sub(r"^ *// .*$", "", script, flags=re.MULTILINE), "it leads elsewhere"
    assert not re.search(r"fetch|XMLHttpRequest|WebSocket|import|eval|innerHTML", script)


def test_the_page_has_no_script_of_its_own() -> None:
    # The policy allows none, and a browser would say nothing to the user.
    assert Addresses(page(HOST)).scripts == []
    assert re.findall(r"url\(\"([^\"]*)\"\)", page(HOST))
    assert all(each.startswith("/static/") for each in re.findall(r"url\(\"([^\"]*)\"\)", page(HOST)))


@pytest.mark.parametrize(
    ("asked", "given"),
    [(None, DEFAULT_FONT_SIZE), ("20", 20), ("0", DEFAULT_FONT_SIZE), ('9"><script>', DEFAULT_FONT_SIZE)]
    + [(hostile, DEFAULT_FONT_SIZE) for hostile in ("", "²", "9" * 9999, "-8", "1e1")],
)
def test_a_font_size_is_a_number_that_can_be_read(asked: str | None, given: int) -> None:
    assert f'data-font-size="{given}"' in page(HOST, asked)


def test_a_host_is_written_as_text() -> None:
    assert "<script>alert" not in page('"><script>alert(1)</script>')


def test_the_policy_names_this_machine_only() -> None:
    policy = headers(HOST)["Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self'"
    assert rules["frame-ancestors"] == "'none'"
    assert {source for sources in rules.values() for source in sources.split()} == {
        "'none'",
        "'self'",
        "'unsafe-inline'",
        f"ws://{HOST}",
    }
    assert [name for name, sources in rules.items() if "unsafe" in sources] == ["style-src"]
