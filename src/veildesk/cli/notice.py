"""`veildesk notice`: signed incident notices."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

import click

from veildesk.cli.options import config_option, json_option
from veildesk.cli.output import fail, print_json, print_table
from veildesk.core.errors import VeildeskError
from veildesk.core.notice import Impact, IncidentState, Notice, PublishedNotice
from veildesk.notices.archive import NoticeDirectory
from veildesk.service.config import load_config

__all__ = ["notice"]


@click.group()
def notice() -> None:
    """Publish and list signed incident notices."""


@notice.command()
@config_option
@click.option("--title", required=True)
@click.option("--state", type=click.Choice([s.value for s in IncidentState]), required=True)
@click.option("--impact", type=click.Choice([i.value for i in Impact]), required=True)
@click.option("--action", required=True, help="What a reader should do, first of all.")
@click.option("--summary", required=True)
@click.option("--affected", default="")
@json_option
def publish(
    config_file: Path,
    title: str,
    state: str,
    impact: str,
    action: str,
    summary: str,
    affected: str,
    as_json: bool,
) -> None:
    """Sign a notice with the notice key and put it on the status page."""
    from veildesk.service.build import publish_from_config

    draft = Notice(title, IncidentState(state), Impact(impact), action, summary, affected)
    try:
        config = load_config(config_file, os.environ)
        published = asyncio.run(publish_from_config(config, draft))
    except VeildeskError as error:
        fail(error, as_json)
    if as_json:
        print_json(_as_json(published))
    else:
        click.echo(f"Published notice {published.number}, sha256 {published.sha256}", err=True)


@notice.command("list")
@config_option
@json_option
def list_notices(config_file: Path, as_json: bool) -> None:
    """Show what is published."""
    try:
        config = load_config(config_file, os.environ)
    except VeildeskError as error:
        fail(error, as_json)
    published = NoticeDirectory(config.gateway.state_dir / "notices").published()
    if as_json:
        print_json([_as_json(n) for n in published])
        return
    rows = [
        (str(n.number), _when(n.issued), n.notice.state.value, n.notice.impact.value, n.notice.title)
        for n in published
    ]
    print_table(("no", "issued", "state", "impact", "title"), rows)


def _as_json(published: PublishedNotice) -> dict[str, object]:
    return {
        "number": published.number,
        "issued": published.issued,
        "sha256": published.sha256,
        "state": published.notice.state.value,
        "impact": published.notice.impact.value,
        "title": published.notice.title,
        "path": f"/status/{published.number}.asc",
    }


def _when(issued: int) -> str:
    return datetime.fromtimestamp(issued, UTC).strftime("%Y-%m-%d %H:%M UTC")
