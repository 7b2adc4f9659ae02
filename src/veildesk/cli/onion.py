"""`veildesk onion`: the address, a backup of its key, and keys for visitors. Asks no tor for anything."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import click

from veildesk.cli.options import Commands, config_option, json_option
from veildesk.cli.output import fail, print_json
from veildesk.core.errors import ConfigInvalid, KeyUnusable, VeildeskError
from veildesk.service.config import load_config

__all__ = ["onion"]

_which = click.option("--status", "of_status", is_flag=True, help="The onion of the notices alone.")


@click.group(cls=Commands)
def onion() -> None:
    """The onion service's address and keys."""


def _key_file(config_file: Path, of_status: bool) -> Path:
    """Where the key is. Raises `ConfigInvalid`."""
    onion = load_config(config_file, os.environ).onion
    if onion is None:
        raise ConfigInvalid("there is no [onion] section")
    if not of_status:
        return onion.key_file
    if onion.status_key_file is None:
        raise ConfigInvalid("[onion] status_key_file: the notices have no onion of their own")
    return onion.status_key_file


@onion.command()
@config_option
@_which
@json_option
def address(config_file: Path, of_status: bool, as_json: bool) -> None:
    """Print the address, worked out from the key file."""
    from veildesk.onion.key import load_key

    try:
        found = load_key(_key_file(config_file, of_status)).address
    except VeildeskError as error:
        fail(error, as_json)
    if as_json:
        print_json({"address": found})
    else:
        click.echo(found)


@onion.command()
@config_option
@_which
@json_option
def create(config_file: Path, of_status: bool, as_json: bool) -> None:
    """Make a key where the configuration names one; nothing existing is overwritten."""
    from veildesk.onion.key import create_key

    try:
        path = _key_file(config_file, of_status)
        made = create_key(path)
    except FileExistsError:
        fail(KeyUnusable("onion-key-exists"), as_json)
    except OSError as error:
        fail(KeyUnusable(f"onion-key-not-written errno {error.errno}"), as_json)
    except VeildeskError as error:
        fail(error, as_json)
    _tell(as_json, address=made.address, file=str(path))


@onion.command()
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@config_option
@_which
@json_option
def backup(target: Path, config_file: Path, of_status: bool, as_json: bool) -> None:
    """Copy the key into TARGET, a new file. Whoever has that file can be this site: keep it offline."""
    from veildesk.onion.key import load_key, restore_key

    try:
        key = load_key(_key_file(config_file, of_status))
        restore_key(key.encode(), target)
        kept = load_key(target).address
    except FileExistsError:
        fail(KeyUnusable("onion-backup-exists"), as_json)
    except OSError as error:
        fail(KeyUnusable(f"onion-backup-not-written errno {error.errno}"), as_json)
    except VeildeskError as error:
        fail(error, as_json)
    _tell(as_json, address=kept, file=str(target))


@onion.command()
@click.argument("source", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@config_option
@_which
@json_option
def restore(source: Path, config_file: Path, of_status: bool, as_json: bool) -> None:
    """Put a key from a backup in place; a key that is there is never replaced."""
    from veildesk.onion.key import restore_key

    try:
        path = _key_file(config_file, of_status)
        with source.open("rb") as file:
            put = restore_key(file.read(97), path)
    except FileExistsError:
        fail(KeyUnusable("onion-key-exists"), as_json)
    except OSError as error:
        fail(KeyUnusable(f"onion-key-not-written errno {error.errno}"), as_json)
    except VeildeskError as error:
        fail(error, as_json)
    _tell(as_json, address=put.address, file=str(path))


def _tell(as_json: bool, **made: str) -> None:
    if as_json:
        print_json(made)
    else:
        click.echo(f"{made['address']}\nWrote {made['file']}", err=True)


@onion.command("client-key")
@config_option
@_which
@json_option
def client_key(config_file: Path, of_status: bool, as_json: bool) -> None:
    """Make a key for one visitor of a closed service. Nothing is kept: both halves are printed once."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    from veildesk.onion.key import load_key

    try:
        label = load_key(_key_file(config_file, of_status)).address.removesuffix(".onion")
    except VeildeskError as error:
        fail(error, as_json)
    private = X25519PrivateKey.generate()
    ours, theirs = (
        _base32(raw) for raw in (private.public_key().public_bytes_raw(), private.private_bytes_raw())
    )
    if as_json:
        print_json(
            {"client_key": ours, "private_key": theirs, "auth_private": f"{label}:descriptor:x25519:{theirs}"}
        )
        return
    click.echo(f"For [onion] client_keys:           {ours}")
    click.echo(f"For the visitor's Tor Browser:     {theirs}")
    click.echo(f"For a tor's .auth_private file:    {label}:descriptor:x25519:{theirs}")
    click.echo("With any client key in the configuration nobody else can connect.", err=True)


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode("ascii").rstrip("=")
