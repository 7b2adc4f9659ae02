"""Configuration: one TOML file, read strictly into frozen dataclasses.

Unknown keys are errors, so that a typing mistake cannot silently switch a protection off. Relative
paths count from the folder of the file. Secrets are never in the file: it names files that hold them.
A value may be overridden by an environment variable `VEILDESK__SECTION__KEY` (text, numbers, true/false).
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from veildesk.core.errors import ConfigInvalid
from veildesk.redact.masks import SECRET_TYPES, WORDS
from veildesk.redact.rules import RuleSet, rule_set
from veildesk.service.config_checks import check_names, unknown
from veildesk.service.config_helpdesk import (
    AnswersConfig,
    RouteConfig,
    WebhooksConfig,
    check_retention,
    check_routes,
    check_webhooks,
)
from veildesk.service.config_portal import OnionConfig, PortalConfig, check_onion, check_portal
from veildesk.service.config_store import MetricsConfig, StoreConfig, check_store_config
from veildesk.service.notice_config import (
    NOTICE_QUEUE,
    IdentityConfig,
    NoticesConfig,
    StatusConfig,
    check_notices,
)

__all__ = [
    "AttachmentsConfig",
    "AnswersConfig",
    "BackendConfig",
    "Config",
    "IdentityConfig",
    "ImapConfig",
    "ListenConfig",
    "NOTICE_QUEUE",
    "NoticesConfig",
    "MetricsConfig",
    "OnionConfig",
    "OutgoingConfig",
    "PortalConfig",
    "QueueConfig",
    "RouteConfig",
    "StoreConfig",
    "StatusConfig",
    "load_config",
    "parse_config",
]


_T = typing.TypeVar("_T")
_MOST = 86400
"""Seconds between two polls, deliveries in a minute: beyond it a typing mistake."""


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """Who we are. `domain` is used in Message-IDs and EHLO; `address` is the support address.

    `reply_delimiter` is what the mail server takes for the beginning of an extension of an address
    (Postfix: recipient_delimiter); "" switches reply addresses off. `workers` is how many messages a gateway
    works on at the same time for each helpdesk.
    """

    name: str
    address: str
    domain: str
    state_dir: Path = Path("state")
    runtime_dir: Path | None = None
    retention_days: int = 14
    reply_delimiter: str = "+"
    workers: int = 2


@dataclass(frozen=True, slots=True)
class KeysConfig:
    """`home` is the GnuPG home with the secret keys; the keys are named by full fingerprints.

    The secret part of `notice` may be elsewhere. `heartbeat` signs heartbeats and nothing else.

    `engine`: "both" reads in worker processes what they fully understand, and asks gpg about the rest; "gpg"
    asks gpg about everything. `secret`: "agent" leaves the secret keys with gpg-agent (or a token), "memory"
    also copies unprotected Curve25519 keys into the workers' locked memory, which is many times faster.
    `wkd_proxy` ("host:port") is tor's SOCKS port, through which mail domains are asked for keys; without it
    nobody is asked. `intake` is for a process that only accepts ('veildesk accept').
    """

    home: Path
    support: str
    notice: str
    heartbeat: str | None = None
    ring: Path = Path("keys/ring")
    intake: Path = Path("keys/intake")
    contacts: Path | None = None
    engine: str = "both"
    secret: str = "agent"  # noqa: S105
    wkd_proxy: str | None = None


@dataclass(frozen=True, slots=True)
class ListenConfig:
    """Where a listener waits: "unix:/path" or "address:port"."""

    listen: str


@dataclass(frozen=True, slots=True)
class ImapConfig:
    """An IMAP account to fetch from, over TLS only. `ca_file` replaces the system's authorities."""

    host: str
    user: str
    password_file: Path
    port: int = 993
    ca_file: Path | None = None
    folder: str = "INBOX"
    processed: str = "Processed"
    failed: str = "Failed"
    queue: str = "support"


@dataclass(frozen=True, slots=True)
class OutgoingConfig:
    """The server that takes our mail. `security`: "tls", "starttls" or "plain" (loopback and onions only).

    `proxy` ("host:port") is a SOCKS port to send through. `onion_routes` ("example.org=….onion") names
    domains whose mail goes straight to an onion service, through the proxy.
    """

    host: str
    port: int = 25
    security: str = "starttls"
    ca_file: Path | None = None
    user: str | None = None
    password_file: Path | None = None
    proxy: str | None = None
    onion_routes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueConfig:
    """One kind of incoming mail. `require`: "nothing", "encryption" or "signature".

    `unmasked` names types this queue's agents get to see, such as "TXID" and "XPUB"; never secret ones.
    `retention_days` may be shorter than the gateway's; 0 is as long.
    """

    addresses: tuple[str, ...] = ()
    require: str = "nothing"
    backend: str = "maildir"
    unmasked: tuple[str, ...] = ()
    retention_days: int = 0


@dataclass(frozen=True, slots=True)
class BackendConfig:
    """A helpdesk: `kind` is the entry point's name; the rest goes to the connector as it is.

    `deliveries_per_minute` bounds what it gets, 0 is without a bound.
    """

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    poll_seconds: float = 10.0
    deliveries_per_minute: float = 0.0


@dataclass(frozen=True, slots=True)
class AttachmentsConfig:
    """`clamd` is the socket of a malware scanner; with it, no file passes without its verdict.

    `require_sandbox` refuses all files where bubblewrap cannot be used.
    """

    clamd: Path | None = None
    require_sandbox: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    """All of it. Parts that are absent are switched off."""

    gateway: GatewayConfig
    keys: KeysConfig
    queues: Mapping[str, QueueConfig]
    backends: Mapping[str, BackendConfig]
    routes: Mapping[str, RouteConfig] = field(default_factory=dict)
    answers: AnswersConfig = field(default_factory=AnswersConfig)
    store: StoreConfig | None = None
    metrics: MetricsConfig | None = None
    webhooks: WebhooksConfig | None = None
    lmtp: ListenConfig | None = None
    smtp: ListenConfig | None = None
    imap: ImapConfig | None = None
    outgoing: OutgoingConfig | None = None
    portal: PortalConfig | None = None
    onion: OnionConfig | None = None
    attachments: AttachmentsConfig | None = None
    redact: RuleSet = field(default_factory=RuleSet)
    notices: NoticesConfig = field(default_factory=NoticesConfig)
    identity: IdentityConfig = field(default_factory=IdentityConfig)
    status: StatusConfig | None = None
    base: Path = Path()


_CHOICES = {
    ("onion", "mode"): {"managed", "torrc"},
    ("keys", "engine"): {"both", "gpg"},
    ("keys", "secret"): {"agent", "memory"},
    ("outgoing", "security"): {"tls", "starttls", "plain"},
    ("queues", "require"): {"nothing", "encryption", "signature"},
}


def load_config(path: Path, environment: Mapping[str, str] | None = None) -> Config:
    """Read and check a file. Raises `ConfigInvalid` with the place and what is expected."""
    try:
        # Editors on Windows begin a file with a mark (U+FEFF) that TOML does not know.
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigInvalid(f"{path}: there is no such file; 'veildesk init' writes one") from None
    except OSError as error:
        raise ConfigInvalid(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigInvalid(f"{path}: it is no text in UTF-8; save it as such") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigInvalid(f"{path}: {error}") from None
    except RecursionError:
        raise ConfigInvalid(f"{path}: its lists are nested too deeply") from None
    return parse_config(raw, path.resolve().parent, environment or {})


def parse_config(raw: Mapping[str, Any], base: Path, environment: Mapping[str, str] | None = None) -> Config:
    """Make a `Config` from parsed TOML. Relative paths are made absolute from `base`."""
    raw = _with_environment(raw, environment or {})
    sections = {f.name: f for f in dataclasses.fields(Config)}
    for name in raw:
        if name not in sections or name == "base":
            raise ConfigInvalid(f"[{name}]: {unknown('section', name, set(sections) - {'base'})}")
    values: dict[str, Any] = {"base": base}
    for name in ("gateway", "keys"):
        if name not in raw:
            raise ConfigInvalid(f"[{name}]: this section is needed")
    hints = typing.get_type_hints(Config)
    for name, content in raw.items():
        if not isinstance(content, Mapping):
            raise ConfigInvalid(f"{name}: expected a section [{name}]")
        if name == "queues":
            values[name] = {k: _section(QueueConfig, v, f"queues.{k}", base) for k, v in content.items()}
        elif name == "redact":
            values[name] = rule_set(content)
        elif name == "routes":
            values[name] = {k: _section(RouteConfig, v, f"routes.{k}", base) for k, v in content.items()}
        elif name == "backends":
            values[name] = {k: _backend(v, f"backends.{k}", base) for k, v in content.items()}
        else:
            kind = next(t for t in _union(hints[name]) if dataclasses.is_dataclass(t))
            values[name] = _section(typing.cast(type[Any], kind), content, name, base)
    values.setdefault("queues", {"support": QueueConfig(addresses=(values["gateway"].address,))})
    values.setdefault("backends", {})
    values["queues"] = _with_notice_queue(values["queues"], values.get("notices"))
    config = Config(**values)
    _check(config)
    return config


def _check(config: Config) -> None:
    for name in config.backends:
        if not name.replace("-", "").isalnum():
            raise ConfigInvalid(f"[backends.{name}]: a name of letters, digits and '-' is needed")
    for name, queue in config.queues.items():
        if wrong := set(queue.unmasked) & SECRET_TYPES:
            raise ConfigInvalid(f"[queues.{name}] unmasked: {min(wrong)} is secret and always masked")
        if not set(queue.unmasked) <= set(WORDS):
            raise ConfigInvalid(f"[queues.{name}] unmasked: unknown type; docs/redaction.md lists them")
        if queue.backend not in config.backends:
            raise ConfigInvalid(f"[queues.{name}] backend: there is no [backends.{queue.backend}]")
    check_onion(config.onion, smtp=config.smtp is not None)
    check_portal(config.portal, config.queues)
    check_store_config(config.store)
    check_webhooks(config.webhooks)
    check_routes(config.routes, config.backends, config.queues)
    check_retention(config.gateway.retention_days, {n: q.retention_days for n, q in config.queues.items()})
    if config.gateway.reply_delimiter not in ("", "+", "-", "=", "_", "."):
        raise ConfigInvalid("[gateway] reply_delimiter: expected one of + - = _ . or an empty text")
    if not 1 <= config.gateway.workers <= 64:
        raise ConfigInvalid("[gateway] workers: 1 to 64")
    listeners = {"lmtp": config.lmtp, "smtp": config.smtp}
    check_names(
        config.gateway.address,
        config.gateway.domain,
        {name: queue.addresses for name, queue in config.queues.items()},
        {name: one.listen for name, one in listeners.items() if one is not None},
    )
    heartbeat = (config.keys.heartbeat,) if config.keys.heartbeat else ()
    for key in (config.keys.support, config.keys.notice, *heartbeat, *config.notices.signers):
        if len(key) not in (40, 64) or any(c not in "0123456789ABCDEF" for c in key):
            raise ConfigInvalid("[keys] support and notice: expected full fingerprints in upper-case hex")
    check_notices(config.notices, config.keys)
    outgoing = config.outgoing
    local = outgoing is None or outgoing.host in ("127.0.0.1", "::1") or outgoing.host.endswith(".onion")
    if outgoing is not None and outgoing.security == "plain" and not local:
        raise ConfigInvalid("[outgoing] security: 'plain' is for loopback only: 127.0.0.1, ::1 or an onion")


def _with_notice_queue(
    queues: Mapping[str, QueueConfig], notices: NoticesConfig | None
) -> Mapping[str, QueueConfig]:
    """Mail to the notices' address has a queue; what is no subscription goes where other mail goes."""
    address = notices.mail.lower() if notices and notices.mail else None
    if address is None or NOTICE_QUEUE in queues or not queues:
        return queues
    if any(address in (one.lower() for one in queue.addresses) for queue in queues.values()):
        raise ConfigInvalid("[notices] mail: an address of its own is needed, that no queue has")
    first = next(iter(queues.values()))
    return {**queues, NOTICE_QUEUE: QueueConfig((address,), "nothing", first.backend)}


def _backend(content: Any, place: str, base: Path) -> BackendConfig:
    if not isinstance(content, Mapping) or "kind" not in content:
        raise ConfigInvalid(f"[{place}] kind: this key is needed")
    numbers = {
        name: _convert(float, content[name], f"[{place}] {name}", base)
        for name in ("poll_seconds", "deliveries_per_minute")
        if name in content
    }
    settings = {k: v for k, v in content.items() if k != "kind" and k not in numbers}
    settings["base"] = str(base)
    if any(not 0 <= number <= _MOST for number in numbers.values()):
        raise ConfigInvalid(f"[{place}]: numbers from 0 to {_MOST} are needed")
    return BackendConfig(
        kind=_convert(str, content["kind"], f"[{place}] kind", base), settings=settings, **numbers
    )


def _section(kind: type[_T], content: Any, place: str, base: Path) -> _T:
    if not isinstance(content, Mapping):
        raise ConfigInvalid(f"[{place}]: expected a section")
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for name, value in content.items():
        if name not in fields:
            raise ConfigInvalid(f"[{place}] {name}: {unknown('key', name, fields)}")
        choices = _CHOICES.get((place.split(".")[0], name))
        if choices and value not in choices:
            raise ConfigInvalid(f"[{place}] {name}: expected one of {', '.join(sorted(choices))}")
        values[name] = _convert(hints[name], value, f"[{place}] {name}", base)
    for name, spec in fields.items():
        needed = spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING
        if needed and name not in values:
            raise ConfigInvalid(f"[{place}] {name}: this key is needed")
        if name not in values and hints[name] is Path:
            values[name] = base / spec.default  # type: ignore[operator]
    return kind(**values)


def _union(hint: Any) -> tuple[Any, ...]:
    if isinstance(hint, types.UnionType):
        return tuple(t for t in typing.get_args(hint) if t is not types.NoneType)
    return (hint,)


def _convert(hint: Any, value: Any, place: str, base: Path) -> Any:
    kind = _union(hint)[0]
    if dataclasses.is_dataclass(kind):
        return _section(typing.cast(type[Any], kind), value, place.replace("] ", ".").strip("["), base)
    if kind is Path and isinstance(value, str):
        return base / value
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind is bool and isinstance(value, bool):
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind is str and isinstance(value, str):
        return value
    if (
        typing.get_origin(kind) is tuple
        and isinstance(value, list)
        and all(isinstance(v, str) for v in value)
    ):
        return tuple(value)
    if typing.get_origin(kind) is Mapping and isinstance(value, Mapping):
        return {_convert(str, name, place, base): _convert(str, v, place, base) for name, v in value.items()}
    raise ConfigInvalid(f"{place}: expected {_name(kind)}")


def _name(kind: Any) -> str:
    names = {Path: "a path", float: "a number", int: "a whole number", bool: "true or false", str: "a text"}
    return names.get(kind, "a list of texts")


def _with_environment(raw: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    merged: dict[str, Any] = {k: dict(v) if isinstance(v, Mapping) else v for k, v in raw.items()}
    for name, text in environment.items():
        parts = name.split("__")
        if parts[0] != "VEILDESK" or len(parts) < 3:
            continue
        place = merged
        for part in parts[1:-1]:
            place = place.setdefault(part.lower(), {})
            if not isinstance(place, dict):
                raise ConfigInvalid(f"{name}: there is no such section")
        place[parts[-1].lower()] = _from_text(text)
    return merged


def _from_text(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text)
    except ValueError:
        return text
