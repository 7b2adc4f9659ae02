"""Web Key Directory: where a key lies below a web server's root (draft-koch-openpgp-webkey-service). Pure."""

from __future__ import annotations

from pathlib import PurePosixPath

from veildesk.core.errors import KeyUnusable
from veildesk.openpgp.wkd_address import wkd_places

__all__ = ["wkd_paths"]


def wkd_paths(address: str, *, advanced: bool) -> tuple[PurePosixPath, PurePosixPath]:
    """Places of the key and of the policy file, relative to the web root.

    `advanced` is for a host of its own, `openpgpkey.` before the domain. Raises `KeyUnusable` for an address
    that has no such place.
    """
    places = wkd_places(address)
    if places is None:
        raise KeyUnusable("wkd-address")
    key = PurePosixPath(places[0 if advanced else 1].target.partition("?")[0].removeprefix("/"))
    if ".." in key.parts:
        raise KeyUnusable("wkd-address")
    return key, key.parent.parent / "policy"
