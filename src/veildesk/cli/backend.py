"""veildesk backend: look at one helpdesk, or make there what Veildesk needs."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import click

from veildesk.cli.options import Commands, config_option, json_option
from veildesk.cli.output import fail, print_checks, print_json, worst_exit
from veildesk.core.errors import ConfigInvalid, VeildeskError
from veildesk.core.ports import Backend, Closes, SetsUp
from veildesk.core.ticket import CheckResult, Level
from veildesk.service.config import load_config

__all__ = ["backend"]

_HELPDESK = 14


@click.group(cls=Commands)
def backend() -> None:
    """Look at a helpdesk, or prepare it."""


@backend.command()
@click.argument("name")
@config_option
@json_option
def check(name: str, config_file: Path, as_json: bool) -> None:
    """Check credentials, rights, fields and dangerous settings of one helpdesk; changes nothing."""
    _report(name, config_file, as_json, lambda one: one.check())


@backend.command()
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Say what is missing and change nothing.")
@config_option
@json_option
def setup(name: str, dry_run: bool, config_file: Path, as_json: bool) -> None:
    """Make fields, queues and rights where that can be done from here; then check.

    Repeating it does no harm.
    """
    _report(name, config_file, as_json, lambda one: _set_up(one, dry_run))


async def _set_up(one: Backend, dry_run: bool) -> list[CheckResult]:
    made: list[CheckResult] = []
    if isinstance(one, SetsUp):
        made = await one.set_up(dry_run=dry_run)
    else:
        fix = "follow its page under docs/helpdesks"
        made.append(CheckResult(f"backend.{one.name}.setup", "set up by hand", Level.SKIP, fix=fix))
    return [*made, *await one.check()]


def _report(
    name: str, config_file: Path, as_json: bool, ask: Callable[[Backend], Awaitable[list[CheckResult]]]
) -> None:
    try:
        results = asyncio.run(_with_backend(name, config_file, ask))
    except VeildeskError as error:
        fail(error, as_json)
    if as_json:
        print_json([dataclasses.asdict(result) for result in results])
    else:
        print_checks(results)
    failed = any(result.level is Level.FAIL for result in results)
    sys.exit(_HELPDESK if failed else worst_exit(results))


async def _with_backend(
    name: str, config_file: Path, ask: Callable[[Backend], Awaitable[list[CheckResult]]]
) -> list[CheckResult]:
    from veildesk.deliver.registry import load_backend
    from veildesk.service.routing import places_of

    config = load_config(config_file, os.environ)
    if name not in config.backends:
        known = ", ".join(sorted(config.backends)) or "none"
        raise ConfigInvalid(f"there is no [backends.{name}]; known: {known}")
    chosen = config.backends[name]
    places = list(places_of(name, config.queues, config.routes))
    given = {**chosen.settings, "places": places} if places else chosen.settings
    one = load_backend(chosen.kind, name, given)
    try:
        return await ask(one)
    finally:
        if isinstance(one, Closes):
            await one.close()
