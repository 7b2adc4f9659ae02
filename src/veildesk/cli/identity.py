"""`veildesk identity`: official addresses and keys, security.txt, QR code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from veildesk.cli.notice import read_text, with_press
from veildesk.cli.notice_report import say_published
from veildesk.cli.options import Commands, config_option, json_option
from veildesk.cli.output import fail, print_json
from veildesk.core.errors import VeildeskError
from veildesk.notices.archive import NoticeRefused, replace_file

__all__ = ["identity"]


@click.group(cls=Commands)
def identity() -> None:
    """Sign the list of official addresses and keys, and security.txt."""


@identity.command()
@config_option
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the exact text to sign.")
@json_option
def draft(config_file: Path, out: Path | None, as_json: bool) -> None:
    """The list as the configuration has it now, as the exact text to sign elsewhere."""

    async def work(press: Any) -> str:
        text: str = await press.publisher.prepare(press.publisher.rules.identity)
        return text

    text = with_press(config_file, as_json, work)
    if out is not None:
        replace_file(out, text.encode())
        click.echo(f"Wrote {out}. Sign it where the notice keys are: veildesk notice sign {out}", err=True)
    if as_json:
        print_json({"text": text, "file": str(out) if out else None})
    elif out is None:
        click.echo(text, nl=False)


@identity.command()
@config_option
@click.option("--after-pause", is_flag=True, help="The clock is right although the last list is long over.")
@json_option
def publish(config_file: Path, after_pause: bool, as_json: bool) -> None:
    """Sign and publish the list as the configuration has it now.

    When signing keys change, the keys before and every new key must sign. If one of them is elsewhere, use
    'identity draft' and 'notice sign'.
    """

    async def work(press: Any) -> Any:
        return await press.publish(press.publisher.rules.identity, after_pause=after_pause)

    item, results = with_press(config_file, as_json, work)
    say_published(item, results, as_json)


@identity.command("security-txt")
@config_option
@click.option("--days", type=click.IntRange(1, 365), default=180, show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the text to sign elsewhere."
)
@click.option("--signed", type=click.Path(path_type=Path, dir_okay=False), help="Take over a signed text.")
@json_option
def security_txt(config_file: Path, days: int, out: Path | None, signed: Path | None, as_json: bool) -> None:
    """Sign and publish security.txt (RFC 9116); it never outlives the key."""

    async def work(press: Any) -> str:
        if signed is not None:
            text: str = await press.take_security_txt(read_text(signed))
        elif out is not None:
            text = await press.security_txt_text(days=days)
        else:
            text = await press.write_security_txt(days=days)
        return text

    text = with_press(config_file, as_json, work)
    if out is not None:
        replace_file(out, text.encode())
    if as_json:
        print_json({"text": text, "file": str(out) if out else None})
    else:
        said = f"Wrote {out}. Sign it, then: veildesk identity security-txt --signed {out}.asc" if out else ""
        click.echo(said or "Published security.txt.", err=True)


@identity.command()
@config_option
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), default=Path("onion.png"), show_default=True
)
def qr(config_file: Path, out: Path) -> None:
    """Write the onion address as a QR code (PNG), to print."""

    async def work(press: Any) -> bytes:
        made = press.site.files(None).get("onion.png")
        if made is None:
            raise NoticeRefused("there is no onion address yet")
        return bytes(made)

    try:
        replace_file(out, with_press(config_file, False, work))
    except VeildeskError as error:
        fail(error)
    click.echo(f"Wrote {out}.", err=True)
