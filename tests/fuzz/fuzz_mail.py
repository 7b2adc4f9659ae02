"""Mutate mails and read them, for a bounded time: `python tests/fuzz/fuzz_mail.py --seconds 60 --seed 1`.

A mail may be refused with one of our errors; anything else, and anything slow, is a finding. The input
that did it is written to the folder given by `--out`, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

from veildesk.core.errors import VeildeskError
from veildesk.mail.address import parse_mailboxes
from veildesk.mail.agent import read_agent_reply
from veildesk.mail.html import html_to_text
from veildesk.mail.normalise import normalise
from veildesk.mail.parameters import parse_parameters
from veildesk.mail.quotes import divide, without_quotes
from veildesk.mail.reply_address import ReplyAddresses
from veildesk.mail.rtf import decompress_rtf, rtf_to_text
from veildesk.mail.tnef import read_tnef

SEEDS = Path(__file__).parents[1] / "corpus" / "mail"
SLOW = 5.0
TOKENS = [
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"--b",
        b"--b--",
        b"=?utf-8?q?",
        b"?=",
        b"=?x?b?",
        b'"',
        b"\\",
        b";",
        b"<",
    ),
    *(b">", b"<!--", b"</", b"<script>", b"&#", b"Content-Type: multipart/mixed; boundary=b\n\n", b"\x1b$B"),
    *(
        b"Content-Transfer-Encoding: base64\n",
        b"filename*0*=",
        b"charset=iso-2022-jp",
        b"\xff\xfe",
        b"(",
        b")",
    ),
    *(b"{", b"}", b"\\u-1", b"\\'", b"\\*", b"\x02\x90\x06\x00", b"\x00\x00\x00\x00", b"On 1 Desk wrote:\n"),
    *(b"hp=cipher", b"format=flowed", b"-----BEGIN PGP SIGNED MESSAGE-----\n", b"> ", b"message/rfc822"),
]


def mutate(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """A few random cuts, repeats, insertions and joins."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        at, to = sorted(rng.randrange(len(out) + 1) for _ in range(2))
        match rng.randrange(6):
            case 0:
                out[at:at] = rng.choice(TOKENS)
            case 1:
                del out[at : min(to, at + 64)]
            case 2:
                out[at:at] = out[at : min(to, at + 400)] * rng.randint(1, 50)
            case 3:
                other = rng.choice(others)
                cut = rng.randrange(len(other) + 1)
                out[at:to] = other[cut : cut + 400]
            case 4 if out:
                out[min(at, len(out) - 1)] = rng.randrange(256)
            case _:
                out[at:at] = rng.choice(TOKENS) * rng.randint(1, 300)
    return bytes(out[:500_000])


def read(data: bytes) -> None:
    """Everything that reads bytes of strangers."""
    for reader in (normalise, read_agent_reply):
        try:
            reader(data)
        except VeildeskError:
            continue
    parse_mailboxes(data[:2000])
    parse_parameters(data[:2000])
    text = data[:20_000].decode("latin-1")
    html_to_text(text)
    divide(text)
    without_quotes(text)
    ReplyAddresses("support@desk.example").cut(text)
    read_tnef(b"\x78\x9f\x3e\x22\x01\x00" + data[:20_000])
    rtf_to_text(b"{\\rtf1 " + data[:20_000])
    decompress_rtf(bytes(8) + b"LZFu" + data[:20_000], 1_000_000)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=30)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--seeds", type=Path, default=SEEDS)
    options.add_argument("--out", type=Path, default=Path("fuzz-findings"))
    chosen = options.parse_args()
    rng = random.Random(chosen.seed)
    seeds = [path.read_bytes() for path in sorted(chosen.seeds.glob("*")) if path.is_file()]
    end, rounds = time.monotonic() + chosen.seconds, 0
    while time.monotonic() < end:
        rounds += 1
        data = mutate(rng.choice(seeds), seeds, rng)
        start = time.process_time()
        try:
            read(data)
            fault = "slow" if time.process_time() - start > SLOW else ""
        except Exception as error:
            fault = type(error).__name__
        if fault:
            chosen.out.mkdir(parents=True, exist_ok=True)
            (chosen.out / f"{fault}-{rounds}.eml").write_bytes(data)
            print(f"finding: {fault} after {rounds} mails, seed {chosen.seed}", file=sys.stderr)
            return 1
    print(f"fuzz_mail: {rounds} mails, nothing found, seed {chosen.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
