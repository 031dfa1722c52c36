"""Say in one plain sentence or two what a run proved: for the ticket, and never more than the rows show."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from capture.narration import counted
from replay.audio_choice import AUDIO_AXIS, RECORDED, audio_in_words
from replay.comparison import AxisDecision, CellResult, Comparison, axis_label, short_path
from replay.runs import TARGET_AXIS, Axis
from replay.several_failures import FailureCount
from replay.statistics import CONFIDENCE, exact_upper_bound, fisher_one_sided

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_SYMPTOMS = {
    "conversation.item.input_audio_transcription.failed": "transcription fails",
    "absent:conversation.item.input_audio_transcription.completed": "transcription never ends",
    "response.done": "the response fails",
    "absent:response.created": "no response comes",
    "absent:response.done": "the response never ends",
    "handshake": "the connection is refused",
    "absent:session.created": "the session never opens",
    "close": "the connection breaks off",
    "error": "the endpoint answers with an error",
}
_ALL_OF = {2: "both", 3: "all three", 4: "all four"}


class Said(NamedTuple):
    """A verdict in words."""

    sentence: str
    """For the ticket."""
    conclusion: str = ""
    """What the counts in it come to, as it stands behind them; empty where that is nothing yet, or stands first."""


def symptom(failure_key: str, among: Iterable[str] = ()) -> str:
    """Say what fails, by its failure key; of two `among` a recording's that would be said alike, say more."""
    said = _symptom(failure_key)
    if all(key == failure_key or _symptom(key) != said for key in among):
        return said
    return f"{said} ({', '.join(filter(None, failure_key.split('|')[1:]))})"


def _symptom(key: str) -> str:
    return _SYMPTOMS.get(key) or _SYMPTOMS.get(key.split("|")[0]) or f"it fails ({key})"


def symptoms(failure_keys: Sequence[str], told: str | None, each: Sequence[FailureCount]) -> str:
    """Say what is counted: the failure `told` with what came and went just so, else all that came again of a recording.

    `each` counts them one by one.
    """
    came = [count for count in each if count.failed and (told is None or count.view == told)]
    if not came:
        return symptom(told or (failure_keys[0] if failure_keys else ""), failure_keys)
    keys = [count.failure_key for count in each]
    names = list(dict.fromkeys(symptom(count.failure_key, keys) for count in came))
    return joined(names) if all(count.view == told for count in came) else joined(names, "or")


def place(cell: CellResult, axes: Sequence[Axis]) -> str:
    """Name a cell in a sentence: `at eastus2 with whisper-1`."""
    settings = []
    for axis in axes:
        if axis.axis == TARGET_AXIS:
            continue
        settings.append(_in_words(axis.axis, cell.values.get(axis.axis, "")))
    return f"at {cell.target}" + (f" with {joined(settings)}" if settings else "")


def _in_words(axis: str, value: str) -> str:
    if axis == AUDIO_AXIS:
        return audio_in_words(value or RECORDED)
    return value if axis_label(axis) == "transcription model" else f"{short_path(axis)}={value}"


def say_results(
    symptom_text: str,
    baseline: CellResult,
    cells: Sequence[CellResult],
    axes: Sequence[Axis],
    subject: str = "this session",
) -> str:
    """State the counts, the baseline's first; without the full stop. `subject` is what the trials replayed, or are."""
    nearest_first = sorted(cells, key=lambda cell: _distance(baseline, cell, axes))
    others = [f"{cell.ratio} {place(cell, axes)}" for cell in nearest_first if not cell.baseline]
    counts = "; " + ", ".join(others) if others else ""
    return f"With {subject} {symptom_text} {place(baseline, axes)}, {baseline.ratio}{counts}"


def say_not_reproduced(
    baseline: CellResult,
    cells: Sequence[CellResult],
    axes: Sequence[Axis],
    subject: str = "this session",
    recorded_at: str | None = None,
) -> str:
    """Say that the failure did not come again, and which rates that leaves possible; `recorded_at` is a target."""
    bound = exact_upper_bound(0, baseline.trials)
    trials = counted(baseline.trials, "trial")
    excludes = "excludes" if baseline.trials == 1 else "exclude"
    said = (
        f"Not reproduced: with {subject} the recorded failure did not come again {place(baseline, axes)},"
        f" {baseline.ratio}; {trials} {excludes} a rate above {bound:.0%} ({CONFIDENCE:.0%}, exact one-sided)."
    )
    elsewhere = [f"{cell.ratio} {place(cell, axes)}" for cell in cells if cell.failed and not cell.baseline]
    if elsewhere:
        return f"{said} It did come {joined(elsewhere)}: run again with that target first."
    # A recording made at a plain URL may have been replayed there under a target's name.
    if recorded_at and "://" not in recorded_at and all(cell.target != recorded_at for cell in cells):
        return f"{said} It was recorded at {recorded_at}, and no trial went there by that name: replay it there too."
    return f"{said} More trials or another time of day may show it."


def say_pace(speed: float) -> str:
    """Say of a failure that did not come again that the trials had another pace than the recording."""
    if speed == 1:
        return ""
    said = "max" if speed == float("inf") else f"{speed:g}"
    return f" All trials ran at --speed {said}: what goes by the endpoint's own clock comes at --speed 1 alone."


def say_not_as_recorded(baseline: CellResult, cells: Sequence[CellResult], axes: Sequence[Axis], subject: str) -> str:
    """Say that the failure did not come in trials that are not the recording as it was: that excludes nothing."""
    elsewhere = [f"{cell.ratio} {place(cell, axes)}" for cell in cells if cell.failed and not cell.baseline]
    it_came = f" It did come {joined(elsewhere)}." if elsewhere else ""
    return (
        f"Open: with {subject} the recorded failure did not come {place(baseline, axes)}, {baseline.ratio}; as recorded"
        f" the session was not replayed, and no rate is excluded.{it_came} Replay it as recorded first."
    )


def say_no_baseline(baseline: CellResult | None, axes: Sequence[Axis]) -> str:
    """Say that nothing can be compared, and why."""
    if baseline is None:
        return "Open: the run has no baseline to compare with."
    return f"Open: the baseline {place(baseline, axes)} decides nothing: {baseline.open_reason}."


def say_recording_is_gone(session_id: str) -> str:
    """Say that nothing can be compared, for what was replayed is not there any more."""
    return (
        f"Open: recording {session_id}, which these trials replayed, is gone, and without it nobody knows which of them"
        " are as recorded. Put its files back, or ask for the verdict of one run alone, whose file"
        " under runs/ knows."
    )


def say_recording_was_ok(cells: Sequence[CellResult], axes: Sequence[Axis], changed: str = "") -> str:
    """Sum up a run of a recording that had no failure to look for; `changed` says what all its trials change."""
    said = "The recorded session did not fail, so there is no failure to reproduce"
    broken = [f"{cell.not_counted} {place(cell, axes)}" for cell in cells if cell.not_counted]
    total = sum(cell.trials + cell.not_counted for cell in cells)
    if broken:
        return f"{said}; of {counted(total, 'replay')}{changed} these did not end well: {joined(broken)}."
    none = f"the replay{changed} did not fail" if total == 1 else f"none of {total} replays{changed} failed"
    return (
        f"{said}; {none} either. What no message tells of, such as audio that stalls, is no failure:"
        " `wiretape analyze failures --run RUN` names what is known of it."
    )


def say_one_axis(decisions: Sequence[AxisDecision], baseline: CellResult) -> str:
    """Conclude that one axis is at fault; what takes part, is ruled out or open beside it is said too."""
    # Where one change clears it and another only lowers its rate, it is the one that clears it.
    guilty = next((d for d in decisions if clears(d)), None) or next(d for d in decisions if _is_implicated(d))
    name = name_axis(guilty, baseline)
    said = f"it is the {name}. {_effect(guilty)}."
    if (same := unhelpful(guilty)) and not name.startswith("region"):
        said += f" Changing it to {joined([_value_in_words(c) for c in same])} does not."
    also = _say_also(decisions, [guilty], baseline if clears(guilty) else None)
    return said + also + _say_ruled_out(decisions, baseline) + _say_open(decisions, baseline)


def say_combination(decisions: Sequence[AxisDecision], baseline: CellResult) -> str:
    """Conclude that the failure needs several things at once."""
    needed = [decision for decision in decisions if clears(decision)]
    names = [_with_region(decision, baseline) for decision in needed]
    return say_it_takes(names) + _say_also(decisions, needed) + _say_open(decisions, baseline)


def say_several_causes(decisions: Sequence[AxisDecision], baseline: CellResult) -> str:
    """Conclude that several axes take part, and that none of them is needed."""
    if causes := find_causes(decisions):
        named = {axis for cause in causes for axis in cause.axis.split(" + ")}
        rest = [decision for decision in decisions if decision.axis not in named]
        return say_causes(causes) + _say_ruled_out(rest, baseline) + _say_open(rest, baseline)
    names = [_with_region(decision, baseline) for decision in decisions if _is_implicated(decision)]
    return say_each_has_a_part(names) + _say_ruled_out(decisions, baseline) + _say_open(decisions, baseline)


def find_causes(decisions: Iterable[AxisDecision]) -> list[AxisDecision]:
    """Find the fewest axes of which several changes at once help, where no single one does; given those of few first.

    Of any two of three causes each pair may help. What more changes do beside is told where it takes them to clear it.
    """
    found: list[AxisDecision] = []
    for decision in decisions:
        if " + " not in decision.axis or not _is_implicated(decision):
            continue
        axes = set(decision.axis.split(" + "))
        within = [fewer for fewer in found if axes.issuperset(fewer.axis.split(" + "))]
        if not within or (clears(decision) and not any(map(clears, within))):
            found.append(decision)
    return found


def say_causes(causes: Sequence[AxisDecision]) -> str:
    """Conclude that no change helps alone, and which do together; `causes` are those of `find_causes`."""
    if len(causes) > 1:
        ways = [f"with {joined(cause.label.split(' + '))} changed it {_effect_at_once(cause)}" for cause in causes]
        return f"no change helps alone, and several at once do in more than one way: {'; '.join(ways)}."
    names = causes[0].label.split(" + ")
    count = _count_in_words(len(names), "cause")
    only = f"only with {_ALL_OF.get(len(names), 'all')} changed"
    return f"there are {count}, {joined(names)}: {only} it {_effect_at_once(causes[0])}."


def _effect_at_once(cause: AxisDecision) -> str:
    helping = [c.cell for c in cause.comparisons if c.decision == "implicated"]
    return f"fails less, {joined([cell.ratio for cell in helping])}" if any(c.failed for c in helping) else "passes"


def say_each_has_a_part(names: Sequence[str]) -> str:
    """Conclude that each of several things takes part in it, two or more."""
    return f"{joined(names)} each have a part in it, and none alone clears it: there is more than one cause."


def say_it_takes(names: Sequence[str]) -> str:
    """Conclude that it takes all of several things, two or more."""
    alone = f"Neither {' nor '.join(names)}" if len(names) == 2 else f"None of {joined(names)}"
    return f"it takes {_ALL_OF.get(len(names), f'all {len(names)}')}. {alone} alone explains it."


def say_not_in_these(decisions: Sequence[AxisDecision], baseline: CellResult) -> str:
    """Conclude that nothing that was varied is at fault."""
    singles = [decision for decision in decisions if " + " not in decision.axis]
    names = [f"the {name_axis(decision, baseline)}" for decision in singles]
    which = f"changing {names[0]} does" if len(names) == 1 else f"changing {' or '.join(names)} alone does"
    several = "both" if len(names) == 2 else "several"
    at_once = f", and {several} at once do not either" if len(decisions) > len(singles) else ""
    common = shared(decision.axis for decision in singles)
    return f"it is not in what was varied: {which} not help{at_once}. Look at what the cells have in common: {common}."


def shared(axes: Iterable[str]) -> str:
    """List what cells that were varied along these axes still have in common."""
    return ", ".join([*([] if AUDIO_AXIS in axes else ["the audio"]), "the client", "the account", "the service"])


def say_undecided(decisions: Sequence[AxisDecision], baseline: CellResult) -> str:
    """Conclude nothing, and say what is missing."""
    return f"that decides nothing yet.{_say_ruled_out(decisions, baseline)}{_say_open(decisions, baseline)}"


def say_elsewhere(
    baseline: CellResult,
    cells: Sequence[CellResult],
    axes: Sequence[Axis],
    *,
    one_recording: bool = True,
    one_failure: bool = False,
) -> str:
    """Say where the same audio passes, and what happened to the cells that no comparison covers.

    `one_failure`: the counts are of one of several, and others may come where that one does not.
    """
    others = [cell for cell in cells if not cell.baseline and not cell.open_reason]
    passing = [cell for cell in others if not cell.failed and _tells_passing(baseline, cell)]
    said = ""
    if passing:
        every = "the " if len(passing) == len(cells) - 1 else ""
        count = "other cell" if len(passing) == 1 and every else _count_in_words(len(passing), "other cell")
        is_same = one_recording and all(
            cell.values.get(AUDIO_AXIS) == baseline.values.get(AUDIO_AXIS) for cell in passing
        )
        passes = "is without that failure" if one_failure else "passes"
        said = f" {'The same audio' if is_same else 'It'} {passes} in {every}{count}."
    odd = [
        f"{cell.ratio} {place(cell, axes)}" for cell in others if cell.failed and len(_differences(baseline, cell)) > 1
    ]
    return said + (f" With more than one thing changed it still fails {joined(odd)}." if odd and passing else "")


def _tells_passing(baseline: CellResult, cell: CellResult) -> bool:
    """Tell whether no failure in a cell is more than luck: of a flaky one, a few trials without it are none."""
    counts = (baseline.failed, baseline.trials, cell.failed, cell.trials)
    return fisher_one_sided(*counts) <= 1 - CONFIDENCE + 1e-9


def rank(decisions: Sequence[AxisDecision]) -> tuple[bool, int, bool]:
    """Rank what decisions on one failure, or on all as one, tell: of two causes each hides what cures the other."""
    clearing = [decision for decision in decisions if clears(decision)]
    singles = sum(" + " not in decision.axis for decision in clearing)
    return bool(clearing), singles, any(_is_implicated(decision) for decision in decisions)


def list_helping(decisions: Iterable[AxisDecision]) -> list[Comparison]:
    """List the changes that lower the rate of a failure."""
    return [c for decision in decisions for c in decision.comparisons if c.decision == "implicated"]


def say_each(told: str | None, each: Sequence[FailureCount], helping: Mapping[str | None, Sequence[Comparison]]) -> str:
    """Say how often each failure of a recording came again, beside what a verdict counts: `told`, or all as one.

    `helping` gives the changes that lower the rate of a failure by itself.
    """
    keys = [count.failure_key for count in each]
    others = [count for count in each if count.view != told]
    came = [count for count in (each if told is None else others) if count.failed]
    said = ""
    if others and came and (told is not None or len(came) > 1):
        as_one = {(c.axis, c.value) for c in helping[None]} if told is None else set()
        counts = [_say_count(count, keys, helping[count.view], as_one) for count in came]
        said = f" {'Each by itself:' if told is None else 'Apart from that'} {joined(counts)}."
    for count in others:
        name = symptom(count.failure_key, keys)
        if not count.trials:
            said += f" Whether {name} is not known: another failure came before it in every trial."
        elif not count.failed:
            said += f" That {name} did not come again, 0 of {counted(count.trials, 'trial')}."
    return said


def _say_count(
    count: FailureCount, keys: Sequence[str], helping: Sequence[Comparison], said: Collection[tuple[str, str]]
) -> str:
    helps = [
        f"{' + '.join(map(axis_label, c.axis.split(' + ')))} = {c.value}, {c.cell.ratio}"
        for c in helping
        if (c.axis, c.value) not in said
    ]
    implicated = f" (implicated: {'; '.join(helps)})" if helps else ""
    return f"{symptom(count.failure_key, keys)} in {count.failed} of {counted(count.trials, 'trial')}{implicated}"


def say_not_tested(topics: Sequence[str]) -> str:
    """List what the run leaves open by its design."""
    if not topics:
        return ""
    listed = joined(list(topics))
    return f" {listed[0].upper()}{listed[1:]} {'was' if len(topics) == 1 else 'were'} not tested."


def say_composed(run_id: str, runs: Sequence[str], *, of_calls: bool, of_adaptive: bool) -> str:
    """Say what comes of putting trials together that were not laid out together, or whose run's file tells nothing."""
    if of_calls:
        return (
            " These are calls of their own: what else differed, such as their audio and their time, was not compared."
        )
    if list(runs) == [run_id]:
        said = " The file of the run is gone or cannot be read: this is read off its sessions."
    elif len(runs) < 2:
        said = ""
    else:
        said = (
            f" The trials are those of {_count_in_words(len(runs), 'run')} ({', '.join(runs)}): what changed from one"
            " to the next is not told from what was varied."
        )
    if of_adaptive:
        said += (
            " Trials of `replay isolate` are among them, which were chosen by what came before them: the counts are"
            " right, the odds and decisions do not hold. Isolate again to decide."
        )
    return said


def name_axis(decision: AxisDecision, baseline: CellResult) -> str:
    """Name an axis in a conclusion: a target is called a region only if two targets of one region agree.

    And only if other regions were tried, and it does not fail there too: two targets of one region say nothing of it.
    Where the realtime model changed with the target in all that was compared, neither is told from the other.
    """
    if decision.axis != TARGET_AXIS:
        return decision.label
    region, is_implicated = baseline.region, _is_implicated(decision)
    if _tells_region(decision, region):
        return (f"region {region}" if is_implicated else "region") + _with_its_model(decision, baseline)
    # A name would say that it is that one alone.
    named = f"target {baseline.target}" if is_implicated and not unhelpful(decision) else "target"
    return named + _with_its_model(decision, baseline)


def _tells_region(decision: AxisDecision, region: str | None) -> bool:
    is_implicated, compared = _is_implicated(decision), decision.comparisons
    twins = [c for c in compared if c.cell.region == region and c.decision == "ruled_out"]
    others = [c for c in compared if c not in twins and (c.decision == "implicated" or not is_implicated)]
    if not (region and twins and others and all(c.cell.region not in (None, region) for c in others)):
        return False
    return not any(c.cell.failed for c in compared if c.cell.region != region and c not in others)


def unhelpful(decision: AxisDecision) -> list[Comparison]:
    """List the changes along an axis that leave the failure as it was, where another change along it does not."""
    return [c for c in decision.comparisons if c.decision == "ruled_out" and _is_implicated(decision)]


def _with_its_model(decision: AxisDecision, baseline: CellResult) -> str:
    telling = [c for c in decision.comparisons if c.decision == "implicated" or not _is_implicated(decision)]
    is_other = telling and all(c.cell.model != baseline.model for c in telling)
    return " together with its realtime model" if is_other else ""


def _with_region(decision: AxisDecision, baseline: CellResult) -> str:
    if decision.axis != TARGET_AXIS:
        return f"the {decision.label}"
    if not baseline.region:
        return f"the target{_with_its_model(decision, baseline)}"
    named = name_axis(decision, baseline)
    if named.startswith("region") or unhelpful(decision):
        return f"the {named}"
    return f"the target (region {baseline.region}){_with_its_model(decision, baseline)}"


def clears(decision: AxisDecision) -> bool:
    """Tell whether a change along this axis leaves no failure at all: what fails still does not need that axis."""
    return any(not c.cell.failed for c in decision.comparisons if c.decision == "implicated")


def _is_implicated(decision: AxisDecision) -> bool:
    return decision.decision == "implicated"


def _effect(decision: AxisDecision, *, also: str = "") -> str:
    helping = [c for c in decision.comparisons if c.decision == "implicated"]
    values = joined([_value_in_words(c) for c in helping])
    if not also and not any(c.cell.failed for c in helping):
        return f"Changing it to {values} clears the failure"
    rates = joined([c.cell.ratio for c in helping])
    return f"Changing the {decision.label} to {values} {also}lowers the rate to {rates}"


def _value_in_words(comparison: Comparison) -> str:
    return audio_in_words(comparison.value) if comparison.axis == AUDIO_AXIS else comparison.value


def _say_also(
    decisions: Sequence[AxisDecision], said: Sequence[AxisDecision], cleared: CellResult | None = None
) -> str:
    others = [decision for decision in decisions if _is_implicated(decision) and decision not in said]
    return "".join(f" {_effect(decision, also='also ')}{say_take_both(decision, cleared)}." for decision in others)


def say_take_both(decision: AxisDecision, cleared: CellResult | None) -> str:
    """Say of an axis beside the one at fault that most failures need it as well.

    `cleared` is the baseline, where the change at fault leaves no failure of it, else None: only then all of them need
    that one.
    """
    if cleared is None:
        return ""
    rates = [c.cell.failed / c.cell.trials for c in decision.comparisons if c.decision == "implicated"]
    return ": most of the failures take both" if 2 * min(rates) < cleared.failed / cleared.trials else ""


def _say_ruled_out(decisions: Sequence[AxisDecision], baseline: CellResult) -> str:
    singles = [decision for decision in decisions if " + " not in decision.axis]
    names = [f"the {name_axis(d, baseline)}" for d in singles if d.decision == "ruled_out"]
    return f" Ruled out: {joined(names)}." if names else ""


def _say_open(decisions: Sequence[AxisDecision], baseline: CellResult) -> str:
    said = ""
    for decision in decisions:
        open_ones = [c for c in decision.comparisons if c.decision == "open"]
        if decision.decision == "open" and open_ones:
            reasons = list(dict.fromkeys(c.reason for c in open_ones))
            at_once = " at once" if " + " in decision.axis else ""
            name = name_axis(decision, baseline).replace(" + ", " and the ")
            said += f" Open: the {name}{at_once} ({'; '.join(reasons)})."
        elif decision.decision == "open":
            said += f" Open: the {name_axis(decision, baseline)} (no cell differs from the baseline in it alone)."
    return said


def _distance(baseline: CellResult, cell: CellResult, axes: Sequence[Axis]) -> tuple[int, list[int]]:
    # Cells that differ in one axis come first: they are what the conclusion rests on.
    changed = _differences(baseline, cell)
    return len(changed), [number for number, axis in enumerate(axes) if axis.axis in changed]


def _differences(baseline: CellResult, cell: CellResult) -> set[str]:
    return {axis for axis, value in cell.values.items() if baseline.values.get(axis) != value}


def joined(parts: Sequence[str], word: str = "and") -> str:
    """Write a list as people do: `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {word} {parts[-1]}"


def _count_in_words(count: int, noun: str) -> str:
    number = _NUMBERS[count] if count < len(_NUMBERS) else str(count)
    return f"{number} {noun}" if count == 1 else f"{number} {noun}s"
