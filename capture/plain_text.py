"""Make text that came over the wire safe to show: it may hold anything."""

from __future__ import annotations

import json
import re

# C0 and C1 controls, soft hyphen, line separators, marks of direction and annotation, zero-width characters, lone
# surrogates, tag characters: each acts on a terminal, or hides text from the reader. U+FFFE and U+FFFF stand in no XML.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff"
    "\U000e0000-\U000e0fff]"
)
_INDENT = "  "


def visible(text: str) -> str:
    r"""Show characters that act or hide as escapes: `\x1b`, `\u202e`, `\n`."""
    return _UNSEEN.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def visible_lines(text: str) -> str:
    """Show them so in text of several lines, which stay; those behind the first are indented.

    What is quoted may hold line breaks, too: none of it can pass for a line of ours.
    """
    first, *rest = map(visible, text.split("\n"))
    return "\n".join([first, *(line if line.startswith(_INDENT) else f"{_INDENT}{line}" for line in rest)])


def hidden(text: str) -> str:
    """Put one sign in place of each such character, where the length has to stay."""
    return _UNSEEN.sub("\ufffd", text)


def shorten(text: str, length: int) -> str:
    """Cut text to a length in characters, with an ellipsis where it was cut."""
    return text if len(text) <= length else text[: length - 1] + "…"


def escape_unseen(json_text: str) -> str:
    r"""Escape such characters in JSON text, where `\u001b` means the same; its own line breaks stay."""
    return _UNSEEN.sub(lambda match: match[0] if match[0] == "\n" else json.dumps(match[0])[1:-1], json_text)


def is_utf8(text: str) -> bool:
    """Tell whether a text can be written as UTF-8: an argument or a path of other bytes holds lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
