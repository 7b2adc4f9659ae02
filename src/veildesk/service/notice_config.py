"""Settings of signed statements, official addresses and the status site."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from veildesk.core.errors import ConfigInvalid

__all__ = ["NOTICE_QUEUE", "IdentityConfig", "NoticesConfig", "StatusConfig", "check_notices"]

NOTICE_QUEUE = "notices"
"""The queue of mail about subscriptions to notices."""


class _Keys(Protocol):
    @property
    def support(self) -> str: ...
    @property
    def notice(self) -> str: ...
    @property
    def heartbeat(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class NoticesConfig:
    """Signed statements and where they go.

    `signers` are notice keys besides `[keys] notice`, `threshold` of all must sign. `exports` are
    folders that a web server serves for other domains. `mail` is the address for subscriptions;
    it must reach the gateway. `webhook` is told of every statement. `templates` holds own drafts.
    """

    signers: tuple[str, ...] = ()
    threshold: int = 1
    valid_days: int = 30
    list_days: int = 180
    canary_days: int = 45
    heartbeat_hours: int = 24
    exports: tuple[str, ...] = ()
    mail: str | None = None
    webhook: str | None = None
    webhook_ca_file: Path | None = None
    social: bool = True
    templates: Path | None = None


@dataclass(frozen=True, slots=True)
class IdentityConfig:
    """Official addresses besides our own onions and the support address.

    `handles` look like "matrix @support:example.org"; a risk of one's own may follow after " - ".
    """

    onions: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    mails: tuple[str, ...] = ()
    handles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StatusConfig:
    """The status site: a process of its own, `veildesk status-site run`.

    It publishes the onion of `[onion] status_key_file`. `components` are the parts that people know.
    """

    socket: Path = Path("run/status.sock")
    hosts: tuple[str, ...] = ()
    components: tuple[str, ...] = ("portal", "mail", "helpdesk")
    check_seconds: float = 60.0


def check_notices(notices: NoticesConfig, keys: _Keys) -> None:
    """Raises `ConfigInvalid` for settings that cannot work."""
    signers = {keys.notice, *notices.signers}
    if not 1 <= notices.threshold <= len(signers):
        raise ConfigInvalid("[notices] threshold: between 1 and the number of notice keys")
    if keys.heartbeat in {*signers, keys.support}:
        raise ConfigInvalid("[keys] heartbeat: a key that is used for nothing else is needed")
    if min(notices.valid_days, notices.list_days, notices.canary_days, notices.heartbeat_hours) < 1:
        raise ConfigInvalid("[notices] valid_days, list_days, canary_days, heartbeat_hours: at least 1")
    if notices.webhook and not notices.webhook.startswith(("https://", "http://127.0.0.1", "http://[::1]")):
        raise ConfigInvalid("[notices] webhook: https, or http on loopback")
    if notices.mail is not None and "@" not in notices.mail:
        raise ConfigInvalid("[notices] mail: expected an address such as notices@example.org")
