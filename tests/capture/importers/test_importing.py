from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from capture.errors import UsageProblem
from capture.importers.importing import FileImport, Importer
from capture.recording.reader import list_session_ids, open_recording
from capture.recording.root import Root
from capture.rows import SessionRows
from tests.capture.importers.conftest import CREATED, UPDATE, Imported, dumped, har

Json = dict[str, Any]
LOG = "\n".join(json.dumps({"t": n / 10, "dir": "in", "event": CREATED}) for n in range(3))
KEY = "sk-proj-abcdefghijklmnopqrstuvwx1234"


def test_every_real_log_comes_back_as_it_was(shared: Path, root: Root) -> None:
    importer = Importer(root)
    for path in sorted((shared / "fixtures").glob("*.jsonl")):
        done = importer.import_file(path)
        (sealed,) = done.sessions
        logged = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        messages = list(open_recording(root, sealed.session_id).messages())
        assert [json.loads(message.content) for message in messages] == [each["data"] for each in logged], path.name
        assert [message.sender for message in messages] == [
            {"sent": "client", "received": "server"}[each["direction"]] for each in logged
        ]
        assert not any(message.redacted for message in messages), path.name
        # In order, each with its keys as they were.
        assert [list(json.loads(message.content)) for message in messages] == [list(each["data"]) for each in logged]
        assert (sealed.outcome, sealed.failure_keys, done.unreadable) == ("ok", (), []), path.name
        assert sealed.turns > 0


def test_the_same_file_is_not_imported_twice(import_text: Callable[..., FileImport], root: Root) -> None:
    (first,) = import_text(LOG).sessions
    second = import_text(LOG, "of-another-name.jsonl")
    assert (second.sessions, second.already) == ([], [first.session_id])
    assert second.is_done
    (third,) = import_text(LOG, again=True).sessions
    assert third.session_id != first.session_id
    assert len(list_session_ids(root)) == 2


def test_one_session_more_in_a_file_is_another_file(import_text: Callable[..., FileImport]) -> None:
    import_text(LOG)
    assert len(import_text(LOG + "\n" + json.dumps({"dir": "out", "event": UPDATE})).sessions) == 1


def test_a_byte_order_mark_is_no_part_of_the_file(import_text: Callable[..., FileImport]) -> None:
    assert import_text(b"\xef\xbb\xbf" + LOG.encode()).sessions[0].events_received == 3
    assert import_text(b"\xef\xbb\xbf" + LOG.encode()).unreadable == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_what_powershell_writes_is_read_to_the_last_line(import_text: Callable[..., FileImport], encoding: str) -> None:
    lines = "\r\n".join(dumped({"dir": who, "event": event}) for who, event in (("in", CREATED), ("out", UPDATE)))
    mark = "" if encoding == "utf-16" else "\ufeff"
    [session] = import_text((mark + lines).encode(encoding)).sessions
    assert (session.events_received, session.events_sent) == (1, 1)
    # A file is known by what it says, whatever its encoding.
    assert import_text(lines.encode(), "again.jsonl").already == [session.session_id]


def test_a_har_of_utf_16(import_text: Callable[..., FileImport]) -> None:
    message = {"type": "receive", "time": 1.5, "opcode": 1, "data": dumped(CREATED)}
    entry = {"request": {"url": "wss://example.com/"}, "_webSocketMessages": [message]}
    [session] = import_text(dumped(har(entry)).encode("utf-16"), "session.har").sessions
    assert session.events_received == 1


@pytest.mark.parametrize(
    ("begin", "how"), [(b"\x1f\x8b", "gzip -dk"), (b"PK\x03\x04", "unzip"), (b"\x28\xb5\x2f\xfd", "zstd -dk")]
)
def test_a_packed_file_is_told_to_be_unpacked(import_text: Callable[..., FileImport], begin: bytes, how: str) -> None:
    done = import_text(begin + bytes(20), "log.jsonl.gz")
    assert done.problem == f"it is packed: unpack it first, with {how}"
    assert (done.is_done, done.unreadable_count) == (False, 0)


def test_a_log_with_prefixes_says_what_a_line_is_to_be(import_text: Callable[..., FileImport]) -> None:
    done = import_text(f"2026-02-12 10:00:00,123 INFO openai {dumped(CREATED)}")
    assert "a log is to be one JSON object a line, such as" in (done.problem or "")


@pytest.mark.parametrize("content", ["", "\n\n", "hello\n", '{"level": "info"}\n', "[]", '{"log": {"entries": []}}'])
def test_a_file_without_sessions_is_said_to_have_none(import_text: Callable[..., FileImport], content: str) -> None:
    done = import_text(content)
    assert not done.is_done
    assert done.problem is not None


def test_a_file_that_cannot_be_opened_is_the_user_s_to_mend(root: Root, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=re.escape("cannot be read")):
        Importer(root).import_file(tmp_path / "missing.har")
    (tmp_path / "broken.zhar").write_bytes(b"no zlib")
    with pytest.raises(UsageProblem, match=re.escape("cannot be read")):
        Importer(root).import_file(tmp_path / "broken.zhar")


@pytest.mark.parametrize("made", ["bomb", "cut off"])
def test_a_packed_file_holds_no_more_than_memory_takes(
    made: str, root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("capture.importers.importing._UNPACKED_BYTES", 1 << 20)
    packed = zlib.compress(b" " * (1 << 20))
    (tmp_path / "x.zhar").write_bytes(packed[:-5] if made == "cut off" else zlib.compress(b" " * (2 << 20)))
    with pytest.raises(UsageProblem, match="it is cut off" if made == "cut off" else "more than 1 MiB: unpack it"):
        Importer(root).import_file(tmp_path / "x.zhar")
    (tmp_path / "x.zhar").write_bytes(packed)
    assert "no WebSocket session" in str(Importer(root).import_file(tmp_path / "x.zhar").problem)


def test_only_so_many_unreadable_lines_are_kept(import_text: Callable[..., FileImport]) -> None:
    done = import_text(LOG + "\n{" * 200)
    assert (len(done.unreadable), done.unreadable_count) == (50, 200)


def test_what_the_file_does_not_hold_is_said(import_text: Callable[..., FileImport]) -> None:
    (_, untold) = import_text(json.dumps({"dir": "in", "event": CREATED})).notes
    assert untold.endswith("the file does not tell: URL, handshake, end")


def test_an_interrupt_leaves_no_half_session(
    root: Root, import_text: Callable[..., FileImport], monkeypatch: pytest.MonkeyPatch
) -> None:
    two = LOG.replace('"dir"', '"session_id": "a", "dir"') + "\n" + LOG.replace('"dir"', '"session_id": "b", "dir"')
    taken = SessionRows.take

    def interrupted(rows: SessionRows, *args: Any, **kwargs: Any) -> Any:
        if len(list_session_ids(root)) == 1:
            raise KeyboardInterrupt
        return taken(rows, *args, **kwargs)

    monkeypatch.setattr(SessionRows, "take", interrupted)
    with pytest.raises(KeyboardInterrupt):
        import_text(two)
    assert len(list_session_ids(root)) == 1
    assert [path.name for path in root.path.rglob("*.tmp")] == []
    monkeypatch.undo()
    done = import_text(two)
    assert (len(done.already), len(done.sessions)) == (1, 1)


def test_ctrl_c_waits_for_a_place_between_two_messages(root: Root, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "log.jsonl").write_text(LOG)
    importer = Importer(root)
    taken: list[int] = []
    take = SessionRows.take

    def take_and_interrupt(rows: SessionRows, *args: Any, **kwargs: Any) -> Any:
        importer.interrupt()
        taken.append(1)
        return take(rows, *args, **kwargs)

    monkeypatch.setattr(SessionRows, "take", take_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        importer.import_file(tmp_path / "log.jsonl")
    assert (len(taken), list_session_ids(root)) == (1, [])
    with pytest.raises(KeyboardInterrupt):
        importer.interrupt()


def _secret_har() -> Json:
    refused = {"type": "error", "error": {"code": "invalid_api_key", "message": f"Incorrect API key provided: {KEY}"}}
    tool = {"type": "mcp", "server_label": "x", "authorization": "tool-password-1", "headers": {"X-Key": "tool-pass-2"}}
    update = {"type": "session.update", "session": {"tools": [tool]}}
    said = [("receive", CREATED), ("send", update), ("receive", refused)]
    return {
        "_resourceType": "websocket",
        "startedDateTime": "2026-02-12T08:30:55.200Z",
        "serverIPAddress": f"through a proxy with {KEY}",
        "request": {
            "method": "GET",
            "url": "wss://user:url-pass-3@api.openai.com/v1/realtime?model=m&api-key=query-pass-4",
            "headers": [
                {"name": "Authorization", "value": f"Bearer {KEY}"},
                {"name": "Cookie", "value": "session=cookie-pass-5"},
                {"name": "Sec-WebSocket-Protocol", "value": "realtime, openai-insecure-api-key.proto-pass-6"},
            ],
            "cookies": [{"name": "session", "value": "cookie-pass-5"}],
        },
        "response": {"status": 101, "headers": [{"name": "Set-Cookie", "value": "session=cookie-pass-7"}]},
        "_webSocketMessages": [
            {"type": kind, "time": 1770885055.3 + n, "opcode": 1, "data": json.dumps(event)}
            for n, (kind, event) in enumerate(said)
        ],
        "_webSocketClose": {"code": 3000, "reason": f"invalid_request_error.invalid_api_key {KEY}"},
    }


def test_secrets_never_reach_the_disk(imported: Callable[..., list[Imported]], root: Root) -> None:
    ((session, messages),) = imported(json.dumps(har(_secret_har())), "session.har")
    told = repr(session) + repr([(message.content, dict(message.row)) for message in messages])
    secrets = [KEY, *(f"pass-{n}" for n in range(2, 8)), "tool-password-1"]
    assert [secret for secret in secrets if secret in told] == []
    files = b"".join(path.read_bytes() for path in root.path.rglob("*") if path.is_file())
    assert [secret for secret in secrets if secret.encode() in files] == []
    assert [message.redacted for message in messages] == [False, True, True]
    assert session["close_code"] == 3000


def test_broken_lines_are_named_without_their_words(import_text: Callable[..., FileImport], root: Root) -> None:
    done = import_text(f'{LOG}\n{{"dir": "out", "event": {{"type": "x", "authorization": "{KEY}"')
    assert KEY not in repr(done)
    assert not any(KEY.encode() in path.read_bytes() for path in root.path.rglob("*.parquet"))


def test_redact_takes_out_what_must_not_be_kept(imported: Callable[..., list[Imported]]) -> None:
    spoken = {"type": "conversation.item.input_audio_transcription.completed", "transcript": "my name is Ann"}
    ((_, messages),) = imported(json.dumps({"dir": "in", "event": spoken}), redact=["transcripts"])
    assert json.loads(messages[0].content)["transcript"] == "x" * 14


def test_files_of_a_recording_are_private(import_text: Callable[..., FileImport], root: Root) -> None:
    import_text(LOG)
    assert {path.stat().st_mode & 0o777 for path in root.path.rglob("*.parquet")} == {0o600}
