"""Credentials in headers, URLs and messages: what reaches the disk instead of them."""

from __future__ import annotations

import base64
import json
import random
import signal
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.redaction import (
    REDACTED,
    redact_bytes,
    redact_headers,
    redact_message,
    redact_setting,
    redact_text,
    redact_url,
)

SECRET = "s3cr3t-k3y-of-4-t3st"


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "authorization",
        "Proxy-Authorization",
        "api-key",
        "API-KEY",
        "x-api-key",
        "Cookie",
        "Set-Cookie",
        "apikey",
        "api_key",
        "x_api_key",
        "Token",
        "X-Auth",
    ],
)
def test_a_credential_header_keeps_its_name_and_loses_its_value(name: str) -> None:
    assert redact_headers([(name, f"Bearer {SECRET}")]) == [(name, REDACTED)]


def test_other_headers_stay_as_they_are_in_order() -> None:
    headers = [
        ("Host", "api.openai.com"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("x-ratelimit-remaining-tokens", "149984"),
        ("OpenAI-Beta", "realtime=v1"),
        ("X-Custom", "a, b"),
    ]
    assert redact_headers(headers) == headers


def test_a_key_among_the_subprotocols_goes_and_the_others_stay() -> None:
    offered = f"realtime, openai-insecure-api-key.{SECRET}.with.dots, openai-beta.realtime-v1"
    [(_, value)] = redact_headers([("Sec-WebSocket-Protocol", offered)])
    assert value == f"realtime, openai-insecure-api-key.{REDACTED}, openai-beta.realtime-v1"


def test_a_token_in_a_subprotocol_of_kubernetes_goes() -> None:
    [(_, value)] = redact_headers([("Sec-WebSocket-Protocol", f"base64url.bearer.authorization.k8s.io.{SECRET}")])
    assert SECRET not in value


@pytest.mark.parametrize("scheme", ["token", "Bearer", "authorization"])
def test_a_key_that_is_a_subprotocol_of_its_own_goes(scheme: str) -> None:
    headers = [("Sec-WebSocket-Protocol", f"{scheme}, {SECRET}, realtime"), ("Sec-WebSocket-Protocol", scheme)]
    assert redact_headers(headers) == [
        ("Sec-WebSocket-Protocol", f"{scheme}, {REDACTED}, realtime"),
        ("Sec-WebSocket-Protocol", scheme),
    ]


def test_a_redirect_that_repeats_the_query_key_is_redacted() -> None:
    [(_, value)] = redact_headers([("Location", f"/v1/realtime?model=m&api-key={SECRET}")])
    assert value == f"/v1/realtime?model=m&api-key={REDACTED}"


@pytest.mark.parametrize(
    "name",
    [
        "api-key",
        "api_key",
        "key",
        "Authorization",
        "access_token",
        "token",
        "sig",
        "%61pi-key",
        "API-Key",
        "subscription-key",
        "accessToken",
        "authToken",
        "ephemeral_key",
        "jwt",
        "auth",
    ],
)
def test_a_key_in_a_query_is_redacted_and_the_rest_kept(name: str) -> None:
    url = f"wss://host.example/openai/realtime?api-version=1&{name}={SECRET}&model=a%20b#part"
    assert redact_url(url) == f"wss://host.example/openai/realtime?api-version=1&{name}={REDACTED}&model=a%20b#part"


def test_a_password_before_the_host_is_redacted() -> None:
    assert redact_url(f"wss://me:{SECRET}@host.example/v1") == f"wss://{REDACTED}@host.example/v1"


@pytest.mark.parametrize(
    "url", ["/v1/realtime?model=gpt-realtime", "wss://h:1/v1?call_id=rtc_1", "/", "", "/a?", "/a?b", "/?cache_key=1"]
)
def test_a_url_without_credentials_is_not_touched(url: str) -> None:
    assert redact_url(url) == url


MESSAGES_WITH_A_SECRET: dict[str, Any] = {
    "beta session": {"type": "session.created", "session": {"client_secret": {"value": SECRET, "expires_at": 1}}},
    "client secret as text": {"client_secret": SECRET},
    "answer of client_secrets": {"value": f"ek_{SECRET}", "expires_at": 1, "session": {"type": "realtime"}},
    "client secret of an endpoint whose secrets do not begin with ek_": {"value": SECRET, "expires_at": 1},
    "relay of an avatar's video": {
        "session": {"avatar": {"ice_servers": [{"urls": ["turn:x"], "credential": SECRET}]}}
    },
    "MCP authorization": {"session": {"tools": [{"type": "function"}, {"type": "mcp", "authorization": SECRET}]}},
    "MCP headers": {"response": {"tools": [{"type": "mcp", "headers": {"X-Api-Key": SECRET, "Accept": "*/*"}}]}},
    "authorization as an object": {"session": {"authorization": {"type": SECRET, "access": [{"token": SECRET}]}}},
    "authorization as an array": {"authorization": [SECRET]},
    "key as an object": {"api_key": {"value": SECRET}},
    "headers of another kind": {"request": {"headers": {"X-Api-Token": [SECRET]}}},
    "client secret under another name": {"client_secret": {"secret": SECRET, "expires_at": 1}},
    "far below": {"a": json.loads("[" * 100 + json.dumps({"x": [{"api_key": SECRET}]}) + "]" * 100)},
    "nested MCP headers": {"session": {"tools": [{"type": "mcp", "headers": {"X": [SECRET]}}]}},
}


@pytest.mark.parametrize("name", MESSAGES_WITH_A_SECRET)
def test_a_secret_in_a_message_goes_and_all_other_bytes_stay(name: str) -> None:
    text = json.dumps(MESSAGES_WITH_A_SECRET[name], indent=1)
    redacted = redact_message(text)
    assert redacted is not None
    assert SECRET not in redacted
    literal = f'"ek_{SECRET}"' if "ek_" in text else f'"{SECRET}"'
    assert redacted.replace('"*/*"', f'"{REDACTED}"') == text.replace(literal, f'"{REDACTED}"').replace(
        '"*/*"', f'"{REDACTED}"'
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"input_audio_buffer.append","audio":"AAAA"}',
        '{"type":"session.updated","session":{"tools":[{"type":"mcp","authorization":null,"server_url":"https://x"}]}}',
        '{"session":{"tools":[{"parameters":{"properties":{"authorization":{"type":"string"},"headers":{}}}}]}}',
        '{"type":"response.text.delta","delta":"my value is \\"value\\""}',
        '{"value":"not a key"}',
        '{"session":{"value":"not a key","expires_at":1}}',
        '{"credential":"of nothing"}',
        "no JSON at all, but it says client_secret and tools and authorization",
        "",
    ],
)
def test_a_message_without_secrets_needs_no_copy(text: str) -> None:
    assert redact_message(text) is None


def test_a_tool_with_an_argument_that_is_called_like_a_key_stays_whole() -> None:
    arguments = {"type": "object", "properties": {"api_key": {"type": "string"}}, "required": ["api_key"]}
    assert redact_message(json.dumps({"session": {"tools": [{"type": "function", "parameters": arguments}]}})) is None


def test_a_key_spelled_with_escapes_hides_nothing() -> None:
    text = '{"session":{"\\u0063lient_secret":{"v\\u0061lue":"' + SECRET + '"}}}'
    assert redact_message(text) == '{"session":{"\\u0063lient_secret":{"v\\u0061lue":"[redacted]"}}}'


def test_a_key_given_twice_hides_nothing() -> None:
    once = f'"client_secret":{{"value":"{SECRET}"}}'
    text = f"{{{once},{once}}}"
    redacted = redact_message(text)
    assert redacted is not None
    assert SECRET not in redacted


def test_a_secret_in_broken_json_goes_too() -> None:
    assert redact_message('{"session":{"client_secret":{"value":"' + SECRET) == (
        '{"session":{"client_secret":{"value":"[redacted]'
    )


def test_a_secret_before_or_behind_long_audio_is_found() -> None:
    audio = base64.b64encode(bytes(20_000)).decode()
    for text in (
        json.dumps({"client_secret": SECRET, "type": "response.output_audio.delta", "delta": audio}),
        json.dumps({"type": "response.output_audio.delta", "delta": audio, "value": f"ek_{SECRET}"}),
        json.dumps({"type": "x", "delta": audio, "client_secret": SECRET, "more": audio}),
    ):
        redacted = redact_message(text)
        assert redacted is not None
        assert SECRET not in redacted


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
secret_texts = st.text(min_size=1).map(lambda tail: f"S3CR3T{tail}")


def places_of(secret: str) -> list[Any]:
    return [
        {"client_secret": {"value": secret}},
        {"client_secret": secret},
        {"tools": [{"authorization": secret}]},
        {"tools": [None, {"headers": {"a": secret}}]},
        {"value": f"ek_{secret}"},
    ]


@st.composite
def objects_with_secrets(draw: st.DrawFn) -> tuple[Any, list[str]]:
    """Draw a message with secrets at the places where the API has them, among other values; and the secrets."""
    secrets = draw(st.lists(secret_texts, min_size=1, max_size=3))
    holders = [draw(st.sampled_from(places_of(secret))) for secret in secrets]
    noise = draw(st.dictionaries(st.text(), json_values, max_size=3))
    return {**noise, "session": holders}, secrets


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in (key, *leaves(inner))]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [value]


@given(objects_with_secrets(), st.booleans(), st.sampled_from([None, 2]))
def test_no_secret_survives_and_the_message_stays_json(
    drawn: tuple[Any, list[str]], ascii_only: bool, indent: int | None
) -> None:
    message, secrets = drawn
    redacted = redact_message(json.dumps(message, ensure_ascii=ascii_only, indent=indent))
    assert redacted is not None
    kept = [leaf for leaf in leaves(json.loads(redacted)) if isinstance(leaf, str)]
    assert not [leaf for leaf in kept for secret in secrets if secret in leaf]


@given(json_values)
def test_any_json_passes_without_a_crash(value: Any) -> None:
    text = json.dumps(value)
    redacted = redact_message(text)
    assert redacted is None or json.loads(redacted) is not None


@given(st.text(alphabet='{}[]":,\\ abekvlutosind_u0'))
def test_any_text_passes_without_a_crash(text: str) -> None:
    redact_message(text)
    redact_url(text)


# --- shapes ---------------------------------------------------------------------------------------------------

TOLD_WITH_A_SECRET = {
    "an OpenAI key": ("no sk-proj-{} here", "S3cr3tOfSixteenOrMore"),
    "starred out": ("Incorrect API key provided: {}. Look it up.", "S3cr3t-*****89ab"),
    "a bearer": ("got Bearer {}", "S3cr3t.with~odd+signs/="),
    "a bearer in capitals": ("AUTHENTICATION: BEARER {}", "S3cr3t.with~odd+signs/="),
    "a token to ask again with": ('{{"refreshToken": "{}"}}', "S3cr3t-of-7"),
    "a query": ("cannot reach wss://h/v1?model=m&api-key={}&x=1", "S3cr3t"),
    "userinfo": ("via http://{}@proxy.example:3128", "me:S3cr3t"),
    "a header": ("sent api-key: {}", "0f1e2d3c4b5a69788796a5b4c3d2e1f0"),
    "a variable": ("found ACCESS_TOKEN: {}", "S3cr3t-of-5"),
    "in capitals": ("AUTHORIZATION: {} was refused", "S3cr3t-of-6"),
    "nested JSON": ('{{"Authorization": "{}"}}', "S3cr3t-of-2"),
    "a scheme": ("sent Authorization: Basic {}", "czNjcjN0OnMzY3IzdA=="),
    "a fragment": ("moved to https://h/cb#access_token={}&x=1", "S3cr3t"),
    "a form": ("client_secret={}&grant_type=client_credentials", "S3cr3t"),
    "a signed URL": ("cannot read https://h/o?X-Amz-Signature={}", "S3cr3t"),
    "a subprotocol": ("offered realtime, openai-insecure-api-key.{}", "S3cr3t"),
    "Azure's": ("key {}", "S3cr3t" + "a1B2" * 10 + "zzzzzzJQQJ99" + "BCDEFGHJ" * 3 + "xy"),
}


@pytest.mark.parametrize("name", TOLD_WITH_A_SECRET)
def test_what_has_the_shape_of_a_secret_goes_out_of_any_text(name: str) -> None:
    told, secret = TOLD_WITH_A_SECRET[name]
    text = told.format(secret)
    for spelled in (json.dumps({"message": text}), json.dumps({"message": text}).replace("/", "\\/")):
        redacted = redact_message(spelled)
        assert redacted is not None
        assert secret not in json.loads(redacted)["message"]
        assert REDACTED in json.loads(redacted)["message"]
    assert secret not in redact_text(text)
    covered = redact_bytes(text.encode())
    assert covered is not None
    assert (secret.encode() in covered, len(covered)) == (False, len(text))


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("before", ["", "\n", "\t", "\u2028", " "])
@pytest.mark.parametrize("name", ["an OpenAI key", "a bearer", "a header", "nested JSON", "Azure's"])
def test_a_secret_in_a_tools_output_goes_however_often_that_is_json_in_json(
    name: str, before: str, levels: int
) -> None:
    told, secret = TOLD_WITH_A_SECRET[name]
    secret = secret.replace("/", "-")
    text = before + told.format(secret).removeprefix("no ").removeprefix("got ").removeprefix("key ")
    for _ in range(levels):
        text = json.dumps({"output": text})
    redacted = redact_message(text)
    assert redacted is not None
    assert secret not in redacted
    if name == "Azure's" and before:
        return
    for _ in range(levels - 1):
        redacted = json.loads(redacted)["output"]
    assert REDACTED in json.loads(redacted)["output"], "every level is still JSON"


@pytest.mark.parametrize(
    "text",
    [
        "a task-oriented-assistant-for-everybody",
        "the week_of_the_long_summer_holidays",
        "Invalid API key: please check it",
        "the bearer of good news",
        "https://example.com/path?page=2&item=3",
        "key=value",
    ],
)
def test_words_are_no_secrets(text: str) -> None:
    assert redact_text(text) == text
    assert redact_message(json.dumps({"text": text})) is None
    assert redact_bytes(text.encode()) is None


@given(st.sampled_from(sorted(TOLD_WITH_A_SECRET)))
def test_what_is_redacted_is_not_redacted_again(name: str) -> None:
    told, secret = TOLD_WITH_A_SECRET[name]
    once = redact_text(told.format(secret))
    assert redact_text(once) == once
    assert redact_message(json.dumps({"message": once})) is None


def test_a_piece_of_a_message_is_searched_by_its_keys() -> None:
    piece = b'\x81\x7e"client_secret":{"expires_at":1,"value":"hush"},"authorization":"quiet"'
    covered = redact_bytes(piece)
    assert covered == piece.replace(b"hush", b"xxxx").replace(b"quiet", b"xxxxx")


@given(st.binary())
def test_any_bytes_pass_and_keep_their_length(content: bytes) -> None:
    assert len(redact_bytes(content) or content) == len(content)


def test_a_setting_is_read_as_at_its_path() -> None:
    tools = [{"type": "mcp", "server_label": "crm", "authorization": "t0ken", "headers": {"X-Crm": "s3cr3t"}}]
    kept = [{**tools[0], "authorization": REDACTED, "headers": {"X-Crm": REDACTED}}]
    assert json.loads(redact_setting("session.tools", json.dumps(tools))) == kept
    assert redact_setting("session.voice", '"marin"') == '"marin"'
    assert redact_setting("session.tools", "") == ""


# --- texts made to take long --------------------------------------------------------------------------------------

HEAD_CHARACTERS = 64 << 10
MESSAGE_CHARACTERS = 128 << 10
CPU_LIMIT_S = 30
"""What grows with the square of a text's length takes minutes for these, and with its cube days."""


@pytest.fixture
def cpu_limit() -> Iterator[None]:
    """Fail a test that takes so much of the processor, whatever else runs."""

    def stop(_number: int, _frame: object) -> None:
        pytest.fail(f"took over {CPU_LIMIT_S} s of the processor")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_LIMIT_S)
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)


def filled(piece: str, characters: int) -> str:
    return piece * (characters // len(piece))


LONG_PIECES = [
    "key",
    "key.",
    "apikey=",
    "api key: ",
    'apikey=a"',
    "a=&",
    "?a=?",
    "?key=",
    "sk-",
    "ek_",
    "eyJaaaaaaaaa.",
    ".eyJ",
]
LONG_PIECES += [
    "Bearer ",
    "Bearer+",
    "bearer%20",
    "://",
    "a://",
    "a://b",
    "@",
    "openai-insecure-api-key.",
    "token,",
    "JQQJ99",
]
LONG_PIECES += ["api_key:\\", "\\", "\\nsk-", "\\u0020ek_", "authorization: basic ", "api_key:.", "key=&", "#key="]
LONG_PIECES += ['"client_secret":{', '"client_secret":"', '"authorization":', '"value"', "\\u00", " ", "aB3"]


@pytest.mark.usefixtures("cpu_limit")
@pytest.mark.parametrize("piece", LONG_PIECES)
def test_a_head_made_to_take_long_does_not_hold_up_a_call(piece: str) -> None:
    for text in (
        filled(piece, HEAD_CHARACTERS),
        f"key {filled(piece, HEAD_CHARACTERS)}",
        filled(f"key {piece}", HEAD_CHARACTERS),
    ):
        redact_headers([("Sec-WebSocket-Protocol", text), ("Location", text), ("X-Custom", text)])
        redact_url(f"wss://host.example/v1?{text}")


@pytest.mark.usefixtures("cpu_limit")
@pytest.mark.parametrize("piece", LONG_PIECES)
def test_a_message_made_to_take_long_does_not_hold_up_the_sealer(piece: str) -> None:
    for text in (filled(piece, MESSAGE_CHARACTERS), '{"key":"' + filled(piece, MESSAGE_CHARACTERS)):
        redact_message(text)
        redact_bytes(text.encode())


def test_a_long_image_whose_slashes_are_escaped_takes_little_memory() -> None:
    # As PHP writes JSON. 130 bytes for each of its characters ended the sealer, and the session was in quarantine.
    image = base64.b64encode(random.Random(1).randbytes(600_000)).decode()
    message = json.dumps({"image_url": f"data:image/png;base64,{image}", "api_key": SECRET}).replace("/", "\\/")
    tracemalloc.start()
    try:
        redacted = redact_message(message)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert redacted == message.replace(SECRET, REDACTED)
    assert peak < 10 * len(message)


@pytest.mark.usefixtures("cpu_limit")
def test_a_message_that_nests_for_ever_does_not_hold_up_the_sealer() -> None:
    half = MESSAGE_CHARACTERS // 2
    assert redact_message('{"key":' + "[" * half + "1," * (half // 2)) is None
    assert redact_message("api_key " + '"api_key":"1",' * (half // 10) + " sk-0123456789abcdef0123" * (half // 20))
