"""The shell: a WebSocket server whose connections feed sessions and send what these answer, when it is due."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urlencode

from websockets.asyncio.server import Server as WebSocketServer
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from capture.audio import PCM16_24K, AudioFormat
from capture.clock import SteppedClock
from capture.targets import Target
from replay.simulator.clips import read_chunks
from replay.simulator.clock import Clock
from replay.simulator.endpoint.client_secrets import answer_request, named_models
from replay.simulator.endpoint.connection import SimulatedConnection
from replay.simulator.endpoint.listening import listen
from replay.simulator.endpoint.plain_http import HttpAnswer, HttpRequest, answer_json
from replay.simulator.endpoint.talk import Talk, turn_away
from replay.simulator.faults.conditions import Circumstance
from replay.simulator.faults.effects import HttpError, Keepalive, RefuseHandshake
from replay.simulator.faults.faults import Faults
from replay.simulator.ids import IdSource
from replay.simulator.protocol.addresses import Shape, read_address
from replay.simulator.protocol.admission import Admission, Admitted, Refused, TurnedAway, admit, refuse
from replay.simulator.scenario import Scenario, Server, combine
from replay.simulator.session.session import Session

REGIONS = ("eastus2", "swedencentral")


class Simulator:
    """A running endpoint: where it listens, and what to connect to."""

    def __init__(self, origins: dict[str, str], *, separate_origins: bool, shape: Shape | None = None) -> None:
        self._origins = origins
        self._separate_origins = separate_origins
        self._path = "/v1/realtime" if shape == "openai" else "/openai/v1/realtime"

    @property
    def regions(self) -> tuple[str, ...]:
        """Regions served."""
        return tuple(self._origins)

    @property
    def origin(self) -> str:
        """`ws://HOST:PORT` of the first region."""
        return next(iter(self._origins.values()))

    def url(self, region: str, model: str | None = None) -> str:
        """Give the URL of a region's Realtime endpoint; with a model, ready to connect to."""
        prefix = "" if self._separate_origins else f"/{region}"
        query = f"?{urlencode({'model': model})}" if model else ""
        return f"{self._origins[region]}{prefix}{self._path}{query}"

    def targets(self, model: str) -> list[Target]:
        """Give a target for each region, named by it."""
        return [
            Target(name=region, url=self.url(region), model=model, region=region, provider="simulator")
            for region in self.regions
        ]


@asynccontextmanager
async def serve(
    scenarios: Sequence[Scenario],
    *,
    regions: Sequence[str] = REGIONS,
    listen: tuple[str, int] = ("127.0.0.1", 0),
    seed: int = 0,
    clock: Clock | None = None,
    separate_origins: bool = False,
) -> AsyncIterator[Simulator]:
    """Serve the Realtime API as the scenarios stage it, until the block is left.

    Regions are paths of one origin, or, with `separate_origins`, ports of their own: the given one and those that
    follow it (all free ones where it is 0). Raises `UsageProblem` where the address cannot be listened on.
    """
    host, port = listen
    server = combine(scenarios)
    _warm_up(server)
    endpoint = _Endpoint(server, seed, clock or SteppedClock())
    groups = [(region,) for region in regions] if separate_origins else [tuple(regions)]
    origins: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        for number, group in enumerate(groups):
            address = host, port + number if port else 0
            origins |= dict.fromkeys(group, await stack.enter_async_context(endpoint.listen(address, group)))
        yield Simulator(origins, separate_origins=separate_origins, shape=server.shape)


def _warm_up(server: Server) -> None:
    # The first session must not wait for clips to be read and encoded.
    for audio_format in (PCM16_24K, AudioFormat("audio/pcmu", 8000), AudioFormat("audio/pcma", 8000)):
        read_chunks(server.answer, audio_format)


class _Endpoint:
    """What all connections share: the staged server, the seed, the clock, and how many came before."""

    def __init__(self, server: Server, seed: int, clock: Clock) -> None:
        self._server = server
        self._seed = seed
        self._clock = clock
        self._faults = Faults(server.faults, clock.now_ns())
        self._numbers = itertools.count(1)
        self._keys = () if server.api_key is None else (server.api_key,)

    def listen(self, address: tuple[str, int], regions: tuple[str, ...]) -> AbstractAsyncContextManager[str]:
        """Listen on one address for some regions; give the origin."""

        def decide(connection: ServerConnection, request: Request) -> Response | None:
            return self._decide(cast("SimulatedConnection", connection), request, regions)

        def connect(protocol: ServerProtocol, server: WebSocketServer, **options: Any) -> SimulatedConnection:
            return SimulatedConnection(protocol, server, partial(self._answer_plainly, regions), **options)

        return listen(
            self._talk,
            address,
            create_connection=connect,
            process_request=decide,
            process_response=_add_headers,
            server_header="wiretape-simulator",
        )

    def _decide(self, connection: SimulatedConnection, request: Request, regions: tuple[str, ...]) -> Response | None:
        connection.ids = IdSource(self._seed, next(self._numbers))
        address = read_address(request.path, _joined(request.headers), regions, self._server.shape)
        admission = admit(address, self._keys)
        if isinstance(admission, Admitted):
            admission = self._spoil_handshake(connection, admission)
        connection.admission = admission
        if not isinstance(admission, Refused):
            return None
        response = connection.respond(admission.status, admission.body)
        response.headers.update(admission.headers)
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json"
        _tell_request(connection, response.headers)
        return response

    def _spoil_handshake(self, connection: SimulatedConnection, admitted: Admitted) -> Admission:
        here = Circumstance(admitted.region, self._clock.now_ns(), admitted.model)
        refused = self._faults.find_effect(RefuseHandshake, here, connection.ids.chance)
        if refused is not None:
            return refuse(admitted, HTTPStatus(refused.status), refused.code, refused.message, refused.headers)
        connection.staged_keepalive = self._faults.find_effect(Keepalive, here, connection.ids.chance)
        return admitted

    def _answer_plainly(self, regions: tuple[str, ...], request: HttpRequest) -> HttpAnswer:
        ids = IdSource(self._seed, next(self._numbers))
        address = read_address(request.path_and_query, request.headers, regions, self._server.shape)
        now_ns = self._clock.now_ns()
        here = Circumstance(address.region, now_ns, *named_models(request.body))
        failed = self._faults.find_effect(
            HttpError, here, ids.chance, lambda error: address.path.endswith(f"/{error.path}")
        )
        if failed is None:
            answer = answer_request(request, address, self._server, ids, now_ns)
        else:
            answer = answer_json(failed.status, {"error": {"code": failed.code, "message": failed.message}})
        return replace(answer, headers={**answer.headers, **_request_headers(ids, address.shape, address.region)})

    async def _talk(self, connection: ServerConnection) -> None:
        simulated = cast("SimulatedConnection", connection)
        admission = simulated.admission
        if isinstance(admission, Admitted):
            session = Session(self._server, admission, simulated.ids, self._clock.now_ns(), self._faults)
            await Talk(connection, session, self._clock, simulated.staged_keepalive).run()
        elif isinstance(admission, TurnedAway):
            await turn_away(simulated, admission)


def _add_headers(connection: ServerConnection, _request: Request, response: Response) -> None:
    _tell_request(cast("SimulatedConnection", connection), response.headers)


def _tell_request(connection: SimulatedConnection, headers: Headers) -> None:
    if "x-request-id" not in headers:
        admission = connection.admission
        headers.update(_request_headers(connection.ids, admission.shape, admission.region))


def _request_headers(ids: IdSource, shape: Shape, region: str) -> dict[str, str]:
    simulated = {"x-wiretape-simulator": "1"}
    if shape == "openai":
        return {"x-request-id": f"req_{ids.make_request_id().replace('-', '')}", **simulated}
    return {
        "x-request-id": ids.make_request_id(),
        "apim-request-id": ids.make_request_id(),
        "x-ms-region": region,
        **simulated,
    }


def _joined(headers: Headers) -> dict[str, str]:
    return {name: ", ".join(headers.get_all(name)) for name in headers}
