"""Where calls may go: targets from wiretape.toml, or plain URLs; never a key, only the name of its variable."""

from __future__ import annotations

import codecs
import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import msgspec

from capture.entra import entra_token
from capture.errors import UsageProblem
from capture.redaction import is_credential_header, is_credential_name, redact_text, redact_url

CONFIG_VARIABLE = "WIRETAPE_CONFIG"
AZURE_HOSTS = (".azure.com", ".azure.us", ".azure.cn")
_DEFAULT_PORTS = {"ws": 80, "wss": 443}
_MODEL_NAMES = frozenset({"model", "deployment"})
"""What a query calls the model that it asks for."""
_ORIGIN = re.compile(r"^[A-Za-z]+://[^/?]*")
DEPLOYMENT_IN_PATH = re.compile(r"(?<=/deployments/)[^/?]+(?=/realtime)")
"""Where Azure's preview may have the deployment, beside the query."""
_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}
_BLANK = re.compile(r"[\s\x00-\x1f\x7f]")
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADERS_OF_THE_UPGRADE = frozenset({"host", "connection", "upgrade", "content-length", "transfer-encoding"})
# Such as systemd, Kubernetes and shells take; a key has long stretches with small letters and without a separator.
_VARIABLE = re.compile(r"(?!.*(?=[A-Z0-9]*[a-z])[A-Za-z0-9]{30})[A-Za-z_.-][A-Za-z0-9_.-]*")

Auth = Literal["api-key", "bearer", "entra"]
Provider = Literal["azure", "openai", "simulator", "other"]
TargetDialect = Literal["ga", "beta"]


@dataclass(frozen=True)
class Target:
    """One endpoint that calls and replays can be sent to."""

    name: str
    """Its name in wiretape.toml, or the URL as it was given, redacted."""
    url: str
    """`ws://` or `wss://`; with path and query, a path alone, or an origin alone (see `request_url`)."""
    model: str | None = None
    """Realtime model; on Azure the deployment's name."""
    region: str | None = None
    provider: str | None = None
    """`azure`, `openai`, `simulator`, `other`; None leaves it to what the handshake shows."""
    auth: Auth | None = None
    """How the key is sent; None takes `api-key` for Azure and `bearer` elsewhere."""
    api_key_env: str | None = None
    """Environment variable that holds the key; None sends no credential."""
    transcription_models: dict[str, str] = field(default_factory=dict)
    """Model id to deployment name on this resource: Azure wants the latter (protocol section 0.2)."""
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    dialect: TargetDialect | None = None
    """What it speaks; None leaves it to the URL, and to what was recorded."""
    models: dict[str, str] = field(default_factory=dict)
    """Realtime model id to deployment name on this resource, for replays that vary the model."""
    headers_env: dict[str, str] = field(default_factory=dict)
    """Header to the environment variable with its value: further keys, such as a gateway's."""
    query_env: dict[str, str] = field(default_factory=dict)
    """The same for parameters of the query."""
    entra_scope: str | None = None
    """What Entra is asked for a token of; None takes that of Azure's AI services."""

    @property
    def host(self) -> str:
        """Host name without the port."""
        return urlsplit(self.url).hostname or ""

    @property
    def is_azure(self) -> bool:
        """Whether it is Azure's, as configured or by its host."""
        return self.provider == "azure" or (self.provider is None and self.host.endswith(AZURE_HOSTS))

    @property
    def origin(self) -> str:
        """Scheme, host and port, as the URL has them."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def is_origin(self) -> bool:
        """Whether its URL has no path."""
        return not urlsplit(self.url).path.strip("/")

    @property
    def port(self) -> int:
        """Port to connect to."""
        parts = urlsplit(self.url)
        return parts.port or _DEFAULT_PORTS[parts.scheme]

    @property
    def is_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return urlsplit(self.url).scheme == "wss"

    def request_url(self, path_and_query: str = "") -> str:
        """Compose the URL of a session.

        `path_and_query` is what the client (or the recording) asked for. A target with path and query is used as
        it is; a path without a query keeps the client's query with the target's model in it; an origin alone
        keeps the client's path too, and its model where it names one. A query behind an origin is added to the
        client's, as is `query` of the target in every case, and the keys that `query_env` names.
        """
        ours = urlsplit(self.url)
        their_path, mark, their_query = _taken_apart(path_and_query)
        path = their_path if self.is_origin else ours.path
        keeps_model = self.is_origin and _names_model(their_path, their_query)
        query = their_query if keeps_model else _with_model(their_query, self.model)
        query = _with_added(query, ours.query) if self.is_origin else ours.query or query
        query = _with_added(query, urlencode(self.query | self._query_keys(os.environ)))
        # An empty query is one, too.
        return f"{self.origin}{path if path.startswith('/') else '/' + path}{'?' if query or mark else ''}{query}"

    def asking_for_its_model(self, path_and_query: str) -> Target:
        """Give the target with its own model in the URL of a session where a client's would be kept.

        Who replays a session to a target with another model has named that on purpose.
        """
        ours = urlsplit(self.url).query
        if self.model is None or not self.is_origin or _names_model("", ours):
            return self
        path, _, query = _taken_apart(path_and_query)
        deployed = DEPLOYMENT_IN_PATH.sub(quote(self.model, safe=""), path)
        if not DEPLOYMENT_IN_PATH.search(path) or _names_model("", query):
            query = _with_model(query, self.model)
        return replace(self, url=f"{self.origin}/{deployed.removeprefix('/')}?{_with_added(query, ours)}")

    def credential_headers(self, environ: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
        """Give the headers that authenticate; empty where the target has no key of its own.

        Raises `UsageProblem` where the key's variable is not set, or Entra gives no token; asking it for one is
        network I/O.
        """
        environ = os.environ if environ is None else environ
        further = [(name, self._key(variable, environ)) for name, variable in self.headers_env.items()]
        for variable in self.query_env.values():
            self._key(variable, environ)
        if self.auth == "entra":
            return [("Authorization", f"Bearer {entra_token(self.name, self.entra_scope)}"), *further]
        if self.api_key_env is None:
            return further
        key = self._key(self.api_key_env, environ)
        # Azure answers 401 to keys sent as a bearer token on some paths (protocol section 3.2).
        auth = self.auth or ("api-key" if self.is_azure else "bearer")
        return [("api-key", key) if auth == "api-key" else ("Authorization", f"Bearer {key}"), *further]

    def _query_keys(self, environ: Mapping[str, str]) -> dict[str, str]:
        # One that is not set is told where the credentials are asked for, before anything is sent.
        keys = {name: environ.get(variable, "").strip() for name, variable in self.query_env.items()}
        return {name: key for name, key in keys.items() if key}

    def _key(self, variable: str, environ: Mapping[str, str]) -> str:
        key = environ.get(variable, "").strip()
        if not key:
            raise UsageProblem(f"target {self.name} needs its key: set the environment variable {variable}")
        if not (key.isascii() and key.isprintable()):
            # Errors further on would quote it.
            raise UsageProblem(f"the key in {variable} has a character that no header can hold: copy it anew")
        return key


class _TargetTable(msgspec.Struct, forbid_unknown_fields=True):
    url: str
    model: str | None = None
    region: str | None = None
    provider: Provider | None = None
    auth: Auth | None = None
    api_key_env: str | None = None
    transcription_models: dict[str, str] = {}
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    dialect: TargetDialect | None = None
    models: dict[str, str] = {}
    headers_env: dict[str, str] = {}
    query_env: dict[str, str] = {}
    entra_scope: str | None = None


class _Configuration(msgspec.Struct, forbid_unknown_fields=True):
    targets: dict[str, object] = {}


def load_targets(path: Path | None = None) -> dict[str, Target]:
    """Read the targets of `wiretape.toml` (given, `$WIRETAPE_CONFIG`, or in the current folder); none is fine.

    Raises `UsageProblem` with the place of the fault, and for a file that somebody has put into this folder.
    """
    named = path or (Path(os.environ[CONFIG_VARIABLE]) if os.environ.get(CONFIG_VARIABLE) else None)
    source = named or Path("wiretape.toml")
    if not source.is_file():
        if named is not None:
            raise UsageProblem(f"there is no configuration file {source}")
        return {}
    if named is None:
        _check_owner(source)
    try:
        # Editors on Windows write a byte order mark.
        text = source.read_bytes().removeprefix(codecs.BOM_UTF8)
        configuration = msgspec.toml.decode(text, type=_Configuration)
    except UnicodeDecodeError as error:
        raise UsageProblem(f"{source} cannot be read: it is no UTF-8; save it as that") from error
    except (msgspec.DecodeError, OSError) as error:
        raise UsageProblem(f"{source} cannot be read: {error}{_name_near(error, _Configuration)}") from error
    return {name: _target(name, _read_table(source, name, table)) for name, table in configuration.targets.items()}


def _check_owner(source: Path) -> None:
    # It says which variables of the environment go where: in a folder such as /tmp anybody may leave one. Whoever works
    # in a folder trusts its owner; in containers that is seldom who runs the command.
    trusted = {0, os.geteuid(), source.absolute().parent.stat().st_uid}
    if source.stat().st_uid not in trusted:
        raise UsageProblem(
            f"{source} is neither yours nor of who owns this folder, and says which keys go where: if you trust it,"
            f" name it in {CONFIG_VARIABLE}"
        )


def resolve_target(text: str, targets: Mapping[str, Target] | None = None) -> Target:
    """Find a target by its name, or make one of a URL.

    Raises `UsageProblem` that lists the names known, the nearest first.
    """
    targets = load_targets() if targets is None else targets
    if text in targets:
        return targets[text]
    if "://" in text:
        # The name goes into recordings and run files; a key in the URL must not.
        name = redact_url(text)
        return Target(name=name, url=_checked_url(text, name))
    raise UsageProblem(
        f"unknown target {redact_url(text)!r}: {_known_names(text, targets)}; or give a URL such as ws://127.0.0.1:8900"
    )


def _read_table(source: Path, name: str, table: object) -> _TargetTable:
    try:
        return msgspec.convert(table, _TargetTable)
    except msgspec.ValidationError as error:
        # What it says of the place counts from the table, which it does not name.
        said = str(error).replace(" - at `$.", " - at `")
        near = _name_near(error, _TargetTable) + _known_values(said)
        raise UsageProblem(f"{source} cannot be read: [targets.{name}]: {said}{near}") from error


def _name_near(error: Exception, kind: type[msgspec.Struct]) -> str:
    unknown = re.search(r"unknown field `(.*?)`", str(error))
    near = difflib.get_close_matches(unknown[1], kind.__struct_fields__, n=1, cutoff=0.5) if unknown else []
    if near and near[0].endswith("_env"):
        return f": is it {near[0]}? That takes the name of an environment variable; no key stands in this file"
    return f": is it {near[0]}?" if near else f"; known are {', '.join(kind.__struct_fields__)}" if unknown else ""


def _known_values(said: str) -> str:
    place = re.search(r"Invalid enum value .* at `(\w+)`", said)
    kinds = {"auth": Auth, "provider": Provider, "dialect": TargetDialect}
    return f": known are {', '.join(get_args(kinds[place[1]]))}" if place else ""


def _target(name: str, table: _TargetTable) -> Target:
    fields = msgspec.structs.asdict(table)
    _check_secrets(name, table)
    _check_variables(name, table)
    _check_headers(name, table.headers)
    return Target(name=name, **{**fields, "url": _checked_url(table.url, name)})


def _check_secrets(name: str, table: _TargetTable) -> None:
    # A file is copied and committed; what is sent from it is recorded unless its name tells that it is a secret.
    kinds: tuple[tuple[str, dict[str, str], dict[str, str], Callable[[str], bool], str], ...] = (
        ("headers", table.headers, table.headers_env, is_credential_header, "-key, -token, -secret or -authorization"),
        ("query", table.query, table.query_env, is_credential_name, "api-key, access_token, -token or secret"),
    )
    for kind, open_ones, keys, is_secret, endings in kinds:
        for each in filter(lambda each: is_secret(each.lower()), open_ones):
            raise UsageProblem(
                f"target {name}: {each} in {kind} is a key, and no key stands in this file: put it into a variable of"
                f' the environment and name that, as {kind}_env = {{ "{each}" = "VARIABLE" }}'
            )
        for each in filter(lambda each: not is_secret(each.lower()), keys):
            raise UsageProblem(
                f"target {name}: {kind}_env is for keys, and what is called {each} would be recorded: kept out is what"
                f" has the name of a key, such as those that end with {endings}"
            )


def _check_variables(name: str, table: _TargetTable) -> None:
    places = [("api_key_env", table.api_key_env)] if table.api_key_env is not None else []
    places += [(f"headers_env: {header}", variable) for header, variable in table.headers_env.items()]
    places += [(f"query_env: {parameter}", variable) for parameter, variable in table.query_env.items()]
    for place, variable in places:
        # What stands there may be the key itself, which "set the environment variable …" would print.
        if not _VARIABLE.fullmatch(variable) or redact_text(variable) != variable:
            raise UsageProblem(
                f"target {name}: what stands at {place} is no name of an environment variable: put the key into one,"
                " such as MY_KEY, and write that name here"
            )


def belongs_to_the_upgrade(header: str) -> bool:
    """Tell whether a header, in lower case, makes the upgrade what it is: nobody else may set it."""
    return header in _HEADERS_OF_THE_UPGRADE or header.startswith("sec-websocket-")


def _check_headers(name: str, headers: Mapping[str, str]) -> None:
    for header, value in headers.items():
        if not HEADER_NAME.fullmatch(header):
            raise UsageProblem(f"target {name}: {header!r} in headers is no name of a header")
        if belongs_to_the_upgrade(header.lower()):
            raise UsageProblem(f"target {name}: {header} in headers belongs to the upgrade itself: leave it out")
        if not (value.isascii() and value.isprintable()):
            raise UsageProblem(f"target {name}: the value of {header} in headers has a character that none can hold")


def _checked_url(url: str, name: str) -> str:
    url = url.strip()
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageProblem(f"target {name}: {redact_url(url)!r} is no URL ({error})") from error
    if parts.scheme not in _SCHEMES or not host:
        raise UsageProblem(f"target {name}: give its url as ws://… or wss://…, not {redact_url(url)!r}")
    try:
        host.encode("idna")
    except UnicodeError as error:
        # Without this it would be told of each call, and only then.
        raise UsageProblem(
            f"target {name}: {host!r} is no name of a host (a part of it is empty or too long)"
        ) from error
    if _BLANK.search(url):
        raise UsageProblem(f"target {name}: {redact_url(url)!r} has a blank or a line break: take it out, or write %20")
    if parts.username is not None:
        raise UsageProblem(f"target {name}: a URL must hold no password; name its variable as api_key_env")
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, parts.path, parts.query, ""))


def _known_names(text: str, targets: Mapping[str, Target]) -> str:
    if not targets:
        return "there is no wiretape.toml with targets here"
    near = difflib.get_close_matches(text, targets, n=3, cutoff=0.5)
    return "known are " + ", ".join(_unique([*near, *targets]))


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _taken_apart(path_and_query: str) -> tuple[str, str, str]:
    # Not parsed as a URL: a client's path may look like another host ("//…"), or be nonsense.
    return _ORIGIN.sub("", path_and_query).partition("?")


def _names_model(path: str, query: str) -> bool:
    asked = dict(parse_qsl(query, keep_blank_values=True))
    # Azure's preview has had the deployment in the path.
    return bool(asked.get("model") or asked.get("deployment")) or "/deployments/" in path


def _with_model(query: str, model: str | None) -> str:
    if model is None:
        return query
    asked = dict(parse_qsl(query, keep_blank_values=True))
    name = "deployment" if "deployment" in asked else "model"
    if name not in asked and (asked.get("intent") == "transcription" or "call_id" in asked):
        # Transcription sockets and side channels of a call refuse a model in the URL (protocol section 3.1).
        return query
    kept = [part for part in query.split("&") if part and part.split("=")[0] not in _MODEL_NAMES]
    return "&".join([f"{name}={quote(model, safe='')}", *kept])


def _with_added(query: str, added: str) -> str:
    """Add parameters to a query; they outrank those of their names, and a model any other that it has."""
    if not added:
        return query
    names = {part.split("=")[0].lower() for part in added.split("&")}
    if not names.isdisjoint(_MODEL_NAMES):
        names |= _MODEL_NAMES
    kept = [part for part in query.split("&") if part and part.split("=")[0].lower() not in names]
    return "&".join([*kept, added])
