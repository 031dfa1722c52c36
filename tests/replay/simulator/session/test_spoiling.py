import pytest

from replay.simulator.faults.effects import AudioCut, AudioEffect, AudioGaps, AudioWithheld
from replay.simulator.session.runs import Event
from replay.simulator.session.spoiling import Moment, Part, end_early, leave_undone, spoil_audio


def nothing() -> list[Event]:
    return []


def moment(at_ms: float, part: Part) -> Moment:
    return Moment(at_ms, part, nothing)


# Three words 20 ms apart and four pieces of audio 40 ms apart, as an answer plans them.
ANSWER = [
    moment(0, "created"),
    moment(100, "opened"),
    *(moment(100 + index * 20, "words") for index in range(3)),
    *(moment(100 + index * 40, "audio") for index in range(4)),
    moment(260, "closed"),
    moment(260, "done"),
    moment(300, "limits"),
]


def outline(moments: list[Moment]) -> list[tuple[float, str]]:
    return [(moment.at_ms, moment.part) for moment in sorted(moments, key=lambda moment: moment.at_ms)]


def audio_ms(moments: list[Moment]) -> list[float]:
    return [moment.at_ms for moment in moments if moment.part == "audio"]


def test_unspoilt_it_stays_as_it_is() -> None:
    assert spoil_audio(ANSWER, None) == ANSWER


def test_gaps_delay_the_audio_and_the_end_but_no_words() -> None:
    spoilt = spoil_audio(ANSWER, AudioGaps(gap_ms=1000, after_deltas=1, times=2))

    assert audio_ms(spoilt) == [100, 1140, 2180, 2220]
    assert [moment.at_ms for moment in spoilt if moment.part == "words"] == [100, 120, 140]
    assert outline(spoilt)[-3:] == [(2260, "closed"), (2260, "done"), (2300, "limits")]


def test_an_answer_too_short_for_its_gaps_has_fewer() -> None:
    assert audio_ms(spoil_audio(ANSWER, AudioGaps(gap_ms=1000, after_deltas=3, times=5))) == [100, 140, 180, 1220]


@pytest.mark.parametrize(
    ("effect", "kept"),
    [(AudioCut(0.25), 1), (AudioCut(0.3), 2), (AudioCut(1), 4), (AudioCut(0), 0), (AudioWithheld(), 0)],
)
def test_audio_that_is_lost_leaves_all_else(effect: AudioEffect, kept: int) -> None:
    spoilt = spoil_audio(ANSWER, effect)

    assert audio_ms(spoilt) == [100, 140, 180, 220][:kept]
    assert [one for one in spoilt if one.part != "audio"] == [one for one in ANSWER if one.part != "audio"]


@pytest.mark.parametrize(
    ("after_deltas", "expected"),
    [
        (0, [(0, "created"), (100, "done"), (140, "limits")]),
        (2, [(0, "created"), (100, "opened"), (100, "words"), (100, "audio"), (120, "done"), (160, "limits")]),
        (99, [*outline(ANSWER)[:-3], (260, "done"), (300, "limits")]),
    ],
)
def test_ended_early_so_many_deltas_come(after_deltas: int, expected: list[tuple[float, str]]) -> None:
    def end() -> list[Event]:
        return [{"type": "response.done"}]

    ended = end_early(ANSWER, after_deltas, end)

    assert outline(ended) == expected
    assert [one.live for one in ended if one.part == "done"] == [end]


def test_undone_it_has_all_but_its_end() -> None:
    assert outline(leave_undone(ANSWER)) == outline(ANSWER)[:-2]
