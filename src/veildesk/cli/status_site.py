"""`veildesk status-site`: the status pages apart from the gateway."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from veildesk.cli.notice import with_press
from veildesk.cli.options import Commands, config_option, json_option
from veildesk.cli.output import fail, print_json
from veildesk.cli.service_run import run_service
from veildesk.core.errors import VeildeskError
from veildesk.service.config import load_config

__all__ = ["status_site"]


@click.group("status-site", cls=Commands)
def status_site() -> None:
    """Serve or export the status pages; they go on when the gateway does not."""


@status_site.command()
@config_option
def run(config_file: Path) -> None:
    """Serve the status site in the foreground until SIGTERM or SIGINT."""
    from veildesk.ops.log import set_up_logging
    from veildesk.service.status_site import serve_status_site

    set_up_logging()
    try:
        config = load_config(config_file, os.environ)
    except VeildeskError as error:
        fail(error)
    run_service(serve_status_site(config))


@status_site.command()
@config_option
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def export(config_file: Path, folder: Path, as_json: bool) -> None:
    """Write the site into FOLDER once, all of it at one moment."""
    from veildesk.notices.channels.export import export_tree

    async def work(press: Any) -> bool:
        return export_tree(lambda: press.site.files(press.board.board()), folder.absolute())

    changed = with_press(config_file, as_json, work)
    if as_json:
        print_json({"folder": str(folder), "changed": changed})
    else:
        click.echo(f"{'Wrote' if changed else 'Nothing new in'} {folder}.", err=True)
