"""Who we are: the list of official addresses, security.txt, and short references to both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from veildesk.core.errors import InputInvalid
from veildesk.core.notice import Handle

__all__ = ["RISKS", "SECURITY_TXT", "footer", "official_handle", "security_txt", "security_txt_expires"]

SECURITY_TXT = "security.txt"
RISKS = {
    "matrix": "Matrix servers see who talks to whom and when, even if it is encrypted.",
    "telegram": "Telegram sees who you are by phone number and can read what is not a secret chat.",
    "signal": "Signal needs a phone number to register; its servers see little else.",
    "mastodon": "Mastodon servers can read direct messages.",
    "xmpp": "XMPP servers see who talks to whom and when.",
    "x": "X can read direct messages and sees where you connect from.",
}
"""What a service learns about who writes to us there."""


def official_handle(text: str) -> Handle:
    """Read "service name" or "service name - risk". Raises `ConfigInvalid`."""
    named, _, risk = text.partition(" - ")
    service, _, name = named.strip().partition(" ")
    risk = risk.strip() or RISKS.get(service, "")
    if not re.fullmatch(r"[a-z0-9-]+", service) or not name.strip() or " " in name.strip() or not risk:
        raise InputInvalid(
            '[identity] handles: expected "matrix @name:example.org"; for a service that is not known '
            'here add " - " and one sentence about what it learns of its users'
        )
    return Handle(service, name.strip(), risk)


def security_txt(
    *,
    contacts: Sequence[str],
    canonical: Sequence[str],
    encryption: Sequence[str],
    expires: int,
    languages: Sequence[str],
) -> str:
    """A security.txt to be clear-signed (RFC 9116 § 2.5). `expires` is seconds since 1970 UTC."""
    lines = [f"Contact: {one}" for one in contacts]
    lines.append(f"Expires: {datetime.fromtimestamp(expires, UTC):%Y-%m-%dT%H:%M:%SZ}")
    lines += [f"Encryption: {one}" for one in encryption]
    lines.append(f"Preferred-Languages: {', '.join(languages)}")
    lines += [f"Canonical: {one}" for one in canonical]
    return "\n".join(lines) + "\n"


def security_txt_expires(text: str) -> int | None:
    """When a security.txt ends, None if it does not say so."""
    found = re.search(r"(?m)^Expires: (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)$", text)
    if found is None:
        return None
    return int(datetime.strptime(found[1], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())


def footer(where: str) -> str:
    """The line below every mail that leaves, so that readers know where to check an address or key."""
    return f"Our addresses and keys, signed: {where}"
