"""Looking for planted text in whatever files a program left, in the forms programs write."""

from __future__ import annotations

import base64
from pathlib import Path

__all__ = ["forms", "hits"]


def forms(canary: bytes) -> list[bytes]:
    """Raw, hex, UTF-16, and base64 in its three phases without the unstable ends."""
    found = [
        canary,
        canary.hex().encode(),
        canary.hex().upper().encode(),
        canary.decode().encode("utf-16-le"),
    ]
    for phase in range(3):
        found.append(base64.b64encode(b"\0" * phase + canary)[4:-4])
    return found


def hits(root: Path, needles: list[bytes]) -> list[str]:
    """Names of files under `root` that hold a needle, once for each."""
    found = []
    for path in root.rglob("*"):
        if path.is_file():
            held = path.read_bytes()
            found += [path.name for needle in needles if needle in held]
    return found
