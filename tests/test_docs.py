"""The documentation names every command, and its links lead somewhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

import wiretape
from analyze.incidents_page import incidents_page
from analyze.signatures import load_signatures
from tests.sample import CALL, SAMPLE

HOME = Path(__file__).parents[1]
PAGES = sorted([*HOME.glob("*.md"), *HOME.glob("docs/**/*.md"), HOME / "recordings" / "README.md"])
LINK = re.compile(r"\]\(([^)#\s]+)")


def shown_commands(page: Path) -> list[str]:
    """List the commands in the fenced blocks of a page; a quoted argument may go over several lines."""
    blocks = re.findall(r"^```\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [part for block in blocks for part in re.split(r"^(?=wiretape )", block, flags=re.MULTILINE) if part]


def commands(group: TyperGroup, path: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}"


def front_door() -> TyperGroup:
    group = get_command(wiretape.app)
    assert isinstance(group, TyperGroup)
    return group


@pytest.mark.parametrize("command", list(commands(front_door(), "wiretape")))
def test_every_command_is_in_the_docs(command: str) -> None:
    said = " ".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert command in said


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HOME)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_page_of_incidents_is_as_the_signatures_say() -> None:
    # `make docs` writes it.
    page = HOME / "docs" / "incidents.md"
    assert page.read_text(encoding="utf-8") == incidents_page(load_signatures())


@pytest.mark.parametrize("command", shown_commands(HOME / "docs" / "analyze.md"))
def test_the_commands_of_the_page_on_analyze_answer(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WIRETAPE_RECORDINGS", str(SAMPLE.path))
    with pytest.raises(SystemExit) as ended:
        wiretape.main(shlex.split(command)[1:])
    printed = capsys.readouterr()
    assert (ended.value.code or 0, bool(printed.out)) == (0, True), printed.err


def test_the_tables_of_the_page_on_secrets_are_the_answers_to_its_questions(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WIRETAPE_RECORDINGS", str(SAMPLE.path))
    page = (HOME / "docs" / "secrets.md").read_text(encoding="utf-8")
    asked = re.findall(r"^\$ (wiretape analyze sql \"[^\"]*\")\n(\S[^\n]*)", page, re.MULTILINE)
    assert len(asked) == 2
    for command, columns in asked:
        with pytest.raises(SystemExit):
            wiretape.main(shlex.split(command.replace("$SESSION", CALL))[1:])
        assert capsys.readouterr().out.split("\n")[0].split() == columns.split()


def test_the_page_in_the_readme_is_what_the_sample_is_explained_as(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(SAMPLE.path.parent)
    monkeypatch.delenv("WIRETAPE_RECORDINGS", raising=False)
    readme = (HOME / "README.md").read_text(encoding="utf-8")
    command, page = re.findall(
        r"^```\n(wiretape analyze explain \S+)\n```\n\n```\n(▲.*?)\n…\n```", readme, re.MULTILINE | re.DOTALL
    )[0]
    with pytest.raises(SystemExit):
        wiretape.main(shlex.split(command)[1:])
    # A terminal breaks lines where a pipe does not.
    assert " ".join(page.replace("\\\n", "\n").split()) in " ".join(capsys.readouterr().out.split())


def test_what_prunes_a_service_names_its_program_and_its_root() -> None:
    unit, keeping = ((HOME / "docs" / page).read_text() for page in ("capture.md", "keeping.md"))
    [root] = re.findall(r"^Environment=WIRETAPE_RECORDINGS=(.+)$", unit, re.MULTILINE)
    [program] = re.findall(r"^ExecStart=(\S+) capture proxy", unit, re.MULTILINE)
    # Neither cron nor systemd looks for programs in /opt, and a root in which nothing lies is pruned without a word.
    assert set(re.findall(r"([/\w]*wiretape) capture \w+ --recordings (\S+?)[;\s]", keeping)) == {(program, root)}
