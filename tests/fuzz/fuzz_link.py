"""Mutate what a portal process sends its gateway: `python tests/fuzz/fuzz_link.py --seconds 60 --seed 1`.

Whoever broke into the portal process can send any bytes. They are refused as `BadFrame` or as a stream that
breaks off, or they are a request that says the same when it is written and read again; anything else, and
anything slow, is a finding, written to the folder given by `--out`, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from fuzz_mail import search

from portal.fakes import settings as portal_settings
from veildesk.core.notice import Board
from veildesk.link import replies
from veildesk.link.frames import BadFrame, Frame, pack, read_frame
from veildesk.link.requests import decode_request, request_bounds
from veildesk.link.shape import dump, load
from veildesk.portal.ports import PortalSettings

CORPUS = Path(__file__).parents[1] / "corpus" / "link"
Target = Callable[[bytes], object]


class Wrong(Exception):
    """What a target did and must not."""


def _strictly(target: Target) -> Target:
    """`BadFrame` and a broken-off stream are the only refusals."""

    def run(data: bytes) -> None:
        try:
            target(data)
        except (BadFrame, asyncio.IncompleteReadError):
            return
        except ValueError as error:
            raise Wrong(type(error).__name__) from error

    return run


async def _frames(data: bytes) -> None:
    reader = asyncio.StreamReader(limit=2**20)
    reader.feed_data(data)
    reader.feed_eof()
    while (frame := await read_frame(reader, request_bounds, idle=5, seconds=5)) is not None:
        _request(frame)


def _request(frame: Frame) -> None:
    request = decode_request(frame)
    again = decode_request(Frame(int(request.verb), request.fields()))
    if again != request:
        raise Wrong("read otherwise")


def _fields(data: bytes) -> None:
    """The same without lengths that have to fit: mutations reach what stands in the fields."""
    kind, *fields = data.split(b"\x1e")
    _request(Frame(kind[0] if kind else 0, tuple(fields)))


def _reply(data: bytes) -> None:
    fields = tuple(data.split(b"\x1e"))
    for read in (
        replies.read_thread,
        replies.read_deletion,
        replies.read_erasure,
        replies.read_flag,
        replies.read_maybe,
    ):
        try:
            read(fields)
        except BadFrame:
            continue


TARGETS: dict[str, Target] = {
    "frames": _strictly(lambda data: asyncio.run(_frames(data))),
    "fields": _strictly(_fields),
    "replies": _strictly(_reply),
    "settings": _strictly(lambda data: load(PortalSettings, data)),
    "board": _strictly(lambda data: load(Board, data)),
}


def seeds_of() -> dict[str, list[bytes]]:
    """Sound requests and the attacks of the corpus as they are on the wire, and their fields alone."""
    texts = [path.read_text() for path in sorted(CORPUS.rglob("*.hex"))]
    wires = [bytes.fromhex("".join(text.splitlines()[1:])) for text in texts]
    short = [wire for wire in wires if len(wire) < 200_000]
    fields = [b"\x1e".join((bytes([kind]), b"i" * 32, b"abc", bytes(32))) for kind in range(16)]
    head = [b"".join(pack(Frame(kind, (b"i" * 32,)))) for kind in range(16)]
    settings = [dump(portal_settings())]
    return {
        "frames": [*short, *head],
        "fields": [*fields, *short],
        "replies": [*fields, b"open\x1e\0\0\0\0\0\0\x4f\x6b\x1esealed", b"gone\x1ecode\x1e", b"\1"],
        "settings": settings,
        "board": [*settings, b'{"is":"Board","statements":[]}'],
    }


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--rounds", type=int, help="at most so many for each target")
    options.add_argument("--out", type=Path, default=Path("fuzz-findings"))
    chosen = options.parse_args()
    seeds, found = seeds_of(), 0
    for name, target in TARGETS.items():
        rng = random.Random(f"{chosen.seed} {name}")
        end = time.monotonic() + chosen.seconds / len(TARGETS)
        rounds, fault, data = search(target, seeds[name], rng, end, chosen.rounds)
        print(f"fuzz_link: {name}: {rounds} inputs, {fault or 'nothing found'}, seed {chosen.seed}")
        if fault:
            found += 1
            chosen.out.mkdir(parents=True, exist_ok=True)
            (chosen.out / f"{name}-{fault}-{rounds}.bin").write_bytes(data)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
