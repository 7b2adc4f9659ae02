"""The short form of `make chaos`: a few kills on each engine, the same checker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.timeout(500)]

RUN = Path(__file__).resolve().parents[1] / "chaos" / "run.py"


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_few_kills_under_load_lose_and_double_nothing(engine: str) -> None:
    words = [sys.executable, str(RUN), "--no-points", "--engine", engine, "--kills", "6", "--seed", "7"]
    words += ["--under-way", "12"]
    # Postfix needs root and a second longer; `make chaos` uses it.
    done = subprocess.run(
        [*words, "--no-postfix"],
        capture_output=True,
        text=True,
        timeout=480,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    summary = json.loads(done.stdout.splitlines()[-1])
    assert (summary["lost"], summary["doubled"]) == (0, 0)
    assert summary["kills"] >= 6
    assert summary["acknowledged"] > 0
