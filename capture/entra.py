"""Tokens of Microsoft Entra ID, through azure-identity where that is installed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from capture.errors import UsageProblem

SCOPE = "https://ai.azure.com/.default"
"""What a token is asked for: Azure's AI services (protocol section 3.2)."""


def entra_token(target_name: str, scope: str | None = None) -> str:
    """Give a token for a target, kept until shortly before it expires; asking for one is network I/O.

    Raises `UsageProblem` where there is none to be had.
    """
    try:
        return _tokens(scope or SCOPE)()
    except ImportError as error:
        raise UsageProblem("auth = \"entra\" needs azure-identity: pip install 'wiretape[entra]'") from error
    except Exception as error:
        # Each of azure-identity's sources of tokens fails in ways of its own.
        raise UsageProblem(
            f"target {target_name} gets no token from Entra: sign in with `az login`, or set AZURE_TENANT_ID,"
            f" AZURE_CLIENT_ID and AZURE_CLIENT_SECRET ({_reason(error)})"
        ) from error


@cache
def _credential() -> Any:
    """Make the credential: one for the process, as it keeps its tokens."""
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential()


@cache
def _tokens(scope: str) -> Callable[[], str]:
    from azure.identity import get_bearer_token_provider

    tokens: Callable[[], str] = get_bearer_token_provider(_credential(), scope)
    return tokens


def _reason(error: Exception) -> str:
    # What azure-identity tried and where it looked fills a page; a line with an Entra error code is the cause.
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return next((line for line in lines if "AADSTS" in line), lines[0])
