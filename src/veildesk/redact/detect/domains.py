"""The top-level domains of the DNS (IANA root zone), read once from a file beside this module."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["is_top_level"]


@cache
def _names() -> frozenset[str]:
    text = files("veildesk.redact.detect").joinpath("tlds.txt").read_text("utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


def is_top_level(label: str) -> bool:
    """Whether a domain label, in Unicode or as `xn--`, is a top-level domain (punycode is taken as one)."""
    name = label.casefold()
    return name.startswith("xn--") or name in _names()
