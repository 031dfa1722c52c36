"""What is kept of a session: the decision, and recordings that were cut to windows."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from analyze.answers import Turn
from analyze.queries import Queries
from analyze.store import Store
from capture.audio import PCM16_24K
from capture.errors import UsageProblem
from capture.keeping import MARGIN_NS, OUTSIDE_WINDOW, WHOLE, Decision, decide, has_windows, parse_keep, windows_around
from capture.policy import RecordingPolicy
from capture.proxy import serve_proxy
from capture.recorder import Recorder
from capture.recording.facts import KeepRule, ReplayFacts, Sender, SessionEnd
from capture.recording.reader import Recording, list_session_ids, open_recording
from capture.recording.root import Root
from capture.sealing import Sealer, SealingFailed, leftover_journals, seal
from capture.targets import Target
from tests.capture.conftest import write_session_journal

SECOND_NS = 1_000_000_000
HOUR_NS = 3600 * SECOND_NS
SESSION_ID = "20260212T083055-4f3a9c12"
IDS = [f"20260212T083055-{number:08x}" for number in range(4000)]
Write = Callable[..., str]


# --- the rule -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keep", "rule"),
    [
        ("all", KeepRule()),
        ("failed", KeepRule(keep="failed")),
        ("sample:0.05", KeepRule(keep="sample", sample=0.05)),
        ("sample:0", KeepRule(keep="sample", sample=0.0)),
        ("sample:1", KeepRule(keep="sample")),
    ],
)
def test_a_rule_is_read(keep: str, rule: KeepRule) -> None:
    assert parse_keep(keep) == rule
    assert not has_windows(rule)


def test_a_rule_may_have_windows() -> None:
    rule = parse_keep("failed", 60, 15)
    assert rule == KeepRule(keep="failed", pre_s=60, post_s=15)
    assert has_windows(rule)
    assert not has_windows(None)


@pytest.mark.parametrize("keep", ["", "some", "sample", "sample:", "sample:1.01", "sample:-1", "sample:nan", "all:1"])
def test_what_is_no_rule_is_refused(keep: str) -> None:
    with pytest.raises(UsageProblem, match="--keep takes all, failed, or sample:P"):
        parse_keep(keep)


@pytest.mark.parametrize(("pre_s", "post_s"), [(-1, 5), (5, math.inf), (math.nan, 5)])
def test_windows_are_seconds(pre_s: float, post_s: float) -> None:
    with pytest.raises(UsageProblem, match="take seconds"):
        parse_keep("all", pre_s, post_s)


def test_one_side_of_a_window_is_not_enough() -> None:
    with pytest.raises(UsageProblem, match="--pre and --post go together"):
        parse_keep("all", 30)


# --- the decision ---------------------------------------------------------------------------------------------


def kept(rule: KeepRule | None, outcome: str, session_id: str = SESSION_ID, **more: Any) -> str:
    return decide(rule, session_id=session_id, **({"role": "captured", "outcome": outcome} | more)).kept


@pytest.mark.parametrize(
    ("keep", "outcome", "expected"),
    [
        ("all", "ok", "whole"),
        ("failed", "ok", "none"),
        ("failed", "failed", "whole"),
        ("failed", "incomplete", "whole"),
        ("sample:0", "ok", "none"),
        ("sample:0", "failed", "whole"),
        ("sample:0", "incomplete", "whole"),
        ("sample:1", "ok", "whole"),
    ],
)
def test_sessions_are_kept_by_their_outcome(keep: str, outcome: str, expected: str) -> None:
    assert kept(parse_keep(keep), outcome) == expected


def test_without_a_rule_everything_is_kept() -> None:
    assert kept(None, "ok") == "whole"


def test_replays_are_always_kept_whole() -> None:
    long: dict[str, Any] = {"role": "replayed", "failure_offsets_ns": [0], "duration_ns": HOUR_NS}
    assert kept(parse_keep("failed", 1, 1), "ok", **long) == "whole"
    assert kept(parse_keep("failed", 1, 1), "failed", **long) == "whole"


def test_a_sample_is_the_share_that_was_asked_for_and_the_same_every_time() -> None:
    rule = parse_keep("sample:0.1")
    drawn = [session_id for session_id in IDS if kept(rule, "ok", session_id) == "whole"]
    assert len(drawn) == pytest.approx(400, abs=80)
    assert drawn == [session_id for session_id in IDS if kept(rule, "ok", session_id) == "whole"]
    more = {session_id for session_id in IDS if kept(parse_keep("sample:0.2"), "ok", session_id) == "whole"}
    assert set(drawn) < more


def test_windows_that_touch_are_one() -> None:
    failures_ns = [100 * SECOND_NS, 10 * SECOND_NS, 13 * SECOND_NS]
    assert windows_around(failures_ns, 2, 1) == (
        (8 * SECOND_NS, 14 * SECOND_NS),
        (98 * SECOND_NS, 101 * SECOND_NS),
    )
    assert windows_around([SECOND_NS], 60, 0) == ((0, SECOND_NS),)


def test_a_window_without_end_holds_all_there_is() -> None:
    rule = parse_keep("all", 1e300, 1e300)
    failed_ns, ended_ns = 60 * SECOND_NS, 3_600 * SECOND_NS
    assert (
        decide(
            rule,
            session_id="s",
            role="captured",
            outcome="failed",
            failure_offsets_ns=[failed_ns],
            duration_ns=ended_ns,
        )
        == WHOLE
    )


@given(
    failures_ns=st.lists(st.integers(0, HOUR_NS), min_size=1, max_size=20),
    pre_s=st.floats(0, 60),
    post_s=st.floats(0, 60),
)
def test_windows_hold_every_failure_in_order_and_apart(failures_ns: list[int], pre_s: float, post_s: float) -> None:
    windows = windows_around(failures_ns, pre_s, post_s)
    assert all(any(from_ns <= at <= to_ns for from_ns, to_ns in windows) for at in failures_ns)
    edges = [edge for window in windows for edge in window]
    assert edges == sorted(edges)
    assert all(before[1] < after[0] for before, after in pairwise(windows))


def test_only_sessions_that_get_shorter_by_a_margin_are_cut() -> None:
    rule = parse_keep("all", 10, 5)
    failure: dict[str, Any] = {"failure_offsets_ns": [10 * SECOND_NS]}
    shortest_ns = 15 * SECOND_NS + MARGIN_NS
    assert kept(rule, "failed", **failure, duration_ns=shortest_ns - 1) == "whole"
    cut = decide(rule, session_id=SESSION_ID, role="captured", outcome="failed", duration_ns=shortest_ns, **failure)
    assert cut == Decision("window", ((0, 15 * SECOND_NS),))


def test_a_long_session_without_a_failure_has_no_window() -> None:
    assert kept(parse_keep("all", 10, 5), "ok", duration_ns=HOUR_NS) == "whole"
    assert kept(parse_keep("all", 10, 5), "incomplete", duration_ns=HOUR_NS) == "whole"
    assert kept(parse_keep("failed", 10, 5), "ok", duration_ns=HOUR_NS) == "none"


# --- sessions that go -----------------------------------------------------------------------------------------

CREATED = '{"type":"session.created","session":{"id":"sess_1","type":"realtime"}}'
ERROR = '{"type":"error","error":{"type":"server_error","code":null,"message":"The server had an error"}}'


def files(root: Root) -> list[str]:
    return [str(path) for path in root.path.rglob("*") if path.is_file()]


def test_a_session_that_is_not_kept_leaves_no_files(root: Root, write_journal: Write) -> None:
    sealed = seal(root.path, write_journal([("server", CREATED)], keep_rule=KeepRule(keep="failed")))
    assert (sealed.kept, sealed.outcome, sealed.events_received) == ("none", "ok", 1)
    assert files(root) == []
    assert (list_session_ids(root), leftover_journals(root)) == ([], [])
    with pytest.raises(SealingFailed, match="it has no journal"):
        seal(root.path, SESSION_ID)


def test_a_failed_session_is_kept(root: Root, write_journal: Write) -> None:
    sealed = seal(root.path, write_journal([("server", CREATED), ("server", ERROR)], keep_rule=KeepRule(keep="failed")))
    assert (sealed.kept, sealed.outcome) == ("whole", "failed")
    assert open_recording(root, SESSION_ID).session["kept"] == "whole"


def test_a_torn_session_is_kept(root: Root, write_journal: Write) -> None:
    journal = root.journal_of(
        write_journal([("server", CREATED)], keep_rule=KeepRule(keep="failed", pre_s=1, post_s=1))
    )
    with journal.open("rb+") as torn:
        torn.truncate(journal.stat().st_size - 5)
    assert seal(root.path, SESSION_ID).kept == "whole"


def test_a_recovery_decides_as_the_recorder_would_have(root: Root, write_journal: Write) -> None:
    rule = parse_keep("sample:0.5")
    sealer = Sealer(root)
    outcomes = {
        session_id: sealer.submit(write_journal([("server", CREATED)], session_id=session_id, keep_rule=rule))
        for session_id in IDS[:12]
    }
    sealer.close()
    decided = {session_id: future.result().kept for session_id, future in outcomes.items()}
    assert decided == {session_id: kept(rule, "ok", session_id) for session_id in IDS[:12]}
    assert list_session_ids(root) == [session_id for session_id in IDS[:12] if decided[session_id] == "whole"]


def test_a_refused_upgrade_is_kept_whole(root: Root, write_journal: Write) -> None:
    end = SessionEnd(offset_ns=HOUR_NS, end_reason="refused")
    seal(root.path, write_journal([("server", b"busy")], status=503, end=end, keep_rule=parse_keep("failed", 1, 1)))
    recording = open_recording(root, SESSION_ID)
    assert (recording.session["kept"], [message.content for message in recording.messages()]) == ("whole", ["busy"])


@pytest.mark.parametrize(("says", "is_kept"), [(CREATED, False), (ERROR, True)])
async def test_the_proxy_keeps_by_its_rule_and_says_so(
    root: Root, caplog: pytest.LogCaptureFixture, says: str, is_kept: bool
) -> None:
    async def endpoint(connection: ServerConnection) -> None:
        await connection.send(says)
        await connection.wait_closed()

    caplog.set_level("INFO")
    with Recorder(root, sealer=Sealer(root, in_process=True)) as recorder:
        policy = RecordingPolicy(keep_rule=parse_keep("failed"))
        async with serve(endpoint, "127.0.0.1", 0) as server:
            target = Target("endpoint", f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}")
            async with (
                serve_proxy(target, recorder, listen="127.0.0.1:0", policy=policy) as origin,
                connect(origin) as client,
            ):
                assert await client.recv() == says
    assert len(list_session_ids(root)) == is_kept
    assert bool(files(root)) == is_kept
    assert any(line.endswith("· not kept") for line in caplog.messages) != is_kept


# --- windows --------------------------------------------------------------------------------------------------

Said = tuple[float, Sender, dict[str, Any] | bytes]
CLOSE = b"\x88\x82\x00\x00\x00\x00\x03\xe8"
APPEND_BYTES = 961  # odd: samples go on over the ends of messages


def append(at_s: float, number: int) -> Said:
    audio = np.random.default_rng(number).integers(0, 256, APPEND_BYTES, dtype=np.uint8).tobytes()
    return at_s, "client", {"type": "input_audio_buffer.append", "audio": base64.b64encode(audio).decode()}


def seeded(at_s: float, number: int) -> Said:
    _, _, event = append(at_s, number)
    assert isinstance(event, dict)
    part = {"type": "input_audio", "audio": event["audio"]}
    item = {"id": f"seed_{number}", "type": "message", "role": "user", "content": [part]}
    return at_s, "client", {"type": "conversation.item.create", "item": item}


def a_long_call() -> list[Said]:
    """An append every second of an hour, a failure at 30:00 and one at 30:20, and a conversation all along."""
    said = [append(float(number), number) for number in range(3600)]
    said += [seeded(10.5, 10_001), seeded(1790.5, 10_002), seeded(3000.5, 10_003)]
    said += [
        (0.1, "server", {"type": "session.created", "session": {"id": "sess_1", "type": "realtime"}}),
        (0.2, "client", {"type": "session.update", "session": {"type": "realtime"}}),
        (0.3, "server", {"type": "session.updated", "session": {"id": "sess_1", "type": "realtime"}}),
        (50.1, "server", {"type": "rate_limits.updated", "rate_limits": []}),
        (60.1, "server", {"type": "conversation.item.added", "item": {"id": "item_a", "type": "message"}}),
        (60.2, "server", {"type": "response.output_audio.delta", "item_id": "item_b", "delta": "AAECAwQF"}),
        (60.3, "server", {"type": "response.done", "response": {"id": "resp_a", "status": "completed"}}),
        (70.1, "server", {"type": "input_audio_buffer.timeout_triggered", "item_id": "item_c"}),
        (1800.1, "server", json.loads(ERROR)),
        (1820.1, "server", json.loads(ERROR)),
        (3599.5, "client", CLOSE),
    ]
    return sorted(said, key=lambda one: one[0])


def seal_call(root: Root, write_journal: Write, said: list[Said], rule: KeepRule | None) -> Recording:
    texts = [(sender, event if isinstance(event, bytes) else json.dumps(event)) for _, sender, event in said]
    at_ns = [int(at_s * SECOND_NS) for at_s, _, _ in said]
    seal(root.path, write_journal(texts, at_ns=at_ns, keep_rule=rule))
    return open_recording(root, SESSION_ID)


@pytest.fixture
def cut(root: Root, write_journal: Write) -> Recording:
    """Give the long call cut to 30 s before and 10 s after each failure."""
    return seal_call(root, write_journal, a_long_call(), parse_keep("failed", 30, 10))


@pytest.fixture
def whole(root: Root, tmp_path: Path) -> Recording:
    """Give the same call, kept whole."""
    other = Root(tmp_path / "whole")
    return seal_call(other, partial(write_session_journal, other), a_long_call(), None)


def test_a_window_holds_what_was_around_the_failures_as_it_was(cut: Recording, whole: Recording) -> None:
    window_ns = (int(1770.1 * SECOND_NS), int(1830.1 * SECOND_NS))
    expected = [m for m in whole.messages() if window_ns[0] <= m.offset_ns <= window_ns[1]]
    found = [m for m in cut.messages() if not m.is_pinned]
    assert len(found) == 63
    for name in ("seq", "offset_ns", "sender", "kind", "type", "content"):
        assert [getattr(m, name) for m in found] == [getattr(m, name) for m in expected]
    assert [m.row["audio_start"] for m in found] == [m.row["audio_start"] for m in expected]


def test_configuration_conversation_and_goodbye_are_pinned(cut: Recording, whole: Recording) -> None:
    pinned = [m for m in cut.messages() if m.is_pinned]
    assert [m.type or m.kind for m in pinned] == [
        "session.created",
        "session.update",
        "session.updated",
        "conversation.item.create",
        "conversation.item.added",
        "response.done",
        "input_audio_buffer.timeout_triggered",
        "conversation.item.create",
        "close",
    ]
    by_seq = {m.seq: m.content for m in whole.messages()}
    assert [m.content for m in pinned] == [by_seq[m.seq] for m in pinned]


def test_what_was_left_out_stands_as_gaps_that_are_no_losses(cut: Recording, whole: Recording) -> None:
    session = cut.session
    assert session["kept"] == "window"
    left_out = {m.seq for m in whole.messages()} - {m.seq for m in cut.messages()}
    wire_bytes = {"client": 0, "server": 0}
    for m in whole.messages():
        wire_bytes[m.sender] += m.row["wire_bytes"] if m.seq in left_out else 0
    assert [(gap["sender"], gap["from_ns"], gap["to_ns"], gap["reason"]) for gap in session["gaps"]] == [
        ("client", 0, int(1770.1 * SECOND_NS), OUTSIDE_WINDOW),
        ("server", 0, int(1770.1 * SECOND_NS), OUTSIDE_WINDOW),
        ("client", int(1830.1 * SECOND_NS), int(3599.5 * SECOND_NS), OUTSIDE_WINDOW),
    ]
    for sender, left in wire_bytes.items():
        assert sum(gap["bytes"] for gap in session["gaps"] if gap["sender"] == sender) == left
    same = set(session) - {"kept", "gaps"}
    assert {name: session[name] for name in same} == {name: whole.session[name] for name in same}
    assert (session["complete"], session["lost_bytes"], session["outcome"]) == (True, 0, "failed")


def test_audio_that_was_left_out_is_a_hole(cut: Recording, whole: Recording) -> None:
    [span] = cut.spans("client")
    assert (span.start_byte, span.format, len(span.audio)) == (1771 * APPEND_BYTES, PCM16_24K, 60 * APPEND_BYTES)
    [(_, audio)] = whole.audio("client")
    assert audio[span.start_byte :].startswith(span.audio)
    # The seeded items are all kept, and end to end.
    assert cut.audio("other") == whole.audio("other")
    assert cut.audio("server") == []


def test_windows_apart_leave_a_hole_between_them(root: Root, write_journal: Write, whole: Recording) -> None:
    recording = seal_call(root, write_journal, a_long_call(), parse_keep("all", 3, 2))
    assert [(span.start_byte, len(span.audio)) for span in recording.spans("client")] == [
        (1798 * APPEND_BYTES, 5 * APPEND_BYTES),
        (1818 * APPEND_BYTES, 5 * APPEND_BYTES),
    ]
    by_seq = {m.seq: m.content for m in whole.messages()}
    assert all(m.content == by_seq[m.seq] for m in recording.messages())
    assert [gap["sender"] for gap in recording.session["gaps"]].count("client") == 3


def test_a_short_call_is_kept_whole(root: Root, write_journal: Write) -> None:
    said = [one for one in a_long_call() if one[0] < 1835]
    recording = seal_call(root, write_journal, said, parse_keep("failed", 1800, 10))
    assert (recording.session["kept"], recording.session["gaps"]) == ("whole", [])
    assert not any(m.is_pinned for m in recording.messages())


def test_a_long_call_that_went_well_is_dropped_or_kept_whole(root: Root, write_journal: Write) -> None:
    said = [one for one in a_long_call() if one[1] == "client" or one[0] < 1800]
    assert seal_call(root, write_journal, said, parse_keep("all", 30, 10)).session["kept"] == "whole"
    root.table_file("sessions", SESSION_ID).unlink()
    with pytest.raises(UsageProblem, match="there is no recording"):
        seal_call(root, write_journal, said, parse_keep("failed", 30, 10))


def test_a_replay_is_kept_whole_whatever_its_rule(root: Root, write_journal: Write) -> None:
    replay = ReplayFacts(run_id="r1", replay_of="x", cell="cell", trial=1)
    texts = [("server", CREATED), ("client", '{"type":"x"}')]
    sealed = seal(
        root.path,
        write_journal(texts, at_ns=[0, HOUR_NS], role="replayed", replay=replay, keep_rule=parse_keep("failed", 1, 1)),
    )
    assert sealed.kept == "whole"


def test_what_never_came_is_looked_for_where_it_was_due(root: Root, write_journal: Write) -> None:
    said = [one for one in a_long_call() if one[1] == "client" or one[0] < 100]
    said.append((1500.1, "client", {"type": "response.create"}))
    recording = seal_call(root, write_journal, sorted(said, key=lambda one: one[0]), parse_keep("failed", 20, 5))
    assert recording.session["failure_keys"] == ["absent:response.created"]
    inside = [m for m in recording.messages() if not m.is_pinned]
    assert (inside[0].offset_ns, inside[-1].offset_ns) == (1481 * SECOND_NS, 1505 * SECOND_NS)


def test_a_cut_session_can_be_looked_at(cut: Recording) -> None:
    with Store(cut.root) as store:
        queries = Queries(store)
        # Heard where it was said: the window is the middle minute of the hour.
        levels = queries.levels(SESSION_ID, "client", 60)
        assert [minute for minute, level in enumerate(levels) if level] == [29, 30]
        assert queries.timeline(SESSION_ID)
        [row] = store.rows("SELECT kept, outcome, lost_bytes FROM sessions")
    assert row == {"kept": "window", "outcome": "failed", "lost_bytes": 0}


# --- what is said of a cut session ----------------------------------------------------------------------------


def a_turn(at_s: float, number: int) -> list[Said]:
    """Speech that ends, and an answer of five seconds half a second later."""
    item, response, answer = f"item_{number}", f"resp_{number}", f"answer_{number}"
    buffer, delta = "input_audio_buffer", {"type": "response.output_audio.delta", "response_id": response}
    words = {"type": "response.output_audio_transcript.delta", "response_id": response, "item_id": answer}
    told = {"type": "output_audio", "transcript": f"all of answer {number}"}
    done = {"id": response, "status": "completed", "output": [{"id": answer, "content": [told]}]}
    return [
        (at_s, "server", {"type": f"{buffer}.speech_stopped", "item_id": item}),
        (at_s + 0.05, "server", {"type": f"{buffer}.committed", "item_id": item}),
        (at_s + 0.1, "server", {"type": "response.created", "response": {"id": response}}),
        *((at_s + 0.5 + n, "server", delta | {"item_id": answer, "delta": "AAECAwQF"}) for n in range(6)),
        *((at_s + 0.6 + n, "server", words | {"delta": f"word{n} "}) for n in range(6)),
        (
            at_s + 5.9,
            "server",
            words | {"type": "response.output_audio_transcript.done", "transcript": f"all of answer {number}"},
        ),
        (at_s + 6.0, "server", {"type": "response.done", "response": done}),
    ]


@pytest.fixture
def turns_of(root: Root, tmp_path: Path, write_journal: Write) -> Callable[[KeepRule | None], list[Turn]]:
    """Give the turns of a long call with three: before the windows, over the edge of one, and behind them."""
    said = sorted([*a_long_call(), *a_turn(900, 1), *a_turn(1767, 2), *a_turn(2400, 3)], key=lambda one: one[0])

    def turns(rule: KeepRule | None) -> list[Turn]:
        other = Root(tmp_path / f"{rule is None}")
        seal_call(other, partial(write_session_journal, other), said, rule)
        with Store(other) as store:
            return list(Queries(store).session(SESSION_ID).turns)

    return turns


def test_a_commit_that_was_refused_in_a_window_is_not_that_of_a_later_turn(
    root: Root, tmp_path: Path, write_journal: Write
) -> None:
    buffer = "input_audio_buffer"
    said = [
        *a_long_call(),
        # Beside the failure; and a turn ten minutes later.
        (1801.0, "client", {"type": f"{buffer}.commit"}),
        (1801.5, "server", {"type": f"{buffer}.speech_started", "item_id": "item_none"}),
        (2400.0, "client", {"type": f"{buffer}.commit"}),
        (2400.2, "server", {"type": f"{buffer}.committed", "item_id": "item_1"}),
        (2400.3, "server", {"type": "response.created", "response": {"id": "resp_1"}}),
        (2401.0, "server", {"type": "response.done", "response": {"id": "resp_1", "status": "completed"}}),
    ]
    seal_call(root, write_journal, sorted(said, key=lambda one: one[0]), parse_keep("failed", 30, 10))
    with Store(root) as store:
        turn = Queries(store).session(SESSION_ID).turns[-1]
    assert turn.committed_ms == 2_400_200
    assert turn.speech_started_ms is None
    assert turn.asked_ms is None


def test_the_first_words_of_a_transcription_are_not_those_that_a_window_begins_with(
    root: Root, tmp_path: Path, write_journal: Write
) -> None:
    piece, item = "conversation.item.input_audio_transcription.delta", {"item_id": "item_1", "content_index": 0}
    said = [
        *a_long_call(),
        # The window begins at 1,770 s, in the middle of what is transcribed.
        (1769.0, "server", {"type": "input_audio_buffer.committed", "item_id": "item_1"}),
        (1769.5, "server", {"type": piece, "delta": "What is ", **item}),
        (1770.5, "server", {"type": piece, "delta": "the weather?", **item}),
        (1770.6, "server", {"type": piece.replace("delta", "completed"), "transcript": "What is the weather?", **item}),
    ]
    seal_call(root, write_journal, sorted(said, key=lambda one: one[0]), parse_keep("failed", 30, 10))
    with Store(root) as store:
        turn = Queries(store).session(SESSION_ID).turns[-1]
    assert (turn.committed_ms, turn.transcribed_ms, turn.transcript) == (1_769_000, 1_770_600, "What is the weather?")
    assert turn.first_transcript_ms is None


def test_the_turns_of_a_cut_session_take_as_long_as_they_took(
    turns_of: Callable[[KeepRule | None], list[Turn]],
) -> None:
    whole, cut = turns_of(None), turns_of(parse_keep("failed", 30, 10))
    assert [turn.first_audio_latency_ms for turn in whole[-3:]] == [500.0] * 3
    for name in ("commit_ms", "first_audio_latency_ms", "response_latency_ms", "speech_stopped_ms", "first_audio_ms"):
        times = [[getattr(turn, name) for turn in turns] for turns in (cut, whole)]
        assert times[0] == pytest.approx(times[1], nan_ok=True), name


def test_answers_outside_the_windows_are_there_as_text(turns_of: Callable[[KeepRule | None], list[Turn]]) -> None:
    turns = turns_of(parse_keep("failed", 30, 10))
    assert [turn.answer for turn in turns[-3:]] == ["all of answer 1", "all of answer 2", "all of answer 3"]


def test_of_an_answer_over_the_edge_of_a_window_nothing_is_measured(root: Root, write_journal: Write) -> None:
    said = sorted([*a_long_call(), *a_turn(1767, 1), *a_turn(1827, 2)], key=lambda one: one[0])
    seal_call(root, write_journal, said, parse_keep("failed", 30, 10))
    with Store(root) as store:
        rows = store.rows(
            "SELECT first_audio_ms, last_audio_ms, audio_bytes FROM responses"
            " WHERE response_id IN ('resp_1', 'resp_2') ORDER BY response_id"
        )
    assert rows == [
        {"first_audio_ms": None, "last_audio_ms": 1_772_500.0, "audio_bytes": None},
        {"first_audio_ms": 1_827_500.0, "last_audio_ms": None, "audio_bytes": None},
    ]


def test_of_an_answer_whose_beginning_and_audio_lie_in_windows_apart_nothing_is_measured(
    root: Root, write_journal: Write
) -> None:
    audio = {"type": "response.output_audio.delta", "response_id": "resp_1", "item_id": "item_1", "delta": "AAECAwQF"}
    said = [
        *a_long_call(),
        (1802.0, "server", {"type": "response.created", "response": {"id": "resp_1"}}),
        # The windows end at 1,802.1 s, and begin again at 1,818.1 s.
        *((1802.5 + n, "server", audio) for n in range(18)),
        (1821.0, "server", {"type": "response.done", "response": {"id": "resp_1", "status": "completed"}}),
        (1821.2, "server", {"type": "response.created", "response": {"id": "resp_2"}}),
        (1821.5, "server", audio | {"response_id": "resp_2"}),
        (1821.9, "server", {"type": "response.done", "response": {"id": "resp_2", "status": "completed"}}),
    ]
    seal_call(root, write_journal, sorted(said, key=lambda one: one[0]), parse_keep("failed", 2, 2))
    with Store(root) as store:
        rows = store.rows(
            "SELECT created_ms, first_audio_ms, last_audio_ms, audio_bytes, done_ms FROM responses"
            " WHERE response_id IN ('resp_1', 'resp_2') ORDER BY response_id"
        )
    assert [tuple(row.values()) for row in rows] == [
        (1_802_000.0, None, 1_819_500.0, None, 1_821_000.0),
        (1_821_200.0, 1_821_500.0, 1_821_500.0, 6, 1_821_900.0),
    ]
