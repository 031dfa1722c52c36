from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyze.annotating import NOTE_LIMIT, annotate, check_annotatable, read_tag, read_tags, write_tags
from analyze.queries import Queries
from capture.errors import UsageProblem
from capture.recording.root import Root


def test_tags_are_read_as_they_are_typed() -> None:
    assert read_tags('cause="bad network" ticket= a=b=c') == {"cause": "bad network", "ticket": None, "a": "b=c"}
    assert read_tags("") == {}


@pytest.mark.parametrize("text", ["cause", "=x", "a b=c", "x" * 65 + "=y", "a=" + "y" * 257])
def test_what_is_no_tag_says_how_one_looks(text: str) -> None:
    with pytest.raises(UsageProblem, match=r"NAME=VALUE|characters"):
        read_tag(text)


@given(st.text())
def test_any_text_reads_or_is_refused_in_a_sentence(text: str) -> None:
    try:
        assert all(name for name in read_tags(text))
    except UsageProblem as problem:
        assert str(problem)


def test_a_secret_in_a_note_never_reaches_disk(root: Root, failed_session: str, queries: Queries) -> None:
    key = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"
    annotate(root, [failed_session], tags={"seen": key}, notes=[f"used {key}"])
    queries.store.refresh()
    (session,) = queries.sessions("note:used")
    assert session.notes == ("used [redacted]",)
    assert session.tags["seen"] == "[redacted]"
    assert key not in str(queries.store.rows("SELECT * FROM annotations"))


def test_a_note_that_a_latin_1_terminal_sends_is_written_down(
    root: Root, failed_session: str, queries: Queries
) -> None:
    # "café" as an argument in ISO-8859-1, where Python expects UTF-8.
    annotate(root, [failed_session], tags={"caf\udce9": "th\udce9"}, notes=["caf\udce9 was noisy"])
    queries.store.refresh()
    (session,) = queries.sessions("note:noisy")
    assert session.notes == ("caf? was noisy",)
    assert session.tags["caf?"] == "th?"


def test_nothing_to_say_and_too_much_to_say(root: Root) -> None:
    with pytest.raises(UsageProblem, match="nothing to write down"):
        annotate(root, ["20260212T083055-00000001"], tags={}, notes=["  "])
    with pytest.raises(UsageProblem, match="4096 are the most"):
        annotate(root, ["20260212T083055-00000001"], tags={}, notes=["x" * (NOTE_LIMIT + 1)])
    assert not root.annotations.exists()


def test_a_root_that_cannot_be_written_is_a_sentence(root: Root) -> None:
    root.path.mkdir(parents=True, exist_ok=True)
    root.annotations.write_text("a file")
    with pytest.raises(UsageProblem, match="cannot write to"):
        annotate(root, ["20260212T083055-00000001"], tags={"a": "b"})


def test_tags_are_written_as_they_are_read() -> None:
    tags = {"cause": "network", "ticket": 'A "42"', "old": None}
    assert read_tags(write_tags(tags)) == tags
    assert write_tags({}) == ""


def test_a_root_that_cannot_be_written_to_is_known_before(root: Root) -> None:
    root.path.mkdir(exist_ok=True)
    check_annotatable(root)
    root.annotations.touch()
    with pytest.raises(UsageProblem, match=r"cannot write tags and notes to .*annotations is not writable"):
        check_annotatable(root)
