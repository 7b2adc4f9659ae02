"""veildesk hold and veildesk erasure: what must not be deleted, and what became of what was."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import click

from veildesk.cli.options import config_option, json_option
from veildesk.cli.output import fail, print_json, print_table
from veildesk.cli.spool import ask_gateway
from veildesk.core.errors import VeildeskError
from veildesk.service.config import load_config
from veildesk.service.holds import Hold, Holds

__all__ = ["erasure", "hold"]


@click.group()
def hold() -> None:
    """Keep a ticket for legal reasons, for a time, in spite of retention and of wishes to delete."""


@hold.command("add")
@click.argument("ticket")
@click.option("--reason", required=True, help="Why; shown in the list, never to the user.")
@click.option("--until", required=True, help="Last day it is kept, YYYY-MM-DD.")
@config_option
def hold_add(ticket: str, reason: str, until: str, config_file: Path) -> None:
    """Put a ticket under a hold. Who asks to delete it is told until when it is kept."""
    try:
        if date.fromisoformat(until) < date.today():
            raise click.UsageError("--until lies in the past")
    except ValueError:
        raise click.UsageError("--until: expected a day such as 2030-12-31") from None
    _holds(config_file).add(Hold(ticket, " ".join(reason.split()), until))


@hold.command("list")
@config_option
@json_option
def hold_list(config_file: Path, as_json: bool) -> None:
    """All holds that were written down, those that are over too."""
    rows = _holds(config_file).all()
    if as_json:
        print_json([{"ticket": h.ticket_id, "reason": h.reason, "until": h.until} for h in rows])
    else:
        print_table(("ticket", "until", "reason"), [(h.ticket_id, h.until, h.reason) for h in rows])


@hold.command("remove")
@click.argument("ticket")
@config_option
def hold_remove(ticket: str, config_file: Path) -> None:
    """Lift a hold; the next sweep deletes what is overdue."""
    if not _holds(config_file).remove(ticket):
        click.echo("There is no hold on this ticket.", err=True)
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("code")
@config_option
@json_option
def erasure(code: str, config_file: Path, as_json: bool) -> None:
    """Say what became of a deletion, by the code its author was given."""
    found = ask_gateway(config_file, {"command": "erasure", "code": code}, as_json)
    if found is None:
        click.echo("Unknown code, or its 30 days are over.", err=True)
        raise click.exceptions.Exit(1)
    if as_json:
        print_json(found)
    else:
        print_table(("where", "outcome"), [(key, str(value)) for key, value in found.items()])


def _holds(config_file: Path) -> Holds:
    try:
        return Holds(load_config(config_file, os.environ).gateway.state_dir / "holds.json")
    except VeildeskError as error:
        fail(error)
