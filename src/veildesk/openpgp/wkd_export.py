"""Web Key Directory: where a key lies below a web server's root (draft-koch-openpgp-webkey-service). Pure."""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePosixPath

from veildesk.core.errors import KeyUnusable

__all__ = ["wkd_hash", "wkd_paths"]

_ALPHABET = "ybndrfg8ejkmcpqxot1uwisza345h769"
_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+\Z")


def wkd_hash(local_part: str) -> str:
    """SHA-1 of the local part in lower case, in z-base-32: 32 characters."""
    lowered = "".join(one.lower() if "A" <= one <= "Z" else one for one in local_part)
    digest = int.from_bytes(hashlib.sha1(lowered.encode(), usedforsecurity=False).digest(), "big")
    return "".join(_ALPHABET[digest >> shift & 31] for shift in range(155, -5, -5))


def wkd_paths(address: str, *, advanced: bool) -> tuple[PurePosixPath, PurePosixPath]:
    """Places of the key and of the policy file, relative to the web root.

    `advanced` is for a host of its own, `openpgpkey.` before the domain. Raises `KeyUnusable` for an address
    that has no such place.
    """
    local, _, domain = address.rpartition("@")
    domain = domain.lower()
    if not local or not _DOMAIN.match(domain):
        raise KeyUnusable("wkd-address")
    base = PurePosixPath(".well-known/openpgpkey")
    if advanced:
        base /= domain
    return base / "hu" / wkd_hash(local), base / "policy"
