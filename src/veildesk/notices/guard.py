"""Nothing personal in a public notice: redaction looks through every text before it is signed.

What it finds stops the notice. The team's own official addresses may stand there; anything else a person
lets through by naming the exact value, except secrets, which nobody can.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields

from veildesk.core.notice import Identity, Words
from veildesk.redact.engine import find

__all__ = ["Concern", "concerns", "official_values"]

_HOST = re.compile(r"(?:[a-z][a-z0-9+.-]*://)?(?:[^\s/@]*@)?([a-z0-9.-]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Concern:
    """A finding. `where` is language and text, `kind` its type ("EMAIL"); the value itself is not kept."""

    where: str
    line: int
    kind: str
    secret: bool

    def __str__(self) -> str:
        return f"{self.kind} in {self.where}, line {self.line}"


def official_values(identity: Identity | None) -> frozenset[str]:
    """Addresses that may stand in a notice, in lower case."""
    if identity is None:
        return frozenset()
    handles = [handle.name for handle in identity.handles]
    keys = [*identity.signers, identity.support_key, identity.heartbeat_key or ""]
    every = [*identity.onions, *identity.domains, *identity.mails, *handles, *keys]
    return frozenset(value.lower() for value in every if value)


def concerns(
    words: Mapping[str, Words], official: Collection[str], allowed: Collection[str] = ()
) -> list[Concern]:
    """What stops these texts. `allowed` are exact values a person lets through; secrets never pass."""
    found = []
    let_through = {value.lower() for value in allowed}
    for language, texts in words.items():
        for name in (one.name for one in fields(Words)):
            text = getattr(texts, name)
            for item in find(text):
                value = text[item.start : item.end].strip().lower()
                if not item.secret and (value in let_through or _official(value, official)):
                    continue
                line = text.count("\n", 0, item.start) + 1
                found.append(Concern(f"[{language}] {name}", line, item.type, item.secret))
    return found


def _official(value: str, official: Collection[str]) -> bool:
    """Whether a finding is one of our addresses, alone or as the host of a web address."""
    if value.strip(".,;:<>()") in official:
        return True
    host = _HOST.match(value)
    return "@" not in value and host is not None and host[1] in official
