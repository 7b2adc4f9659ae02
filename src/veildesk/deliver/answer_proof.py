"""Who may speak for the team by mail: a From that is named, and proof that it is no forgery.

Proof is what the configuration asks for, all of it: the verdict of the team's own mail server, written into
Authentication-Results (RFC 8601) under a name that it strips from mails that come in with it; the envelope
sender, where that server lets nobody use a foreign one; an agent's own OpenPGP signature.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from veildesk.core.limits import Limits
from veildesk.core.message import Scope, Verdict
from veildesk.core.ports import Engine
from veildesk.mail.address import single_address
from veildesk.mail.parse import Part, parse_mail
from veildesk.openpgp.opening import open_mail

__all__ = ["PROOFS", "AnswerProof", "speaks_for_team"]

PROOFS: Final = ("results", "envelope", "signature")
_COMMENT: Final = re.compile(rb"\([^()]*\)")
_RESULT: Final = re.compile(rb"^\s*(dkim|dmarc)\s*=\s*pass\b(.*)$", re.IGNORECASE | re.DOTALL)
_DOMAIN: Final = re.compile(rb"header\.(?:d|from)\s*=\s*@?([A-Za-z0-9.-]+)")
_TRACE: Final = re.compile(
    rb"(?:(?:received|return-path|delivered-to|x-original-to|authentication-results|arc-[a-z-]+):"
    rb"[^\n]*\n(?:[ \t][^\n]*\n)*)+",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class AnswerProof:
    """`agents` are addresses or domains in lower case, `kinds` of `PROOFS`, `certificates` the agents'."""

    agents: frozenset[str]
    authserv: str = ""
    kinds: frozenset[str] = frozenset()
    certificates: tuple[bytes, ...] = field(default=(), repr=False)

    async def proven(self, raw: bytes, sender: str | None, engine: Engine | None) -> tuple[bytes, str] | None:
        """The mail to read and the id of the answer, None unless all proofs hold.

        `sender` is the envelope's, None to take it from the topmost Return-Path. With a signature only what
        it covers is read. Raises what parsing and opening raise.
        """
        mail = parse_mail(raw)
        authserv = self.authserv if "results" in self.kinds else ""
        if not speaks_for_team(mail, self.agents, authserv):
            return None
        if "envelope" in self.kinds and not self._sent_by_team(mail, sender):
            return None
        if "signature" not in self.kinds:
            # Without what servers add on the way: the same mail handed over again has the same id.
            return raw, hashlib.sha256(_TRACE.sub(b"", raw, count=1)).hexdigest()
        if engine is None:
            return None
        opened = await open_mail(raw, engine, self.certificates, Limits())
        good = any(
            one.verdict is Verdict.VALID and one.scope is Scope.WHOLE and one.bound_to_from
            for one in opened.signatures
        )
        # Headers are not signed: an id that went by them would let a copy come as a second answer.
        return (opened.payload, hashlib.sha256(opened.payload).hexdigest()) if good else None

    def _sent_by_team(self, mail: Part, sender: str | None) -> bool:
        if sender is None:
            paths = mail.values("Return-Path")
            sender = single_address(paths[:1]) if paths else ""
        address = (sender or "").lower()
        _, at, domain = address.rpartition("@")
        return bool(at) and (address in self.agents or domain in self.agents)


def speaks_for_team(mail: Part, agents: Collection[str], authserv: str) -> bool:
    """Whether From is one of `agents` (addresses or domains, lower case) and proven.

    `authserv` is the name our mail server writes its results under; empty when something else is the proof.
    """
    sender = (single_address(mail.values("From")) or "").lower()
    domain = sender.rpartition("@")[2]
    if not domain or not (sender in agents or domain in agents):
        return False
    return not authserv or _by_results(mail, domain, authserv)


def _by_results(mail: Part, domain: str, authserv: str) -> bool:
    results: Sequence[bytes] = mail.values("Authentication-Results")
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
