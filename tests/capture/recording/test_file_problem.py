from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from capture.recording.file_problem import UNREADABLE, FileProblem, brief


def test_what_is_no_parquet_is_told_in_a_line_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "damaged.parquet"
    path.write_bytes(b"PAR1 and nothing more")
    with pytest.raises(UNREADABLE) as caught:
        pq.read_table(path)
    problem = FileProblem(path, brief(caught.value))
    assert "Parquet magic bytes not found" in problem.reason
    assert str(problem) == f"{path}: {problem.reason}"
    assert "\n" not in str(problem)
