"""`veildesk portal`: the portal as a process of its own, and what can be done about a flood of tickets."""

from __future__ import annotations

from pathlib import Path

import click

from veildesk.cli.options import Commands, config_option, json_option
from veildesk.cli.output import print_json
from veildesk.cli.service_run import run_service
from veildesk.cli.spool import ask_gateway

__all__ = ["portal"]


@click.group(cls=Commands)
def portal() -> None:
    """Serve the portal apart from the gateway; hold new tickets back during a flood, let them go on."""


@portal.command()
@click.option(
    "--gateway",
    type=click.Path(path_type=Path, readable=False),
    envvar="VEILDESK_PORTAL_GATEWAY",
    default=Path("/run/veildesk/link/gateway.sock"),
    show_default=True,
    help="The gateway's socket for this process: [portal.process] socket.",
)
def serve(gateway: Path) -> None:
    """Serve the portal without any key to what is kept, until SIGTERM or SIGINT.

    Everything else comes from the gateway, which 'veildesk run' starts and which is waited for. Ends with 10
    when the gateway is of another version or the portal's socket cannot be made.
    """
    from veildesk.ops.log import set_up_logging
    from veildesk.service.portal_process import serve_portal

    set_up_logging()
    run_service(serve_portal(gateway))


@portal.command()
@click.argument("state", type=click.Choice(["on", "off"]))
@config_option
@json_option
def parking(state: str, config_file: Path, as_json: bool) -> None:
    """Keep new tickets, but hand them on only at 'release'. Tickets that the helpdesk has go on."""
    on = bool(ask_gateway(config_file, {"command": "portal-parking", "on": state == "on"}, as_json))
    if as_json:
        print_json({"parking": on})
    else:
        click.echo(f"Parking is {'on' if on else 'off'}.", err=True)


@portal.command()
@config_option
@json_option
def release(config_file: Path, as_json: bool) -> None:
    """Hand on everything that waits. Parking itself stays on or off."""
    count = int(ask_gateway(config_file, {"command": "portal-release"}, as_json))
    if as_json:
        print_json({"released": count})
    else:
        click.echo(f"{count} messages go on.", err=True)
