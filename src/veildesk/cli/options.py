"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["config_option", "json_option"]

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="VEILDESK_CONFIG",
    default=Path("veildesk.toml"),
    show_default=True,
    help="The configuration file.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document for machines.")
