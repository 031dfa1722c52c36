"""Secrets of every kind, planted wherever the protocol has room for one, and then looked for on the whole disk."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from analyze.tui.screenshot import screenshot
from capture.recording.root import Root

HOME = Path(__file__).parents[1]
LIVE = "the session is live"
RECOVER = [sys.executable, "-m", "wiretape", "capture", "recover", "--recordings"]

# Made up, each of its own: what is found tells where it came from.
IN_HEADS = {
    "Authorization": "sk-planted-authorization-0123456789",
    "api-key": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "cookie": "planted-cookie-5f4dcc3b5aa7",
    "set-cookie": "planted-set-cookie-9b74c9897bac",
    "?api-key": "planted-query-hyphen-1a79a4d60de6",
    "?Authorization": "planted/query+bearer-c81e728d9d4c",
    "?key": "planted-query-key-eccbc87e4b5c",
    "?api_key": "planted-query-underscore-a87ff679a2f3",
    "subprotocol": "planted-subprotocol-e4da3b7fbbce",
    "userinfo": "planted-userinfo-1679091c5a88",
    "tag header": "sk-planted-tag-8f14e45fceea1679091c",
    "target key": "Planted0TargetKey8f14e45fceea167a5a36dedd4bea2543",
    "target header": "planted-target-header-c9f0f895fb98",
    "target query": "planted-target-query-45c48cce2e2d",
    "client token": "planted-client-token-d3d9446802a4",
}
IN_MESSAGES = {
    "client_secret": "planted-client-secret-6512bd43d9ca",
    "ephemeral key": "ek_planted_c20ad4d76fe97759aa27",
    "MCP authorization": "planted-mcp-authorization-c51ce410c124",
    "MCP header": "planted-mcp-header-aab3238922bc",
    "MCP of a response": "planted-mcp-response-9bf31c7ff062",
    "echoed key": "sk-proj-PlantedEchoc74d97b01eae257e44aa9d5bade97baf",
    "echoed bearer": "PlantedBearer70efdf2ec9b086079795c442636b55fb",
    "close reason": "sk-planted-close-6f4922f45568161a8cdf4ad2",
    "binary": "sk-planted-binary-1f0e3dad99908345f743",
    "broken": "sk-planted-broken-98f13708210194c47568",
    "text": "sk-planted-text-3c59dc048e8850243be8",
    "escaped": "sk-planted/escaped-b6d767d2f8ed5d21a44b".replace("/", "-"),
    "Azure key": "PlantedAzureKey" + "a1B2" * 9 + "xJQQJ99" + "BAACYeBjFXJ3w3AAABACOGpl4n",
    "JWT": "eyJhbGciOiJSUzI1NiJ9.eyJwbGFudGVkIjoiand0In0.c2lnbmF0dXJlLXBsYW50ZWQ",
    "refusal": "Planted*Refusal*02e74f10e0327ad868d138f2b4fdd6f0",
}
SECRETS = IN_HEADS | IN_MESSAGES

SESSION_UPDATE = {
    "type": "session.update",
    "session": {
        "type": "realtime",
        "tools": [
            {
                "type": "mcp",
                "server_label": "crm",
                "server_url": "https://crm.example",
                "authorization": IN_MESSAGES["MCP authorization"],
                "headers": {"X-Crm": IN_MESSAGES["MCP header"]},
            }
        ],
    },
}
RESPONSE_CREATE = {
    "type": "response.create",
    "response": {"tools": [{"type": "mcp", "server_label": "b", "authorization": IN_MESSAGES["MCP of a response"]}]},
}


def said_by_the_endpoint() -> Iterator[str]:
    secret = {"value": IN_MESSAGES["client_secret"], "expires_at": 1}
    yield json.dumps({"type": "session.created", "session": {"id": "sess_1", "client_secret": secret}})
    told = f"Incorrect API key provided: {IN_MESSAGES['echoed key']}. You can find your key in the settings."
    yield error_event(told)
    yield error_event(f"refused Authorization: Bearer {IN_MESSAGES['echoed bearer']}")
    yield error_event(f"invalid subscription key {IN_MESSAGES['Azure key']}, token {IN_MESSAGES['JWT']}")
    escaped = "".join(f"\\u{ord(character):04x}" for character in IN_MESSAGES["escaped"])
    yield f'{{"type":"error","error":{{"message":"key {escaped} is not valid"}}}}'
    yield f"plain text with {IN_MESSAGES['text']} in it"
    yield json.dumps({"type": "note", "text": LIVE})


def error_event(message: str) -> str:
    error = {"type": "invalid_request_error", "code": "invalid_api_key", "message": message, "param": None}
    return json.dumps({"type": "error", "event_id": "event_1", "error": error})


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Be the endpoint: an upgrade gets a session, another path a refusal, a POST an ephemeral key."""
    head = await reader.readuntil(b"\r\n\r\n")
    if head.startswith(b"POST"):
        write_http(writer, 200, {"value": IN_MESSAGES["ephemeral key"], "expires_at": 1})
    elif b"/refused" in head.split(b"\r\n")[0]:
        write_http(
            writer,
            401,
            {"error": {"code": "401", "message": f"Incorrect API key provided: {IN_MESSAGES['refusal']}"}},
        )
    else:
        await hold_session(head, reader, writer)
    with contextlib.suppress(ConnectionError):
        await writer.drain()
        writer.close()


def write_http(writer: asyncio.StreamWriter, status: int, body: dict[str, Any]) -> None:
    content = json.dumps(body).encode()
    writer.write(
        f"HTTP/1.1 {status} X\r\nSet-Cookie: s={IN_HEADS['set-cookie']}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode()
        + content
    )


async def hold_session(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    protocol = ServerProtocol(subprotocols=[Subprotocol("realtime")])
    protocol.receive_data(head)
    [request] = protocol.events_received()
    response = protocol.accept(request)  # type: ignore[arg-type]
    response.headers["Set-Cookie"] = f"session={IN_HEADS['set-cookie']}; Secure"
    protocol.send_response(response)
    for message in said_by_the_endpoint():
        protocol.send_text(message.encode())
    writer.write(b"".join(protocol.data_to_send()))
    while chunk := await reader.read(65536):
        protocol.receive_data(chunk)
        for said in (event.data for event in protocol.events_received() if isinstance(event, Frame)):
            if said == b"bye":
                protocol.send_close(3000, f"key {IN_MESSAGES['close reason']}")
            elif b"conversation.item.create" in said:
                protocol.send_text(bytes(said).replace(b".create", b".added"))
        writer.write(b"".join(protocol.data_to_send()))
        if protocol.close_expected():
            break
    # Bytes behind the close frame are no message: they are kept as they came.
    writer.write(f'{{"value":"{IN_MESSAGES["broken"]}"'.encode())


@asynccontextmanager
async def endpoint() -> AsyncIterator[int]:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def proxy(
    root: Root,
    log: Path,
    to: str,
    *options: str,
    end: signal.Signals = signal.SIGTERM,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[str]:
    """Run the real command, as loosely as an operator may start it; give the address it prints."""
    command = [sys.executable, "-m", "wiretape", "capture", "proxy", "--to", to, "--listen", "127.0.0.1:0"]
    command += ["--recordings", str(root.path), "--tag", f"note={IN_HEADS['tag header']}", *options]
    with log.open("ab") as told:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=HOME,
            env=os.environ | {"PYTHONASYNCIODEBUG": "1", "PYTHONPATH": str(HOME)} | dict(environment or {}),
            stdout=subprocess.PIPE,
            stderr=told,
            umask=0,
        )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
        process.send_signal(end)
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def call_with_keys_everywhere(origin: str, root: Root) -> None:
    query = "&".join(
        (
            f"api-key={IN_HEADS['?api-key']}",
            f"Authorization=Bearer%20{quote(IN_HEADS['?Authorization'], safe='')}",
            f"key={IN_HEADS['?key']}",
            f"api_key={IN_HEADS['?api_key']}",
        )
    )
    headers = {
        "Authorization": f"Bearer {IN_HEADS['Authorization']}",
        "api-key": IN_HEADS["api-key"],
        "Cookie": f"a={IN_HEADS['cookie']}",
        "X-Wiretape-Tag-Ticket": IN_HEADS["tag header"],
    }
    subprotocols = [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{IN_HEADS['subprotocol']}")]
    url = f"{origin}/v1/realtime?model=m&{query}"
    async with connect(url, additional_headers=headers, subprotocols=subprotocols, proxy=None) as client:
        await send_secrets(client)
        async for message in client:
            if LIVE in str(message):
                break
        await until_written(root, LIVE)
        assert found_in(journals(root), IN_HEADS) == []
        # The documented exception, which also shows that the search finds what is there.
        assert {"client_secret", "echoed key", "escaped", "JWT"} <= {
            name for _, name in found_in(journals(root), SECRETS)
        }
        await client.send("bye")
        await client.wait_closed()


async def send_secrets(client: ClientConnection) -> None:
    await client.send(json.dumps(SESSION_UPDATE))
    await client.send(json.dumps(RESPONSE_CREATE))
    await client.send(IN_MESSAGES["binary"].encode())


async def ask_for_an_ephemeral_key(origin: str) -> None:
    host = origin.removeprefix("ws://")
    reader, writer = await asyncio.open_connection(*host.rsplit(":", 1))
    writer.write(
        f"POST /v1/realtime/client_secrets HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\n"
        f"Authorization: Bearer {IN_HEADS['client token']}\r\n\r\n{{}}".encode()
    )
    assert IN_MESSAGES["ephemeral key"].encode() in await reader.read()
    writer.close()


async def until_written(root: Root, marker: str) -> None:
    async with asyncio.timeout(20):
        # The writer is another process: nothing here could be told.
        while marker.encode() not in b"".join(journals(root).values()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def journals(root: Root) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.journal.rglob("*") if path.is_file()}


def spellings(secret: str) -> Iterator[bytes]:
    """Spell a secret as it may have been written down: base64 at each of three places in its groups, too."""
    yield secret.encode()
    yield quote(secret, safe="").encode()
    yield quote(quote(secret, safe=""), safe="").encode()
    yield json.dumps(secret)[1:-1].replace("/", "\\/").encode()
    yield "".join(f"\\u{ord(character):04x}" for character in secret).encode()
    for shift in range(3):
        shifted = base64.b64encode(b"\0" * shift + secret.encode()).rstrip(b"=")
        # What lies beside the secret colours the first and the last group.
        yield shifted[4:-4]


def found_in(places: dict[str, bytes], secrets: dict[str, str]) -> list[tuple[str, str]]:
    return [
        (place, name)
        for place, content in places.items()
        for name, secret in secrets.items()
        if any(spelling in content for spelling in spellings(secret))
    ]


def everything_on_disk(folder: Path) -> dict[str, bytes]:
    """Read every file, and of Parquet what it says once it is decompressed."""
    places = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for path in folder.rglob("*.parquet"):
        rows = pq.read_table(path, partitioning=None).to_pylist()
        values = b"\n".join(value for row in rows for value in leaves(row))
        places[f"{path} decompressed"] = values
    return places


def leaves(value: Any) -> Iterator[bytes]:
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list | tuple):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value if isinstance(value, bytes) else str(value).encode()


def say(root: Root, *arguments: str) -> bytes:
    told = subprocess.run(
        [sys.executable, "-m", "wiretape", *arguments, "--recordings", str(root.path)],
        cwd=HOME,
        capture_output=True,
        check=True,
    )
    return told.stdout + told.stderr


def write_targets(folder: Path, port: int) -> Path:
    path = folder / "wiretape.toml"
    path.write_text(
        f'[targets.keyed]\nurl = "ws://127.0.0.1:{port}"\nmodel = "m"\napi_key_env = "PLANTED_KEY"\n'
        '[targets.keyed.headers_env]\nX-Gateway-Token = "PLANTED_HEADER"\n'
        '[targets.keyed.query_env]\ntoken = "PLANTED_QUERY"\n'
    )
    return path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "proxy.log"


@pytest.mark.slow
async def test_no_planted_secret_is_anywhere_when_all_is_sealed(root: Root, tmp_path: Path, log: Path) -> None:
    async with endpoint() as port:
        async with proxy(root, log, f"ws://127.0.0.1:{port}") as origin:
            await call_with_keys_everywhere(origin, root)
        environment = {
            "WIRETAPE_CONFIG": str(write_targets(tmp_path, port)),
            "PLANTED_KEY": IN_HEADS["target key"],
            "PLANTED_HEADER": IN_HEADS["target header"],
            "PLANTED_QUERY": IN_HEADS["target query"],
            "WIRETAPE_CLIENT_TOKEN": IN_HEADS["client token"],
            # Not on the way to this target, and no business of the recording either way.
            "HTTPS_PROXY": f"http://me:{IN_HEADS['userinfo']}@127.0.0.1:1",
            "NO_PROXY": "127.0.0.1",
        }
        async with proxy(root, log, "keyed", environment=environment) as origin:
            await ask_for_an_ephemeral_key(origin)
            headers = {"Authorization": f"Bearer {IN_HEADS['client token']}"}
            with pytest.raises(InvalidStatus):
                await connect(f"{origin}/refused", additional_headers=headers, proxy=None)
            with pytest.raises(InvalidStatus):
                await connect(origin, additional_headers={"api-key": IN_HEADS["api-key"]}, proxy=None)

    for screen in ("session", "failures"):
        await screenshot(root, screen, (160, 50), tmp_path / f"{screen}.svg")
    look_everywhere(root, tmp_path)


def look_everywhere(root: Root, folder: Path) -> None:
    """Search recordings, logs and pictures, and what the commands print."""
    sessions = sorted(path.stem for path in root.table("sessions").rglob("*.parquet"))
    assert len(sessions) == 3
    places = everything_on_disk(folder)
    # What the operator wrote.
    del places[str(folder / "wiretape.toml")]
    assert {"proxy.log", "session.svg"} <= {Path(place).name for place in places}
    places |= {f"show {session}": say(root, "analyze", "show", session, "--json") for session in sessions}
    places |= {command: say(root, "capture", command, "--json") for command in ("list", "recover")}
    assert found_in(places, SECRETS) == []
    # The proxy was started with a umask of 0.
    assert {stat.S_IMODE(path.stat().st_mode) for path in root.path.rglob("*") if path.is_file()} == {0o600}
    folders = [root.path, *(path for path in root.path.rglob("*") if path.is_dir())]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}


@pytest.mark.slow
async def test_a_recovery_takes_out_what_the_killed_proxy_was_told_to(root: Root, log: Path) -> None:
    words = {"typed": "my name is Zoe Planted", "caller": "caller-planted-42"}
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": words["typed"]}]}
    options = ("--redact", "transcripts", "--redact", "/caller-planted-[0-9]+/")
    async with endpoint() as port:
        async with proxy(root, log, f"ws://127.0.0.1:{port}", *options, end=signal.SIGKILL) as origin:
            url, subprotocols = f"{origin}/v1/realtime?user={words['caller']}", [Subprotocol("realtime")]
            client = await connect(url, subprotocols=subprotocols, compression=None, proxy=None)
            await client.send(json.dumps({"type": "conversation.item.create", "item": item}))
            await until_written(root, words["typed"])
            assert found_in(journals(root), {"caller": words["caller"]}) == []
        await client.wait_closed()
    assert journals(root)
    await asyncio.to_thread(subprocess.run, [*RECOVER, str(root.path)], cwd=HOME, capture_output=True, check=False)
    places = everything_on_disk(root.path)
    assert found_in(places, words) == []
    assert any(("x" * len(words["typed"])).encode() in content for content in places.values())
