from replay.simulator.clock import NS_PER_S
from replay.simulator.faults.conditions import Circumstance, Conditions
from replay.simulator.faults.effects import Close, Drop, Effect, ErrorEvent
from replay.simulator.faults.faults import Fault, Faults
from replay.simulator.faults.interference import Interference


def interfere(*faults: Fault, drawn: float = 0.0) -> Interference:
    return Interference(Faults(faults, 0), lambda _name: drawn)


def at(seconds: float, turn: int = 0) -> Circumstance:
    return Circumstance("eastus2", round(seconds * NS_PER_S), turn=turn)


def test_nothing_is_planned_until_the_event_goes_out() -> None:
    interference = interfere(Fault(Effect(drop=Drop(after_event="response.created", after_s=2))))

    interference.follow("session.created", at(0))
    assert (interference.due_ns, interference.take(10**18)) == (None, None)
    interference.follow("response.created", at(1))
    assert interference.due_ns == 3 * NS_PER_S
    assert interference.take(3 * NS_PER_S - 1) is None
    assert interference.take(3 * NS_PER_S) == Drop(after_event="response.created", after_s=2)
    assert interference.due_ns is None


def test_an_error_and_an_end_strike_together_in_order_of_time() -> None:
    error, close = ErrorEvent(message="sorry", after_s=3), Close(code=4000, after_s=1)
    interference = interfere(Fault(Effect(error=error)), Fault(Effect(close=close)))

    interference.follow("session.created", at(0))

    assert [interference.take(10 * NS_PER_S) for _ in range(3)] == [close, error, None]


def test_at_one_time_the_error_comes_first() -> None:
    error, drop = ErrorEvent(message="sorry"), Drop()
    interference = interfere(Fault(Effect(drop=drop)), Fault(Effect(error=error)))

    interference.follow("session.created", at(0))

    assert [interference.take(0), interference.take(0)] == [error, drop]


def test_the_spread_is_drawn() -> None:
    interference = interfere(Fault(Effect(drop=Drop(after_s=2, spread_s=10))), drawn=0.5)

    interference.follow("session.created", at(0))

    assert interference.due_ns == 7 * NS_PER_S


def test_the_conditions_are_those_of_the_moment() -> None:
    interference = interfere(
        Fault(Effect(error=ErrorEvent(message="m", after_event="response.created")), Conditions(turn=2))
    )

    for turn in (1, 2, 3):
        interference.follow("response.created", at(turn, turn))

    assert interference.due_ns == 2 * NS_PER_S
    assert interference.take(9 * NS_PER_S) is not None
    assert interference.due_ns is None
