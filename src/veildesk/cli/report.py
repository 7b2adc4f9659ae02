"""`veildesk report`: a diagnosis report from an allow list, with everything risky off until it is ticked."""

from __future__ import annotations

import json
import platform
import secrets
import sys
from pathlib import Path
from typing import Any

import click

from veildesk import __version__
from veildesk.cli.output import fail
from veildesk.core.errors import InputInvalid, VeildeskError
from veildesk.core.finding import MaskNumbering

__all__ = ["report"]


@click.command()
@click.option("--tick", "ticked", multiple=True, help="A risky field to take in all the same; repeatable.")
@click.option("--word", "words", multiple=True, help="A word to hide too; repeatable.")
@click.option("--form", is_flag=True, help="Write an empty form to fill in, and say which fields are risky.")
@click.option("--json", "as_json", is_flag=True, help="Write the report as one JSON object.")
@click.argument(
    "file", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True)
)
def report(
    ticked: tuple[str, ...], words: tuple[str, ...], form: bool, as_json: bool, file: Path | None
) -> None:
    """Build a report that is safe to send from FILE (TOML or JSON; "-": standard input).

    Without FILE the report is about this installation. Only fields of a fixed list get in, each in the form
    it should have; free text is redacted. The report goes to standard output; what was hidden and what was
    left out, and why, to standard error.
    """
    from veildesk.redact.report import SCHEMA, build_report

    if form:
        click.echo(
            "".join(
                f'{one.name} = ""{"  # risky: --tick " + one.name if one.risky else ""}\n' for one in SCHEMA
            ),
            nl=False,
        )
        return
    try:
        unknown = sorted(set(ticked) - {one.name for one in SCHEMA})
        if unknown:
            raise InputInvalid(f"--tick {unknown[0]}: no such field; 'veildesk report --form' lists them")
        values = _this_installation() if file is None else _read(file)
        built = build_report(values, ticked, MaskNumbering(secrets.token_bytes(32)), own_words=words)
    except VeildeskError as error:
        fail(error, as_json)
    told = {"hidden": dict(built.counts), "left_out": dict(built.left_out)}
    if as_json:
        click.echo(json.dumps({"report": dict(built.fields), **told}, ensure_ascii=False))
        return
    click.echo(built.text, nl=False)
    for name, count in built.counts.items():
        click.echo(f"hidden: {name} {count}", err=True)
    for name, reason in built.left_out.items():
        click.echo(f"left out: {name}: {reason}", err=True)


def _this_installation() -> dict[str, str]:
    return {
        "product": "Veildesk",
        "version": __version__,
        "platform": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "runtime": f"Python {platform.python_version()}",
    }


def _read(file: Path) -> dict[str, Any]:
    """Values by field name. Raises `ConfigInvalid`."""
    import tomllib

    data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    text = data.decode("utf-8", "replace")
    try:
        values = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (ValueError, RecursionError):
        raise InputInvalid("the report's file is neither TOML nor JSON") from None
    if not isinstance(values, dict):
        raise InputInvalid("the report's file holds no fields")
    return values
