from replay.simulator.session.runs import Event, Run


class Countdown(Run):
    def __init__(self) -> None:
        super().__init__(started_ns=1_000_000)
        self._plan([(2, lambda: self._tell("two")), (0, lambda: self._tell("now")), (2, lambda: self._tell("later"))])

    def _tell(self, text: str) -> list[Event]:
        return [{"type": text}]


def test_moments_come_when_due_and_in_the_order_planned() -> None:
    countdown = Countdown()
    lived = []
    while countdown.due_ns is not None:
        lived.append((countdown.due_ns, countdown.step()[0]["type"]))

    assert lived == [(1_000_000, "now"), (3_000_000, "two"), (3_000_000, "later")]
