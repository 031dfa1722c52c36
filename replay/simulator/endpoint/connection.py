"""A connection of the simulator: a WebSocket, or one plain HTTP request on the same port."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from websockets.asyncio.server import Server
from websockets.server import ServerProtocol

from replay.simulator.endpoint.listening import ToldConnection
from replay.simulator.endpoint.plain_http import (
    BadRequest,
    HttpAnswer,
    HttpRequest,
    RequestReader,
    encode_answer,
    is_plain,
)
from replay.simulator.faults.effects import Keepalive
from replay.simulator.ids import IdSource
from replay.simulator.protocol.admission import Admission

AnswerRequest = Callable[[HttpRequest], HttpAnswer]

_NO_BODY = re.compile(rb"\r\ncontent-length:[ \t]*0[ \t]*(?=\r\n)", re.IGNORECASE)


class SimulatedConnection(ToldConnection):
    """Remembers what its handshake decided. websockets takes GET only: what begins otherwise is answered here."""

    admission: Admission
    staged_keepalive: Keepalive | None = None
    """How it is checked that the client lives, where a fault says so."""
    ids: IdSource

    def __init__(self, protocol: ServerProtocol, server: Server, answer: AnswerRequest, **options: Any) -> None:
        super().__init__(protocol, server, **options)
        self.was_plain = False
        """Whether it was one plain request, which has been answered."""
        self._answer = answer
        self._begun = False
        self._reader: RequestReader | None = None

    def data_received(self, data: bytes) -> None:
        """Take bytes off the socket."""
        if not self._begun:
            self._begun = True
            self._reader = RequestReader() if is_plain(data) else None
            # Java's own client says that its upgrade has no body. Before version 17 websockets hangs up on that.
            data = data if self._reader else _NO_BODY.sub(b"", data, count=1)
        if self._reader is None:
            super().data_received(data)
        elif not self.was_plain:
            self._read_plainly(self._reader, data)

    def _read_plainly(self, reader: RequestReader, data: bytes) -> None:
        try:
            request = reader.feed(data)
        except BadRequest:
            self.transport.close()
            return
        if request is not None:
            self.was_plain = True
            self.transport.write(encode_answer(self._answer(request)))
            self.transport.close()
