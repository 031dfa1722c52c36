"""The map of the house: what import-linter cannot see, and that every module has its own test file."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[1]
PACKAGES = ("capture", "replay", "analyze")
FRONT_DOOR = "wiretape"
# Start-up time: `wiretape --help` must not wait for these; each is imported by the command that needs it.
HEAVY = ("pyarrow", "numpy", "duckdb", "textual", "scipy", "websockets", "soundfile", "soxr", "cryptography", "uvloop")
# It makes pyarrow.dataset four times slower to import wherever it is installed.
UNWANTED = ("pandas", "statsmodels")

WITHOUT_A_TEST_OF_THEIR_OWN: dict[str, str] = {
    "capture/importers/source.py": "types only; test_har.py and test_jsonl.py test what gives them",
    "capture/journal/protocols.py": "types only; test_writer.py and test_spooled.py test what has them",
}
"""Module (path in the project), or folder (with a slash at its end), to the reason why no test file bears its name."""


def modules() -> Iterator[Path]:
    """Give all our modules, as paths in the project."""
    for package in PACKAGES:
        yield from (path.relative_to(PROJECT) for path in sorted((PROJECT / package).rglob("*.py")))


def children_of(package: str) -> set[str]:
    """Name the modules and packages right inside a package."""
    inside = [
        path for path in (PROJECT / package).iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    ]
    return {path.stem for path in inside} - {"__init__"}


def tree_of(module: Path) -> ast.Module:
    return ast.parse((PROJECT / module).read_bytes(), filename=str(module))


def imports_of(module: Path) -> set[str]:
    """List the top-level packages that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def has_code(module: Path) -> bool:
    """Tell whether a module is more than a docstring, imports and the names it exports."""
    return not all(
        isinstance(node, ast.Import | ast.ImportFrom)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.Assign) and all(_is_dunder(target) for target in node.targets))
        for node in tree_of(module).body
    )


def _is_dunder(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and target.id.startswith("__")


def mirror_of(module: Path) -> Path:
    """Name the test file of a module; a package's own code is tested in a file of the package's name."""
    name = module.parent.name if module.stem == "__init__" else module.stem.lstrip("_")
    return Path("tests") / module.parent / f"test_{name}.py"


def is_exempt(module: Path) -> bool:
    return any(
        str(module) == exempt or (exempt.endswith("/") and str(module).startswith(exempt))
        for exempt in WITHOUT_A_TEST_OF_THEIR_OWN
    )


def test_nothing_imports_the_front_door() -> None:
    assert [str(module) for module in modules() if FRONT_DOOR in imports_of(module)] == []


def test_no_module_imports_pandas_or_what_brings_it() -> None:
    assert [str(module) for module in modules() if imports_of(module) & set(UNWANTED)] == []


def test_every_module_has_a_test_file_of_its_name() -> None:
    missing = [
        str(mirror_of(module))
        for module in modules()
        if has_code(module) and not is_exempt(module) and not (PROJECT / mirror_of(module)).is_file()
    ]
    assert missing == []


def test_every_exemption_is_still_needed() -> None:
    for exempt in WITHOUT_A_TEST_OF_THEIR_OWN:
        covered = [module for module in modules() if str(module).startswith(exempt)]
        assert any(not (PROJECT / mirror_of(module)).is_file() for module in covered), f"{exempt} needs no exemption"


def test_every_module_is_on_the_map() -> None:
    page = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\w+):[^\n]*\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    for package in PACKAGES:
        named = set(re.findall(r"`(\w+)/?`", sections[package]))
        assert {name for name in children_of(package) if name not in named} == set(), package


def test_no_command_prints_from_the_loop_of_its_sessions_itself() -> None:
    # A terminal that is stopped would hold up what the loop sends. The screens print from threads of their own.
    screens = {Path("analyze/tui/replay_runner.py")}
    runners = {module for module in modules() if re.search(r"asyncio\.(run|Runner)\(", (PROJECT / module).read_text())}
    assert runners > screens
    assert [each for each in runners - screens if "queued_output(" not in (PROJECT / each).read_text()] == []


def test_tests_are_no_packages() -> None:
    # A tests/capture/__init__.py would hide the package.
    assert list((PROJECT / "tests").rglob("__init__.py")) == []


def test_the_front_door_opens_without_heavy_packages() -> None:
    question = f"import sys, {FRONT_DOOR}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", question], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split() == []
