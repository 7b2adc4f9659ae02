"""veildesk clock: whether the gateway believes its clock, and to say that it may."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from veildesk.cli.options import config_option, json_option
from veildesk.cli.output import print_json
from veildesk.cli.spool import ask_gateway

__all__ = ["clock"]


@click.command()
@click.option("--confirm", is_flag=True, help="The clock of this machine is right: delete by it.")
@config_option
@json_option
def clock(confirm: bool, config_file: Path, as_json: bool) -> None:
    """Whether deletions by retention go by the clock; after an unexplained leap they do not.

    Exit code 1 while the clock is doubted.
    """
    told = ask_gateway(config_file, {"command": "clock", "confirm": confirm}, as_json)
    if as_json:
        print_json(told)
    elif told["clock"] != "ok":
        click.echo(
            f"The clock leapt by {told['days']} days and is {told['clock']}. Until that is certain, "
            "retention goes by the time before the leap.\nIf 'date' is right: veildesk clock --confirm"
        )
    else:
        click.echo("The clock is believed now." if told["confirmed"] else "The clock is believed.")
    sys.exit(0 if told["clock"] == "ok" else 1)
