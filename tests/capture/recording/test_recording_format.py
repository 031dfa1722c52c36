"""docs/recording-format.md says what is so: its columns, and its recipes, run as they stand there."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from capture.recording.annotations import ANNOTATIONS
from capture.recording.facts import KeepRule, Sender
from capture.recording.root import Root
from capture.recording.schema import FORMAT_VERSION, TABLES
from capture.sealing import seal

DOCUMENT = (Path(__file__).parents[3] / "docs" / "recording-format.md").read_text()
SCHEMAS = TABLES | {"annotations": ANNOTATIONS}
FORMAT = '{"type":"session.update","session":{"type":"realtime","audio":{"input":{"format":{"type":"audio/pcmu"}}}}}'


def section(title: str) -> str:
    """Give a section of the document, up to the next heading of its level or above."""
    level = title.partition(" ")[0]
    body = DOCUMENT.partition(f"\n{title}\n")[2]
    return re.split(rf"\n#{{1,{len(level)}}} ", body)[0]


def code(title: str, language: str) -> str:
    return section(title).partition(f"```{language}\n")[2].partition("```")[0]


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


@pytest.mark.parametrize("table", SCHEMAS)
def test_every_column_is_documented_with_its_sql_type(
    table: str, tmp_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    path = tmp_path / "empty.parquet"
    pq.write_table(SCHEMAS[table].empty_table(), path)
    described = connection.execute(f"DESCRIBE SELECT * FROM '{path}'").fetchall()  # noqa: S608 - a path of ours
    documented = re.findall(r"^\| `(\w+)` \| `(.+?)` \| (.+) \|$", section(f"## {table}"), re.MULTILINE)
    assert [(column, sql_type) for column, sql_type, _ in documented] == [(row[0], row[1]) for row in described]
    assert all(meaning.strip().endswith(".") for _, _, meaning in documented)


def test_the_version_is_the_documents() -> None:
    assert DOCUMENT.startswith(f"# Recording format, version {FORMAT_VERSION}\n")


def test_the_sql_recipe_restores_messages_of_raw_blocks(
    root: Root, write_journal: Callable[..., str], connection: duckdb.DuckDBPyConnection
) -> None:
    random = Random(1)
    # Longer than a block (80,000 bytes): messages span two and three of them.
    spoken = [random.randbytes(size) for size in (160, 79_990, 161, 170_000, 3)]
    said = [FORMAT, *(append("𝄞", audio) for audio in spoken), '{"type":"é"}', "no JSON"]
    seal(root.path, write_journal([("client", text) for text in said] + [("client", b"\x89\x80\0\0\0\0")]))
    rows = connection.execute(code("### Plain SQL", "sql").replace("ROOT", str(root.path))).fetchall()
    assert [row[4] for row in rows] == [*said, None]
    assert rows[-1][5] == b""
    assert [(row[1], row[2]) for row in rows] == [(seq, "client") for seq in range(len(rows))]


def test_the_sql_recipe_gives_null_where_a_block_is_flac(
    root: Root, write_journal: Callable[..., str], connection: duckdb.DuckDBPyConnection
) -> None:
    seal(root.path, write_journal([("client", append("", b"\0" * 9600)), ("client", "{}")]))
    rows = connection.execute(code("### Plain SQL", "sql").replace("ROOT", str(root.path))).fetchall()
    assert [row[4] for row in rows] == [None, "{}"]


def test_the_python_recipe_restores_every_message(
    root: Root, write_journal: Callable[..., str], tmp_path: Path
) -> None:
    wave = np.tile(np.arange(-12_000, 12_000, dtype="<i2"), 25).tobytes()
    said: list[tuple[Sender, str]] = [
        ("client", append("é", wave[:700_001])),
        ("client", append("", wave[700_001:])),
        ("server", '{"type":"response.output_audio.delta","delta":"AAAA"}'),
        ("client", FORMAT),
        ("client", append("", b"\x7f" * 99_999)),
        ("server", "no JSON"),
    ]
    session_id = write_journal(said)
    seal(root.path, session_id)
    assert "flac" in pq.read_table(root.table_file("audio", session_id), partitioning=None)["codec"].to_pylist()
    recipe = tmp_path / "recipe.py"
    recipe.write_text(code("### Python, without Wiretape", "python"))
    run = subprocess.run([sys.executable, recipe, root.path, session_id], capture_output=True, check=True, cwd=tmp_path)
    assert [base64.b64decode(line).decode() for line in run.stdout.splitlines()] == [text for _, text in said]


def test_the_python_recipe_knows_holes(root: Root, write_journal: Callable[..., str], tmp_path: Path) -> None:
    wave = np.arange(0, 24_000, dtype="<i2").tobytes()
    said = [("client", append(str(number), wave[number : number + 9_600])) for number in range(60)]
    said[30] = ("server", '{"type":"error","error":{"type":"server_error"}}')
    at_ns = [number * 1_000_000_000 for number in range(60)]
    rule = KeepRule(pre_s=3, post_s=2)
    seal(root.path, write_journal(said, at_ns=at_ns, keep_rule=rule))
    recipe = tmp_path / "recipe.py"
    recipe.write_text(code("### Python, without Wiretape", "python"))
    command = [sys.executable, str(recipe), str(root.path), "20260212T083055-4f3a9c12"]
    run = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path)
    kept = [base64.b64decode(line).decode() for line in run.stdout.splitlines()]
    assert kept == [text for _, text in said[27:33]]


def test_the_wiretape_recipe_runs(
    root: Root, write_journal: Callable[..., str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seal(root.path, write_journal([("client", append("", b"\0" * 9600))]))
    monkeypatch.setenv("WIRETAPE_RECORDINGS", str(root.path))
    exec(code("### With Wiretape", "python"), {})  # noqa: S102 - the document's own words
    assert capsys.readouterr().out == f"0 client event {append('', bytes(9600))}\n"


def append(note: str, audio: bytes) -> str:
    encoded = base64.b64encode(audio).decode()
    return f'{{"type":"input_audio_buffer.append","note":"{note}","audio":"{encoded}","more":1}}'
