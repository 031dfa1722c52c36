from __future__ import annotations

import json

from capture.plain_text import escape_unseen, hidden, is_utf8, shorten, visible, visible_lines


def test_characters_that_act_on_a_terminal_are_shown() -> None:
    assert visible("a\x1b[31mb\x9b0m\r\nc") == r"a\x1b[31mb\x9b0m\r\nc"


def test_characters_that_hide_or_turn_text_are_shown() -> None:
    assert visible("a\u202eb\u200bc\ufeff") == r"a\u202eb\u200bc\ufeff"
    assert visible("so\xadft \u061c \ufff9 \U000e0041") == r"so\xadft \u061c \ufff9 \U000e0041"


def test_lines_stay_lines_and_none_but_the_first_begins_at_the_margin() -> None:
    assert visible_lines("a\x1b\r\n\u202eb\n    c") == "a\\x1b\\r\n  \\u202eb\n    c"


def test_hidden_characters_become_one_sign_each() -> None:
    assert hidden("a\x1b\u202eb") == "a\ufffd\ufffdb"


def test_other_text_stays_as_it_is() -> None:
    assert visible("“Grüße, 東京\u3000\xa0” [bold]") == "“Grüße, 東京\u3000\xa0” [bold]"


def test_shorten_says_that_it_cut() -> None:
    assert (shorten("abcdef", 6), shorten("abcdefg", 6)) == ("abcdef", "abcde…")


def test_escaped_json_means_the_same() -> None:
    value = {"said": "a\x9b\u202e\u2028\x7f\U000e0041"}
    text = escape_unseen(json.dumps(value, ensure_ascii=False, indent=1))
    assert json.loads(text) == value
    assert text.isascii()
    assert text.count("\n") == 2


def test_what_a_terminal_in_another_encoding_sent_is_no_utf8() -> None:
    assert (is_utf8("modèle 東京"), is_utf8("mod\udce8le")) == (True, False)
