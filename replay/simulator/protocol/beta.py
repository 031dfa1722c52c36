"""The beta dialect at the edge of a session: client events to GA, server events back (protocol sections 1.4, 1.5).

The session behind it speaks GA only. What GA would refuse by a path of its own is told by the path the client used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from capture.realtime.dialects import GA_NAMES
from capture.realtime.session_fields import FORMAT_NAMES, FORMATS, PART_NAMES, PARTS, RESPONSE_PATHS, SESSION_PATHS
from replay.simulator.protocol.mistakes import ClientMistake, refuse_type, refuse_value, unknown_parameter
from replay.simulator.protocol.shapes import ListOf, Number, Text

Json = dict[str, Any]

_BETA_NAMES = {ga: beta for beta, ga in GA_NAMES.items() if beta.startswith("response.")}
_DROPPED = ("client_secret",)
_TEMPERATURE = Number(0.6, 1.2)
_DEFAULT_TEMPERATURE = 0.8
_USAGE_DETAILS = ("cached_tokens", "text_tokens", "audio_tokens")
_VAD_FIELDS = (
    "type",
    "threshold",
    "prefix_padding_ms",
    "silence_duration_ms",
    "eagerness",
    "create_response",
    "interrupt_response",
)


class BetaDialect:
    """Translates for one session; the temperature, which GA has no field for, is kept here."""

    def __init__(self) -> None:
        self._temperature = _DEFAULT_TEMPERATURE
        self._asked_temperature: float | None = None

    def read(self, event: object) -> object:
        """Translate a client event; raises `ClientMistake` for what the beta dialect does not know.

        What is no event at all passes as it is: the session refuses it.
        """
        if not isinstance(event, dict):
            return event
        match event.get("type"):
            case "session.update" if "session" in event:
                return self._read_update(event, "realtime")
            case "transcription_session.update" if "session" in event:
                return {**self._read_update(event, "transcription"), "type": "session.update"}
            case "response.create" if event.get("response") is not None:
                return {**event, "response": _read_response(event["response"])}
            case "conversation.item.create" if isinstance(event.get("item"), dict):
                return {**event, "item": _read_item(event["item"], "item")}
        return event

    def write(self, event: Json) -> Iterable[Json]:
        """Translate a server event that has no `event_id` yet: into one, or none where GA says a thing twice."""
        event_type = event["type"]
        if event_type == "conversation.item.done":
            return
        shown = {**event, "type": _BETA_NAMES.get(event_type, event_type)}
        match event_type:
            case "session.created" | "session.updated":
                shown = self._write_session(event)
            case "conversation.item.added":
                shown["type"] = "conversation.item.created"
            case "response.function_call_arguments.done":
                del shown["name"]
            case "error":
                self._asked_temperature = None
                shown["error"] = _write_error(event["error"])
        if "item" in shown:
            shown["item"] = _write_item(shown["item"])
        if "response" in shown:
            shown["response"] = self._write_response(shown["response"])
        yield shown

    def _read_update(self, event: Json, session_type: str) -> Json:
        asked = event["session"]
        if not isinstance(asked, dict):
            raise refuse_type(("an object",), asked, "session")
        self._asked_temperature = _read_temperature(asked, "session")
        return {**event, "session": {"type": session_type, **_read_fields(asked, SESSION_PATHS, "session")}}

    def _write_session(self, event: Json) -> Json:
        if self._asked_temperature is not None:
            self._temperature, self._asked_temperature = self._asked_temperature, None
        session = event["session"]
        if session["type"] == "transcription":
            return {"type": f"transcription_{event['type']}", "session": _write_transcription_session(session)}
        shown = _write_realtime_session(session) | {"temperature": self._temperature}
        return {"type": event["type"], "session": shown}

    def _write_response(self, response: Json) -> Json:
        output = response["audio"]["output"]
        return {
            **{name: response[name] for name in ("object", "id", "status", "status_details")},
            "output": [_write_item(item) for item in response["output"]],
            "conversation_id": response["conversation_id"],
            "modalities": _write_modalities(response["output_modalities"]),
            "voice": output["voice"],
            "output_audio_format": FORMAT_NAMES[output["format"]["type"]],
            "temperature": self._temperature,
            "max_output_tokens": response["max_output_tokens"],
            "usage": _write_usage(response["usage"]),
            "metadata": response["metadata"],
        }


def _read_fields(asked: Json, paths: Mapping[str, str], place: str) -> Json:
    readers: Mapping[str, Callable[[Any, str], Any]] = {
        "modalities": _read_modalities,
        "input_audio_format": _read_format,
        "output_audio_format": _read_format,
    }
    read: Json = {}
    for name, value in asked.items():
        if name in _DROPPED or name == "temperature":
            continue
        if name not in paths:
            raise unknown_parameter(f"{place}.{name}")
        reader = readers.get(name)
        *parents, last = paths[name].split(".")
        table = read
        for parent in parents:
            table = table.setdefault(parent, {})
        table[last] = value if reader is None else reader(value, f"{place}.{name}")
    return read


def _read_response(asked: object) -> object:
    if not isinstance(asked, dict):
        return asked
    _read_temperature(asked, "response")
    read = _read_fields(asked, RESPONSE_PATHS, "response")
    if isinstance(read.get("input"), list):
        read["input"] = [_read_item(item, f"response.input[{index}]") for index, item in enumerate(read["input"])]
    return read


def _read_temperature(asked: Json, place: str) -> float | None:
    temperature: float | None = asked.get("temperature")
    if temperature is not None:
        _TEMPERATURE.check(temperature, f"{place}.temperature")
    return temperature


def _read_modalities(value: object, path: str) -> list[str]:
    ListOf(Text()).check(value, path)
    modalities = list(value) if isinstance(value, list) else []
    if modalities == ["text"]:
        return modalities
    if sorted(modalities) == ["audio", "text"]:
        return ["audio"]
    message = f"Invalid modalities: {modalities}. Supported combinations are: ['text'] and ['audio', 'text']."
    raise ClientMistake("invalid_value", message, path)


def _read_format(value: object, path: str) -> Json:
    if not isinstance(value, str):
        raise refuse_type(("a string",), value, path)
    if value not in FORMATS:
        raise refuse_value(value, tuple(FORMATS), path)
    return dict(FORMATS[value])


def _read_item(item: object, path: str) -> object:
    if not isinstance(item, dict) or item.get("role") != "assistant" or not isinstance(item.get("content"), list):
        return item
    return {
        **item,
        "content": [_read_part(part, f"{path}.content[{index}]") for index, part in enumerate(item["content"])],
    }


def _read_part(part: object, path: str) -> object:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        return part
    if part["type"] not in PARTS:
        raise refuse_value(part["type"], tuple(PARTS), f"{path}.type")
    return {**part, "type": PARTS[part["type"]]}


def _write_realtime_session(session: Json) -> Json:
    heard, output = session["audio"]["input"], session["audio"]["output"]
    return {
        **{name: session[name] for name in ("id", "object", "model", "expires_at")},
        "modalities": _write_modalities(session["output_modalities"]),
        "instructions": session["instructions"],
        "voice": output["voice"],
        "speed": output["speed"],
        **_write_input(heard),
        "output_audio_format": FORMAT_NAMES[output["format"]["type"]],
        **{name: session[name] for name in ("tools", "tool_choice", "tracing")},
        "max_response_output_tokens": session["max_output_tokens"],
        "client_secret": None,
    }


def _write_transcription_session(session: Json) -> Json:
    return {
        **{name: session[name] for name in ("id", "object", "expires_at")},
        **_write_input(session["audio"]["input"]),
        "include": session["include"],
        "client_secret": None,
    }


def _write_input(heard: Json) -> Json:
    transcription, detection = heard["transcription"], heard["turn_detection"]
    return {
        "input_audio_format": FORMAT_NAMES[heard["format"]["type"]],
        "input_audio_transcription": transcription and _pick(transcription, ("model", "language", "prompt")),
        "input_audio_noise_reduction": heard["noise_reduction"],
        "turn_detection": detection and _pick(detection, _VAD_FIELDS),
    }


def _write_modalities(modalities: list[str]) -> list[str]:
    return ["audio", "text"] if modalities == ["audio"] else modalities


def _write_item(item: Json) -> Json:
    shown = {"id": item["id"], "object": "realtime.item", **item}
    if "content" in item:
        shown["content"] = [{**part, "type": PART_NAMES.get(part["type"], part["type"])} for part in item["content"]]
    return shown


def _write_usage(usage: Json | None) -> Json | None:
    if usage is None:
        return None
    return {**usage, "input_token_details": _pick(usage["input_token_details"], _USAGE_DETAILS)}


def _write_error(error: Json) -> Json:
    param = error["param"]
    for place, paths in (("session", SESSION_PATHS), ("response", RESPONSE_PATHS)):
        for beta, ga in paths.items():
            path, named = f"{place}.{ga}", f"{place}.{beta}"
            # A GA field that is unknown as such was refused by this dialect: the client did use that path.
            used = param == path and error["code"] == "unknown_parameter"
            if isinstance(param, str) and not used and (param == path or param.startswith((f"{path}.", f"{path}["))):
                shown = named + param.removeprefix(path)
                return {**error, "param": shown, "message": error["message"].replace(param, shown)}
    return error


def _pick(table: Json, names: Iterable[str]) -> Json:
    return {name: table[name] for name in names if name in table}
