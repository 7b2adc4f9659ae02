"""What several commands share: options, and how a list of commands is written."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["Commands", "config_option", "json_option"]

_WHOLE = 500


class Commands(click.Group):
    """A group whose help gives the first sentence of each command in full, not cut at the line's end."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, their sentences wrapped."""
        rows = [
            (name, command.get_short_help_str(_WHOLE))
            for name in self.list_commands(ctx)
            if (command := self.get_command(ctx, name)) is not None and not command.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


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
