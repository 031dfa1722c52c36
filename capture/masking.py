"""What a company must not keep, as `--redact` names it: contents go, lengths and timing stay; pure.

Applied when a session is sealed, so that it never stands in the way of a call; heads, tags and reasons already
when they are written. Every character of what goes is an `x`, so that it can be told how much was said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote_plus

import pybase64
from msgspec.structs import replace

from capture.audio import AudioFormat
from capture.errors import UsageProblem
from capture.literals import Edit, Literal, Span, apply_edits, decoded, literals, merged, overlapping, spelled, touched
from capture.recording.facts import (
    Divergence,
    Fact,
    HandshakeRequest,
    HandshakeResponse,
    Rewrite,
    SessionEnd,
    SessionFacts,
)
from capture.redaction import redact_message, redact_setting, redact_text

TRANSCRIPTS, AUDIO = "transcripts", "audio"
MASK = "x"

NAMED_PATTERNS = {
    "emails": r"[\w.%+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}",
    "phones": r"(?<![\w.+-])\+?\(?\d(?:[ ()./-]{0,2}\d){6,14}(?![\w.-]*\w)",
    "cards": r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w.-]*\w)",
}
"""Patterns that have a name. They look at strings only: a JSON number of ten digits is a time, not a telephone."""
_EMAILS = re.compile(NAMED_PATTERNS["emails"])

# What people said, or tools told, stands under these keys, whatever the event and the dialect.
_SPEECH_KEYS = frozenset({"transcript", "text", "refusal", "content", "arguments", "output"})
# Configuration stays: it is what a failure is explained with.
_CONFIGURATION_KEYS = frozenset({"tools", "prompt", "metadata"})
_DIGIT = re.compile(r"\d")
# Typed columns with words of a fixed vocabulary, and our own ids: nothing that anybody said.
_OWN_COLUMNS = frozenset(
    {"kind", "sender", "payload", "payload_bytes", "audio_track", "at", "format_version", "tool_version", "recorder_id"}
    | {"role", "kept", "dialect", "provider", "closed_by", "outcome", "trial_kind", "trial_outcome", "run_id"}
    | {"replay_of", "minimized_from", "input_format", "output_format", "http_method", "gaps"}
)
# Without these the bytes of a session cannot be read.
_FRAMING_HEADERS = frozenset({"upgrade", "connection", "sec-websocket-extensions"})


@dataclass(frozen=True)
class Masks:
    """What is taken out of one session, and how."""

    transcripts: bool = False
    audio: bool = False
    patterns: tuple[re.Pattern[str], ...] = ()
    """Looked for in everything: `/REGEX/`."""
    string_patterns: tuple[re.Pattern[str], ...] = ()
    """Looked for in text and strings, not in numbers: those that have a name."""

    def __bool__(self) -> bool:
        """Whether anything is to be taken out."""
        return bool(self.transcripts or self.audio or self.patterns or self.string_patterns)

    @property
    def hides_unreadable(self) -> bool:
        """Whether what cannot be read must go whole: nobody can tell whether it is speech."""
        return self.transcripts or self.audio

    @property
    def _all_patterns(self) -> tuple[re.Pattern[str], ...]:
        return self.patterns + self.string_patterns

    def message_edits(self, text: str, event_type: str | None, audio_format: AudioFormat) -> list[Edit]:
        """List what goes out of a JSON message, audio that is still in it included."""
        raw = merged([match.span() for pattern in self.patterns for match in pattern.finditer(text)])
        edits: list[Edit] = []
        for literal in literals(text):
            edits += self._literal_edits(text, literal, event_type, audio_format, raw)
        return edits

    def plain(self, text: str) -> str:
        """Mask every match of the patterns in a text that is no JSON."""
        return apply_edits(text, [_masked(span) for span in self._matches(text)])

    def url(self, url: str) -> str:
        """Mask a URL: as it is spelled, and the values in its query as they are meant."""
        head, question, query = self.plain(url).partition("?")
        return f"{head}{question}{'&'.join(map(self._query_pair, query.split('&')))}"

    def content(self, content: bytes) -> bytes:
        """Mask bytes that are no text message: zeroes where speech may be in them, else matches of the patterns."""
        return bytes(len(content)) if self.hides_unreadable else self.matches_in(content)

    def matches_in(self, content: bytes) -> bytes:
        """Mask every match of the patterns in bytes, as far as they are UTF-8."""
        if not self._all_patterns:
            return content
        text = content.decode("utf-8", "surrogateescape")
        edits = [
            (start, end, MASK * len(text[start:end].encode("utf-8", "surrogateescape")))
            for start, end in self._matches(text)
        ]
        return apply_edits(text, edits).encode("utf-8", "surrogateescape")

    def columns(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Mask every match of the patterns in the typed columns of a row."""
        if not self._all_patterns:
            return dict(row)
        return {name: value if name in _OWN_COLUMNS else self._value(value) for name, value in row.items()}

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.plain(value)
        if isinstance(value, list):
            return [self._value(item) for item in value]
        if isinstance(value, dict):
            return {name: inner if name in _FRAMING_HEADERS else self._value(inner) for name, inner in value.items()}
        return value

    def _matches(self, text: str) -> list[Span]:
        # An image in base64 has no @, and each of its places would be tried for the beginning of an address.
        patterns = [pattern for pattern in self._all_patterns if pattern != _EMAILS or "@" in text]
        return merged([match.span() for pattern in patterns for match in pattern.finditer(text)])

    def _query_pair(self, pair: str) -> str:
        name, equals, value = pair.partition("=")
        meant = unquote_plus(value)
        return pair if meant == value or not self._matches(meant) else f"{name}{equals}{MASK * len(meant)}"

    def _literal_edits(
        self, text: str, literal: Literal, event_type: str | None, audio_format: AudioFormat, raw: list[Span]
    ) -> list[Edit]:
        body = text[literal.start : literal.end]
        if not literal.is_key:
            if _is_audio(literal, event_type):
                # Never searched: what a pattern finds in base64 is chance.
                return [(literal.start, literal.end, _silenced(body, audio_format))] if self.audio else []
            if self.transcripts and _is_speech(literal):
                return [(literal.start, literal.end, _unsaid(body, literal))] if body else []
        within = [
            (max(start, literal.start) - literal.start, min(end, literal.end) - literal.start)
            for start, end in overlapping((literal.start, literal.end), raw)
            # The digits of \\u00eb are no digits: inside of a string with escapes its meaning is searched instead.
            if "\\" not in body or start < literal.start or literal.end < end
        ]
        if not literal.is_string:
            return self._number_edits(body, literal, within)
        meant = merged([*self._matches(decoded(body)), *touched(body, within)])
        places = spelled(body, meant)
        return [
            (literal.start + start, literal.start + end, MASK * (meant_end - meant_start))
            for (start, end), (meant_start, meant_end) in zip(places, meant, strict=True)
        ]

    def _number_edits(self, body: str, literal: Literal, spans: list[Span]) -> list[Edit]:
        if not _DIGIT.search(body):
            return []
        # A number must stay one: 0… is none, so every digit is a 1.
        return [
            (literal.start + start, literal.start + end, _DIGIT.sub("1", body[start:end]))
            for start, end in merged(spans)
        ]


NO_MASKS = Masks()


def masks_of(rules: Sequence[str]) -> Masks:
    """Read rules: `transcripts`, `audio`, the name of a pattern, or `/REGEX/`; raises `UsageProblem`.

    A rule of a newer version raises too: what was to be taken out must not be kept because it was not understood.
    """
    return _masks_of(tuple(rules))


@cache
def _masks_of(rules: tuple[str, ...]) -> Masks:
    named = [re.compile(NAMED_PATTERNS[rule]) for rule in rules if rule in NAMED_PATTERNS]
    others = [rule for rule in rules if rule not in NAMED_PATTERNS and rule not in (TRANSCRIPTS, AUDIO)]
    return Masks(
        transcripts=TRANSCRIPTS in rules,
        audio=AUDIO in rules,
        patterns=tuple(map(_compile, others)),
        string_patterns=tuple(named),
    )


def _compile(rule: str) -> re.Pattern[str]:
    if len(rule) < 3 or not (rule.startswith("/") and rule.endswith("/")):
        known = ", ".join((TRANSCRIPTS, AUDIO, *NAMED_PATTERNS))
        raise UsageProblem(f"--redact takes {known}, or a regular expression between slashes: /REGEX/, not {rule!r}")
    try:
        return re.compile(rule[1:-1])
    except re.error as error:
        raise UsageProblem(f"--redact {rule} is no regular expression of Python's: {error}") from error


def clean_fact(fact: Fact, masks: Masks = NO_MASKS) -> Fact:
    """Take out of a fact what must not reach the disk: secrets by their shape, and what the patterns find."""

    def clean(text: str | None) -> str | None:
        return text and masks.plain(redact_text(text))

    def clean_json(text: str) -> str:
        return masks.plain(redact_message(text) or text)

    match fact:
        case SessionFacts():
            tags = {masks.plain(redact_text(name)): masks.plain(redact_text(told)) for name, told in fact.tags.items()}
            url, key = fact.url and masks.url(fact.url), clean(fact.conversation_key)
            replay = fact.replay and replace(fact.replay, overrides=clean_json(fact.replay.overrides))
            target = clean(fact.target)
            return replace(fact, tags=tags, url=url, target=target, conversation_key=key, replay=replay)
        case HandshakeRequest():
            return replace(fact, path=masks.url(fact.path), headers=_clean_headers(fact.headers, masks))
        case HandshakeResponse():
            return replace(fact, headers=_clean_headers(fact.headers, masks))
        case Divergence():
            return replace(fact, expected=clean_json(fact.expected), seen=clean_json(fact.seen))
        case Rewrite():
            before, after = (redact_setting(fact.path, text) for text in (fact.before, fact.after))
            return replace(fact, before=clean_json(before), after=clean_json(after))
        case SessionEnd():
            return replace(fact, end_reason=clean(fact.end_reason))


def _clean_headers(headers: Sequence[tuple[str, str]], masks: Masks) -> list[tuple[str, str]]:
    return [
        (name, value if name.lower() in _FRAMING_HEADERS else masks.url(value) if "?" in value else masks.plain(value))
        for name, value in headers
    ]


def _masked(span: Span) -> Edit:
    start, end = span
    return start, end, MASK * (end - start)


def _is_audio(literal: Literal, event_type: str | None) -> bool:
    if not literal.is_string:
        return False
    is_delta = literal.path == [None, "delta"] and (event_type or "").endswith("audio.delta")
    return is_delta or (literal.path[-1] == "audio")


def _is_speech(literal: Literal) -> bool:
    path = literal.path
    # The top of a message is an object: its path begins with None.
    if path[1:2] == ["session"] or not _CONFIGURATION_KEYS.isdisjoint(path):
        return False
    if "logprobs" in path:
        return literal.name in ("token", "bytes")
    if not literal.is_string:
        return "arguments" in path
    # Every delta that is no audio is text of some kind, also those of events that are not known here.
    return literal.name in _SPEECH_KEYS or literal.path == [None, "delta"] or "arguments" in path


def _unsaid(body: str, literal: Literal) -> str:
    if literal.is_string:
        return MASK * len(decoded(body))
    return body if body in ("null", "true", "false") else "0"


def _silenced(body: str, audio_format: AudioFormat) -> str:
    """Give base64 text of as much silence as the given one holds."""
    value = decoded(body)
    try:
        audio = pybase64.b64decode(value)
    except ValueError:
        return "A" * len(value)
    return pybase64.b64encode_as_string(audio_format.silence(1)[:1] * len(audio))
