"""`veildesk check`, `backup`, `restore` and `migrate`: the store as a whole."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import asdict
from pathlib import Path

import click

from veildesk.cli.options import config_option, json_option
from veildesk.cli.output import fail, print_checks, print_json, worst_exit
from veildesk.core.errors import VeildeskError
from veildesk.service.config import Config, load_config

__all__ = ["backup", "check", "migrate", "restore"]

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@config_option
@click.option("--repair", is_flag=True, help="Do what loses nothing: finish what a crash interrupted.")
@json_option
def check(config_file: Path, repair: bool, as_json: bool) -> None:
    """Check every page, key and file of the store. Without --repair nothing is changed."""
    from veildesk.service.safekeeping import check_store, repair_store

    config = _load(config_file, as_json)
    try:
        results = asyncio.run(repair_store(config)) if repair else check_store(config)
    except VeildeskError as error:
        fail(error, as_json)
    if as_json:
        print_json({"checks": [{**asdict(r), "level": r.level.value} for r in results]})
    else:
        print_checks(results)
    sys.exit(worst_exit(results))


@click.command()
@config_option
@click.option("--bulk", type=_FOLDER, help="New folder for all that is sealed; may be kept long.")
@click.option("--keys", type=_FOLDER, help="Folder for what opens it; the newest copy replaces the last.")
@json_option
def backup(config_file: Path, bulk: Path | None, keys: Path | None, as_json: bool) -> None:
    """Back up the store and what opens it, into two folders that must be kept apart.

    The gateway may run meanwhile. Keep many bulk copies, and only the newest copy of the keys: an older one
    would open tickets that were erased since.
    """
    from veildesk.service.safekeeping import back_up

    if bulk is None and keys is None:
        raise click.UsageError("Give --bulk, --keys or both.")
    config = _load(config_file, as_json)
    try:
        done = back_up(config, config_file, bulk, keys)
    except VeildeskError as error:
        fail(error, as_json)
    _say(done, as_json)
    sys.exit(1 if done.get("missing") else 0)


@click.command()
@config_option
@click.option("--bulk", type=_FOLDER, required=True)
@click.option("--keys", type=_FOLDER, required=True)
@json_option
def restore(config_file: Path, bulk: Path, keys: Path, as_json: bool) -> None:
    """Fill an empty store from a backup; into SQLite or PostgreSQL, as the configuration says.

    Tickets whose keys are gone stay gone. Nothing existing is overwritten.
    """
    from veildesk.service.safekeeping import restore_backup

    config = _load(config_file, as_json)
    try:
        done = restore_backup(config, bulk, keys)
    except VeildeskError as error:
        fail(error, as_json)
    _say(done, as_json)
    sys.exit(1 if done.get("missing") else 0)


@click.command()
@config_option
@json_option
def migrate(config_file: Path, as_json: bool) -> None:
    """Move the SQLite store into the PostgreSQL database that [store] names.

    A running gateway ends by itself when its store was moved. Killed half way, run it again. The SQLite
    file stays as it was, under other table names; delete it when you are content.
    """
    from veildesk.service.safekeeping import move_store

    config = _load(config_file, as_json)
    try:
        done = move_store(config)
    except VeildeskError as error:
        fail(error, as_json)
    _say(done, as_json)


def _load(config_file: Path, as_json: bool) -> Config:
    try:
        return load_config(config_file, os.environ)
    except VeildeskError as error:
        fail(error, as_json)


def _say(done: dict[str, int], as_json: bool) -> None:
    if as_json:
        print_json(done)
    else:
        click.echo(
            ", ".join(f"{name} {count}" for name, count in done.items()) or "nothing was left", err=True
        )
