"""What agents read of an entry: a block of facts about the message, a rule, then its text. Pure.

Plain text only, which every helpdesk shows well. A line that some helpdesks would run as a command of
the account that posts it (GitLab's and Mattermost's "/close") is defused, wherever in the text it stands.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

from veildesk.core.mask_words import mask_word
from veildesk.core.ticket import TicketEntry

__all__ = ["RULE", "facts", "shown", "subject_line", "without_commands"]

RULE: Final = "-" * 40
_COMMAND = re.compile(r"^([^\S\n]*)(?=/[^\W\d_])", re.MULTILINE)
_MAX_SUBJECT = 200


def without_commands(text: str) -> str:
    r"""The text with each line that begins with "/word" written as "\/word", which no tool takes for one."""
    return _COMMAND.sub(r"\1\\", text)


def subject_line(subject: str) -> str:
    """One line of at most 200 characters, never empty and never a command."""
    line = " ".join(subject.split())[:_MAX_SUBJECT].strip()
    return without_commands(line) or "Support request"


def facts(entry: TicketEntry) -> list[str]:
    """Lines about the message: how it was protected, what it is about, what was done to it."""
    lines = [entry.protection]
    about = [("Topic", entry.topic), ("Language", entry.language)]
    if entry.priority != "normal":
        about.append(("Priority", entry.priority))
    lines.append("; ".join(f"{name}: {value}" for name, value in about if value))
    lines += entry.notices
    if entry.removed:
        hidden = ", ".join(f"{n} × {word}" for word, n in sorted(_in_words(entry.removed).items()))
        lines.append(f"Hidden: {hidden}")
    return [line for line in lines if line]


def _in_words(removed: Mapping[str, int]) -> Counter[str]:
    """Counts under the words that the masks in the text have."""
    counts: Counter[str] = Counter()
    for type_, count in removed.items():
        counts[mask_word(type_)] += count
    return counts


def shown(entry: TicketEntry) -> str:
    """The whole text for the helpdesk, LF line ends, one at the end."""
    above = facts(entry)
    head = "\n".join([*above, RULE, "", ""]) if above else ""
    return without_commands((head + entry.text).rstrip("\n")) + "\n"
