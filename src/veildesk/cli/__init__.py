"""The veildesk command."""

from __future__ import annotations

import click

from veildesk import __version__
from veildesk.cli import (
    backend,
    clock,
    deletion,
    gateway,
    identity,
    inspect,
    keys,
    notice,
    notice_story,
    onion,
    portal,
    redact,
    report,
    spool,
    status_site,
    store,
)
from veildesk.cli.options import Commands

__all__ = ["main", "notice_story"]


_EPILOG = """\b
Exit codes: 0 ok, 1 warnings or a refused operation, 2 wrong use, 3 cannot
reach the gateway, 10 configuration, 11 keys, 12 tor, 13 mail, 14 helpdesk,
15 spool, 70 a fault of ours, 71 the system refused, 130 interrupted.
Completion: eval "$(_VEILDESK_COMPLETE=bash_source veildesk)", or zsh_source,
fish_source.
"""


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG)
@click.version_option(__version__)
def main() -> None:
    """Veildesk: a support gateway between people who need privacy and an ordinary helpdesk."""


main.add_command(gateway.init)
main.add_command(gateway.run)
main.add_command(gateway.accept)
main.add_command(gateway.check_config)
main.add_command(gateway.status)
main.add_command(gateway.doctor)
main.add_command(clock.clock)
main.add_command(store.check)
main.add_command(store.backup)
main.add_command(store.restore)
main.add_command(store.migrate)
main.add_command(inspect.inspect)
main.add_command(keys.keys)
main.add_command(notice.notice)
main.add_command(onion.onion)
main.add_command(portal.portal)
main.add_command(identity.identity)
main.add_command(status_site.status_site)
main.add_command(spool.spool)
main.add_command(backend.backend)
main.add_command(deletion.hold)
main.add_command(deletion.erasure)
main.add_command(redact.redact)
main.add_command(report.report)
