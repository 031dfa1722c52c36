from __future__ import annotations

from replay.simulator.protocol.mistakes import list_words, refuse_type, refuse_value


def test_words_are_listed_as_sentences_list_them() -> None:
    assert [list_words(tuple("abc"[:count])) for count in (1, 2, 3)] == ["a", "a and b", "a, b, and c"]


def test_a_mistake_names_what_is_taken_and_what_came() -> None:
    of_type, of_value = refuse_type(("a string", "null"), 3, "x.y"), refuse_value("c", ("a", "b"), "x")

    assert (of_type.code, of_type.param) == ("invalid_type", "x.y")
    assert str(of_type) == "Invalid type for 'x.y': expected one of a string or null, but got an integer instead."
    assert (of_value.code, str(of_value)) == ("invalid_value", "Invalid value: 'c'. Supported values are: 'a' and 'b'.")
