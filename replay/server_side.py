"""Play the server's side of a recording to one client: pure, (client's message | time) in, what to do next out.

Each message of the server goes out as long after what it followed as it did in the recording. What it followed is
taken from this session, so a slower client gets its answers later, and none before it has asked.

What the client sends is matched with what the recorded client sent. What has no counterpart is told, and so is what
the recorded client had sent and this one has not in time: the messages that follow it stay unsent until it comes.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from capture.narration import counted
from capture.realtime.configuration import ConfigurationTracker
from capture.realtime.events import parse_event
from replay.counterparts import Counterparts, differing_settings
from replay.plan import APPEND
from replay.server_plan import OPENED, Heard, Outgoing, ServerPlan, audio_length_ms, kind_of
from replay.unanswered import Awaited

WAIT_TIMEOUT_NS = 15_000_000_000
_ROUNDING_MS = 1.0
_BEYOND_MS = 1000.0
"""How much longer than the recorded one a client's audio may be before that is told: microphones stay open."""
_NAMED = 3
_CONFIGURING = ("session.", "transcription_session.")


@dataclass(frozen=True, slots=True)
class Send:
    """Send this message now."""

    content: str | bytes


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection now, as the recorded server did."""

    content: bytes
    """What its frame held: a code and a reason, or nothing."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Drop the connection now, without a close frame."""


@dataclass(frozen=True, slots=True)
class Diverged:
    """The client went another way than the recorded one."""

    kind: str
    """`unexpected`, `asked_otherwise`, `missing`, `late`, `closed_early`."""
    text: str
    """What was expected or seen, and what was done about it."""


Action = Send | Close | Drop | Diverged


class ServerSide:
    """One client's session. Each call gives actions in order; `next_ns` is when to call `tick` at the latest."""

    def __init__(self, plan: ServerPlan, *, speed: float = 1.0, timeout_ns: int = WAIT_TIMEOUT_NS) -> None:
        """Prepare to serve; `speed` may be infinite: then nothing is waited for but the client."""
        self.sent = 0
        """Messages sent."""
        self.has_ended = False
        """Whether the recorded server ended the connection by now."""
        self._plan = plan
        self._speed = speed
        self._timeout_ns = timeout_ns
        self._counterparts = Counterparts(plan)
        self._configuration = ConfigurationTracker()
        self._at_ns: dict[int, int] = {}
        """When each moment of the recording has come about here."""
        self._origins: dict[int, tuple[int, int]] = {}
        """Of what is sent: from when on its time was counted, here and in the recording."""
        self._open_ties = {moment.number: len(moment.hard) + len(moment.soft) for moment in plan.outgoing}
        self._waived: set[tuple[int, int]] = set()
        """Soft ties to what will not come, so far: (what follows, what it followed)."""
        self._held: set[int] = set()
        """What stays unsent because something it followed did not come."""
        self._due: list[tuple[int, int]] = []
        self._deadlines: list[tuple[int, int]] = []
        self._given_up: set[int] = set()
        self._heard_ms = 0.0
        self._heard_at_ns = -timeout_ns
        self._to_hear = plan.heard[::-1]
        self._told_beyond = False

    @property
    def to_send(self) -> int:
        """Messages that the recorded server sent and that are still to be sent."""
        return sum(m.kind == "message" for m in self._plan.outgoing) - self.sent

    @property
    def next_ns(self) -> int | None:
        """When something is due; None where only the client can bring anything about."""
        times = [heap[0][0] for heap in (self._due, self._deadlines) if heap]
        return min(times, default=None)

    def open(self, now_ns: int) -> list[Action]:
        """Take in that the connection stands."""
        self._come_about(OPENED, now_ns)
        return self.tick(now_ns)

    def receive(self, now_ns: int, message: str | bytes) -> list[Action]:
        """Take in a message of the client."""
        event = parse_event(message) or {}
        name = event.get("type")
        event_type = name if isinstance(name, str) else kind_of(message)
        actions: list[Action] = []
        if event_type == APPEND:
            self._hear(audio_length_ms(message, self._configuration), now_ns, actions)
        else:
            try:
                self._configuration.observe("client", event)
                self._take(event_type, event, now_ns, actions)
            except RecursionError:
                text = f"{event_type} is nested too deeply to be compared with the recording: nothing answers it"
                actions.append(Diverged("unexpected", text))
        return actions + self.tick(now_ns)

    def tick(self, now_ns: int) -> list[Action]:
        """Take in that time has passed."""
        actions: list[Action] = []
        while not self.has_ended:
            if self._due and self._due[0][0] <= now_ns:
                self._send(*heapq.heappop(self._due), actions)
            elif self._deadlines and self._deadlines[0][0] <= now_ns:
                self._give_up(heapq.heappop(self._deadlines)[1], now_ns, actions)
            else:
                break
        return actions

    def disconnect(self, undone: Sequence[Action] = ()) -> list[Diverged]:
        """Take in that the client is gone; `undone` is what was to be done by now, and it went before that."""
        self.sent -= sum(isinstance(action, Send) for action in undone)
        self.has_ended = self.has_ended and not any(isinstance(action, Close | Drop) for action in undone)
        told = [action for action in undone if isinstance(action, Diverged)]
        return told + self._closed_early()

    def _closed_early(self) -> list[Diverged]:
        left = self.to_send
        end = next((moment for moment in self._plan.outgoing if moment.kind != "message"), None)
        if self.has_ended or not (left or end):
            return []
        missing = [m for m in self._plan.moments if isinstance(m, Awaited | Heard) and m.number not in self._at_ns]
        named = "; ".join(m.name for m in missing[:_NAMED])
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        waited = f", which waited for {named}{more}" if missing and left else ""
        count = f"{counted(left, 'message')} still to be sent"
        ended = f"; the recorded server {_ending(end)}" if end else ""
        return [Diverged("closed_early", f"the client is gone, with {count}{waited}{ended}")]

    def _take(self, event_type: str, event: dict[str, Any], now_ns: int, actions: list[Action]) -> None:
        found = self._counterparts.match(event_type, event)
        if found is None:
            said = self._counterparts.describe(event_type, event)
            actions.append(Diverged("unexpected", f"{said} has no counterpart in the recording: nothing answers it"))
            return
        actions += [
            Diverged("asked_otherwise", f"{found.type}: {difference}; the answer is the recorded one")
            for difference in differing_settings(found, event)
        ]
        self._note_late(found, actions)
        self._come_about(found.number, now_ns)

    def _hear(self, audio_ms: float, now_ns: int, actions: list[Action]) -> None:
        self._heard_ms += audio_ms
        self._heard_at_ns = now_ns
        while self._to_hear and self._to_hear[-1].audio_ms <= self._heard_ms + _ROUNDING_MS:
            heard = self._to_hear.pop()
            self._note_late(heard, actions)
            self._come_about(heard.number, now_ns)
        if not self._told_beyond and self._heard_ms > self._plan.audio_ms + _BEYOND_MS:
            self._told_beyond = True
            recorded_s = self._plan.audio_ms / 1000
            actions.append(Diverged("unexpected", f"audio beyond the {recorded_s:.2f} s recorded: nothing answers it"))

    def _note_late(self, moment: Awaited | Heard, actions: list[Action]) -> None:
        if moment.number in self._given_up:
            actions.append(Diverged("late", f"{moment.name} came after all; the session goes on with it"))

    def _send(self, due_ns: int, number: int, actions: list[Action]) -> None:
        sent = self._plan.moments[number]
        assert isinstance(sent, Outgoing)  # noqa: S101 - nothing else is ever due
        if sent.kind == "message":
            self.sent += 1
            if sent.type.startswith(_CONFIGURING):
                self._configuration.observe("server", parse_event(sent.content) or {})
            actions.append(Send(self._counterparts.translate(sent.type, sent.content)))
        else:
            self.has_ended = True
            content = sent.content if isinstance(sent.content, bytes) else b""
            actions.append(Drop() if sent.kind == "drop" else Close(content))
        # The time at which it was due: what is late here must not make all that follows later still.
        self._come_about(number, due_ns)

    def _come_about(self, number: int, at_ns: int) -> None:
        self._at_ns[number] = at_ns
        self._held.discard(number)
        for follower in self._plan.dependents.get(number, ()):
            if (follower.number, number) not in self._waived:
                self._untie(follower, at_ns)
        self._expect_what_follows(number, at_ns)

    def _untie(self, follower: Outgoing, now_ns: int) -> None:
        self._open_ties[follower.number] -= 1
        if self._open_ties[follower.number]:
            return
        due_ns = max(now_ns, self._due_ns(follower, now_ns))
        heapq.heappush(self._due, (due_ns, follower.number))

    def _due_ns(self, follower: Outgoing, now_ns: int) -> int:
        followed = [n for n in follower.hard | follower.soft if n in self._at_ns]
        if not followed:
            return now_ns
        here_ns = max(self._at_ns[n] for n in followed)
        recorded_ns = max(self._plan.moments[n].offset_ns for n in followed)
        for n in followed:
            if self._at_ns[n] == here_ns and self._plan.moments[n].offset_ns == recorded_ns:
                # Counted from where the chain began: step by step, roundings would put two chains out of order.
                here_ns, recorded_ns = self._origins.get(n, (here_ns, recorded_ns))
                break
        due_ns = here_ns + int((follower.offset_ns - recorded_ns) / self._speed)
        # What waited for something in vain is due now, and not when it would have been due without that.
        if due_ns >= now_ns:
            self._origins[follower.number] = here_ns, recorded_ns
        return due_ns

    def _expect_what_follows(self, number: int, at_ns: int) -> None:
        # The client is a real one and takes its own time, whatever the speed.
        for moment in self._plan.expected.get(number, ()):
            if moment.number not in self._at_ns:
                deadline_ns = at_ns + moment.offset_ns - self._plan.moments[number].offset_ns + self._timeout_ns
                heapq.heappush(self._deadlines, (deadline_ns, moment.number))

    def _give_up(self, number: int, now_ns: int, actions: list[Action]) -> None:
        moment = self._plan.moments[number]
        if number in self._at_ns or number in self._given_up or not isinstance(moment, Awaited | Heard):
            return
        if isinstance(moment, Heard) and now_ns < self._heard_at_ns + self._timeout_ns:
            # It is on its way: audio takes its time, and the caller may have begun later.
            heapq.heappush(self._deadlines, (self._heard_at_ns + self._timeout_ns, number))
            return
        self._given_up.add(number)
        held = self._hold(number, now_ns)
        waited_s = self._timeout_ns / 1e9
        had = f" (there are {self._heard_ms / 1000:.2f} s)" if isinstance(moment, Heard) else ""
        consequence = f"not sent without it: {_listed(held)}" if held else "nothing else waits for it"
        text = f"{moment.name} was awaited in vain for {waited_s:g} s{had}: {consequence}"
        actions.append(Diverged("missing", text))

    def _hold(self, number: int, now_ns: int) -> list[Outgoing]:
        """Hold all that follows something, and let go on what only came behind it; give what is held."""
        held: list[Outgoing] = []
        stack = [number]
        while stack:
            missing = stack.pop()
            if missing != number:
                self._expect_what_follows(missing, now_ns)
            for follower in self._plan.dependents.get(missing, ()):
                if missing in follower.soft and (follower.number, missing) not in self._waived:
                    self._waived.add((follower.number, missing))
                    self._untie(follower, now_ns)
                elif missing in follower.hard and follower.number not in self._held:
                    self._held.add(follower.number)
                    held.append(follower)
                    stack.append(follower.number)
        return sorted(held, key=lambda moment: moment.number)


def _listed(held: list[Outgoing]) -> str:
    more = f" and {len(held) - 1} more" if len(held) > 1 else ""
    return held[0].type + more


def _ending(end: Outgoing) -> str:
    return "dropped the connection" if end.kind == "drop" else f"closed with {end.close_code}"
