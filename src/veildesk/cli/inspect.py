"""`veildesk inspect`: what the gateway would make of stored mails. Sends and stores nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from veildesk.cli.output import fail
from veildesk.core.errors import VeildeskError

__all__ = ["inspect"]

_KEY_FILE = click.Path(path_type=Path, exists=True, dir_okay=False, readable=True)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, in the order of the mails.")
@click.option("--secret-key", "secret_keys", type=_KEY_FILE, multiple=True, help="A key of ours; repeatable.")
@click.option(
    "--public-key", "public_keys", type=_KEY_FILE, multiple=True, help="A sender's key; repeatable."
)
@click.option("--passphrase-file", type=_KEY_FILE, help="Passphrases of secret keys, one a line.")
@click.option("--redacted", is_flag=True, help="Give texts and names masked, as agents get them.")
@click.option(
    "--engine",
    type=click.Choice(["both", "gpg"]),
    default="both",
    show_default=True,
    help="Which OpenPGP engine reads: in process with gpg behind it, or gpg alone.",
)
@click.argument("mails", metavar="MAIL...", nargs=-1, required=True, type=click.Path(path_type=Path))
def inspect(
    as_json: bool,
    secret_keys: Sequence[Path],
    public_keys: Sequence[Path],
    passphrase_file: Path | None,
    redacted: bool,
    engine: str,
    mails: Sequence[Path],
) -> None:
    """Say what the gateway would make of each MAIL. Exit code 0 when every one got its line."""
    from veildesk.service.inspection_setup import InspectionKeys

    keys = InspectionKeys(
        secret=[(path.name, path.read_bytes()) for path in secret_keys],
        public=[(path.name, path.read_bytes()) for path in public_keys],
        passphrases=passphrase_file.read_bytes() if passphrase_file else b"",
    )
    try:
        asyncio.run(_inspect(keys, mails, redacted=redacted, engine=engine, as_json=as_json))
    except VeildeskError as error:
        fail(error, as_json)


async def _inspect(keys: Any, mails: Sequence[Path], *, redacted: bool, engine: str, as_json: bool) -> None:
    from veildesk.service.inspection_setup import inspection

    async with inspection(keys, redacted=redacted, engine=engine) as (inspector, unusable):
        for warning in unusable:
            click.echo(f"key file not used: {warning}", err=True)
        async for report in inspector.reports(mails):
            if as_json:
                click.echo(json.dumps(report, ensure_ascii=False).encode("utf-8"))
            else:
                _print_report(report)


def _print_report(report: dict[str, Any]) -> None:
    """The same for people: a block of lines, blank line after it."""
    encryption = report["encryption"]
    reason = f" ({report['reason']})" if report["reason"] else ""
    click.echo(f"{report['file']}: {report['disposition']}{reason}")
    protected = ", protected" if report["subject_protected"] else ""
    click.echo(f"  subject     {report['subject']!r}{protected}")
    click.echo(f"  encryption  {encryption['scope']}, integrity {encryption['integrity'] or 'not known'}")
    for one in report["signatures"]:
        bound = "names the sender" if one["bound_to_from"] else "does not name the sender"
        click.echo(
            f"  signature   {one['verdict']}, {one['scope']}, {one['fingerprint'] or 'no key'}, {bound}"
        )
    for one in report["attachments"]:
        state = "cleaned" if one["cleaned"] else f"refused: {one['refused']}"
        click.echo(f"  attachment  {one['name']!r} {one['type']} {one['size']} bytes, {state}")
    if report["findings"]:
        found = ", ".join(f"{one['count']} {one['type']}" for one in report["findings"])
        click.echo(f"  findings    {found}")
    click.echo(f"  removed     {len(report['removed_headers'])} kinds of header fields")
    for line in report["text"].split("\n"):
        click.echo(f"  | {line}".rstrip())
    click.echo()
