"""`veildesk backend ...` as an operator types it, on a configuration with one helpdesk."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_HEAD = """
[gateway]
name = "Example"
address = "support@example.org"
domain = "example.org"
state_dir = "state"
[keys]
home = "keys/gnupg"
ring = "keys/ring"
support = "{0}"
notice = "{0}"
[queues.support]
addresses = ["support@example.org"]
backend = "desk"
"""


def write_config(folder: Path, kind: str, settings: Mapping[str, Any]) -> Path:
    """A configuration file; the secrets that settings name are copied beside it."""
    given = {name: value for name, value in settings.items() if name != "base"}
    lines = ["[backends.desk]", f'kind = "{kind}"']
    for name, value in given.items():
        if name.endswith("_file"):
            shutil.copy(Path(settings["base"]) / value, folder / value)
        lines.append(f"{name} = {json.dumps(value)}")
    path = folder / "veildesk.toml"
    path.write_text(_HEAD.format("A" * 40) + "\n".join(lines) + "\n")
    return path


async def run_command(*words: str, config: Path) -> subprocess.CompletedProcess[bytes]:
    name, *rest = words
    command = [sys.executable, "-I", "-m", "veildesk", "backend", name, "desk", *rest]
    command += ["--config", str(config)]
    return await asyncio.to_thread(
        subprocess.run, command, capture_output=True, timeout=120, env={"PATH": "/usr/bin:/bin"}
    )


async def backend_command(*words: str, config: Path) -> dict[str, tuple[str, str]]:
    """Level and finding of each line, by its title."""
    done = await run_command(*words, "--json", config=config)
    assert done.stdout, done.stderr
    return {one["title"]: (one["level"], one["found"]) for one in json.loads(done.stdout)}
