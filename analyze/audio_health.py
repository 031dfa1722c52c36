"""Judge the audio a client sent by the measures that sealing wrote: clean, or what is wrong with it; pure.

A clean verdict exonerates the audio, so a fault is only called one where clean audio cannot look like it. All limits
stand here; signatures read them as `audio_limit('NAME')`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

Severity = Literal["fault", "warning", "note"]

LIMITS = {
    # A word or two.
    "judged_from_ms": 500.0,
    # Speech that was brought to full scale touches it with a few samples; above one in a hundred it is distorted.
    "clipped_fault": 0.01,
    "clipped_warning": 0.002,
    # -40 dBFS: speech peaks at -20 to -3. Turn detection hardly hears what is below.
    "quiet_peak": 0.01,
    # Quiet speech is as lively as loud speech (15 dB and more); the room's noise is steady (below 5 dB).
    "lively_db": 12.0,
    # Converters leave less than 0.005.
    "dc_offset": 0.03,
    # A short sound is no speech, and a second without speech is no finding.
    "no_speech_ms": 100.0,
    "no_speech_of_ms": 2000.0,
    # The band of a telephone ends at 3.4 kHz, that of any 8 kHz audio at 4; speech reaches beyond 7.
    "telephone_band_hz": 4100.0,
    "telephone_from_rate": 16_000.0,
    # Below it there is no speech but a tone, and a tone repeats itself.
    "speech_band_hz": 2000.0,
    # Two chunks may be alike by chance.
    "duplicated_chunks": 3.0,
    # Jitter of timers and networks that is never made good stays below one part in a hundred.
    "missing_share": 0.02,
    "missing_ms": 300.0,
    "late_ms": 300.0,
    # A live stream at a wrong rate has the very ratio of the two rates; merely slow senders come near it by chance.
    "rate_tolerance": 0.015,
    # Over less time the length of the last chunk blurs the ratio.
    "rate_over_ms": 3000.0,
    "faster_than_live": 1.1,
}
"""Each with its reason above it; ms are milliseconds, shares are of 1."""

CAPTURE_RATES = (8000, 16_000, 44_100)
"""Rates that microphones and telephones give. 48 kHz declared as 24 has the pace of a file sent at double speed."""

_FORMATS = {
    "audio/pcm": "16-bit PCM",
    "audio/pcmu": "G.711 u-law",
    "audio/pcma": "G.711 A-law",
}


@dataclass(frozen=True, slots=True)
class SentAudio:
    """The measures of the audio a client sent; None where the recording has none (docs/recording-format.md)."""

    format: str
    rate: int
    duration_ms: float
    rms_dbfs: float | None = None
    peak: float | None = None
    clipped: int | None = None
    dc_offset: float | None = None
    speech_ms: float | None = None
    duplicated_chunks: int | None = None
    level_range_db: float | None = None
    bandwidth_hz: float | None = None
    looks_like: str | None = None
    pacing_ratio: float | None = None
    longest_append_gap_ms: float | None = None
    audio_missing_ms: float | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Take the measures from a row of the tracks view, joined with its session's."""
        return cls(**{field.name: row[field.name] for field in fields(cls)})


@dataclass(frozen=True, slots=True)
class AudioFact:
    """Something to say about the sent audio."""

    name: str
    """A signature's, where there is one of it."""
    severity: Severity
    """`fault`: it cannot be heard right; `warning`: it may not be; `note`: worth knowing."""
    words: str


@dataclass(frozen=True, slots=True)
class AudioHealth:
    """What is to be said about the audio a client sent."""

    facts: tuple[AudioFact, ...]
    is_measured: bool
    """Whether all was measured; recordings of earlier versions lack the band, the bytes and the pace."""
    sent_ms: float
    """How long plays what it rests on."""
    is_cut: bool = False
    """Whether more was sent: the session was cut to windows."""

    @property
    def is_wrong(self) -> bool:
        """Whether something is wrong with it: a fault, or a warning."""
        return any(fact.severity != "note" for fact in self.facts)

    @property
    def is_clean(self) -> bool:
        """Whether enough audio was sent and nothing is wrong with it, as far as it was measured."""
        return self.sent_ms >= LIMITS["judged_from_ms"] and not self.is_wrong

    @property
    def sentence(self) -> str:
        """Say it in one line, the worst first."""
        if self.sent_ms <= 0:
            return "none of the sent audio was kept" if self.is_cut else "no audio was sent"
        words = tuple(fact.words for fact in self.facts)
        if self.is_clean:
            clean = "audio is clean where it was kept" if self.is_cut else "audio is clean"
            words = (clean if self.is_measured else _CLEAN_AS_MEASURED, *words)
        elif not self.is_wrong:
            words = (f"{self.sent_ms / 1000:.1f} s of audio are too little to judge", *words)
        return "; ".join(words)


NO_AUDIO = AudioHealth((), is_measured=True, sent_ms=0.0)

_CLEAN_AS_MEASURED = "audio is clean as far as this recording measured it (level, clipping, offset, speech)"
_ORDER = ("fault", "warning", "note")


def judge(tracks: Sequence[SentAudio], *, whole_ms: float | None = None) -> AudioHealth:
    """Judge the sent audio of a session, one entry a format; that of which there is most speaks for it.

    `whole_ms`: how long all that was sent plays, where the session was cut to windows. Its pace is that of all.
    """
    heard = [sent for sent in tracks if sent.duration_ms > 0]
    kept_ms = sum(sent.duration_ms for sent in heard)
    is_cut = whole_ms is not None and whole_ms > kept_ms
    if not heard:
        return replace(NO_AUDIO, is_cut=is_cut)
    sent = max(heard, key=lambda each: each.duration_ms)
    facts = _facts(sent, whole_ms if whole_ms is not None and is_cut else sent.duration_ms)
    if is_cut:
        # Who waits for an answer says nothing: that windows around failures hold no speech is no wonder.
        facts = (replace(fact, severity="note") if fact.name == "no_speech" else fact for fact in facts)
    found = tuple(sorted(facts, key=lambda fact: _ORDER.index(fact.severity)))
    return AudioHealth(found, sent.level_range_db is not None, sent.duration_ms, is_cut)


def _facts(sent: SentAudio, paced_ms: float) -> Iterator[AudioFact]:
    yield from _repeats(sent)
    if sent.looks_like is not None:
        # Its level, band and pace are those of noise.
        yield _misread(sent, sent.looks_like)
        return
    yield from _level(sent)
    yield from _clipping(sent)
    yield from _offset(sent)
    yield from _band(sent)
    yield from _pace(sent, paced_ms)


def _misread(sent: SentAudio, looks_like: str) -> AudioFact:
    if looks_like == "swapped":
        return AudioFact("audio_bytes_swapped", "fault", "bytes look swapped: samples are sent high byte first")
    if looks_like == "shifted":
        words = "bytes look shifted by one: every sample is made of halves of two"
        return AudioFact("audio_bytes_swapped", "fault", words)
    sent_as, declared = _FORMATS.get(looks_like, looks_like), _FORMATS.get(sent.format, sent.format)
    return AudioFact("audio_wrong_format", "fault", f"sounds like {sent_as} declared as {declared}")


def _repeats(sent: SentAudio) -> Iterator[AudioFact]:
    count = sent.duplicated_chunks or 0
    if count >= LIMITS["duplicated_chunks"] and (sent.bandwidth_hz or 0.0) >= LIMITS["speech_band_hz"]:
        yield AudioFact("audio_chunks_duplicated", "fault", f"{count:,} chunks were sent twice")


def _level(sent: SentAudio) -> Iterator[AudioFact]:
    if sent.peak is None or sent.rms_dbfs is None:
        return
    is_lively = (sent.level_range_db or 0.0) >= LIMITS["lively_db"]
    if sent.peak < LIMITS["quiet_peak"] and is_lively:
        yield AudioFact("audio_too_quiet", "fault", f"very quiet: {sent.rms_dbfs:.0f} dBFS")
    elif (
        sent.speech_ms is not None
        and sent.speech_ms < LIMITS["no_speech_ms"]
        and sent.duration_ms >= LIMITS["no_speech_of_ms"]
    ):
        level = "digital silence" if sent.peak == 0 else f"{sent.rms_dbfs:.0f} dBFS"
        words = f"no speech in {sent.duration_ms / 1000:.0f} s of audio ({level})"
        yield AudioFact("no_speech", "warning", words)


def _clipping(sent: SentAudio) -> Iterator[AudioFact]:
    share = clipped_share(sent)
    if share >= LIMITS["clipped_warning"]:
        severity: Severity = "fault" if share >= LIMITS["clipped_fault"] else "warning"
        yield AudioFact("audio_clipped", severity, f"sent audio is clipped: {share:.1%} of its speech at full scale")


def clipped_share(sent: SentAudio) -> float:
    """Give the share of samples at full scale, of those of speech: silence cannot be clipped."""
    samples = (sent.speech_ms or sent.duration_ms) * sent.rate / 1000
    return min((sent.clipped or 0) / samples, 1.0) if samples else 0.0


def _offset(sent: SentAudio) -> Iterator[AudioFact]:
    # Where one side of the wave is cut off more than the other, that moves its mean.
    if clipped_share(sent) < LIMITS["clipped_warning"] and abs(sent.dc_offset or 0.0) >= LIMITS["dc_offset"]:
        yield AudioFact("dc_offset", "warning", f"DC offset {sent.dc_offset:.2f}")


def _band(sent: SentAudio) -> Iterator[AudioFact]:
    if sent.bandwidth_hz is None or sent.rate < LIMITS["telephone_from_rate"]:
        return
    if LIMITS["speech_band_hz"] <= sent.bandwidth_hz < LIMITS["telephone_band_hz"]:
        kilohertz = f"{sent.bandwidth_hz / 1000:.1f} kHz"
        words = f"sounds like 8 kHz audio sent as {sent.rate / 1000:g} kHz (nothing above {kilohertz})"
        yield AudioFact("narrow_band", "note", words)


def _pace(sent: SentAudio, paced_ms: float) -> Iterator[AudioFact]:
    if not sent.pacing_ratio:
        return
    passed_ms = paced_ms / sent.pacing_ratio
    missing_ms, late_ms = sent.audio_missing_ms or 0.0, sent.longest_append_gap_ms or 0.0
    true_rate = _captured_rate(sent, passed_ms)
    if missing_ms >= max(LIMITS["missing_ms"], LIMITS["missing_share"] * passed_ms):
        words = f"chunks missing: {missing_ms / 1000:.1f} s less audio than time while speaking"
        yield AudioFact("audio_chunks_missing", "fault", words)
    elif true_rate is not None:
        words = (
            f"sounds like {true_rate / 1000:g} kHz audio declared as {sent.rate / 1000:g} kHz:"
            f" {sent.pacing_ratio:.2f} s of audio for each second of speaking"
        )
        yield AudioFact("audio_wrong_rate", "fault", words)
    elif late_ms >= LIMITS["late_ms"]:
        yield AudioFact("late_chunks", "note", f"audio came up to {late_ms:,.0f} ms late while speaking")
    elif sent.pacing_ratio >= LIMITS["faster_than_live"]:
        yield AudioFact("faster_than_live", "note", f"sent {sent.pacing_ratio:.1f} times as fast as it plays")


def _captured_rate(sent: SentAudio, passed_ms: float) -> int | None:
    """Tell at which rate the audio was captured, where its pace says that it was not the declared one."""
    ratio = sent.pacing_ratio
    if not ratio or passed_ms < LIMITS["rate_over_ms"]:
        return None
    for rate in CAPTURE_RATES:
        # Twice or three times as fast is how files are sent; a live source at 16 kHz never is.
        is_telling = rate < sent.rate or rate == 44_100
        if is_telling and rate != sent.rate and abs(ratio * sent.rate / rate - 1) <= LIMITS["rate_tolerance"]:
            return rate
    return None


def limits_as_sql() -> str:
    """Give the limits to signatures: `audio_limit('clipped_fault')` and `capture_rates()`."""
    cases = " ".join(f"WHEN '{name}' THEN {limit!r}" for name, limit in LIMITS.items())
    return (
        f"CREATE OR REPLACE MACRO audio_limit(name) AS CASE name {cases} END;"
        f"CREATE OR REPLACE MACRO capture_rates() AS {list(CAPTURE_RATES)};"
    )
