"""The last step against floods, off by default: one of the visitor's own ticket words is asked for.

It is text that every screen reader reads, asks for copying and not for thinking (WCAG 2.2, 3.3.8), and
shows that the words were noted. The question is put in changing ways, so that a program has to read it. It
belongs to one draft and to one try: a wrong answer brings another question. A picture would add nothing,
since whoever cannot see it needs this one too.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from veildesk.core.receipt import is_word
from veildesk.portal.draft import Draft
from veildesk.portal.sessions import Session

__all__ = ["Question", "answered", "asked"]

_KINDS: Final = ("number", "after", "before", "between")


@dataclass(frozen=True, slots=True)
class Question:
    """`answer` is the word asked for; `kind` says how, with `number` (from 1) or the words beside it."""

    kind: str
    answer: str
    number: int
    before: str = ""
    after: str = ""


def asked(session: Session, draft: Draft) -> Question:
    """The question of this draft and this try; it stays the same until it is answered wrong."""
    words = draft.words.split()
    seed = hashlib.sha256(f"challenge {draft.entry} {_tries(session, draft)}".encode()).digest()
    kind = _KINDS[seed[0] % len(_KINDS)]
    first = 0 if kind in ("number", "before") else 1
    last = len(words) - (1 if kind in ("number", "after") else 2)
    at = first + int.from_bytes(seed[1:5], "big") % (last - first + 1)
    return Question(
        kind,
        words[at],
        at + 1,
        before=words[at - 1] if at else "",
        after=words[at + 1] if at + 1 < len(words) else "",
    )


def answered(session: Session, draft: Draft, typed: str) -> bool:
    """Whether the answer is right; noted in the session either way."""
    if is_word(typed, asked(session, draft).answer):
        session.data["answered"] = draft.entry
        return True
    session.data["asked"] = {"entry": draft.entry, "tries": _tries(session, draft) + 1}
    return False


def _tries(session: Session, draft: Draft) -> int:
    kept: dict[str, Any] = session.data.get("asked", {})
    return int(kept["tries"]) if kept.get("entry") == draft.entry else 0
