"""Tokens of Entra: asked for, kept, renewed, and refused; with a stand-in, and with azure-identity itself."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import ModuleType, SimpleNamespace
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from capture.entra import _credential, _tokens
from capture.errors import UsageProblem
from capture.targets import Target


def forget_tokens() -> None:
    for kept in (_tokens, _credential):
        kept.cache_clear()


class Credential:
    """Stands in for azure-identity's credential, which asks the network."""

    made = 0
    failure: Exception | None = None

    def __init__(self) -> None:
        type(self).made += 1

    def get_token(self, scope: str) -> SimpleNamespace:
        if self.failure is not None:
            raise self.failure
        return SimpleNamespace(token=f"token for {scope}")


@pytest.fixture
def credential(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Credential]]:
    """Put a stand-in in the place of azure-identity, and forget it afterwards."""
    identity = ModuleType("azure.identity")
    identity.DefaultAzureCredential = Credential  # type: ignore[attr-defined]
    identity.get_bearer_token_provider = lambda made, scope: lambda: made.get_token(scope).token  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "azure", ModuleType("azure"))
    monkeypatch.setitem(sys.modules, "azure.identity", identity)
    monkeypatch.setattr(Credential, "made", 0)
    forget_tokens()
    yield Credential
    forget_tokens()


ENTRA = Target(name="azure-eu", url="wss://x.openai.azure.com", auth="entra")


def test_entra_asks_for_a_token_of_azures_ai_services(credential: type[Credential]) -> None:
    assert ENTRA.credential_headers({}) == [("Authorization", "Bearer token for https://ai.azure.com/.default")]


def test_one_credential_serves_every_connection_to_every_target(credential: type[Credential]) -> None:
    for name in ("eu", "us", "eu"):
        Target(name=name, url="wss://x.openai.azure.com", auth="entra").credential_headers({})
    assert credential.made == 1


def test_another_cloud_is_asked_for_a_token_of_its_own(credential: type[Credential]) -> None:
    scope = "https://cognitiveservices.azure.us/.default"
    target = Target(name="gov", url="wss://x.openai.azure.us", auth="entra", entra_scope=scope)
    assert target.credential_headers({}) == [("Authorization", f"Bearer token for {scope}")]
    assert ENTRA.credential_headers({}) != target.credential_headers({})
    assert credential.made == 1


class IdentityEndpoint(BaseHTTPRequestHandler):
    """Gives tokens as a managed identity of App Service does, each for so many seconds."""

    lifetimes: ClassVar[list[int]] = []
    scopes: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.scopes.append(parse_qs(urlsplit(self.path).query)["resource"][0])
        expires = int(time.time()) + self.lifetimes[len(self.scopes) - 1]
        token = {"access_token": f"token-{len(self.scopes)}", "expires_on": str(expires), "token_type": "Bearer"}
        body = json.dumps(token | {"resource": self.scopes[-1]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_a_real_credential_keeps_its_token_and_renews_it_before_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("azure.identity")
    for name in [name for name in os.environ if name.startswith("AZURE_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(IdentityEndpoint, "lifetimes", [60, 86400, 86400])
    monkeypatch.setattr(IdentityEndpoint, "scopes", [])
    forget_tokens()
    with ThreadingHTTPServer(("127.0.0.1", 0), IdentityEndpoint) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{server.server_port}/token")
        monkeypatch.setenv("IDENTITY_HEADER", "made-up")
        try:
            # The first is about to expire, so the second call asks again; the second lasts, and the third keeps it.
            tokens = [ENTRA.credential_headers({})[0][1] for _ in range(3)]
        finally:
            server.shutdown()
            thread.join()
            forget_tokens()
    assert tokens == ["Bearer token-1", "Bearer token-2", "Bearer token-2"]
    assert IdentityEndpoint.scopes == ["https://ai.azure.com"] * 2


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("no credential was found\nAttempted credentials:\n\tEnvironmentCredential: none", "no credential was found"),
        ("failed\n\tEnvironmentCredential: AADSTS7000215: Invalid client secret", "AADSTS7000215"),
        ("", "RuntimeError"),
    ],
)
def test_a_token_that_entra_refuses_says_how_to_sign_in(
    credential: type[Credential], monkeypatch: pytest.MonkeyPatch, said: str, told: str
) -> None:
    monkeypatch.setattr(credential, "failure", RuntimeError(said))
    with pytest.raises(
        UsageProblem, match=rf"target azure-eu gets no token from Entra: .*`az login`.*{told}"
    ) as problem:
        ENTRA.credential_headers({})
    assert "\n" not in str(problem.value)


def test_entra_without_its_package_says_what_to_install(
    credential: type[Credential], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(UsageProblem, match=r"pip install 'wiretape\[entra\]'"):
        ENTRA.credential_headers({})
