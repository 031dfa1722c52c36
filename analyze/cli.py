"""`wiretape analyze …`: browse recordings in a terminal, or ask one question on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from capture.completion import Offers, offer_in_flight, offer_sessions, silent
from capture.options import AsJson, Recordings
from replay.completion import offer_runs

if TYPE_CHECKING:
    from analyze.audio_health import AudioHealth
    from analyze.queries import Queries
    from capture.recording.root import Root
    from replay.verdict import Verdict

app = typer.Typer(help="Browse recordings in a terminal; or, with a command, ask one question.")

Session = Annotated[
    str,
    typer.Argument(
        metavar="SESSION", help="A session's id, a unique prefix, or `last`.", autocompletion=offer_sessions
    ),
]
Filter = Annotated[
    str, typer.Argument(metavar="[FILTER]", help="Such as 'region:eastus2 outcome:failed since:2h whisper*'.")
]


class FilteringCommand(TyperCommand):
    """A command whose FILTER may begin with a term of what is not wanted, as in `-region:eastus2`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep such a term from being read as an option: no option of ours has a colon in its name."""
        terms = [arg for arg in args if _UNWANTED.match(arg)]
        rest = [arg for arg in args if not _UNWANTED.match(arg)]
        ctx.allow_extra_args = True
        more = super().parse_args(ctx, rest + (["--", *terms] if terms and "--" not in rest else terms))
        if more and not ctx.resilient_parsing:
            ctx.fail("a filter of several terms is one argument: quote it, as 'region:eastus2 outcome:failed'")
        return more


@silent
def _offer_investigations(incomplete: str) -> Offers:  # noqa: ARG001 - typer passes it
    from analyze.investigations import load_investigations

    return [(question.name, question.title) for question in load_investigations()]


@silent
def _offer_dimensions(incomplete: str) -> Offers:
    from analyze.filters import TEXT_FIELDS

    # No words of a filter, and no tags: bash takes a word apart at `:` and `=`, and zsh evaluates what clients named.
    row, comma, _ = incomplete.rpartition(",")
    return [(f"{row}{comma}{name}", "") for name in (*TEXT_FIELDS, "date") if name != row]


_MORE_HELD = 50
"""Sessions that are read beyond those that a list shows: ids do not tell which came last within a second."""
_UNWANTED = re.compile(r"-\w+:")
_MOST_NAMED = 20
"""Files that are left out; more of them scroll the answer away."""


class Track(StrEnum):
    """Whose audio."""

    CLIENT = "client"
    SERVER = "server"


@app.callback(invoke_without_command=True)
def browse(
    context: typer.Context,
    recordings: Recordings = None,
    in_browser: Annotated[bool, typer.Option("--web", help="Serve the same to a browser on this machine.")] = False,
    listen: Annotated[
        str | None, typer.Option("--listen", metavar="HOST:PORT", help="With --web: where; default 127.0.0.1:8790.")
    ] = None,
) -> None:
    """Browse recordings in a terminal; or, with a command, ask one question."""
    from capture.errors import UsageProblem

    # `wiretape analyze --recordings ROOT sessions` means the same as the option behind the command.
    context.obj = recordings
    if (listen is not None and not in_browser) or (in_browser and context.invoked_subcommand is not None):
        raise UsageProblem("--listen goes with --web, and --web with no command: it serves the browser of recordings")
    if in_browser:
        from analyze.web import DEFAULT_LISTEN, serve

        serve(listen or DEFAULT_LISTEN, recordings)
    elif context.invoked_subcommand is None:
        from analyze.tui.app import run
        from capture.recording.root import open_root

        run(open_root(recordings))


@app.command("sessions", cls=FilteringCommand)
def sessions_command(
    context: typer.Context,
    filter: Filter = "",  # noqa: A002 - its word
    limit: Annotated[int, typer.Option("--limit", min=1, max=2**31, help="The newest so many.")] = 50,
    recordings: Recordings = None,
    as_json: AsJson = False,
) -> None:
    """List sessions, newest first."""
    from analyze.printing.listing import count_sentence, sessions_table, shows_findings
    from analyze.printing.page import print_json
    from capture.narration import tell
    from replay.printing.page import page, print_all

    width = page().width
    with _asking(context, recordings, newest=None if filter or as_json else limit) as queries:
        found, total = queries.newest_held(limit), queries.store.listed_sessions
        if found is not None and not shows_findings(width, total):
            matching = total
        else:
            if queries.store.is_partial:
                queries.store.refresh()
            total = _count_or_explain(queries)
            if not total and not as_json:
                return
            found = queries.sessions(filter, limit=limit, findings=as_json or shows_findings(width, total))
            matching = queries.session_count(filter) if len(found) == limit else len(found)
        if as_json:
            print_json(found)
        elif found:
            print_all(sessions_table(found, width))
        # Whoever counts records of JSON has to hear that there are more.
        if not as_json or len(found) < matching:
            tell(count_sentence(len(found), matching, total, queries.store.root.path))


@app.command("show")
def show_command(
    context: typer.Context,
    session: Session,
    every: Annotated[bool, typer.Option("--all", help="One line an event: streams are not folded.")] = False,
    recordings: Recordings = None,
    as_json: AsJson = False,
) -> None:
    """Show one session: facts, turns with latencies, timeline with errors in place, what is missing."""
    from analyze.printing.page import print_json
    from analyze.printing.session import session_json, session_page
    from replay.printing.page import print_all

    with _asking(context, recordings) as queries:
        session_id = queries.resolve(session)
        # The pass over the root comes first: it reads all files, the questions after it those of the session.
        findings = queries.session_findings(session_id)
        detail, timeline = queries.session(session_id), queries.timeline(session_id, fold=not every)
        if as_json:
            print_json(session_json(detail, timeline, findings))
        else:
            print_all(session_page(detail, timeline, findings))


@app.command("follow")
def follow_command(
    context: typer.Context,
    session: Annotated[
        str,
        typer.Argument(
            metavar="SESSION",
            help="One in flight: its id, a unique prefix of it, or last.",
            autocompletion=offer_in_flight,
        ),
    ],
    every: Annotated[bool, typer.Option("--all", help="One line an event: streams are not folded.")] = False,
    recordings: Recordings = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each message as one line of JSON.")] = False,
) -> None:
    """Follow a session in flight, message by message, until it is over."""
    from analyze.follow_command import follow, resolve_in_flight
    from capture.recording.root import open_root

    root = open_root(_root_of(context, recordings))
    follow(root, resolve_in_flight(root, session), every=every, as_json=as_json)


@app.command("explain")
def explain_command(
    context: typer.Context, session: Session, recordings: Recordings = None, as_json: AsJson = False
) -> None:
    """Explain one session to whoever is on call: what happened, on which rows it rests, what to try next."""
    from analyze.explanation import explain
    from analyze.printing.explanation import explanation_json, explanation_page
    from analyze.printing.page import print_json
    from replay.printing.page import page, print_all

    with _asking(context, recordings) as queries:
        explanation = explain(queries, queries.resolve(session))
        if as_json:
            print_json(explanation_json(explanation))
        else:
            print_all(*explanation_page(explanation, page().width))


@app.command("annotate")
def annotate_command(
    context: typer.Context,
    session: Session,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="K=V", help="Give it a tag; K= takes the tag away.")
    ] = None,
    note: Annotated[list[str] | None, typer.Option("--note", metavar="TEXT", help="Write a note about it.")] = None,
    recordings: Recordings = None,
    as_json: AsJson = False,
) -> None:
    """Give a recorded session tags and notes; the recording itself stays as it is."""
    from analyze.annotating import annotate, read_tag
    from analyze.printing.page import print_json
    from capture.narration import tell

    (session_id,) = _resolved(context, recordings, session)
    with _asking(context, recordings, only=[session_id]) as queries:
        annotate(queries.store.root, [session_id], tags=dict(map(read_tag, tag or [])), notes=note or [])
        queries.store.refresh()
        summary = queries.session(session_id).summary
        if as_json:
            print_json({"session_id": session_id, "tags": summary.tags, "notes": summary.notes})
        tell(f"annotated {session_id}: find it with the filter tag:NAME=VALUE or note:WORD")


@app.command("diff")
def diff_command(
    context: typer.Context,
    first: Annotated[
        str,
        typer.Argument(
            metavar="A", help="The baseline: of two sessions, its lines are marked -.", autocompletion=offer_sessions
        ),
    ],
    others: Annotated[
        list[str],
        typer.Argument(metavar="B…", help="The others, up to seven; of one, marked +.", autocompletion=offer_sessions),
    ],
    every: Annotated[bool, typer.Option("--all", help="Equal events too, one line each.")] = False,
    recordings: Recordings = None,
    as_json: AsJson = False,
) -> None:
    """Set two to eight sessions side by side: outcomes, configuration, latencies, words, events; ids and times masked.

    The first is the baseline that each of the others is compared with.
    """
    from analyze.printing.comparison import diff_json, diff_page
    from analyze.printing.page import print_json
    from analyze.printing.side_by_side import outcomes_json, outcomes_table, side_by_side_json, side_by_side_page
    from replay.printing.page import print_all

    ids = _resolved(context, recordings, first, *others)
    with _asking(context, recordings, only=ids) as queries:
        shown = queries.side_by_side(ids)
        if len(shown.diffs) > 1:
            if as_json:
                print_json(side_by_side_json(shown))
            else:
                print_all(side_by_side_page(shown, every=every))
        elif as_json:
            print_json(diff_json(shown.diffs[0]) | {"outcomes": outcomes_json(shown)})
        else:
            print_all(diff_page(shown.diffs[0], outcomes_table(shown), every=every))


@app.command("failures", cls=FilteringCommand)
def failures_command(
    context: typer.Context,
    filter: Filter = "",  # noqa: A002 - its word
    by: Annotated[
        str,
        typer.Option(
            "--by",
            metavar="ROW[,COLUMN]",
            help="One or two columns of sessions, or tag:NAME.",
            autocompletion=_offer_dimensions,
        ),
    ] = "region,transcription_model",
    run: Annotated[
        str | None,
        typer.Option("--run", help="Sessions of this run only: id, prefix, or `last`.", autocompletion=offer_runs),
    ] = None,
    over_time: Annotated[
        bool, typer.Option("--over-time", help="Rates over time for each value of ROW, with onset and clearing.")
    ] = False,
    recordings: Recordings = None,
    as_json: AsJson = False,
) -> None:
    """Name failures, and count them over one or two dimensions: k of n with Wilson's 95 % interval."""
    from analyze.filters import narrowed
    from analyze.printing.findings import findings_json, findings_parts
    from analyze.printing.listing import matrix_json, matrix_table
    from analyze.printing.page import heading, print_json
    from analyze.printing.rates import print_rates
    from capture.narration import tell
    from replay.printing.page import print_all

    with _asking(context, recordings) as queries:
        if not _count_or_explain(queries) and not as_json:
            return
        if run is not None:
            filter = narrowed(filter, f"run:{queries.run_id(run)}")  # noqa: A001 - its word
        if over_time:
            print_rates(queries.failures_over_time(by.partition(",")[0].strip(), filter=filter), as_json=as_json)
            return
        findings, unknown = queries.findings(filter), queries.unknown_failures(filter)
        matrix = queries.failures([name.strip() for name in by.split(",")], filter=filter)
        if as_json:
            print_json(findings_json(findings, unknown) | matrix_json(matrix))
            return
        named = findings_parts(findings, unknown)
        if matrix.rows:
            print_all(*named, *([heading("failed of counted")] if named else []), matrix_table(matrix))
        counted = matrix.total.trials
        tell(f"{matrix.total.failed:,} of {counted:,} sessions failed, {matrix.total.not_counted:,} not counted")


@app.command("verdict")
def verdict_command(
    context: typer.Context,
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN…]",
            help="A run's id, a unique prefix, or `last`; several are put together, as are sessions tagged run=NAME.",
            autocompletion=offer_runs,
        ),
    ] = None,
    recordings: Recordings = None,
    as_json: AsJson = False,
) -> None:
    """Say what a run of replay proved: which axis is at fault, what is ruled out, what was not tested."""
    from analyze.printing.decision import verdict_json
    from analyze.printing.page import print_json
    from capture.recording.root import open_root

    root = open_root(_root_of(context, recordings))
    if as_json:
        print_json([verdict_json(verdict, health) for verdict, health in _verdicts(root, *(runs or ["last"]))])
    else:
        print_verdict(root, *(runs or ["last"]))


@app.command("sql")
def sql_command(
    context: typer.Context,
    statement: Annotated[
        str | None, typer.Argument(metavar="[SQL]", help="One SELECT or EXPLAIN, in DuckDB's dialect.")
    ] = None,
    investigation: Annotated[
        str | None,
        typer.Option(
            "--investigation",
            metavar="NAME",
            help="Ask a saved question instead.",
            autocompletion=_offer_investigations,
        ),
    ] = None,
    saved: Annotated[bool, typer.Option("--list", help="List the saved questions.")] = False,
    recordings: Recordings = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Ask in SQL.

    Tables: sessions, events, timeline, turns, items, responses, transcriptions, latencies, errors, audio, tracks,
    annotations, divergences, rewrites.
    """
    from analyze.sql_command import print_answer, print_investigations, statement_of
    from capture.errors import UsageProblem
    from capture.narration import tell

    if as_json and as_csv:
        raise UsageProblem("--json and --csv cannot both be printed: choose one")
    if saved:
        print_investigations(as_json=as_json)
        return
    asked = statement_of(statement, investigation)
    with _asking(context, recordings) as queries:
        if not (path := queries.store.root.path).is_dir():
            # Its tables are empty, and a count of nothing would read as an answer.
            tell(f"there is no folder {path}: give the one that holds recordings with --recordings")
        print_answer(queries.store, asked, "json" if as_json else "csv" if as_csv else "table")


@app.command("audio")
def audio_command(
    context: typer.Context,
    session: Session,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.wav", help="Where to write it.")],
    track: Annotated[Track, typer.Option("--track", help="What was sent, or what came back.")] = Track.CLIENT,
    recordings: Recordings = None,
) -> None:
    """Write one track of a session as a WAV file."""
    from analyze.left_out import windows_words
    from analyze.wav import write_track
    from capture.listing import resolve_recording
    from capture.narration import tell
    from capture.recording.reader import open_recording
    from capture.recording.root import open_root

    root = open_root(_root_of(context, recordings))
    recording = open_recording(root, resolve_recording(root, session))
    duration_ms = write_track(recording, track.value, output, overwrite=True)
    tell(f"{duration_ms / 1000:.1f} s of the {track.value}'s audio in {output}")
    if cut := windows_words(recording.session):
        tell(f"the session is {cut}; what is left is joined")


def print_verdict(root: Root, *runs: str) -> None:
    """Print what a run proved of each session it replayed: an id, a unique prefix, or `last`; several are one run."""
    from analyze.printing.decision import verdict_page
    from replay.printing.page import page, print_all

    print_all(*(verdict_page(verdict, page().width, health) for verdict, health in _verdicts(root, *runs)))


def _verdicts(root: Root, *runs: str) -> list[tuple[Verdict, AudioHealth | None]]:
    """Give a run's verdicts, each with what is to be said of the audio that was replayed; None: it is gone."""
    from analyze.breaking_off import broken_off_by_signals
    from analyze.queries import Queries
    from analyze.store import open_store
    from capture.errors import UsageProblem

    found: list[tuple[Verdict, AudioHealth | None]] = []
    say = partial(_tell_of_many, root)
    with broken_off_by_signals() as breaks_off, open_store(root, before_reading=say) as store:
        breaks_off(store.interrupt)
        queries = Queries(store)
        for verdict in queries.verdicts(*runs):
            try:
                found.append((verdict, queries.audio_health(verdict.session_id)))
            except UsageProblem:
                found.append((verdict, None))
    return found


@contextmanager
def _asking(
    context: typer.Context, recordings: Path | None, *, newest: int | None = None, only: Sequence[str] = ()
) -> Iterator[Queries]:
    """Open the root for one command; name on stderr what had to be left out.

    `newest` is a list's limit, and `only` are the ids of the sessions that a command is about.
    """
    from analyze.breaking_off import broken_off_by_signals
    from analyze.queries import Queries
    from analyze.store import open_store
    from capture.narration import counted, tell
    from capture.recording.root import open_root

    root = open_root(_root_of(context, recordings))
    held = None if newest is None else newest + _MORE_HELD
    say = partial(_tell_of_many, root)
    with broken_off_by_signals() as breaks_off, open_store(root, newest=held, only=only, before_reading=say) as store:
        breaks_off(store.interrupt)
        try:
            yield Queries(store)
        finally:
            for path, reason in islice(store.unreadable.items(), _MOST_NAMED):
                tell(f"left out {path}: {reason}")
            if len(store.unreadable) > _MOST_NAMED:
                tell(f"left out {counted(len(store.unreadable) - _MOST_NAMED, 'other file')}")


def _tell_of_many(root: Root, session_ids: Sequence[str]) -> None:
    from analyze.store import why_slow
    from capture.narration import tell

    if why := why_slow(root, session_ids):
        tell(why)


def _resolved(context: typer.Context, recordings: Path | None, *sessions: str) -> list[str]:
    """Find the ids that are meant, once: a session that is sealed meanwhile is another `last`."""
    from capture.listing import resolve_recording
    from capture.recording.root import open_root

    root = open_root(_root_of(context, recordings))
    return [resolve_recording(root, session) for session in sessions]


def _root_of(context: typer.Context, recordings: Path | None) -> Path | None:
    before_command: Any = context.obj
    return recordings or before_command


def _count_or_explain(queries: Queries) -> int:
    from capture.errors import UsageProblem
    from capture.live import ids_in_flight
    from capture.narration import counted, tell

    total, root = queries.session_count(), queries.store.root
    if total:
        return total
    if in_flight := ids_in_flight(root):
        tell(
            f"no recordings in {root.path} yet, and {counted(len(in_flight), 'session')} not sealed yet:"
            f" `{root.command('wiretape capture list')}` shows how they stand"
        )
        return 0
    how = "record one with: wiretape capture call --to TARGET --audio FILE"
    how += " (or see `wiretape capture import` and `wiretape demo`)"
    if not root.path.is_dir():
        raise UsageProblem(f"no recordings: there is no folder {root.path}; {how}")
    tell(f"no recordings in {root.path} yet; {how}{root.why_empty()}")
    return 0
