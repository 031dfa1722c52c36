"""Errors that people see."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from capture.errors import EndpointRefused, GuestLog, UsageProblem, WiretapeError, describe_fault


def test_misuse_exits_2_and_a_refusal_1() -> None:
    assert WiretapeError.exit_code == UsageProblem.exit_code == 2
    assert EndpointRefused.exit_code == 1
    assert issubclass(UsageProblem, WiretapeError)
    assert issubclass(EndpointRefused, WiretapeError)


def test_a_refusal_names_the_target_and_the_endpoints_own_words() -> None:
    refused = EndpointRefused(
        "azure-eastus2", "refused the session with HTTP 401", status=401, body='{"error": "bad key"}\n'
    )
    assert str(refused) == 'azure-eastus2 refused the session with HTTP 401: {"error": "bad key"}'
    assert (refused.target, refused.status) == ("azure-eastus2", 401)


def test_without_a_body_nothing_is_quoted() -> None:
    assert str(EndpointRefused("ws://127.0.0.1:1", "cannot be reached: connection refused")) == (
        "ws://127.0.0.1:1 cannot be reached: connection refused"
    )
    assert str(EndpointRefused("t", "refused", status=500, body=" \n")) == "t refused"


def test_a_long_body_is_cut() -> None:
    assert len(str(EndpointRefused("t", "refused", status=500, body="x" * 100_000))) < 600


def test_a_refusal_survives_the_way_between_processes() -> None:
    refused = EndpointRefused("t", "refused", status=429, body="slow down")
    copied = pickle.loads(pickle.dumps(refused))  # noqa: S301
    assert type(copied) is EndpointRefused
    assert (str(copied), copied.status, copied.body) == (str(refused), 429, "slow down")


def test_a_fault_is_named_by_its_type_and_place_and_never_by_what_it_quotes() -> None:
    told = []
    faults: list[Callable[[], object]] = [
        lambda: "s3cr3t \ud800".encode(),
        lambda: os.environ["S3CR3T"],
        lambda: Path("/nowhere/s3cr3t").read_bytes(),
    ]
    for fail in faults:
        try:
            fail()
        except Exception as error:  # noqa: BLE001 - any of them
            told.append(describe_fault(error))
    assert [re.sub(r":\d+", ":N", one) for one in told] == [
        "UnicodeEncodeError at test_errors.py:N > test_errors.py:N",
        "KeyError at test_errors.py:N > test_errors.py:N > <frozen os>:N",
        "FileNotFoundError: No such file or directory",
    ]
    assert describe_fault(ValueError("s3cr3t")) == "ValueError"


def test_a_log_says_who_spoke(caplog: pytest.LogCaptureFixture) -> None:
    GuestLog("capture.tap").warning("%d bytes were not recorded", 5)
    [said] = caplog.records
    assert (said.name, said.getMessage()) == ("capture.tap", "5 bytes were not recorded")
    assert said.funcName == "test_a_log_says_who_spoke"
