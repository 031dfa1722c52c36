from __future__ import annotations

import re

import pytest

from analyze.signatures import SignatureBroken, load_signatures, read_signature

HEADER = """\
-- name: socket_caught_fire
-- group: connection
-- happened: Smoke came out of the socket,
--   and then nothing.
-- confidence: certain
-- causes: a short circuit; a dragon
-- refuted by: It does not burn again.
-- replay: wiretape replay run {session} --to {target}
-- replay: wiretape replay run {session} --to {target} --trials 5
-- sources: a dream
"""
SELECT = "SELECT session_id\nFROM sessions;\n"


def test_a_header_becomes_a_signature() -> None:
    signature = read_signature("socket_caught_fire.sql", HEADER + SELECT)

    assert signature.name == "socket_caught_fire"
    assert signature.happened == "Smoke came out of the socket, and then nothing."
    assert signature.causes == ("a short circuit", "a dragon")
    assert len(signature.replays) == 2
    assert signature.sql == "SELECT session_id\nFROM sessions"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("-- name: socket_caught_fire", "-- name: another"), "file and name must be the same"),
        (("-- group: connection", "-- group: weather"), "`group` is weather; it must be one of transcription"),
        (("-- confidence: certain", "-- confidence: maybe"), "`confidence` is maybe; it must be one of certain"),
        (("-- sources: a dream\n", ""), "the header has no `sources`"),
        (("-- sources: a dream", "-- sources:"), "`sources` is empty"),
        (("-- sources: a dream", "-- sauces: a dream"), ":10: neither a field"),
        (("-- sources: a dream", "-- name: socket_caught_fire"), "`name` comes twice"),
        (("-- causes: a", "-- note\n-- causes: a"), ":6: neither a field"),
        ((SELECT, ""), "there is no SELECT"),
    ],
)
def test_what_is_wrong_with_a_header_is_said(change: tuple[str, str], complaint: str) -> None:
    text = (HEADER + SELECT).replace(*change)

    with pytest.raises(SignatureBroken) as caught:
        read_signature("socket_caught_fire.sql", text)
    assert complaint in str(caught.value)
    assert str(caught.value).startswith("socket_caught_fire.sql")


def test_a_comment_in_the_sql_is_no_header() -> None:
    text = HEADER + "SELECT session_id\n-- of all\nFROM sessions"

    assert read_signature("socket_caught_fire.sql", text).sql.count("-- of all") == 1


def test_all_signatures_can_be_read_and_have_replays_to_fill_in() -> None:
    signatures, places = load_signatures(), {"session", "target", "another_transcription_model"}

    assert [signature.name for signature in signatures] == sorted({signature.name for signature in signatures})
    for signature in signatures:
        for replay in signature.replays:
            assert replay.startswith("wiretape "), signature.name
            assert set(re.findall(r"\{(\w+)\}", replay)) <= places, signature.name


def test_replays_of_a_failed_transcription_go_one_at_a_time() -> None:
    # A deployment that transcribes one to three requests a minute would fail several at a time by itself.
    failing = re.compile(r"transcription_(quota|outage_window|model_path_failure)|azure_deployment_.*")
    replays = [
        replay for signature in load_signatures() if failing.fullmatch(signature.name) for replay in signature.replays
    ]

    assert len(replays) == 6
    assert all(replay.endswith(" --concurrency 1") for replay in replays)
