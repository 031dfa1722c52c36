"""What the Session screen does with a session's audio: play it, write it to files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding

from analyze.tui.lines import text
from analyze.tui.screens.base import SourceScreen
from analyze.tui.screens.confirm import ConfirmScreen
from analyze.tui.source import Source
from analyze.wav import wav_paths

if TYPE_CHECKING:
    from analyze.playing import Playback


class SessionAudio(SourceScreen[None]):
    """A screen of one session whose audio can be played and written."""

    KEYS: ClassVar[tuple[Binding, ...]] = (
        Binding("a", "play", "play", tooltip="Play the audio of the side at the cursor, or stop it"),
        Binding("w", "wav", "wav", tooltip="Write the audio of both sides as WAV files"),
    )

    def __init__(self, source: Source, session_id: str) -> None:
        super().__init__(source)
        self.session_id = session_id
        self.playback: Playback | None = None
        """What plays, or played last."""

    @property
    def side_at_cursor(self) -> str:
        """Whose audio is meant: `client` or `server`."""
        raise NotImplementedError

    def action_play(self) -> None:
        """Play the audio of the side that the cursor's event came from; stop it where it plays."""
        if self.playback is not None and not self.playback.ended.is_set():
            self._fall_silent()
            return
        track = self.side_at_cursor

        def plays(playback: Playback) -> None:
            # Of two that were asked for at once, one must not go on unheard of.
            self._fall_silent()
            self.playback = playback
            self.hint(f"the {track}'s audio plays: a stops it")

        self.complain("")
        self.ask(lambda: self.source.play(self.session_id, track), plays, kind="play")

    def _fall_silent(self) -> None:
        if self.playback is not None:
            self.playback.stop()
            self.playback = None

    def on_unmount(self) -> None:
        """Leave no sound behind."""
        self._fall_silent()

    def action_wav(self) -> None:
        """Write the audio to the current folder; ask first where a file is there already."""
        there = [path for path in wav_paths(self.session_id, Path.cwd()).values() if path.exists()]
        if not there:
            self._write_wav(overwrite=False)
            return
        lines = [text("There already:", "strong"), *(text(path.name) for path in there)]
        self.app.push_screen(ConfirmScreen(lines, "overwrite"), self._overwrite_wav)

    def _overwrite_wav(self, may: bool | None) -> None:
        if may:
            self._write_wav(overwrite=True)

    def _write_wav(self, *, overwrite: bool) -> None:
        def written(paths: Sequence[Path]) -> None:
            self.notify("\n".join(str(path) for path in paths), title="Written", markup=False)

        folder = Path.cwd()
        self.ask(lambda: self.source.write_wav(self.session_id, folder, overwrite=overwrite), written, kind="wav")
