"""Every fuzz target of the link runs and finds nothing in its first inputs; `make fuzz` goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "fuzz" / "fuzz_link.py"


def test_first_inputs_of_every_target(tmp_path: Path) -> None:
    words = [sys.executable, str(PROGRAM), "--rounds=50", "--seconds=400", "--out", str(tmp_path / "out")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    assert all("nothing found" in line and " 0 inputs" not in line for line in lines)
