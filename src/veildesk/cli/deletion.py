"""veildesk hold and veildesk erasure: what must not be deleted, and what became of what was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from veildesk.cli.options import Commands, config_option, json_option
from veildesk.cli.output import fail, print_json, print_table
from veildesk.cli.spool import ask_gateway
from veildesk.core.errors import VeildeskError
from veildesk.service.config import load_config

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from veildesk.spool.vault import Vault

__all__ = ["erasure", "hold"]


@click.group(cls=Commands)
def hold() -> None:
    """Keep a ticket for legal reasons, for a time, in spite of retention and of wishes to delete."""


@hold.command("add")
@click.argument("ticket")
@click.option("--reason", required=True, help="Why; shown in the list, never to the user.")
@click.option("--until", required=True, help="Last day it is kept, YYYY-MM-DD.")
@config_option
def hold_add(ticket: str, reason: str, until: str, config_file: Path) -> None:
    """Put a ticket under a hold. Who asks to delete it is told until when it is kept."""
    from veildesk.spool.holds import Hold, add

    try:
        if date.fromisoformat(until) < date.today():
            raise click.UsageError("--until lies in the past")
    except ValueError:
        raise click.UsageError("--until: expected a day such as 2030-12-31") from None
    try:
        with _store(config_file) as (connection, vault):
            add(connection, vault, Hold(ticket, " ".join(reason.split()), until))
    except LookupError:
        click.echo("There is no such ticket; 'veildesk spool list' names them.", err=True)
        raise click.exceptions.Exit(1) from None


@hold.command("list")
@config_option
@json_option
def hold_list(config_file: Path, as_json: bool) -> None:
    """All holds that were written down, those that are over too."""
    from veildesk.spool.holds import every

    with _store(config_file) as (connection, vault):
        rows = every(connection, vault)
    if as_json:
        print_json([{"ticket": h.ticket_id, "reason": h.reason, "until": h.until} for h in rows])
    else:
        print_table(("ticket", "until", "reason"), [(h.ticket_id, h.until, h.reason) for h in rows])


@hold.command("remove")
@click.argument("ticket")
@config_option
def hold_remove(ticket: str, config_file: Path) -> None:
    """Lift a hold; the next sweep deletes what is overdue."""
    from veildesk.spool.holds import lift

    with _store(config_file) as (connection, _):
        lifted = lift(connection, ticket)
    if not lifted:
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


@contextmanager
def _store(config_file: Path) -> Iterator[tuple[Connection, Vault]]:
    """One transaction on the store, beside a gateway that may be running."""
    from veildesk.service.database import database_of
    from veildesk.spool.holds import holds_of_store
    from veildesk.spool.keyring import KeyRing

    try:
        config = load_config(config_file, os.environ)
        ring = KeyRing.load(config.keys.ring)
        with holds_of_store(config.gateway.state_dir, database_of(config), ring) as found:
            yield found
    except VeildeskError as error:
        fail(error)
