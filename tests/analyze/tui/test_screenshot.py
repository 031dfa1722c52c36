from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from analyze.tui.screenshot import ScreenName, screenshot
from capture.recording.root import Root


@pytest.mark.parametrize("screen", get_args(ScreenName))
async def test_a_screen_becomes_a_picture(
    root: Root, failed_session: str, ok_session: str, tmp_path: Path, screen: ScreenName
) -> None:
    path = tmp_path / f"{screen}.svg"
    await screenshot(root, screen, (120, 40), path)
    picture = path.read_text(encoding="utf-8").replace("&#160;", " ").replace("\xa0", " ")
    assert picture.startswith("<svg")
    shown = {
        "sessions": "2 sessions",
        "session": failed_session,
        "diff": ok_session,
        "failures": "1/1",
        "sql": "most_frequent_failure",
        "replay": "What will be sent",
    }
    assert shown[screen] in picture
