"""Bounds on one file's cleaning: what the worker may read, unpack, hold and use.

Sizes in bytes, times in seconds. The parent sends them with each request; the operating system
enforces memory and time whatever the worker does.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Bounds"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Upper bounds for cleaning one attachment.

    `depth` counts containers: 2 opens a ZIP inside a ZIP and a compressed tar. `ratio` is how many
    times its packed size a member may unpack to once it is larger than `ratio_floor`.
    `handed_on` members of an archive at most are cleaned as office files, sound or film.
    `page_side` is the longer side of a rendered page in pixels.
    """

    input_size: int = 10 * 1024 * 1024
    output_size: int = 24 * 1024 * 1024
    text_size: int = 10 * 1024 * 1024
    pixels: int = 50_000_000
    pages: int = 30
    page_side: int = 1654
    members: int = 200
    unpacked: int = 50 * 1024 * 1024
    ratio: int = 200
    ratio_floor: int = 1024 * 1024
    depth: int = 2
    handed_on: int = 10
    memory: int = 1024 * 1024 * 1024
    cpu: int = 20
    wall: float = 30.0
