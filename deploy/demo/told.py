"""Tell each step in a plain line, time it, and write down what was checked."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Told:
    """Steps of one run. `summary` is what var/demo/summary.json will hold."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begun = time.monotonic()
        self.summary: dict[str, Any] = {"ok": False, "steps": []}

    @contextlib.contextmanager
    def step(self, name: str, words: str) -> Iterator[dict[str, Any]]:
        """Run one step; the dictionary it yields is the step's evidence."""
        begun = time.monotonic()
        print(f"{begun - self._begun:6.1f}s  {words} ...", flush=True)
        evidence: dict[str, Any] = {}
        yield evidence
        seconds = round(time.monotonic() - begun, 2)
        self.summary["steps"].append({"step": name, "what": words, "seconds": seconds, "evidence": evidence})
        shown = ", ".join(f"{key} {_short(value)}" for key, value in evidence.items())
        print(f"{time.monotonic() - self._begun:6.1f}s    ok: {shown}", flush=True)
        self.write()

    def write(self) -> None:
        """Put the summary on disk as it stands."""
        self.summary["seconds"] = round(time.monotonic() - self._begun, 2)
        self._path.write_text(json.dumps(self.summary, indent=1, default=str) + "\n")


def check(claim: bool, words: str) -> None:
    """End the run if a claim does not hold."""
    if not claim:
        raise AssertionError(words)


def sha256(data: bytes) -> str:
    """Hex digest, as evidence."""
    return hashlib.sha256(data).hexdigest()


def _short(value: Any) -> str:
    text = ", ".join(str(v) for v in value) if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
