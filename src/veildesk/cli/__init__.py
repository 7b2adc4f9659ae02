"""The veildesk command."""

from __future__ import annotations

import click

from veildesk import __version__

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Veildesk: a support gateway between people who need privacy and an ordinary helpdesk."""
