"""What comes after the last step: silence until server VAD has closed the last turn, and what is owed; pure."""

from __future__ import annotations

import json
import math

from capture.realtime.answering import COMMIT
from capture.realtime.outcomes import ABSENT_AFTER_NS
from capture.realtime.progress import Progress
from replay.actions import Action, Diverged, Finished, Send
from replay.microphone import SILENCE_CHUNK_MS, chunk_ns, silence
from replay.plan import Plan
from replay.rewrite import Change

SILENCE_LIMIT_MS = 10_000
"""Longer than any VAD waits: semantic VAD at low eagerness takes 8 s (protocol section 4)."""
SETTLE_NS = 250_000_000
"""Stay so long after the last terminal event: rate limits and repeats come behind it."""
TERMINAL_TIMEOUT_NS = ABSENT_AFTER_NS + 1_000_000_000
"""Wait at least so long for what is owed: only then does sealing count it as absent."""
PATIENCE = 8
"""So many timeouts at most for an endpoint that keeps sending."""


class WindingDown:
    """The end of one trial; without `adds_silence` a turn that stays open is missing."""

    def __init__(self, progress: Progress, *, speed: float, timeout_ns: int, adds_silence: bool) -> None:
        self.extra_turns = 0
        """Spoken turns that the recording does not have, less those of it that did not come."""
        self._progress = progress
        self._speed = speed
        self._chunk_ns = chunk_ns(SILENCE_CHUNK_MS, speed)
        # Audio that was sent without a clock is heard after all of it was sent.
        self._patience_ns = SETTLE_NS if math.isinf(speed) else self._chunk_ns
        self._timeout_ns = max(timeout_ns, TERMINAL_TIMEOUT_NS)
        self._adds_silence = adds_silence
        self._began_ns: int | None = None
        self._silence_due_ns = 0
        self._silence_sent_ms = 0
        self._quiet_since_ns: int | None = None

    def tick(self, plan: Plan, now_ns: int, last_event_ns: int, actions: list[Action]) -> int | Finished | None:
        """Do what is to be done now; give the time to wait for, the end, or None to be called again at once."""
        if self._began_ns is None:
            self._began_ns = now_ns
            self._silence_due_ns = now_ns + self._patience_ns
        if self._turn_is_open(plan) and self._silence_sent_ms < SILENCE_LIMIT_MS and self._adds_silence:
            self._quiet_since_ns = None
            return self._send_silence(plan, now_ns, actions)
        missing = self.missing(plan)
        if missing:
            self._quiet_since_ns = None
            return self._await(plan, missing, now_ns, max(last_event_ns, self._began_ns), actions)
        if self._quiet_since_ns is None:
            self._quiet_since_ns = now_ns
        if now_ns < (until_ns := self._quiet_since_ns + self._stays_ns(plan)):
            return until_ns
        return Finished(self.conclusion(plan))

    def missing(self, plan: Plan) -> list[str]:
        """List what the endpoint still owes, each with what it belongs to."""
        missing = self._progress.missing()
        if self._turn_is_open(plan):
            turns, expected = len(self._progress.commits), plan.turns + self.extra_turns
            missing.insert(0, f"audio turn {turns + 1}" + (f" of {expected}" if turns < expected else ""))
        return missing

    def conclusion(self, plan: Plan) -> str:
        """Say how a trial ended in which all came that was owed: completed, or why it proves nothing."""
        if plan.turns and plan.is_muted:
            return "no_audio: what the caller said was redacted"
        if not plan.turns or self._progress.commits:
            return "completed"
        if not plan.has_audio:
            return "no_audio: the recording does not hold what the caller said"
        return "no_turn: the endpoint committed nothing of what the caller said"

    def _stays_ns(self, plan: Plan) -> int:
        """Give the time to stay when nothing is owed: as long as a recorded failure may still come."""
        failure = plan.late_failure
        if failure is None or (failure.errors is not None and self._progress.unowed_errors >= failure.errors):
            return SETTLE_NS
        return max(SETTLE_NS, int(failure.after_ns / self._speed) + TERMINAL_TIMEOUT_NS)

    def _turn_is_open(self, plan: Plan) -> bool:
        if not plan.has_audio or not self._endpoint_ends_turns(plan):
            return False
        if plan.is_muted:
            # In silence no turn is heard.
            return self._progress.speech_is_open
        return self._progress.speech_is_open or len(self._progress.commits) < plan.turns + self.extra_turns

    def _endpoint_ends_turns(self, plan: Plan) -> bool:
        told = self._progress.configuration.turn_detection or plan.configuration.turn_detection
        if told is not None:
            return told != "none"
        # An endpoint may say nothing of it and do it all the same, as the recorded one.
        return all(step.type != COMMIT for step in plan.steps)

    def _send_silence(self, plan: Plan, now_ns: int, actions: list[Action]) -> int | None:
        if now_ns < self._silence_due_ns:
            return self._silence_due_ns
        audio_format = plan.sent_format or self._progress.configuration.input_format
        reason = Change("trailing_silence", "", "", json.dumps("silence until the last turn is committed"))
        changes = () if self._silence_sent_ms else (reason,)
        content = silence(audio_format, SILENCE_CHUNK_MS)
        actions.append(Send(len(plan.steps), content, self._silence_due_ns, changes))
        self._silence_sent_ms += SILENCE_CHUNK_MS
        self._silence_due_ns += self._chunk_ns
        return None

    def _await(
        self, plan: Plan, missing: list[str], now_ns: int, last_event_ns: int, actions: list[Action]
    ) -> int | Finished:
        # An endpoint that keeps sending is given more time, but not for ever.
        began_ns = self._began_ns or 0
        give_up_ns = min(last_event_ns + self._timeout_ns, began_ns + PATIENCE * self._timeout_ns)
        if now_ns < give_up_ns:
            return give_up_ns
        seen = f"not in {self._timeout_ns / 1e9:g} s"
        actions.extend(Diverged(len(plan.steps), "terminal_missing", each, seen, "ended") for each in missing)
        return Finished("timed_out: missing " + ", ".join(missing))
