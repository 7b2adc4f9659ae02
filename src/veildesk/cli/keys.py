"""`veildesk keys`: our own OpenPGP keys."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from veildesk.cli.options import Commands, config_option, json_option
from veildesk.cli.output import fail, print_json, print_table
from veildesk.core.errors import InputInvalid, VeildeskError
from veildesk.ops.control import ask
from veildesk.service.config import load_config

if TYPE_CHECKING:
    from veildesk.service.key_care import KeyCare, KeyLine

__all__ = ["keys"]

T = TypeVar("T")
_role = click.argument("role", type=click.Choice(["support", "notice"]))
_period = click.option(
    "--for", "period", default="2y", show_default=True, help="How long from now: 90d, 18m, 2y."
)


@click.group(cls=Commands)
def keys() -> None:
    """List, renew, revoke and publish the gateway's own OpenPGP keys."""


@keys.command("list")
@config_option
@json_option
def list_keys(config_file: Path, as_json: bool) -> None:
    """Show our keys and how long they can be used. Exit code 11 when one in use cannot serve."""
    lines = _do(config_file, as_json, lambda care: care.lines())
    if as_json:
        print_json({"keys": [asdict(one) for one in lines]})
    else:
        heads = ("role", "fingerprint", "made", "ends", "days", "state")
        print_table(heads, (_row(one) for one in lines))
    if any(one.trouble for one in lines if one.role != "earlier"):
        raise SystemExit(11)


@keys.command()
@config_option
def ring(config_file: Path) -> None:
    """Make the key ring of a store that is still empty. A ring that is there is never replaced."""
    from veildesk.spool.keyring import KeyRing

    try:
        path = load_config(config_file, os.environ).keys.ring
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        KeyRing.create(path)
        click.echo(f"Wrote {path}", err=True)
    except VeildeskError as error:
        fail(error)


@keys.command()
@config_option
def intake(config_file: Path) -> None:
    """Write the file that 'veildesk accept' needs. It opens nothing; the same each time."""
    from veildesk.service.accept_only import write_intake_file

    try:
        click.echo(f"Wrote {write_intake_file(load_config(config_file, os.environ))}", err=True)
    except VeildeskError as error:
        fail(error)


@keys.command()
@_role
@_period
@config_option
@json_option
def extend(role: str, period: str, config_file: Path, as_json: bool) -> None:
    """Give a key a later end. Nothing else about it changes; publish it again afterwards."""
    _tell(_changed(config_file, as_json, lambda care: care.extend(role, period)), as_json, publish=True)


@keys.command()
@_role
@_period
@config_option
@json_option
def rotate(role: str, period: str, config_file: Path, as_json: bool) -> None:
    """Make a new encryption subkey and give the key a later end.

    The fingerprint stays; mail to the old subkey still opens. A running gateway takes the new subkey up at
    once. Publish the key again wherever else it is.
    """
    _tell(_changed(config_file, as_json, lambda care: care.rotate(role, period)), as_json, publish=True)


@keys.command()
@_role
@_period
@click.option("--use", is_flag=True, help="Also name it in the configuration, to be used after a restart.")
@click.option(
    "--without-old",
    is_flag=True,
    help="The present support key is revoked or lost: only the next signed list vouches for the new one.",
)
@config_option
@json_option
def replace(role: str, period: str, use: bool, without_old: bool, config_file: Path, as_json: bool) -> None:
    """Make a whole new key, certified by the present one, for when the old one must go.

    Both keys sign a statement that the portal and the status pages show at once, beside the new key. Without
    --use the configuration is left as it is: put the new fingerprint there when people had time to see it.
    """
    from veildesk.service.key_care import put_in_use

    if without_old and role != "support":
        fail(InputInvalid("--without-old is for the support key; docs/notices.md has the drill"), as_json)
    made = _do(
        config_file,
        as_json,
        lambda care: care.replace_lost(period) if without_old else care.replace(role, period),
    )
    if use:
        try:
            put_in_use(config_file, made)
        except VeildeskError as error:
            fail(error, as_json)
    if as_json:
        print_json(
            {
                "role": role,
                "fingerprint": made.fingerprint,
                "statement": None if made.statement is None else str(made.statement),
                "in_use": use,
            }
        )
        return
    click.echo(made.fingerprint)
    if made.statement is not None:
        click.echo(f"Signed by both keys: {made.statement}", err=True)
    line = "" if use else f'[keys] {role} = "{made.fingerprint}" in {config_file}, then '
    click.echo(f"Next: {line}restart the gateway, 'veildesk identity publish', publish the key.", err=True)


@keys.command("revocation")
@_role
@click.option("--out", "target", type=click.Path(path_type=Path, dir_okay=False), required=True)
@config_option
@json_option
def revocation(role: str, target: Path, config_file: Path, as_json: bool) -> None:
    """Write a revocation certificate. Keep it off this machine: whoever has it can revoke the key."""
    _do(config_file, as_json, lambda care: care.revocation(role, target))
    if as_json:
        print_json({"role": role, "file": str(target)})
    else:
        click.echo(f"{target}: keep it off this machine", err=True)


@keys.command()
@_role
@click.option("--certificate", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
@json_option
def revoke(role: str, certificate: Path, yes: bool, config_file: Path, as_json: bool) -> None:
    """Revoke a key for good. The gateway refuses to run with it from then on."""
    if not yes:
        click.confirm(f"Revoke the {role} key? This cannot be undone", abort=True, err=True)
    data = certificate.read_bytes()
    _tell(_changed(config_file, as_json, lambda care: care.revoke(role, data)), as_json, publish=True)


@keys.command("export")
@_role
@config_option
def export(role: str, config_file: Path) -> None:
    """Print a public key, armored."""
    click.echo(_do(config_file, False, lambda care: care.public(role)), nl=False)


@keys.command("export-wkd")
@click.option("--out", "folder", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--address", help="Another address of the support key than the configured one.")
@click.option("--direct", is_flag=True, help="For the domain itself instead of its openpgpkey. host.")
@config_option
@json_option
def export_wkd(folder: Path, address: str | None, direct: bool, config_file: Path, as_json: bool) -> None:
    """Write the support key as a Web Key Directory below a web server's root."""
    files = _do(config_file, as_json, lambda care: care.publish(folder, advanced=not direct, address=address))
    if as_json:
        print_json({"files": [str(one) for one in files]})
    else:
        click.echo("\n".join(str(one) for one in files))


def _do(config_file: Path, as_json: bool, work: Callable[[KeyCare], Awaitable[T]]) -> T:
    from veildesk.service.key_care import key_care

    async def run() -> T:
        async with key_care(load_config(config_file, os.environ)) as care:
            return await work(care)

    try:
        return asyncio.run(run())
    except VeildeskError as error:
        fail(error, as_json)


def _changed(config_file: Path, as_json: bool, work: Callable[[KeyCare], Awaitable[KeyLine]]) -> KeyLine:
    """Change a key, show it on our pages, and let a running gateway look at it."""

    async def run(care: KeyCare) -> KeyLine:
        line = await work(care)
        await care.serve_now()
        return line

    line = _do(config_file, as_json, run)
    socket = load_config(config_file, os.environ).gateway.state_dir / "control"
    try:
        told = bool(ask(socket, {"command": "keys"}).get("ok"))
    except (OSError, TimeoutError, ValueError):
        told = False
    if told and not as_json:
        click.echo("The running gateway has taken it up.", err=True)
    return line


def _tell(line: KeyLine, as_json: bool, *, publish: bool) -> None:
    if as_json:
        print_json(asdict(line))
        return
    print_table(("role", "fingerprint", "made", "ends", "days", "state"), [_row(line)])
    if publish:
        click.echo("Next: publish it again ('veildesk keys export', 'veildesk keys export-wkd').", err=True)


def _row(line: KeyLine) -> tuple[Any, ...]:
    ends = "never" if line.expires is None else _day(line.expires)
    days = "" if line.days is None else str(line.days)
    return line.role, line.fingerprint, _day(line.created), ends, days, line.trouble or "ok"


def _day(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")
