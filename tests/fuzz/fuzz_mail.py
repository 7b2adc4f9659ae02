"""Mutate mails and read them, parser by parser, for a bounded time:
`python tests/fuzz/fuzz_mail.py --seconds 60 --seed 1`.

What is read may be refused with one of our errors; anything else, and anything slow, is a finding. The input
that did it is written to the folder given by `--out`, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from veildesk.core.envelope import split_envelope, strip_own_headers, with_envelope
from veildesk.core.errors import VeildeskError
from veildesk.core.limits import Limits
from veildesk.intake.modified_utf7 import decode_folder
from veildesk.intake.smtp_address import parse_path
from veildesk.mail.address import parse_mailboxes
from veildesk.mail.agent import read_agent_reply
from veildesk.mail.html import html_to_text
from veildesk.mail.normalise import normalise
from veildesk.mail.parameters import parse_parameters
from veildesk.mail.parse import parse_mail
from veildesk.mail.quotes import divide, without_quotes
from veildesk.mail.reply_address import ReplyAddresses
from veildesk.mail.rtf import decompress_rtf, rtf_to_text
from veildesk.mail.tnef import read_tnef
from veildesk.notices.text import parse_heartbeat, parse_statement
from veildesk.openpgp.armor import find_blocks
from veildesk.openpgp.message_wire import read_wire

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


def _text(data: bytes) -> str:
    return data[:20_000].decode("latin-1")


def _envelope(data: bytes) -> None:
    strip_own_headers(data)
    # What was put in front is read back, whatever the mail says of itself.
    kept = split_envelope(with_envelope(data, null_sender=True, extension="abc"))
    assert (kept.null_sender, kept.extension) == (True, "abc")


TARGETS: dict[str, Callable[[bytes], object]] = {
    "parse": lambda data: parse_mail(data, Limits()),
    "normalise": normalise,
    "agent-reply": read_agent_reply,
    "envelope": _envelope,
    "mailboxes": lambda data: parse_mailboxes(data[:2000]),
    "parameters": lambda data: parse_parameters(data[:2000]),
    "html": lambda data: html_to_text(_text(data)),
    "quotes": lambda data: (divide(_text(data)), without_quotes(_text(data))),
    "reply-address": lambda data: ReplyAddresses("support@desk.example").cut(_text(data)),
    "tnef": lambda data: read_tnef(b"\x78\x9f\x3e\x22\x01\x00" + data[:20_000]),
    "rtf": lambda data: rtf_to_text(b"{\\rtf1 " + data[:20_000]),
    "rtf-compressed": lambda data: decompress_rtf(bytes(8) + b"LZFu" + data[:20_000], 1_000_000),
    "armor": lambda data: (find_blocks(data), read_wire(data)),
    "smtp-path": lambda data: parse_path(_text(data[:600])),
    "imap-folder": lambda data: decode_folder(_text(data[:600])),
    "statement": lambda data: parse_statement(_text(data)),
    "heartbeat": lambda data: parse_heartbeat(_text(data)),
}
"""Every parser of what strangers send, by name; those of OpenPGP packets are in `fuzz_openpgp`."""
# Errors of parsers below those that speak our own words.
ALLOWED = (VeildeskError, ValueError)


def search(
    target: Callable[[bytes], object], seeds: list[bytes], rng: random.Random, end: float, most: int | None
) -> tuple[int, str, bytes]:
    """Rounds made, and the first finding with its input; an empty word when there is none."""
    rounds = 0
    while time.monotonic() < end and rounds != most:
        rounds += 1
        data = mutate(rng.choice(seeds), seeds, rng)
        start = time.process_time()
        try:
            target(data)
            fault = ""
        except ALLOWED as error:
            # A UnicodeError is a ValueError, and nothing that a parser may let through.
            fault = type(error).__name__ if isinstance(error, UnicodeError) else ""
        except Exception as error:
            fault = type(error).__name__
        if not fault and time.process_time() - start > SLOW:
            fault = "slow"
        if fault:
            return rounds, fault, data
    return rounds, "", b""


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--target", choices=TARGETS, help="only this one")
    options.add_argument("--rounds", type=int, help="at most so many for each target")
    options.add_argument("--seeds", type=Path, default=SEEDS)
    options.add_argument("--out", type=Path, default=Path("fuzz-findings"))
    chosen = options.parse_args()
    seeds = [path.read_bytes() for path in sorted(chosen.seeds.glob("*")) if path.is_file()]
    names = list(TARGETS) if chosen.target is None else [chosen.target]
    found = 0
    for name in names:
        rng = random.Random(f"{chosen.seed} {name}")
        end = time.monotonic() + chosen.seconds / len(names)
        rounds, fault, data = search(TARGETS[name], seeds, rng, end, chosen.rounds)
        print(f"fuzz_mail: {name}: {rounds} inputs, {fault or 'nothing found'}, seed {chosen.seed}")
        if fault:
            found += 1
            chosen.out.mkdir(parents=True, exist_ok=True)
            (chosen.out / f"{name}-{fault}-{rounds}.eml").write_bytes(data)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
