"""What has come about in a new session so far, for who waits for the counterparts of a recording; pure."""

from __future__ import annotations

from typing import Any

from capture.realtime.progress import Progress
from replay.anchors import Answers
from replay.id_map import IdMap
from replay.plan import Dependency, Plan
from replay.tools import ToolCalls

Json = dict[str, Any]


class Followed:
    """One new session; feed it the messages of both senders in their order, in the recording's dialect."""

    def __init__(self, plan: Plan, answers: Answers) -> None:
        self.progress = Progress()
        self.ids = IdMap(plan.ids)
        self.tools = ToolCalls()
        self.own_responses = 0
        """Responses that were asked for beside the plan, less those of it that were not."""
        self._answers = answers

    def observe(self, now_ns: int, sender: str, event: Json) -> None:
        """Take one message in."""
        self.progress.observe(sender, event)
        self.ids.session.observe(sender, event)
        self.tools.observe(sender, event)
        self._answers.observe(now_ns, sender, event, self.progress.configuration.output_format)

    def has(self, wait: Dependency) -> bool:
        """Tell whether something that a step waits for has come about."""
        progress, count = self.progress, wait.count + self.own_responses
        if wait.kind == "announcement":
            return self.ids.find_announced(wait.recorded_id) is not None
        if wait.recorded_id:
            return self.ids.find(wait.recorded_id) is not None
        if wait.kind == "session.created":
            return progress.is_open
        if wait.kind == "session.updated":
            return progress.updates_answered >= wait.count
        if wait.kind == "response.created":
            return progress.responses_begun >= count
        return progress.responses_done >= count and progress.is_idle

    def never_has(self, wait: Dependency) -> bool:
        """Tell that a call will not be made: the responses that could have made it are done."""
        progress, count = self.progress, wait.count + self.own_responses
        return wait.kind == "call" and wait.count > 0 and progress.responses_done >= count and progress.is_idle
