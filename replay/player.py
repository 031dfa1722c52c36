"""Play a plan against a new session: pure, (event | time) in, what to do next out.

Steps go out in their order, none before its time. A step that waits for something holds all that follow; when
a wait ran past the step's time, the clock of what follows moves by as much, so that held audio keeps its
spacing instead of arriving in a burst. Onsets of speech are tied to the answers they followed (`plan_clock`), and an
open microphone stays open while the trial waits (`microphone`). What comes after the last step is in `winding_down`.
"""

from __future__ import annotations

import math
from typing import Any

from capture.narration import counted
from capture.realtime.events import is_repeat, parse_event, write_json
from replay.actions import Action, Diverged, Finished, Send, WaitUntil
from replay.composing import compose
from replay.followed import Followed
from replay.microphone import Microphone
from replay.plan import APPEND, COMMIT_LEAST_MS, Dependency, Plan, Step
from replay.plan_clock import Hold, PlanClock
from replay.rewrite import Change
from replay.runs import ClockKind, OnNewTool
from replay.sent_audio import follow_echo
from replay.tools import output_event, reply
from replay.transposition import transpose_server_event
from replay.winding_down import PATIENCE, WindingDown

Json = dict[str, Any]

WAIT_TIMEOUT_NS = 15_000_000_000
_ECHOES = {"session.updated", "transcription_session.updated"}
_EMPTIES = {"input_audio_buffer.committed", "input_audio_buffer.cleared"}
_BURST = 50
"""Without a clock so many sends go out before what came meanwhile is looked at."""


class Player:
    """Plays one trial. Each call gives actions in order; the last one is `WaitUntil` or `Finished`.

    `speed` is 1 for the recorded pace; infinite, only dependencies are waited for. `as_recorded` changes nothing but
    the endpoint's ids: no truncation is clamped, no silence is added, no audio is converted, nothing is left out, no
    call is answered that was not, and the clock is absolute.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        speed: float = 1.0,
        timeout_ns: int = WAIT_TIMEOUT_NS,
        as_recorded: bool = False,
        clock: ClockKind = "anchored",
        on_new_tool: OnNewTool = "recorded",
    ) -> None:
        self._plan = plan
        self._speed = speed
        self._timeout_ns = timeout_ns
        self._as_recorded = as_recorded
        anchored = clock == "anchored" and not as_recorded
        self.clock = PlanClock(plan.steps, speed=speed, timeout_ns=timeout_ns, patience=PATIENCE, anchored=anchored)
        self.session = Followed(plan, self.clock.answers)
        self._microphone = Microphone(speed)
        self._keeps_open = anchored
        self._ending = WindingDown(
            self.session.progress, speed=speed, timeout_ns=timeout_ns, adds_silence=not as_recorded
        )
        self._on_new_tool = on_new_tool
        self._skipped_calls: set[str] = set()
        self._told_before: Json = {}
        self._next = 0
        self._blocked_since_ns: int | None = None
        self._last_event_ns = 0
        self._finished: Finished | None = None

    def receive(self, now_ns: int, event: Json) -> list[Action]:
        """Take in an event of the endpoint."""
        self._last_event_ns = now_ns
        if not isinstance(event.get("type"), str) or is_repeat(event, self._told_before):
            # It means nothing, in any dialect, or nothing new.
            return self.tick(now_ns)
        self._told_before = event
        if self._plan.transposed_from is not None:
            # Compared with a recording of the other dialect.
            heard = transpose_server_event(event, self._plan.transposed_from)
            if heard is None:
                return self.tick(now_ns)
            event = heard
        self._observe(now_ns, "server", event)
        if event.get("type") in _ECHOES and not self._as_recorded:
            self._plan = follow_echo(self._plan, self.session.progress.configuration)
        actions: list[Action] = [*self.clock.barge_ins()]
        if self._finished is None and not self._as_recorded:
            self._answer_calls(event, now_ns, actions)
        return [*actions, *self.tick(now_ns)]

    def tick(self, now_ns: int) -> list[Action]:
        """Take in that time has passed."""
        actions: list[Action] = []
        while self._finished is None and self._next < len(self._plan.steps):
            wait_until_ns = self._play_step(self._plan.steps[self._next], now_ns, actions)
            if wait_until_ns is None and len(actions) >= _BURST and math.isinf(self._speed):
                wait_until_ns = now_ns + 1
            if wait_until_ns is not None:
                return [*actions, WaitUntil(wait_until_ns)]
        while self._finished is None:
            next_ = self._ending.tick(self._plan, now_ns, self._last_event_ns, actions)
            if isinstance(next_, Finished):
                self._finish(next_, actions)
            elif next_ is not None:
                return [*actions, WaitUntil(next_)]
        return [*actions, self._finished]

    def disconnect(self) -> list[Action]:
        """Take in that the endpoint is gone."""
        if self._finished is not None:
            return [self._finished]
        seen = "the endpoint closed the connection"
        left = len(self._plan.steps) - self._next
        missing = [f"{left} more messages to send"] if left else self._ending.missing(self._plan)
        actions: list[Action] = [Diverged(self._next, "closed_early", each, seen, "ended") for each in missing]
        finished = Finished("closed_by_endpoint" if missing else self._ending.conclusion(self._plan))
        self._finish(finished, actions)
        return [*actions, finished]

    def _play_step(self, step: Step, now_ns: int, actions: list[Action]) -> int | None:
        if step.is_pause:
            self.clock.foresee(self._next, now_ns)
        due_ns = self.clock.due_ns(step)
        if due_ns is not None and step.is_pause and due_ns < self.clock.drops_before_ns:
            self._microphone.leave_out(step)
            self._next += 1
            return None
        settled = None if step.anchor is None else self.clock.settle(self._next, now_ns, self._last_event_ns)
        if isinstance(settled, Hold):
            return self._hold(now_ns, settled.until_ns, actions)
        if settled is not None:
            actions += settled
            self._compare_turns(step, actions)
            due_ns = self.clock.due_ns(step)
        if due_ns is not None and now_ns < due_ns:
            return due_ns
        if step.answers_calls and self._skipped_calls.issuperset(step.answers_calls):
            self._skip_response(step, now_ns, actions)
            return None
        missing = next((wait for wait in step.after if not self.session.has(wait)), None)
        if missing is None:
            self._send(step, now_ns, actions)
            return None
        if self._blocked_since_ns is None:
            self._blocked_since_ns = now_ns
        give_up_ns = self._blocked_since_ns + self._timeout_ns
        if now_ns < give_up_ns and not self.session.never_has(missing):
            return self._hold(now_ns, give_up_ns, actions)
        self._give_up(step, missing, now_ns, actions)
        return None

    def _hold(self, now_ns: int, until_ns: int, actions: list[Action]) -> int:
        """Wait, and keep an open microphone open meanwhile."""
        is_speech_open = self.session.progress.speech_is_open
        # Without a clock time costs no audio: only speech that a VAD still hears is to be closed.
        while self._keeps_open and (is_speech_open or not math.isinf(self._speed)):
            due_ns = self._microphone.due_ns(self._plan.steps, self._next, until_ns, is_speech_open=is_speech_open)
            if due_ns is None:
                break
            if now_ns < due_ns:
                return due_ns
            audio_format = self._plan.sent_format or self.session.progress.configuration.input_format
            actions.append(Send(self._plan.steps[self._next].number, self._microphone.hear(audio_format), due_ns))
        return until_ns

    def _compare_turns(self, step: Step, actions: list[Action]) -> None:
        expected = None if step.anchor is None else step.anchor.turns
        turns, extra = len(self.session.progress.commits), self._ending.extra_turns
        if expected is not None and turns != expected + extra:
            said = f"{counted(expected + extra, 'spoken turn')} before {step.type}"
            actions.append(Diverged(step.number, "turns_otherwise", said, str(turns), "went on"))
            self._ending.extra_turns = turns - expected

    def _give_up(self, step: Step, missing: Dependency, now_ns: int, actions: list[Action]) -> None:
        expected = f"{missing} before {step.type}"
        seen = f"not in {self._timeout_ns / 1e9:g} s"
        if missing.kind == "session.created":
            actions.append(Diverged(step.number, "dependency_missing", expected, seen, "ended"))
            self._finished = Finished("session_never_opened")
        elif missing.recorded_id:
            # A stale id would be refused, and the refusal would look like the endpoint's failure.
            expected = f"{self.session.ids.describe(missing.recorded_id)} before {step.type}"
            if missing.kind == "call":
                self._skipped_calls.add(missing.recorded_id)
                seen = (
                    f"not in {counted(self.session.progress.responses_done, 'response')}"
                    if self.session.never_has(missing)
                    else seen
                )
            actions.append(Diverged(step.number, "dependency_missing", expected, seen, "skipped"))
            self._move_on(step, now_ns)
        else:
            actions.append(Diverged(step.number, "dependency_missing", expected, seen, "sent"))
            self._send(step, now_ns, actions)

    def _skip_response(self, step: Step, now_ns: int, actions: list[Action]) -> None:
        """Ask for no response to outputs that there was no call for: nobody would have."""
        expected = f"the output of {counted(len(step.answers_calls), 'call')} before {step.type}"
        actions.append(Diverged(step.number, "dependency_missing", expected, "none was sent", "skipped"))
        self.session.own_responses -= 1
        self.clock.extra_responses -= 1
        self._move_on(step, now_ns)

    def _answer_calls(self, event: Json, now_ns: int, actions: list[Action]) -> None:
        """Answer what the new session calls and the recording did not; nothing is executed."""
        called, steps = self.session.tools.called_in(event), self._plan.steps
        number = steps[self._next].number if self._next < len(steps) else len(steps)
        new = 0
        for call in called:
            told = reply(call, self._plan.tools, self._on_new_tool, self._skipped_calls)
            if told is None:
                continue
            actions.append(Diverged(number, told.kind, told.expected, str(call), told.action))
            if told.ends:
                self._finish(Finished(f"new_tool: {call.name} was called"), actions)
                return
            if told.output is not None:
                new += 1
                self._send_own(number, output_event(call, told.output), now_ns, actions)
        if new and new == len(called):
            self.session.own_responses += 1
            self.clock.extra_responses += 1
            self._send_own(number, {"type": "response.create"}, now_ns, actions)

    def _send_own(self, number: int, event: Json, now_ns: int, actions: list[Action]) -> None:
        self._observe(now_ns, "client", event)
        content = write_json(event)
        actions.append(Send(number, content, None, (Change("tool_output", "", "", content),)))

    def _send(self, step: Step, now_ns: int, actions: list[Action]) -> None:
        needless = None if self._as_recorded else self._needless(step)
        if needless is not None:
            actions.append(needless)
            self._move_on(step, now_ns)
            return
        due_ns = None if self._blocked_since_ns is not None or math.isinf(self._speed) else self.clock.due_ns(step)
        self._move_on(step, now_ns)
        pause = self._microphone.take_changes()
        content, changes = compose(step, self.session.ids, self.session.progress, as_recorded=self._as_recorded)
        event = None if step.type in (APPEND, None) else parse_event(content)
        if event is not None:
            self._observe(now_ns, "client", event)
        self._microphone.note(step, now_ns if due_ns is None else due_ns)
        actions.append(Send(step.number, content, due_ns, (*pause, *changes), step.is_binary))

    def _needless(self, step: Step) -> Diverged | None:
        """Tell what would be refused here and was not in the recording: it would look like the endpoint's failure."""
        if step.stops_response and not self.session.progress.active_responses:
            told = ("nothing_to_cancel", "a response to cancel", "none is going on")
        elif step.commits_speech and self._microphone.open_ms < COMMIT_LEAST_MS:
            told = ("nothing_to_commit", "audio to commit", f"{self._microphone.open_ms:.0f} ms since the last commit")
        else:
            return None
        return Diverged(step.number, *told, "skipped")

    def _observe(self, now_ns: int, sender: str, event: Json) -> None:
        self.session.observe(now_ns, sender, event)
        if event.get("type") in _EMPTIES:
            self._microphone.open_ms = 0.0

    def _move_on(self, step: Step, now_ns: int) -> None:
        if self.clock.zero_ns is None:
            self.clock.begin(step, now_ns)
        elif self._blocked_since_ns is not None:
            self.clock.delay(now_ns - self._blocked_since_ns)
        self._blocked_since_ns = None
        self._next += 1

    def _finish(self, finished: Finished, actions: list[Action]) -> None:
        """Note at the end what came otherwise than in the recording, all in all."""
        actions += self.clock.barge_ins(is_over=True)
        number = len(self._plan.steps)
        if finished.reason == "completed":
            turns, expected = len(self.session.progress.commits), self._plan.turns + self._ending.extra_turns
            if turns != expected and self._plan.responses is not None:
                actions.append(
                    Diverged(number, "turns_otherwise", counted(expected, "spoken turn"), str(turns), "none")
                )
            responses = len(self.clock.answers.begun) - self.clock.extra_responses
            if self._plan.responses is not None and responses != self._plan.responses:
                said = (counted(self._plan.responses, "response"), str(responses))
                actions.append(Diverged(number, "responses_otherwise", *said, "none"))
        self._finished = finished
