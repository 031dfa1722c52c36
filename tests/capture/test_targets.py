"""Where calls may go: wiretape.toml, URLs, and how a session's URL is composed."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.errors import UsageProblem
from capture.targets import CONFIG_VARIABLE, Target, load_targets, resolve_target

CONFIGURATION = """
[targets.azure-eastus2]
url = "wss://contoso-eastus2.openai.azure.com/openai/v1/realtime"
model = "realtime-prod"
region = "eastus2"
provider = "azure"
api_key_env = "AZURE_EASTUS2_KEY"
[targets.azure-eastus2.transcription_models]
"gpt-4o-transcribe" = "transcribe-prod"

[targets.openai]
url = "https://api.openai.com"
api_key_env = "OPENAI_API_KEY"
headers = { OpenAI-Project = "proj_1" }

[targets.local]
url = "ws://127.0.0.1:8900"
"""


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a wiretape.toml into the current folder."""
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "wiretape.toml"
    path.write_text(CONFIGURATION)
    return path


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


# The URL of a session (design.md, section 4)

CLIENT = "/v1/realtime?model=client-model&x=1"


@pytest.mark.parametrize(
    ("url", "model", "asked", "composed"),
    [
        # With path and query it is used as it is.
        ("wss://h/p?model=ours&a=b", "m", CLIENT, "wss://h/p?model=ours&a=b"),
        ("wss://h/p?call_id=rtc_1", None, "", "wss://h/p?call_id=rtc_1"),
        # A path alone keeps the client's query, with the target's model in it.
        ("wss://h/openai/v1/realtime", "dep", CLIENT, "wss://h/openai/v1/realtime?model=dep&x=1"),
        ("wss://h/openai/v1/realtime", None, CLIENT, "wss://h/openai/v1/realtime?model=client-model&x=1"),
        ("wss://h/openai/v1/realtime", "dep", "", "wss://h/openai/v1/realtime?model=dep"),
        ("wss://h/openai/v1/realtime", None, "", "wss://h/openai/v1/realtime"),
        ("wss://h/rt", "dep", "/x?api-version=1&deployment=old", "wss://h/rt?deployment=dep&api-version=1"),
        ("wss://h/rt", "dep", "/x?model=a&deployment=b", "wss://h/rt?deployment=dep"),
        # An origin alone keeps path and query.
        ("ws://h:8900", None, CLIENT, "ws://h:8900/v1/realtime?model=client-model&x=1"),
        ("ws://h:8900/", "m2", CLIENT, f"ws://h:8900{CLIENT}"),
        ("ws://h:8900", "m2", "/p?api-version=1&deployment=d", "ws://h:8900/p?api-version=1&deployment=d"),
        ("ws://h:8900", "m2", "/openai/deployments/d/realtime?a=1", "ws://h:8900/openai/deployments/d/realtime?a=1"),
        # The target's model is for who names none.
        ("ws://h:8900", "m2", "/v1/realtime?x=1", "ws://h:8900/v1/realtime?model=m2&x=1"),
        ("ws://h:8900", "m2", "/v1/realtime?model=&x=1", "ws://h:8900/v1/realtime?model=m2&x=1"),
        ("ws://h:8900", None, "", "ws://h:8900/"),
        # Its own query is added, and outranks the client's.
        ("ws://h:8900?model=ours", "m", CLIENT, "ws://h:8900/v1/realtime?x=1&model=ours"),
        ("ws://h:8900?model=ours", None, "/p?api-version=1&deployment=d", "ws://h:8900/p?api-version=1&model=ours"),
        (
            "ws://h:8900/?api-version=7",
            None,
            "/p?api-version=1&deployment=d",
            "ws://h:8900/p?deployment=d&api-version=7",
        ),
        ("ws://h:8900/?api-version=7", "m", "/p?x=1", "ws://h:8900/p?model=m&x=1&api-version=7"),
        ("ws://[::1]:8900", None, "/p", "ws://[::1]:8900/p"),
        # A model's name may hold anything.
        ("wss://h", "a b&c/d", "/p", "wss://h/p?model=a%20b%26c%2Fd"),
    ],
)
def test_the_url_of_a_session(url: str, model: str | None, asked: str, composed: str) -> None:
    assert Target(name="t", url=url, model=model).request_url(asked) == composed


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to other users")
def test_a_file_that_somebody_left_in_this_folder_has_to_be_named(
    configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.chown(configuration, 12345, 12345)
    with pytest.raises(UsageProblem, match=r"wiretape\.toml is neither yours nor of who owns this folder"):
        load_targets()
    monkeypatch.setenv(CONFIG_VARIABLE, "wiretape.toml")
    assert "openai" in load_targets()
    monkeypatch.delenv(CONFIG_VARIABLE)
    # As in a container: all of the folder is another user's.
    os.chown(configuration.parent, 12345, 12345)
    assert "openai" in load_targets()


def test_sockets_that_refuse_a_model_get_none() -> None:
    target = Target(name="t", url="wss://h", model="m")
    for asked in ("/v1/realtime?intent=transcription", "/v1/realtime?call_id=rtc_1"):
        assert target.request_url(asked) == f"wss://h{asked}"
    # This server's transcription sockets do take one: the client named it.
    asked = "/v1/realtime?intent=transcription&model=whisper"
    assert target.request_url(asked) == f"wss://h{asked}"
    with_path = Target(name="t", url="wss://h/p", model="m")
    assert with_path.request_url(asked) == "wss://h/p?model=m&intent=transcription"


def test_a_target_s_own_model_can_be_asked_for_at_an_origin_too() -> None:
    target = Target(name="t", url="wss://h", model="m", query={"y": "2"})
    assert target.asking_for_its_model(CLIENT).request_url(CLIENT) == "wss://h/v1/realtime?model=m&x=1&y=2"
    with_query = Target(name="t", url="wss://h?x=7", model="m")
    assert with_query.asking_for_its_model(CLIENT).request_url(CLIENT) == "wss://h/v1/realtime?model=m&x=7"
    for asked in ("/v1/realtime?intent=transcription", "/v1/realtime?call_id=rtc_1"):
        assert target.asking_for_its_model(asked).request_url(asked) == f"wss://h{asked}&y=2"
    for other in (
        Target("t", "wss://h"),
        Target("t", "wss://h/p", model="m"),
        Target("t", "wss://h?model=b", model="m"),
    ):
        assert other.asking_for_its_model(CLIENT) == other


def test_a_target_s_own_deployment_takes_the_place_of_the_one_in_the_path() -> None:
    # As the Azure client of openai-python asks: in the path, and in the query too.
    target, path = Target(name="t", url="wss://h", model="ours"), "/openai/deployments/theirs/realtime"
    for asked, composed in {
        f"{path}?api-version=1&deployment=theirs": "/openai/deployments/ours/realtime?deployment=ours&api-version=1",
        f"{path}?api-version=1": "/openai/deployments/ours/realtime?api-version=1",
    }.items():
        assert target.asking_for_its_model(asked).request_url(asked) == f"wss://h{composed}"


def test_the_targets_own_query_is_added_and_outranks_the_clients() -> None:
    target = Target(name="t", url="wss://h", query={"api-version": "2", "feature": "a b"})
    assert target.request_url("/p?API-Version=1&x=1") == "wss://h/p?x=1&api-version=2&feature=a+b"
    with_query = Target(name="t", url="wss://h/p?x=1", query={"y": "2"})
    assert with_query.request_url("/q?z=3") == "wss://h/p?x=1&y=2"


@pytest.mark.parametrize(
    ("asked", "composed"),
    [
        ("//evil.example/p?x=1", "ws://h//evil.example/p?x=1"),
        ("http://evil.example/p?x=1", "ws://h/p?x=1"),
        ("wss://user@evil.example?x=1", "ws://h/?x=1"),
        ("//[", "ws://h//["),
        ("p", "ws://h/p"),
    ],
)
def test_a_client_cannot_name_another_host(asked: str, composed: str) -> None:
    assert Target(name="t", url="ws://h").request_url(asked) == composed


@given(st.text(st.characters(codec="ascii", exclude_characters="#\t\r\n")))
def test_whatever_the_client_asks_the_host_is_the_targets(asked: str) -> None:
    url = Target(name="t", url="wss://host.example:8443", model="m").request_url(asked)
    assert url.startswith(("wss://host.example:8443/", "wss://host.example:8443?"))
    assert urlsplit(url).netloc == "host.example:8443"


@given(st.text(min_size=1), st.dictionaries(st.text("abcxyz", min_size=1), st.text(), max_size=3))
def test_a_model_arrives_as_it_is_named_and_other_values_as_they_were(model: str, values: dict[str, str]) -> None:
    url = Target(name="t", url="wss://h/p", model=model).request_url(f"/q?{urlencode(values)}")
    assert dict(parse_qsl(urlsplit(url).query, keep_blank_values=True)) == {"model": model, **values}


@pytest.mark.parametrize(
    ("url", "host", "port", "is_tls"),
    [
        ("wss://api.openai.com/v1/realtime", "api.openai.com", 443, True),
        ("ws://127.0.0.1:8900", "127.0.0.1", 8900, False),
        ("ws://[::1]/p", "::1", 80, False),
    ],
)
def test_where_to_connect(url: str, host: str, port: int, is_tls: bool) -> None:
    target = Target(name="t", url=url)
    assert (target.host, target.port, target.is_tls) == (host, port, is_tls)


# Credentials come from the environment only


def test_a_key_goes_to_azure_as_api_key_and_elsewhere_as_a_bearer_token() -> None:
    environ = {"KEY": " secret\n"}
    azure = Target(name="a", url="wss://x.openai.azure.com/openai/v1/realtime", api_key_env="KEY")
    openai = Target(name="o", url="wss://api.openai.com", api_key_env="KEY")
    assert azure.credential_headers(environ) == [("api-key", "secret")]
    assert openai.credential_headers(environ) == [("Authorization", "Bearer secret")]


def test_the_way_a_key_is_sent_can_be_named() -> None:
    environ = {"KEY": "secret"}
    as_bearer = Target(name="a", url="wss://x.openai.azure.com", api_key_env="KEY", auth="bearer")
    as_api_key = Target(name="o", url="ws://gateway", api_key_env="KEY", auth="api-key")
    assert as_bearer.credential_headers(environ) == [("Authorization", "Bearer secret")]
    assert as_api_key.credential_headers(environ) == [("api-key", "secret")]


def test_a_target_without_a_key_sends_none() -> None:
    assert Target(name="t", url="ws://h").credential_headers({"KEY": "secret"}) == []


@pytest.mark.parametrize("environ", [{}, {"KEY": ""}, {"KEY": "  "}])
def test_a_missing_key_is_named_by_its_variable(environ: dict[str, str]) -> None:
    with pytest.raises(UsageProblem, match="target eu needs its key: set the environment variable KEY"):
        Target(name="eu", url="ws://h", api_key_env="KEY").credential_headers(environ)


def test_the_processs_environment_is_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIRETAPE_TEST_KEY", "secret")
    target = Target(name="t", url="ws://h", api_key_env="WIRETAPE_TEST_KEY")
    assert target.credential_headers() == [("Authorization", "Bearer secret")]


# Further keys, such as a gateway's

GATEWAY = Target(
    name="apim",
    url="wss://gw.example",
    provider="azure",
    api_key_env="KEY",
    headers_env={"Ocp-Apim-Subscription-Key": "SUB"},
)


def test_a_gateway_gets_a_key_of_its_own_beside_the_endpoint_s() -> None:
    assert GATEWAY.credential_headers({"KEY": "k", "SUB": "s"}) == [
        ("api-key", "k"),
        ("Ocp-Apim-Subscription-Key", "s"),
    ]
    with pytest.raises(UsageProblem, match="set the environment variable SUB"):
        GATEWAY.credential_headers({"KEY": "k"})
    alone = Target(name="apim", url="wss://gw.example", headers_env={"x-gateway-token": "SUB"})
    assert alone.credential_headers({"SUB": "s"}) == [("x-gateway-token", "s")]


def test_a_key_of_the_query_comes_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target(name="own", url="wss://h/p", query={"v": "2"}, query_env={"token": "OWN_TOKEN"})
    monkeypatch.delenv("OWN_TOKEN", raising=False)
    assert target.request_url("/q?token=theirs&x=1") == "wss://h/p?token=theirs&x=1&v=2"
    with pytest.raises(UsageProblem, match="set the environment variable OWN_TOKEN"):
        target.credential_headers()
    monkeypatch.setenv("OWN_TOKEN", "a b")
    assert target.request_url("/q?token=theirs&x=1") == "wss://h/p?x=1&v=2&token=a+b"
    assert target.credential_headers() == []


@pytest.mark.parametrize(
    ("url", "provider", "is_azure"),
    [
        ("wss://x.openai.azure.com", None, True),
        ("wss://x.openai.azure.us", None, True),
        ("wss://gateway.example", "azure", True),
        ("wss://x.openai.azure.com", "other", False),
        ("wss://azure.com.example", None, False),
    ],
)
def test_azure_is_told_by_its_host_or_by_the_file(url: str, provider: str | None, is_azure: bool) -> None:
    target = Target(name="t", url=url, provider=provider, api_key_env="KEY")
    assert target.is_azure == is_azure
    assert target.credential_headers({"KEY": "k"})[0][0] == ("api-key" if is_azure else "Authorization")


# wiretape.toml


def test_targets_are_read_from_the_current_folder(configuration: Path) -> None:
    targets = load_targets()
    assert list(targets) == ["azure-eastus2", "openai", "local"]
    assert targets["azure-eastus2"] == Target(
        name="azure-eastus2",
        url="wss://contoso-eastus2.openai.azure.com/openai/v1/realtime",
        model="realtime-prod",
        region="eastus2",
        provider="azure",
        api_key_env="AZURE_EASTUS2_KEY",
        transcription_models={"gpt-4o-transcribe": "transcribe-prod"},
    )
    assert targets["openai"].url == "wss://api.openai.com"
    assert targets["openai"].headers == {"OpenAI-Project": "proj_1"}


def test_another_file_can_be_given_or_named_by_a_variable(
    configuration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = written(tmp_path / "other.toml", '[targets.a]\nurl = "ws://a"')
    assert list(load_targets(other)) == ["a"]
    monkeypatch.setenv(CONFIG_VARIABLE, str(other))
    assert list(load_targets()) == ["a"]
    assert "local" in load_targets(configuration)


def test_no_file_is_fine_unless_one_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    assert load_targets() == {}
    with pytest.raises(UsageProblem, match=r"there is no configuration file .*nowhere\.toml"):
        load_targets(tmp_path / "nowhere.toml")
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "named.toml"))
    with pytest.raises(UsageProblem, match=r"there is no configuration file .*named\.toml"):
        load_targets()


def test_a_target_s_dialect_is_read_and_another_is_refused(configuration: Path) -> None:
    table = '[targets.old]\nurl = "wss://a.example"\ndialect = "{}"\n'
    assert load_targets(written(configuration, table.format("beta")))["old"].dialect == "beta"
    with pytest.raises(UsageProblem, match=r"dialect"):
        load_targets(written(configuration, table.format("delta")))


def test_an_empty_file_has_no_targets(configuration: Path) -> None:
    assert load_targets(written(configuration, "")) == {}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[targets.a", r"wiretape\.toml cannot be read: .*table"),
        ('[targets.a]\nmodel = "m"', r"\[targets\.a\]: Object missing required field `url`"),
        (
            '[targets.a]\nurl = "ws://h"\nendpoint = "x"',
            r"\[targets\.a\]: .* unknown field `endpoint`; known are url, m",
        ),
        (
            '[targets.a]\nurl = "ws://h"\napi_key = "k"',
            r"unknown field `api_key`: is it api_key_env\? .* no key stands in",
        ),
        (
            '[targets.a]\nurl = "ws://h"\nprovider = "aws"',
            "'aws' - at `provider`: known are azure, openai, simulator, other",
        ),
        ('[targets.a]\nurl = "ws://h"\nauth = "basic"', "'basic' - at `auth`: known are api-key, bearer, entra"),
        ("[targets.a]\nurl = 5", r"\[targets\.a\]: Expected `str`, got `int` - at `url`"),
        ('[target.a]\nurl = "ws://h"', r"unknown field `target`: is it targets\?"),
        ("targets.a = 1", r"\[targets\.a\]: Expected `object`, got `int`"),
        ('[targets.a]\nurl = "ftp://h"', r"target a: give its url as ws://… or wss://…, not 'ftp://h'"),
        ('[targets.a]\nurl = "api.openai.com"', "target a: give its url as ws://"),
        ('[targets.a]\nurl = "wss://"', "target a: give its url as ws://"),
        ('[targets.a]\nurl = "ws://h:99999"', "target a: 'ws://h:99999' is no URL"),
        ('[targets.a]\nurl = "ws://[::1"', "target a: .* is no URL"),
        ('[targets.a]\nurl = "wss://contoso..azure.com"', "target a: 'contoso..azure.com' is no name of a host"),
        ('[targets.a]\nurl = "ws://me:secret@h"', "target a: a URL must hold no password"),
        ('[targets.a]\nurl = "ws://h/v1/real time"', "target a: 'ws://h/v1/real time' has a blank"),
        ('[targets.a]\nurl = "ws://h"\nheaders = { "a b" = "1" }', "target a: 'a b' in headers is no name of a header"),
        ('[targets.a]\nurl = "ws://h"\nheaders = { A = "1\\r\\nB: 2" }', "the value of A in headers has a character"),
        ('[targets.a]\nurl = "ws://h"\nheaders = { Host = "b" }', "Host in headers belongs to the upgrade itself"),
        ('[targets.a]\nurl = "ws://h"\nheaders = { api-key = "k" }', r'headers_env = \{ "api-key" = "VARIABLE" \}'),
        ('[targets.a]\nurl = "ws://h"\nquery = { api-key = "k" }', r'query_env = \{ "api-key" = "VARIABLE" \}'),
        ('[targets.a]\nurl = "ws://h"\nheaders_env = { X-Note = "V" }', "X-Note would be recorded"),
        ('[targets.a]\nurl = "ws://h"\nquery_env = { note = "V" }', "note would be recorded"),
    ],
)
def test_a_fault_in_the_file_is_named_with_its_place(configuration: Path, text: str, complaint: str) -> None:
    with pytest.raises(UsageProblem, match=complaint):
        load_targets(written(configuration, text))


def test_a_byte_order_mark_and_line_ends_of_windows_are_no_fault(configuration: Path) -> None:
    configuration.write_bytes(b'\xef\xbb\xbf[targets.a]\r\nurl = "ws://h"\r\n')
    assert load_targets()["a"].url == "ws://h"


def test_a_password_in_a_url_is_not_repeated(configuration: Path) -> None:
    with pytest.raises(UsageProblem) as problem:
        load_targets(written(configuration, '[targets.a]\nurl = "ws://me:secret@h"'))
    assert "secret" not in str(problem.value)


@pytest.mark.parametrize(
    "table",
    [
        'api_key_env = "{}"',
        'headers_env = {{ Ocp-Apim-Subscription-Key = "{}" }}',
        'query_env = {{ token = "{}" }}',
    ],
)
@pytest.mark.parametrize("key", ["sk-proj-planted0123456789abcdef", "0f1e" * 8, "planted" * 12, "planted key", ""])
def test_a_key_where_its_variable_should_be_named_is_not_repeated(configuration: Path, table: str, key: str) -> None:
    # "set the environment variable sk-…" would stand in the log of a proxy.
    with pytest.raises(UsageProblem, match=r"is no name of an environment variable: put the key into one") as problem:
        load_targets(written(configuration, f'[targets.a]\nurl = "ws://h"\n{table.format(key)}'))
    assert not key or key not in str(problem.value)


@pytest.mark.parametrize(
    "variable", ["AZURE_EASTUS2_KEY", "foundryKey2", "_k", "contoso-eastus2.key", "CONTOSOFOUNDRYEASTUS2PRODUCTIONKEY"]
)
def test_a_variable_may_have_any_name_that_shells_and_kubernetes_take(configuration: Path, variable: str) -> None:
    targets = load_targets(written(configuration, f'[targets.a]\nurl = "ws://h"\napi_key_env = "{variable}"'))
    assert targets["a"].api_key_env == variable


def test_a_blank_around_a_url_is_none_of_it(configuration: Path) -> None:
    assert (
        load_targets(written(configuration, '[targets.a]\nurl = " wss://h/v1/realtime "'))["a"].url
        == "wss://h/v1/realtime"
    )


def test_a_file_that_is_no_text_cannot_be_read(configuration: Path) -> None:
    configuration.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageProblem, match=r"wiretape\.toml cannot be read: it is no UTF-8; save it as that"):
        load_targets()


# Names and URLs


def test_a_target_is_found_by_name(configuration: Path) -> None:
    assert resolve_target("local").url == "ws://127.0.0.1:8900"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("ws://127.0.0.1:8900", "ws://127.0.0.1:8900"),
        ("https://api.openai.com/v1/realtime?model=m", "wss://api.openai.com/v1/realtime?model=m"),
        ("HTTP://localhost:1/x#part", "ws://localhost:1/x"),
    ],
)
def test_a_url_is_a_target_without_a_file(text: str, url: str) -> None:
    assert resolve_target(text, {}) == Target(name=text, url=url)


def test_a_key_in_a_url_is_used_and_never_shown() -> None:
    target = resolve_target("wss://x.openai.azure.com/openai/v1/realtime?model=m&api-key=secret", {})
    assert target.request_url().endswith("&api-key=secret")
    assert target.name == "wss://x.openai.azure.com/openai/v1/realtime?model=m&api-key=[redacted]"
    with pytest.raises(UsageProblem) as problem:
        resolve_target("ftp://h?api-key=secret", {})
    assert "secret" not in str(problem.value)
    for mistyped in ("wss://h:port/v1?api-key=secret", "h/v1?api-key=secret"):
        with pytest.raises(UsageProblem) as problem:
            resolve_target(mistyped, {})
        assert "secret" not in str(problem.value)


def test_an_unknown_name_gets_the_known_ones_the_nearest_first(configuration: Path) -> None:
    with pytest.raises(UsageProblem, match=r"unknown target 'locale': known are local, azure-eastus2, openai; or give"):
        resolve_target("locale")
    with pytest.raises(UsageProblem, match="known are azure-eastus2, openai, local"):
        resolve_target("azure-eastus")


def test_an_unknown_name_without_a_file_says_that_there_is_none() -> None:
    with pytest.raises(UsageProblem, match=r"unknown target 'prod': there is no wiretape\.toml with targets here"):
        resolve_target("prod", {})


@pytest.mark.parametrize("text", ["ftp://h", "ws://", "ws://h:port", "://h", "ws://a..b/v1", f"ws://{'a' * 64}.test"])
def test_a_url_that_leads_nowhere_is_refused(text: str) -> None:
    with pytest.raises(UsageProblem):
        resolve_target(text, {})


def test_a_key_that_no_header_can_hold_is_refused_without_being_quoted() -> None:
    with pytest.raises(UsageProblem, match="the key in KEY has a character") as refused:
        Target(name="eu", url="ws://h", api_key_env="KEY").credential_headers({"KEY": "sk-pl\u00e4nted\u2026"})
    assert "nted" not in str(refused.value)
