"""Who may speak for the team by mail: a From that is named, and proof that it is no forgery. Pure.

The proof is the verdict of the team's own mail server, written into Authentication-Results (RFC 8601) under
a name that it strips from mails that come in with it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from veildesk.mail.address import single_address
from veildesk.mail.parse import Part

__all__ = ["speaks_for_team"]

_COMMENT: Final = re.compile(rb"\([^()]*\)")
_RESULT: Final = re.compile(rb"^\s*(dkim|dmarc)\s*=\s*pass\b(.*)$", re.IGNORECASE | re.DOTALL)
_DOMAIN: Final = re.compile(rb"header\.(?:d|from)\s*=\s*@?([A-Za-z0-9.-]+)")


def speaks_for_team(mail: Part, agents: Collection[str], authserv: str) -> bool:
    """Whether From is one of `agents` (addresses or domains, lower case) and proven.

    `authserv` is the name our mail server writes its results under; empty when nobody outside the team can
    put mails into the mailbox, which then is the proof.
    """
    sender = (single_address(mail.values("From")) or "").lower()
    domain = sender.rpartition("@")[2]
    if not domain or not (sender in agents or domain in agents):
        return False
    return not authserv or _proven(mail, domain, authserv)


def _proven(mail: Part, domain: str, authserv: str) -> bool:
    results = mail.values("Authentication-Results")
    # The topmost is the one our server wrote last; anything below may be the sender's.
    if not results:
        return False
    name, _, rest = _COMMENT.sub(b" ", results[0]).partition(b";")
    words = name.split()
    if not words or words[0].decode("ascii", "replace").lower() != authserv.lower():
        return False
    for piece in rest.split(b";"):
        found = _RESULT.match(piece)
        if found is None:
            continue
        domains = [one.decode("ascii").lower() for one in _DOMAIN.findall(found.group(2))]
        if domain in domains:
            return True
    return False
