"""How commands speak: data to standard output, words to standard error, one exit code for each fault.

Exit codes: 0 ok, 1 warnings or a refused operation, 2 wrong use, 3 cannot reach the gateway or a server,
10 configuration, 11 keys, 12 tor, 13 mail, 14 helpdesk, 15 spool, 70 a fault of ours, 71 the system refused
something (a file, a folder), 130 interrupted. Any other code is a failure too. With `--json` an error is
one JSON object on standard error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import click

from veildesk.core.errors import VeildeskError
from veildesk.core.ticket import CheckResult, Level

__all__ = ["fail", "print_checks", "print_json", "print_table", "say", "worst_exit"]

_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red", Level.SKIP: "cyan"}


def print_json(document: Any) -> None:
    """One JSON document on one line."""
    click.echo(json.dumps(document, ensure_ascii=False))


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A plain table that survives a pipe."""
    lines = [list(heads), *[list(row) for row in rows]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def say(error: VeildeskError, as_json: bool = False) -> int:
    """Say what is wrong and what to do next; returns the error's exit code."""
    if as_json:
        body = {"error": error.code, "message": error.public, "detail": error.detail, "hint": error.hint}
        click.echo(json.dumps(body), err=True)
    else:
        detail = f" ({error.detail})" if error.detail else ""
        click.echo(f"{error.public}{detail}\n{error.hint}", err=True)
    return error.exit_code


def fail(error: VeildeskError, as_json: bool = False) -> NoReturn:
    """Say what is wrong and what to do next, and end with the error's exit code."""
    sys.exit(say(error, as_json))


def print_checks(results: Sequence[CheckResult]) -> None:
    """A doctor's report for people: level, title, what was found, what to do."""
    colour = None if sys.stdout.isatty() and "NO_COLOR" not in os.environ else False
    for result in results:
        mark = click.style(f"{result.level.value:<4}", fg=_COLOURS[result.level])
        found = f": {result.found}" if result.found else ""
        click.echo(f"{mark}  {result.title}{found}", color=colour)
        if result.level is not Level.OK and result.fix:
            click.echo(f"      {result.fix}")


def worst_exit(results: Iterable[CheckResult]) -> int:
    """0 when everything that could be checked is sound, 1 with warnings or skips, 3 with failures."""
    levels = {result.level for result in results}
    if Level.FAIL in levels:
        return 3
    return 1 if Level.WARN in levels or Level.SKIP in levels else 0
