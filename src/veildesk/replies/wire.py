"""Checks on a finished mail and its envelope before any of it reaches an outgoing server.

A mail that would be changed on the way (line ends, long lines, 8-bit bytes without leave) is refused
here, because a changed mail is no longer the one that was signed.
"""

from __future__ import annotations

import re

from veildesk.core.errors import SendRefused

__all__ = ["check_address", "check_wire", "is_eight_bit"]

_BARE_LINE_END = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_LONG_LINE = re.compile(rb"[^\n]{1000}")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f<>,;:\\\"()\[\]]|[\ud800-\udfff]")


def check_wire(wire: bytes) -> None:
    """Raise `SendRefused` unless every byte can travel unchanged (RFC 5321 § 2.3.8 and § 4.5.3.1.6)."""
    if b"\x00" in wire:
        raise SendRefused("wire-nul")
    if not wire.endswith(b"\r\n") or _BARE_LINE_END.search(wire):
        raise SendRefused("wire-line-ends")
    if _LONG_LINE.search(wire):
        raise SendRefused("wire-line-length")


def check_address(address: str, *, null_allowed: bool = False) -> None:
    """Raise `SendRefused` unless `address` is one plain addr-spec that cannot end or split a command.

    Quoted local parts and address literals are refused: nothing that we answer needs them. The empty
    string is the null return path.
    """
    if address == "" and null_allowed:
        return
    local, at, domain = address.rpartition("@")
    if not (local and at and domain) or "@" in local or len(address) > 320:
        raise SendRefused("envelope-address")
    if _FORBIDDEN.search(address) or any(dots in address for dots in ("..", ".@", "@.")):
        raise SendRefused("envelope-address")
    if local.startswith((".", "-")) or domain.startswith("-") or domain.endswith((".", "-")):
        raise SendRefused("envelope-address")


def is_eight_bit(wire: bytes) -> bool:
    """Whether the mail needs 8BITMIME (RFC 6152)."""
    return not wire.isascii()
