"""A gateway that is away or cannot answer: a sentence or a JSON object, and an exit code that says which."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from veildesk.cli import main
from veildesk.core.errors import SpoolUnavailable
from veildesk.ops.control import ControlServer

CONFIG = """
[gateway]
name = "Example"
address = "support@example.org"
domain = "example.org"
[keys]
home = "gnupg"
support = "{key}"
notice = "{key}"
[backends.maildir]
kind = "maildir"
path = "tickets"
""".replace("{key}", "A" * 40)


def run(folder: Path, *words: str) -> Result:
    (folder / "veildesk.toml").write_text(CONFIG)
    return CliRunner().invoke(main, [*words, "--config", str(folder / "veildesk.toml")])


@pytest.mark.parametrize("words", [("status",), ("spool", "list")])
def test_a_gateway_that_is_away_is_told_to_people_and_machines(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    said = run(tmp_path, *words)
    assert (said.exit_code, said.stdout) == (3, "")
    assert "veildesk run" in said.stderr
    told = run(tmp_path, *words, "--json")
    assert (told.exit_code, json.loads(told.stderr)["error"]) == (3, "gateway-away")


@pytest.mark.parametrize("words", [("status",), ("spool", "list")])
async def test_a_gateway_whose_store_is_away_says_so(tmp_path: Path, words: tuple[str, ...]) -> None:
    async def refuse(_: Mapping[str, object]) -> None:
        raise SpoolUnavailable("disk-full")

    (tmp_path / "state").mkdir()
    server = ControlServer(tmp_path / "state" / "control", {"status": refuse, "spool-list": refuse})
    await server.start()
    try:
        told = await asyncio.to_thread(run, tmp_path, *words, "--json")
        said = await asyncio.to_thread(run, tmp_path, *words)
    finally:
        await server.close()
    assert (told.exit_code, said.exit_code) == (15, 15)
    assert "inodes" in json.loads(told.stderr)["hint"]
    assert "Traceback" not in said.output
