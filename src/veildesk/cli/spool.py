"""`veildesk spool`: what is on its way, what waits and why. Never shows any content."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from veildesk.cli.options import Commands, config_option, json_option
from veildesk.cli.output import fail, print_json, print_table
from veildesk.core.errors import GatewayAway, VeildeskError
from veildesk.core.work import Reason, State
from veildesk.ops.control import ask
from veildesk.service.config import load_config

__all__ = ["ask_gateway", "spool"]


@click.group(cls=Commands)
def spool() -> None:
    """Look at messages on their way and try parked ones again."""


@spool.command("list")
@config_option
@click.option("--state", "states", multiple=True, type=click.Choice([s.value for s in State]))
@json_option
def list_messages(config_file: Path, states: tuple[str, ...], as_json: bool) -> None:
    """List messages by state."""
    rows = ask_gateway(config_file, {"command": "spool-list", "states": list(states)}, as_json)
    if as_json:
        print_json(rows)
        return
    heads = ("message", "direction", "channel", "state", "reason", "attempts")
    print_table(heads, [tuple(str(row[h]) for h in heads) for row in rows])


@spool.command()
@click.argument("message")
@config_option
@json_option
def show(message: str, config_file: Path, as_json: bool) -> None:
    """Show one message's codes and sizes; its content stays sealed."""
    row = ask_gateway(config_file, {"command": "spool-show", "message": message}, as_json)
    if as_json:
        print_json(row)
    else:
        print_table(("what", "value"), [(str(k), str(v)) for k, v in row.items()])


@spool.command()
@click.argument("message", required=False)
@click.option("--all", "every", is_flag=True, help="Every parked message, and every one that waits.")
@click.option(
    "--reason",
    type=click.Choice([r.value for r in Reason if r is not Reason.NONE]),
    help="With --all: only what stopped for this reason.",
)
@config_option
@json_option
def retry(message: str | None, every: bool, reason: str | None, config_file: Path, as_json: bool) -> None:
    """Bring a parked, held or quarantined message back on its way, or with --all whatever is parked."""
    if every == (message is not None) or (reason is not None and not every):
        raise click.UsageError("Name one message, or say --all (and --reason if not every one).")
    if every:
        _retry_all(config_file, reason, as_json)
        return
    row = ask_gateway(config_file, {"command": "spool-retry", "message": message}, as_json)
    if as_json:
        print_json(row)
    else:
        click.echo(f"{row['message']} is {row['state']} again.", err=True)


def _retry_all(config_file: Path, reason: str | None, as_json: bool) -> None:
    count = ask_gateway(config_file, {"command": "spool-retry-all", "reason": reason}, as_json)
    if as_json:
        print_json({"retried": count})
    else:
        click.echo(f"{count} messages are on their way again.", err=True)


@spool.command()
@click.argument("message")
@click.option("--sure", is_flag=True, help="Yes, send it although a rule stopped it.")
@config_option
@json_option
def approve(message: str, sure: bool, config_file: Path, as_json: bool) -> None:
    """Send a held answer as it is, against the rule that stopped it."""
    if not sure:
        click.echo("Look at the answer in the helpdesk, then say --sure.", err=True)
        sys.exit(2)
    row = ask_gateway(config_file, {"command": "spool-approve", "message": message}, as_json)
    if as_json:
        print_json(row)
    else:
        click.echo(f"{row['message']} is {row['state']} again.", err=True)


@spool.command()
@click.argument("ticket")
@config_option
@json_option
def revoke(ticket: str, config_file: Path, as_json: bool) -> None:
    """Revoke the reply addresses of a mail ticket: mails to them no longer lead to it.

    TICKET is the id that 'veildesk spool show' names. Answers sent afterwards have new addresses.
    """
    row = ask_gateway(config_file, {"command": "spool-revoke", "ticket": ticket}, as_json)
    if as_json:
        print_json(row)
    else:
        click.echo(f"{row['revoked']} reply addresses and message ids no longer lead to it.", err=True)
    if not row["revoked"]:
        sys.exit(1)


def ask_gateway(config_file: Path, request: dict[str, Any], as_json: bool) -> Any:
    """The running gateway's answer; ends the command with a clear word when there is none."""
    try:
        config = load_config(config_file, os.environ)
    except VeildeskError as error:
        fail(error, as_json)
    try:
        answer = ask(config.gateway.state_dir / "control", request)
    except (OSError, TimeoutError, ValueError):
        fail(GatewayAway(), as_json)
    if not answer["ok"]:
        said, hint = answer["error"], answer.get("hint", "")
        body = {"error": "refused", "message": said, "detail": "", "hint": hint}
        click.echo(json.dumps(body) if as_json else f"{said}\n{hint}".rstrip(), err=True)
        sys.exit(int(answer.get("exit", 1)))
    return answer["result"]
