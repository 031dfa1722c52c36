"""Set two sessions side by side: which event of one answers which of the other; pure.

Turns anchor the alignment: turn k is compared with turn k, so that an extra event early on cannot shift what comes
after. Within a turn the alignment has the fewest insertions and deletions there can be.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Iterator, Sequence
from itertools import groupby, zip_longest
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray
from rapidfuzz.distance import Indel

from capture.realtime.outcomes import mask_message

Pair = tuple[int | None, int | None]
"""Index on the left, index on the right; None where there is no counterpart."""

MASK = "…"

_MOST_PAIRS = 1_000_000_000
"""Pairs of tokens that are aligned at once: 125 MB."""
_LEAST_CUT = 1_000
"""Tokens of the left that are worth cutting."""

_VOLATILE = {"obfuscation", "expires_at", "created_at", "remaining", "reset_seconds", "id"}
_VOLATILE_ENDINGS = ("_id", "_at")
_GIVEN = {"id", "expires_at", "client_secret"}
"""Of a session object: what the endpoint gave it. The rest was asked for: the id of a prompt or a voice tells them
apart, and nothing else does."""
_SETTINGS = {"prompt", "voice", "tools", "tool_choice"}
"""What may be asked for in other messages too."""


def align(left: Sequence[Hashable], right: Sequence[Hashable]) -> list[Pair]:
    """Align two sequences of tokens with the fewest insertions and deletions.

    Tokens that were left over on both sides are paired where they are equal: events that may overtake each other
    (a transcription and an answer) are still the same events.
    """
    if left == right:
        return [(place, place) for place in range(len(left))]
    numbers: dict[Hashable, int] = {}
    lefts = [numbers.setdefault(token, len(numbers)) for token in left]
    rights = [numbers.setdefault(token, len(numbers)) for token in right]
    pairs: list[Pair] = []
    for is_equal, group in groupby(_operations(lefts, rights), key=lambda operation: operation[0]):
        operations = list(group)
        on_left = [i for _, stretch, _ in operations for i in stretch]
        on_right = [j for _, _, stretch in operations for j in stretch]
        pairs.extend(zip(on_left, on_right, strict=True) if is_equal else _one_sided(on_left, on_right))
    return _pair_overtaken(pairs, lefts, rights)


def _operations(lefts: list[int], rights: list[int]) -> Iterator[tuple[bool, range, range]]:
    """Give the stretches that are equal and those that are not, in order, on either side."""
    for left, right in _divided(lefts, rights, 0, 0):
        for each in Indel.opcodes(lefts[left.start : left.stop], rights[right.start : right.stop]):
            yield (
                each.tag == "equal",
                range(left.start + each.src_start, left.start + each.src_end),
                range(right.start + each.dest_start, right.start + each.dest_end),
            )


def _divided(lefts: list[int], rights: list[int], left_start: int, right_start: int) -> Iterator[tuple[range, range]]:
    """Cut two sequences at places where the best alignment passes (Hirschberg), until the parts are small enough.

    A bit for each pair of tokens is what the alignment of a part takes: of 100,000 tokens by 100,000 that is 1.25 GB,
    and no other thread runs meanwhile.
    """
    if len(lefts) * len(rights) <= _MOST_PAIRS or len(lefts) < _LEAST_CUT:
        yield range(left_start, left_start + len(lefts)), range(right_start, right_start + len(rights))
        return
    middle = len(lefts) // 2
    before = _common_lengths(lefts[:middle], rights)
    after = _common_lengths(lefts[: middle - 1 : -1], rights[::-1])[::-1]
    cut = int(np.argmax(before + after))
    yield from _divided(lefts[:middle], rights[:cut], left_start, right_start)
    yield from _divided(lefts[middle:], rights[cut:], left_start + middle, right_start + cut)


def _common_lengths(lefts: Sequence[int], rights: Sequence[int]) -> NDArray[np.int64]:
    """Give for each beginning of the right, the empty one first, how long its common subsequence with the left is.

    All columns of a row of the table at once, a bit each (Hyyrö 2004): a bit is 0 where the length grows.
    """
    values = np.asarray(rights)
    where = {
        number: int.from_bytes(np.packbits(values == number, bitorder="little").tobytes(), "little")
        for number in set(rights)
    }
    everywhere = row = (1 << len(rights)) - 1
    for number in lefts:
        found = row & where.get(number, 0)
        row = ((row + found) | (row - found)) & everywhere
    bits = np.frombuffer(row.to_bytes(len(rights) // 8 + 1, "little"), dtype=np.uint8)
    grows = np.unpackbits(bits, bitorder="little", count=len(rights)) == 0
    return np.append(0, np.cumsum(grows))


def align_by_turn(left: Sequence[Sequence[Hashable]], right: Sequence[Sequence[Hashable]]) -> list[Pair]:
    """Align two sessions given as tokens by turn (the first entry: before the first turn).

    Gives indexes into all tokens of a session, end to end.
    """
    pairs: list[Pair] = []
    left_start = right_start = 0
    for left_turn, right_turn in zip_longest(left, right, fillvalue=()):
        pairs.extend(
            (None if i is None else i + left_start, None if j is None else j + right_start)
            for i, j in align(left_turn, right_turn)
        )
        left_start += len(left_turn)
        right_start += len(right_turn)
    return pairs


def _one_sided(lefts: Sequence[int], rights: Sequence[int]) -> Iterator[Pair]:
    yield from ((i, None) for i in lefts)
    yield from ((None, j) for j in rights)


def _pair_overtaken(pairs: list[Pair], lefts: list[int], rights: list[int]) -> list[Pair]:
    waiting: defaultdict[int, deque[int]] = defaultdict(deque)
    for i, j in pairs:
        if i is None and j is not None:
            waiting[rights[j]].append(j)
    partners = {i: waiting[lefts[i]].popleft() for i, j in pairs if i is not None and j is None and waiting[lefts[i]]}
    taken = set(partners.values())
    return [
        (i, partners.get(i)) if i is not None and j is None else (i, j)
        for i, j in pairs
        if not (i is None and j in taken)
    ]


def masked(node: Any, name: str = "") -> Any:
    """Replace what differs from one session to the next: ids, times, obfuscation, ids inside messages.

    What was asked for stays as it is, ids too: session objects, what a response was to be, prompts, voices, tools.
    """
    if isinstance(node, dict | list) and name in _SETTINGS:
        return node
    if isinstance(node, dict):
        if name == "session":
            return masked_configuration(node)
        if node.get("type") == "response.create":
            return {
                key: _masked_request(child) if key == "response" else masked(child, key) for key, child in node.items()
            }
        return {key: masked(child, key) for key, child in node.items()}
    if isinstance(node, list):
        return [masked(child, name) for child in node]
    if node is None:
        return None
    if name in _VOLATILE or name.endswith(_VOLATILE_ENDINGS):
        return MASK
    return mask_message(node) if name == "message" and isinstance(node, str) else node


def masked_configuration(session: dict[str, Any]) -> dict[str, Any]:
    """Replace in a session object what the endpoint gave it: its id, when it expires, its client secret."""
    return {name: _hidden(value) if name in _GIVEN else value for name, value in session.items()}


def _hidden(node: Any) -> Any:
    # Leaf by leaf: a message laid out has as many lines as before.
    if isinstance(node, dict):
        return {name: _hidden(child) for name, child in node.items()}
    return None if node is None else MASK


def _masked_request(response: Any) -> Any:
    """Replace in what a response is asked to be the ids of the items that it is to answer."""
    if not isinstance(response, dict):
        return response
    return {name: masked(value, name) if name == "input" else value for name, value in response.items()}


_MASKED_FIELD = (
    # A quote before `:` ends a name, and a name begins behind `{` or `,`: inside a text quotes are escaped.
    rf'((?:{"|".join(_VOLATILE_ENDINGS)}|[{{,]\s*"(?:{"|".join(sorted(_VOLATILE))}))"\s*:\s*)'
    r'(?:"[^"\\\x00-\x1f]*"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?)'
)

_MAY_ASK = (
    # Few messages do, so that they may be parsed. A letter can be written as an escape, and then hides a name.
    rf'"(?:session|{"|".join(sorted(_SETTINGS))})"\s*:\s*[{{\[]|"response\.create"|\\u00[2-7]'
)


def masked_texts(texts: Any) -> Any:
    """Replace in a column of JSON texts most of what `masked` replaces, without parsing them.

    Two texts that are then the same have no `differences` once parsed and masked; two that are not may have none
    either. Texts that ask for something, which is not masked, stay as they are.
    """
    hidden = pc.replace_substring_regex(texts, _MASKED_FIELD, rf'\1"{MASK}"')
    return pc.if_else(pc.match_substring_regex(texts, _MAY_ASK), texts, hidden)


def differences(left: Any, right: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """List the places where two JSON values differ as (path, left, right), in the order of the left.

    `ABSENT` stands for a place that one side does not have; the path of a list's entry is `tools[0].name`.
    """
    if isinstance(left, dict) and isinstance(right, dict):
        for name in [*left, *(name for name in right if name not in left)]:
            place = f"{path}.{name}" if path else str(name)
            yield from differences(left.get(name, ABSENT), right.get(name, ABSENT), place)
    elif isinstance(left, list) and isinstance(right, list):
        for index, (a, b) in enumerate(zip_longest(left, right, fillvalue=ABSENT)):
            yield from differences(a, b, f"{path}[{index}]")
    elif left != right or type(left) is not type(right):
        yield path, left, right


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Any = _Absent()
"""No value at all, as opposed to null."""
