from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.app import App, ComposeResult

from analyze.answers import FailureMatrix, MatrixCell
from analyze.tui.lines import plain, width_of
from analyze.tui.widgets.matrix import Fit, Matrix, cell_line, fit_cells
from replay.statistics import wilson

ROOMY = Fit(name=20, share=7, interval=10, left_out=3)


def cell(failed: int, trials: int, not_counted: int = 0) -> MatrixCell:
    return MatrixCell("row", "column", failed, trials, 0.61, 1.0, not_counted, ())


def test_a_cell_shows_sign_share_interval_and_what_was_not_counted() -> None:
    assert plain(cell_line(cell(6, 6, 2), ROOMY)) == "▲     6/6   61–100 % +2"
    assert plain(cell_line(cell(0, 20), ROOMY)) == "●    0/20   61–100 %"
    assert plain(cell_line(cell(0, 0, 4), ROOMY)) == "◐     0/0            +4"
    assert plain(cell_line(None, ROOMY)) == "·"


def test_a_cell_of_few_trials_is_pale() -> None:
    assert {run.tone for run in cell_line(cell(4, 4), ROOMY)} == {"pale"}
    assert [run.tone for run in cell_line(cell(5, 5), ROOMY)][:2] == ["heat3", "muted"]


@pytest.mark.parametrize(
    ("failed", "trials", "tone"),
    [
        (0, 20, "ok"),
        (1, 20, "failed"),
        (5, 20, "heat1"),
        (3, 5, "heat1"),
        (10, 20, "heat1"),
        (5, 5, "heat2"),
        (12, 20, "heat2"),
        (31, 31, "heat3"),
        (60, 80, "heat3"),
    ],
)
def test_a_cell_is_as_hot_as_it_fails_at_least(failed: int, trials: int, tone: str) -> None:
    low, high = wilson(failed, trials)
    line = cell_line(MatrixCell("row", "column", failed, trials, low, high, 0, ()), ROOMY)
    assert line[0].tone == tone


@pytest.mark.parametrize(("width", "roomy"), [(120, True), (80, False)])
def test_a_narrow_matrix_leaves_out_before_it_hides_columns(width: int, roomy: bool) -> None:
    fit = fit_cells(["gpt-4o-transcribe"], "transcription model \\ region", 3, [cell(6, 6, 2)], width)
    assert (fit.left_out > 0) is roomy
    assert width_of(cell_line(cell(6, 6, 2), fit)) <= fit.cell
    assert fit.name + 3 * (fit.cell + 3) <= width - 2


class MatrixApp(App[None]):
    def __init__(self, matrix: FailureMatrix) -> None:
        super().__init__()
        self.matrix = matrix
        self.chosen = 0

    def compose(self) -> ComposeResult:
        yield Matrix()

    def on_mount(self) -> None:
        self.query_one(Matrix).focus()
        self.query_one(Matrix).show(self.matrix)

    def on_matrix_cell_chosen(self) -> None:
        self.chosen += 1


async def test_columns_that_do_not_fit_come_with_the_cursor(source: Any, shown: Callable[[App[None]], str]) -> None:
    app = MatrixApp(source.failures(("region", "trial")))
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.press("end", *["left"] * 9)
        assert "│ 1" in shown(app)
        assert "│ all" not in shown(app)
        heading = shown(app).splitlines()[0].rstrip()
        assert (heading[0], heading[-1]) == (" ", "›")
        await pilot.press(*["right"] * 9)
        assert "│ all" in shown(app)
        heading = shown(app).splitlines()[0].rstrip()
        assert (heading[0], heading[-3:]) == ("‹", "all")


async def test_the_cursor_goes_by_pages_and_to_the_ends_of_many_rows(
    source: Any, shown: Callable[[App[None]], str]
) -> None:
    app = MatrixApp(source.failures(("session_id", "region")))
    async with app.run_test(size=(120, 10)) as pilot:
        matrix = app.query_one(Matrix)
        await pilot.press("end")
        assert matrix.at[0] == 21
        assert "›" in shown(app).splitlines()[-1]
        await pilot.press("pageup")
        assert matrix.at[0] == 14
        await pilot.press("home")
        assert matrix.at[0] == 0
        await pilot.press("pagedown")
        assert matrix.at[0] == 7
        # What enter opens is in sight.
        assert sum("›" in line for line in shown(app).splitlines()) == 1


async def test_a_second_click_on_a_cell_chooses_it(source: Any) -> None:
    app = MatrixApp(source.failures(("transcription_model", "region")))
    async with app.run_test(size=(120, 20)) as pilot:
        await pilot.click(Matrix, offset=(65, 3))
        assert app.query_one(Matrix).at == (1, 1)
        assert app.chosen == 0
        await pilot.click(Matrix, offset=(65, 3))
        assert app.chosen == 1
        await pilot.click(Matrix, offset=(65, 15))
        assert app.chosen == 1
