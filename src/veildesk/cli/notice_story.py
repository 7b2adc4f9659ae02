"""The rest of `veildesk notice`: the story of an incident, the series, heartbeat, components, channels."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from veildesk.cli.notice import notice, with_press
from veildesk.cli.notice_report import published_json, results_table
from veildesk.cli.options import config_option, json_option
from veildesk.cli.output import fail, print_json, print_table
from veildesk.core.errors import ConfigInvalid, InputInvalid, VeildeskError
from veildesk.core.notice import ComponentState, Notice
from veildesk.notices.archive import NoticeDirectory, NoticeRefused
from veildesk.notices.components import clear_component, component_states, set_component
from veildesk.notices.text import written_time
from veildesk.ops.clock import SystemClock
from veildesk.service.config import load_config

__all__: list[str] = []


@notice.command("list")
@config_option
@json_option
def list_notices(config_file: Path, as_json: bool) -> None:
    """Show what is published."""
    try:
        config = load_config(config_file, os.environ)
        published = NoticeDirectory(config.gateway.state_dir / "notices").published()
    except VeildeskError as error:
        fail(error, as_json)
    if as_json:
        print_json([published_json(item) for item in published])
        return
    rows = []
    for item in published:
        content = item.statement.content
        if isinstance(content, Notice):
            said = (str(item.incident), content.state.value, content.severity.value, content.title)
        else:
            said = ("", "", "", "")
        rows.append((str(item.number), written_time(item.issued), item.kind.value, *said))
    print_table(("no", "issued", "kind", "incident", "state", "severity", "title"), rows)


@notice.command()
@config_option
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--keys", multiple=True, type=click.Path(path_type=Path, dir_okay=False), help="Public notice keys."
)
@click.option("--fingerprint", help="A notice key that you trust.")
@click.option(
    "--state", "state_file", type=click.Path(path_type=Path, dir_okay=False), help="Remember the newest."
)
@json_option
def verify(
    config_file: Path,
    files: tuple[Path, ...],
    keys: tuple[Path, ...],
    fingerprint: str | None,
    state_file: Path | None,
    as_json: bool,
) -> None:
    """Verify our series, or any copy given as FILES (notices.txt, heartbeat.asc, single statements).

    Exit code 1 when something is wrong with it.
    """
    from veildesk.service.notice_verify import verify_files, verify_own

    try:
        if files:
            if not keys or not fingerprint:
                raise InputInvalid("to verify a copy, give --keys and --fingerprint")
            judgement = asyncio.run(verify_files(files, keys, fingerprint, state_file))
        else:
            judgement = asyncio.run(verify_own(load_config(config_file, os.environ)))
    except VeildeskError as error:
        fail(error, as_json)
    head = judgement.head
    if as_json:
        faults = [
            {"defect": f.defect.value, "number": f.number, "detail": f.detail} for f in judgement.faults
        ]
        head_json = asdict(head) if head else None
        print_json(
            {"sound": not faults, "faults": faults, "head": head_json, "fresh_until": judgement.fresh_until}
        )
    else:
        for fault in judgement.faults:
            where = f"statement {fault.number}: " if fault.number else ""
            click.echo(f"{fault.defect.value}: {where}{fault.detail}")
        if head is not None and not judgement.faults:
            until = written_time(judgement.fresh_until or 0)
            click.echo(f"Sound, fresh until {until}. Newest statement: {head.number} {head.sha256}")
    sys.exit(1 if judgement.faults else 0)


@notice.command()
@config_option
@json_option
def heartbeat(config_file: Path, as_json: bool) -> None:
    """Sign a heartbeat now. The status site does this on a schedule."""

    async def work(press: Any) -> bool:
        done: bool = await press.beat(due_only=False)
        return done

    if not with_press(config_file, as_json, work):
        fail(
            NoticeRefused("there is no [keys] heartbeat; make a key for it and 'veildesk identity publish'"),
            as_json,
        )
    if as_json:
        print_json({"heartbeat": True})
    else:
        click.echo("Signed a heartbeat.", err=True)


@notice.command()
@config_option
@click.argument("name", required=False)
@click.argument("state", required=False, type=click.Choice([*[s.value for s in ComponentState], "auto"]))
@click.option(
    "--hours", type=click.IntRange(1, 24 * 90), default=24, show_default=True, help="Then checks count again."
)
@json_option
def component(config_file: Path, name: str | None, state: str | None, hours: int, as_json: bool) -> None:
    """Show how the parts of the service are, or set one by hand ('auto' lets checks count again)."""
    try:
        config = load_config(config_file, os.environ)
        names = config.status.components if config.status else ()
        folder, now = config.gateway.state_dir / "notices", SystemClock().now()
        if not names:
            raise ConfigInvalid("[status]: this section is needed for components")
        if name is not None and state is None:
            raise InputInvalid("name a state too")
        if name is not None and state == "auto":
            clear_component(folder, name)
        elif name is not None and state is not None:
            set_component(folder, names, name, ComponentState(state), now, hours * 3600)
    except VeildeskError as error:
        fail(error, as_json)
    found = component_states(folder, names, now)
    if as_json:
        print_json([{**asdict(one), "state": one.state.value} for one in found])
    else:
        print_table(("part", "state", "from"), [(one.name, one.state.value, one.source) for one in found])


@notice.command()
@config_option
@json_option
def channels(config_file: Path, as_json: bool) -> None:
    """Show where every statement stands on every channel. Exit code 1 while something is not delivered."""

    async def work(press: Any) -> Any:
        return press.distribution.results(press.board.board())

    _results(with_press(config_file, as_json, work), as_json)


@notice.command()
@config_option
@json_option
def deliver(config_file: Path, as_json: bool) -> None:
    """Try everything that is not delivered again now."""

    async def work(press: Any) -> Any:
        return await press.distribution.run(press.board.board(), now_all=True)

    _results(with_press(config_file, as_json, work), as_json)


def _results(results: Sequence[Any], as_json: bool) -> None:
    if as_json:
        print_json([asdict(one) for one in results])
    else:
        results_table(results)
    sys.exit(1 if any(one.state != "delivered" for one in results) else 0)
