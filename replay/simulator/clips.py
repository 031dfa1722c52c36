"""What the simulated model says: shipped clips and their words, encoded once for every session."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pybase64

from capture.audio import AudioFormat, clip_as

_FOLDER = Path(__file__).parent / "clips"
CHUNK_MS = 200
"""Audio in one `response.output_audio.delta`."""


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """One delta of an answer: its bytes, and the base64 that goes on the wire."""

    audio: bytes
    base64: str


def list_clips() -> list[str]:
    """List the names of the shipped clips."""
    return sorted(path.stem for path in _FOLDER.glob("*.flac"))


def check_clip(name: str) -> None:
    """Refuse a clip that is not shipped; raises `ValueError` with the list."""
    if name not in list_clips():
        raise ValueError(f"the simulator has no clip {name!r}: take one of {', '.join(list_clips())}")


def clip_path(name: str) -> Path:
    """Find a shipped clip; raises `ValueError` with the list for another name."""
    check_clip(name)
    return _FOLDER / f"{name}.flac"


@cache
def read_text(name: str) -> str:
    """Read what is said in a clip."""
    return clip_path(name).with_suffix(".txt").read_text(encoding="utf-8").strip()


@cache
def read_chunks(name: str, audio_format: AudioFormat) -> tuple[AudioChunk, ...]:
    """Read a clip as the deltas of an answer in a format."""
    audio = clip_as(clip_path(name), audio_format)
    size = int(CHUNK_MS * audio_format.bytes_per_ms)
    pieces = [audio[start : start + size] for start in range(0, len(audio), size)]
    return tuple(AudioChunk(piece, pybase64.b64encode(piece).decode()) for piece in pieces)


@cache
def split_tokens(text: str) -> tuple[str, ...]:
    """Split a text as transcript deltas do: words with the space before them, punctuation alone."""
    return tuple(re.findall(r"\s*[\w']+|\s*[^\w\s]", text))
