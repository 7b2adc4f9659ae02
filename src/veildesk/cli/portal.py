"""`veildesk portal`: what an operator can do about a flood of tickets while the gateway runs."""

from __future__ import annotations

from pathlib import Path

import click

from veildesk.cli.options import config_option, json_option
from veildesk.cli.output import print_json
from veildesk.cli.spool import ask_gateway

__all__ = ["portal"]


@click.group()
def portal() -> None:
    """Hold new portal tickets back during a flood, and let them go on."""


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
