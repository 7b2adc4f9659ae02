"""What the check page shows before anything is sent: each finding shortened, and the text with masks.

A secret is never shown, not even in part. Of other values only the first and last characters are, so
that their owner knows them again. Labels are message ids for translation.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from veildesk.core.finding import Finding, MaskNumbering
from veildesk.redact.masks import mask_word
from veildesk.redact.numbering import mask_for

__all__ = ["GROUPS", "Choices", "Item", "Preview", "Segment", "choices", "group_of", "preview"]

GROUPS: dict[str, str] = {
    "API_TOKEN": "Access tokens and keys",
    "BANK": "Bank accounts",
    "BASIC_AUTH": "Logins",
    "BEARER": "Access tokens and keys",
    "BIRTHDATE": "Birthdays",
    "BTC": "Wallet addresses",
    "CARD": "Payment cards",
    "COOKIE": "Cookies and sessions",
    "DOGE": "Wallet addresses",
    "EMAIL": "E-mail addresses",
    "ETH": "Wallet addresses",
    "GPS": "Places",
    "HOSTNAME": "Names of computers",
    "IBAN": "Bank accounts",
    "IMEI": "Device numbers",
    "IPV4": "Network addresses",
    "IPV6": "Network addresses",
    "JWT": "Access tokens and keys",
    "LTC": "Wallet addresses",
    "MAC": "Device numbers",
    "NAME": "Names",
    "NATIONAL_ID": "Identity numbers",
    "ONION": "Onion addresses",
    "OWN": "Your own words",
    "PASSWORD": "Passwords",
    "PATH_USER": "User names in paths",
    "PEM": "Key files",
    "PGP": "OpenPGP blocks",
    "PHONE": "Phone numbers",
    "PRIVKEY": "Private keys",
    "RECOVERY": "Recovery codes",
    "SEED": "Recovery phrases",
    "SOL": "Wallet addresses",
    "TOTP": "One-time code secrets",
    "TRX": "Wallet addresses",
    "TXID": "Transaction ids",
    "URL_CRED": "Logins",
    "URL_TOKEN": "Links with secrets",
    "WALLET": "Wallet addresses",
    "XMR": "Wallet addresses",
    "XPUB": "Wallet public keys",
    "XRP": "Wallet addresses",
}

_OTHER = "Other private data"


@dataclass(frozen=True, slots=True)
class Item:
    """One finding for display. `line` counts from 1; `shortened` holds at most four true characters."""

    id: str
    type: str
    group: str
    mask: str
    shortened: str = field(repr=False)
    line: int
    secret: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the text as it would be sent; `item` is set where a mask stands."""

    text: str = field(repr=False)
    item: Item | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """Findings in order, and the whole text cut into segments."""

    items: tuple[Item, ...]
    segments: tuple[Segment, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Choices:
    """What a user wants agents to see: values for `find(kept=..., confirmed=...)`.

    `unconfirmed` are ids of secrets that were chosen and not confirmed; they stay hidden.
    """

    kept: tuple[str, ...] = field(default=(), repr=False)
    confirmed: tuple[str, ...] = field(default=(), repr=False)
    unconfirmed: tuple[str, ...] = ()


def choices(text: str, shown: Preview, wanted: Collection[str], confirmed: Collection[str] = ()) -> Choices:
    """Values of the wanted findings. `wanted` holds ids ("f3") and types ("EMAIL"); a secret needs its id, or
    its type, in `confirmed` as well, which is the second question.

    After any change of the text it is looked at again: choices are values, not places.
    """
    chosen = [item for item in shown.items if item.id in wanted or item.type in wanted]
    plain = [item for item in chosen if not item.secret]
    sure = [item for item in chosen if item.secret and (item.id in confirmed or item.type in confirmed)]
    return Choices(
        tuple(dict.fromkeys(text[item.start : item.end] for item in plain)),
        tuple(dict.fromkeys(text[item.start : item.end] for item in sure)),
        tuple(item.id for item in chosen if item.secret and item not in sure),
    )


def group_of(type_: str) -> str:
    """The message id of the kind a type belongs to."""
    return GROUPS.get(type_, _OTHER)


def preview(text: str, findings: Sequence[Finding], numbering: MaskNumbering | None = None) -> Preview:
    """Items and segments for sorted findings that do not overlap.

    With `numbering` the masks are those that `apply` will write (and are counted in it); without, a
    numbering of its own is used.
    """
    numbers = numbering if numbering is not None else MaskNumbering(b"preview")
    items: list[Item] = []
    segments: list[Segment] = []
    position, line = 0, 1
    for count, found in enumerate(findings, 1):
        line += text.count("\n", position, found.start)
        if found.start > position:
            segments.append(Segment(text[position : found.start]))
        value = text[found.start : found.end]
        item = Item(
            f"f{count}",
            found.type,
            group_of(found.type),
            mask_for(value, found.type, numbers),
            _shortened(value, found),
            line,
            found.secret,
            found.start,
            found.end,
        )
        items.append(item)
        segments.append(Segment(item.mask, item))
        line += value.count("\n")
        position = found.end
    if position < len(text):
        segments.append(Segment(text[position:]))
    return Preview(tuple(items), tuple(segments))


def _shortened(value: str, found: Finding) -> str:
    """Enough of a value to know it again; nothing of a secret but its kind."""
    if found.secret:
        return f"{mask_word(found.type)} ••••"
    plain = " ".join(value.split())
    shown = 2 if len(plain) >= 9 else 1 if len(plain) >= 4 else 0
    return plain[:shown] + "…" + (plain[-shown:] if shown else "")
