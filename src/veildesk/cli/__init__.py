"""The veildesk command."""

from __future__ import annotations

import click

from veildesk import __version__
from veildesk.cli import (
    backend,
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

__all__ = ["main", "notice_story"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Veildesk: a support gateway between people who need privacy and an ordinary helpdesk."""


main.add_command(gateway.init)
main.add_command(gateway.run)
main.add_command(gateway.accept)
main.add_command(gateway.check_config)
main.add_command(gateway.status)
main.add_command(gateway.doctor)
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
