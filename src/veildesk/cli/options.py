"""What several commands share: options, and how a list of commands is written."""

from __future__ import annotations

import errno
import logging
import sys
from pathlib import Path
from typing import Any

import click

from veildesk.cli.output import fail
from veildesk.ops.fault import told
from veildesk.ops.log import QuietFormatter

__all__ = ["Commands", "config_option", "json_option"]

_WHOLE = 500
_INTERRUPTED = 130


class Commands(click.Group):
    """A group whose help gives the first sentence of each command in full, not cut at the line's end.

    The outermost one also says in one sentence what nobody foresaw, instead of a traceback.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Remember whether a machine reads, for faults that no command knows of."""
        ctx.meta.setdefault("veildesk.json", "--json" in args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a fault that it did not foresee ends it with a sentence and an exit code."""
        if ctx.parent is not None:
            return super().invoke(ctx)
        if isinstance(logging.lastResort, logging.StreamHandler):
            # What logs without anybody having set it up, libraries too, says no more than a service would.
            logging.lastResort.setFormatter(QuietFormatter())
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, EOFError):
            raise
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            sys.exit(_INTERRUPTED)
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # Whoever reads has gone; click ends quietly.
            fail(told(error), ctx.meta["veildesk.json"])

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
