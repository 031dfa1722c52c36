"""Who is let in to the browser's page: by the name, the origin, the token and the cookie of a request."""

from __future__ import annotations

from analyze.web_guard import Guard


def test_who_is_let_in() -> None:
    guard = Guard("127.0.0.1", 8790, "t0ken")
    host = {"Host": "127.0.0.1:8790"}
    assert guard.refusal(host, "t0ken") is None
    assert guard.refusal(host | {"Cookie": "a=b; wiretape-8790=t0ken"}, None) is None
    assert guard.refusal({"Host": "localhost:8790", "Origin": "http://localhost:8790"}, "t0ken") is None
    for headers, token in (
        (host, None),
        (host, "wröng"),
        (host | {"Cookie": "wiretape-8790=other"}, None),
        (host | {"Cookie": 'wiretape-8790="; \x00=\u00fc'}, None),
        ({}, "t0ken"),
        ({"Host": "127.0.0.1:1"}, "t0ken"),
        ({"Host": "evil.example:8790"}, "t0ken"),
        (host | {"Origin": "null"}, "t0ken"),
        (host | {"Origin": "http://localhost:8790"}, "t0ken"),
    ):
        assert guard.refusal(headers, token) is not None


def test_what_other_servers_of_this_machine_keep_in_the_browser_locks_nobody_out() -> None:
    guard = Guard("127.0.0.1", 8790, "t0ken")
    for theirs in ('prefs={"dark":true}', "a[b]=1", "flag", "name=\udcfc", "wiretape-8791=another", "wiretape=old"):
        headers = {"Host": "127.0.0.1:8790", "Cookie": f"{theirs}; wiretape-8790=t0ken; z=1"}
        assert guard.refusal(headers, None) is None, theirs
        assert guard.refusal({"Host": "127.0.0.1:8790", "Cookie": theirs}, None) is not None, theirs


def test_any_address_of_this_machine_is_served_under_its_own_name() -> None:
    guard = Guard("127.0.0.2", 8790, "t0ken")
    assert guard.refusal({"Host": "127.0.0.2:8790"}, "t0ken") is None
    assert guard.refusal({"Host": "127.0.0.3:8790"}, "t0ken") is not None
