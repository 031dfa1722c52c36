"""Write a run as JUnit XML, so that a CI system shows each trial: a cell is a suite, a trial a test case."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from capture.errors import UsageProblem
from capture.plain_text import visible
from replay.gates import GateResult
from replay.runs import Run, RunCell, Trial

_SIGNS = {"failed": "failure", "failed_otherwise": "error", "throttled": "skipped", "not_run": "skipped"}


def check_writable(path: Path) -> None:
    """Check that the file can be written, before trials are made for it; raises `UsageProblem`."""
    folder = path.parent
    if path.is_dir():
        reason = "it is a folder"
    elif not folder.is_dir():
        reason = f"there is no folder {folder}"
    elif not os.access(path if path.exists() else folder, os.W_OK):
        reason = "it is not allowed"
    else:
        return
    raise UsageProblem(f"{path} cannot be written: {reason}")


def write_junit(run: Run, path: Path, expectations: Sequence[GateResult] = ()) -> None:
    """Write the file; raises `UsageProblem` where that is impossible."""
    try:
        path.write_bytes(to_junit(run, expectations))
    except OSError as error:
        raise UsageProblem(f"{path} cannot be written: {error.strerror or error}") from error


def to_junit(run: Run, expectations: Sequence[GateResult] = ()) -> bytes:
    """Turn a run into XML: failed is a failure, failed otherwise an error, throttled and not run are skipped.

    Each gate of `--expect` is a test case of its own in a suite `expectations`, a failure where it is missed.
    """
    suites = ET.Element("testsuites", name=run.run_id)
    for cell in run.cells:
        _add_suite(suites, cell)
    if expectations:
        _add_expectations(suites, expectations)
    ET.indent(suites)
    document: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _add_suite(suites: ET.Element, cell: RunCell) -> None:
    signs = [_SIGNS.get(trial.outcome) for trial in cell.trials]
    suite = ET.SubElement(
        suites,
        "testsuite",
        name=visible(cell.cell),
        tests=str(len(signs)),
        failures=str(signs.count("failure")),
        errors=str(signs.count("error")),
        skipped=str(signs.count("skipped")),
    )
    for trial in cell.trials:
        _add_case(suite, cell, trial)


def _add_expectations(suites: ET.Element, expectations: Sequence[GateResult]) -> None:
    missed = sum(not each.is_met for each in expectations)
    counts = {"tests": str(len(expectations)), "failures": str(missed), "errors": "0", "skipped": "0"}
    suite = ET.SubElement(suites, "testsuite", {"name": "expectations", **counts})
    for each in expectations:
        case = ET.SubElement(suite, "testcase", classname="expectations", name=each.gate)
        if not each.is_met:
            ET.SubElement(case, "failure", message=visible("; ".join(each.reasons)))


def _add_case(suite: ET.Element, cell: RunCell, trial: Trial) -> None:
    name = f"trial {trial.trial} ({trial.session_id})"
    case = ET.SubElement(suite, "testcase", classname=visible(cell.cell), name=name)
    sign = _SIGNS.get(trial.outcome)
    if sign is not None:
        ET.SubElement(case, sign, message=visible(trial.note or trial.outcome.replace("_", " ")))
