"""How `veildesk notice` tells what it did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import click

from veildesk.cli.output import print_json, print_table
from veildesk.core.notice import Notice, PublishedNotice
from veildesk.notices.distribution import Result
from veildesk.notices.text import written_time

__all__ = ["published_json", "results_table", "say_published"]


def published_json(item: PublishedNotice) -> dict[str, object]:
    """One statement for machines."""
    body: dict[str, object] = {
        "number": item.number,
        "kind": item.kind.value,
        "issued": item.issued,
        "valid_until": item.statement.valid_until,
        "sha256": item.sha256,
        "path": f"/status/{item.number}.asc",
    }
    content = item.statement.content
    if isinstance(content, Notice):
        body |= {
            "incident": item.incident,
            "state": content.state.value,
            "severity": content.severity.value,
            "impact": content.severity.value,
            "title": content.title,
        }
    return body


def say_published(item: PublishedNotice, results: Sequence[Result], as_json: bool) -> None:
    """What was published, and how it went on every channel."""
    if as_json:
        print_json({**published_json(item), "channels": [asdict(one) for one in results]})
        return
    click.echo(f"Published statement {item.number}, sha256 {item.sha256}", err=True)
    results_table(results)


def results_table(results: Sequence[Result]) -> None:
    """Channels and where they stand."""
    rows = [
        (
            one.channel,
            str(one.number),
            one.state,
            str(one.attempts),
            one.detail
            + (f"; again at {written_time(one.again_at)}" if one.state == "waiting" and one.again_at else ""),
        )
        for one in results
    ]
    if rows:
        print_table(("channel", "no", "state", "tries", "what"), rows)
