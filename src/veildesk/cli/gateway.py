"""`veildesk init`, `run`, `accept`, `check-config`, `status` and `doctor`."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import asdict
from pathlib import Path

import click

from veildesk.cli.options import config_option, json_option
from veildesk.cli.output import fail, print_checks, print_json, print_table, worst_exit
from veildesk.cli.service_run import run_service
from veildesk.cli.spool import ask_gateway
from veildesk.core.errors import FolderUnusable, VeildeskError
from veildesk.service.config import load_config
from veildesk.service.routing import check_backends

__all__ = ["accept", "check_config", "doctor", "init", "run", "status"]


@click.command()
@click.option("--dir", "folder", type=click.Path(path_type=Path), default=Path(), show_default=True)
@click.option("--name", default="Support", show_default=True, help="Who people reach.")
@click.option("--address", default="support@localhost.invalid", show_default=True, help="Support address.")
@click.option(
    "--tor-control",
    # Who sets up need not be in tor's group: the socket is only written down.
    type=click.Path(path_type=Path, readable=False),
    help="Control socket of an own tor instance.",
)
@json_option
def init(folder: Path, name: str, address: str, tor_control: Path | None, as_json: bool) -> None:
    """Write veildesk.toml, keys and folders for a new gateway; nothing existing is overwritten."""
    from veildesk.service.initialise import initialise

    try:
        made = asyncio.run(initialise(folder, name=name, address=address, tor_control=tor_control))
    except VeildeskError as error:
        fail(error, as_json)
    except OSError as error:
        fail(FolderUnusable(f"{error.filename or folder}: {error.strerror}"), as_json)
    if as_json:
        print_json(made)
        return
    click.echo(f"Wrote {made['config']}", err=True)
    click.echo(f"Support key {made['support_key']}\nNotice key  {made['notice_key']}", err=True)
    click.echo("Next: read veildesk.toml, then 'veildesk doctor', then 'veildesk run'.", err=True)


@click.command()
@config_option
def run(config_file: Path) -> None:
    """Run the gateway in the foreground until SIGTERM or SIGINT."""
    from veildesk.ops.log import set_up_logging
    from veildesk.service.run import serve

    set_up_logging()
    try:
        config = load_config(config_file, os.environ)
    except VeildeskError as error:
        fail(error)
    run_service(serve(config))


@click.command()
@config_option
def accept(config_file: Path) -> None:
    """Only take mail over, without the key ring, until SIGTERM or SIGINT; 'veildesk run' does the rest.

    Needs [lmtp] or [smtp] of its own, the store, and the intake file that 'veildesk keys intake' writes.
    """
    from veildesk.ops.log import set_up_logging
    from veildesk.service.accept_only import serve_accepting

    set_up_logging()
    try:
        config = load_config(config_file, os.environ)
    except VeildeskError as error:
        fail(error)
    run_service(serve_accepting(config))


@click.command("check-config")
@config_option
@json_option
def check_config(config_file: Path, as_json: bool) -> None:
    """Read the configuration and say whether it can be used. Starts nothing."""
    try:
        config = load_config(config_file, os.environ)
        asyncio.run(check_backends(config))
    except VeildeskError as error:
        fail(error, as_json)
    parts = [n for n in ("lmtp", "smtp", "imap", "outgoing", "portal", "onion") if getattr(config, n)]
    if as_json:
        print_json(
            {"ok": True, "parts": parts, "queues": sorted(config.queues), "backends": sorted(config.backends)}
        )
    else:
        click.echo(f"The configuration can be used. Switched on: {', '.join(parts) or 'nothing'}.")


@click.command()
@config_option
@json_option
def status(config_file: Path, as_json: bool) -> None:
    """Ask the running gateway how it is."""
    result = ask_gateway(config_file, {"command": "status"}, as_json)
    if as_json:
        print_json(result)
    else:
        print_table(("what", "state"), [(str(k), str(v)) for k, v in result.items()])


@click.command()
@config_option
@json_option
def doctor(config_file: Path, as_json: bool) -> None:
    """Check the whole set-up. What could not be checked is 'skip', never 'ok'."""
    from veildesk.service.doctor import examine

    try:
        config = load_config(config_file, os.environ)
    except VeildeskError as error:
        fail(error, as_json)
    results = asyncio.run(examine(config))
    if as_json:
        print_json({"checks": [{**asdict(r), "level": r.level.value} for r in results]})
    else:
        print_checks(results)
    sys.exit(worst_exit(results))
