"""Simulated power cuts: the image under a loop-mounted ext4 is copied while a writer is stopped.

The copy holds what had reached the "disk", not what the kernel still kept: a mount of it is what a machine
finds after the power came back. Everything acknowledged must be there. Needs root and a loop device.
`python tests/chaos/power_cut.py --cuts 10` prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from testbed.filled_store import open_store  # noqa: E402
from veildesk.core.errors import KeyUnusable  # noqa: E402
from veildesk.core.submission import Channel, Submission  # noqa: E402

_SIZES = (400, 5_000, 400_000)


def payload(number: int) -> bytes:
    """The content of mail `number`."""
    return b"%08d" % number * (_SIZES[number % len(_SIZES)] // 8)


async def write(root: Path, ledger: Path, start: int) -> None:
    """Accept for ever, many at a time; the ledger lies on another disk."""
    spool = await open_store(root)
    with ledger.open("a", buffering=1) as told:

        async def one(number: int) -> None:
            digest = number.to_bytes(32, "big")
            accepted = await spool.accept(Submission(Channel.SMTP, digest, payload(number)))
            told.write(f"{number} {accepted.message_id}\n")

        for first in range(start, start + 10**9, 8):
            await asyncio.gather(*(one(first + offset) for offset in range(8)))


async def missing(root: Path, told: list[tuple[int, str]]) -> int:
    """How many of the acknowledged mails are not there whole."""
    spool = await open_store(root)
    lost = 0
    for number, message in told:
        try:
            lost += await spool.part(message, "raw") != payload(number)
        except KeyUnusable:
            lost += 1
    await spool.close()
    return lost


def mount(image: Path, place: Path) -> None:
    """Mount by a loop device."""
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)


def cut_once(folder: Path, wait: float) -> tuple[int, int]:
    """One writer, one cut; returns acknowledged and lost."""
    image, copy, place = folder / "disk", folder / "copy", folder / "mnt"
    place.mkdir(exist_ok=True)
    with image.open("wb") as file:
        file.truncate(400 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    mount(image, place)
    ledger = folder / "ledger"
    ledger.unlink(missing_ok=True)
    writer = subprocess.Popen([sys.executable, str(Path(__file__)), "--write", str(place), str(ledger)])
    try:
        while not ledger.exists():
            time.sleep(0.05)
        time.sleep(wait)
        writer.send_signal(signal.SIGSTOP)
        # First what was told, then the disk: later writes can only be more than what was told.
        told = [line.split() for line in ledger.read_text().split("\n")[:-1]]
        shutil.copyfile(image, copy)
    finally:
        writer.kill()
        writer.wait()
        subprocess.run(["umount", str(place)], check=True)
    mount(copy, place)
    try:
        pairs = [(int(number), message) for number, message in told]
        return len(pairs), asyncio.run(missing(place, pairs))
    finally:
        subprocess.run(["umount", str(place)], check=True)


def main() -> int:
    """Parse, cut, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cuts", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", nargs=2, type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.write:
        asyncio.run(write(*chosen.write, 0))
    acknowledged = lost = 0
    chance = random.Random(chosen.seed)
    with tempfile.TemporaryDirectory(prefix="vcut-") as name:
        for _ in range(chosen.cuts):
            told, gone = cut_once(Path(name), chance.uniform(0.3, 2.0))
            acknowledged += told
            lost += gone
    print(json.dumps({"cuts": chosen.cuts, "acknowledged": acknowledged, "lost": lost}))
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
