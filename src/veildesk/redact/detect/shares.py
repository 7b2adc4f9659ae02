# ruff: noqa: E501 -- patterns are read best unbroken

"""Links by which whoever has them reads a file, a note or a call: the secret is a fragment or a part of the path."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from veildesk.core.finding import Finding
from veildesk.redact.detect.prefixes import drawn
from veildesk.redact.rule import Rule, finding, pattern_search

__all__ = ["RULES"]

_FRAGMENT = re.compile(
    r"(?<![A-Za-z0-9])(?:https?|tg|matrix)://(?P<rest>[^\s#\"'<>\ue000]{4,400})#(?P<value>[^\s\"'<>\ue000]{12,1000})",
    re.IGNORECASE,
)
_ANCHOR = re.compile(
    r":~:text=|L[0-9]+(?:-L?[0-9]+)?\Z|(?:issue|discussion|pullrequest)?(?:comment|review|diff)?[-_]?[0-9]+\Z"
)


def _fragment(match: re.Match[str], text: str) -> Iterator[Finding]:
    """A drawn fragment, which browsers keep from the server: the key of what the link leads to."""
    value = match["value"].rstrip(".,;:)]}")
    if _ANCHOR.match(value):
        return
    run = max(re.split(r"[^A-Za-z0-9_+-]", value), key=len)
    loose = max(re.split(r"[^A-Za-z0-9]", value), key=len)
    if (len(run) >= 16 and drawn(run) and len(loose) >= 6) or (
        len(value) >= 40 and drawn(re.sub(r"[^A-Za-z0-9]", "", value))
    ):
        yield finding(
            match.start("value"), match.start("value") + len(value), "URL_TOKEN", "share-fragment", 0.8
        )


_PATH = re.compile(
    r"(?:(?<=/s/)|(?<=/d/)|(?<=/f/)|(?<=/fi/)|(?<=/sh/)|(?<=/scl/fi/)|(?<=/share/)|(?<=/shared/)|(?<=/download/)|(?<=/dl/)|(?<=/file/)|(?<=/folder/)|(?<=/folders/)|(?<=/secret/)|(?<=/private/)|(?<=/drop/)|(?<=/get/)|(?<=/send/)|(?<=/transfer/)"
    r"|(?<=/downloads/)|(?<=/link/)|(?<=/u/)|(?<=/view/)|(?<=/doc/)|(?<=/paste/)|(?<=/p/)|(?<=t\.me/\+)|(?<=t\.me/joinchat/)|(?<=chat\.whatsapp\.com/)|(?<=signal\.group/\#)|(?<=join/)|(?<=invite/)|(?<=joinchat/))"
    r"(?P<value>[A-Za-z0-9_+/-]{10,120}={0,2})(?![A-Za-z0-9_=])"
)
_SURE = re.compile(r"(?:t\.me/\+|joinchat/|chat\.whatsapp\.com/|signal\.group/#)\Z", re.IGNORECASE)
_LINKED = re.compile(r"(?:https?://|www\.|[a-z0-9-]{2,63}\.[a-z]{2,12}/)[^\s\"'<>]{0,300}\Z", re.IGNORECASE)


def _path(match: re.Match[str], text: str) -> Iterator[Finding]:
    """A drawn part of a path behind a folder for what is shared."""
    start = match.start("value")
    head = text[max(0, start - 200) : start]
    value = match["value"].rstrip("-")
    if _SURE.search(head):
        yield finding(start, start + len(value), "URL_TOKEN", "invite-path", 0.9)
        return
    value = value.partition("/")[0]
    if len(value) < 12 or not _LINKED.search(head) or re.match(r"[0-9-]+\Z|[a-z]+(?:-[a-z0-9]+)+\Z", value):
        return
    plain = re.sub(r"[^A-Za-z0-9]", "", value)
    kinds = {0 if char.isdigit() else 1 if char.islower() else 2 for char in plain}
    turns = sum(
        a.isupper() != b.isupper() or a.isdigit() != b.isdigit() for a, b in itertools.pairwise(plain)
    )
    if len(kinds) == 3 and turns * 3 >= len(plain) and not re.search(r"[A-Z]?[a-z]{6}", plain):
        yield finding(start, start + len(value), "URL_TOKEN", "share-path", 0.7)


_BIN = re.compile(r"/\?(?P<id>[0-9a-f]{16})#(?P<value>[1-9A-HJ-NP-Za-km-z]{40,48})(?![0-9A-Za-z])")


def _bin(match: re.Match[str], text: str) -> Iterator[Finding]:
    yield finding(match.start("id"), match.end("value"), "URL_TOKEN", "share-fragment", 0.95)


_ROOM = re.compile(
    r"(?:(?<=zoom\.us/j/)|(?<=zoom\.us/wc/join/)|(?<=zoom\.us/my/)|(?<=meet\.google\.com/)|(?<=teams\.live\.com/meet/)|(?<=whereby\.com/)|(?<=meet\.jit\.si/)|(?<=webex\.com/meet/))(?P<value>[A-Za-z0-9._-]{6,80})",
    re.IGNORECASE,
)


def _room(match: re.Match[str], text: str) -> Iterator[Finding]:
    """The room of a call."""
    yield finding(
        match.start("value"), match.start("value") + len(match["value"].rstrip(".")), "URL_TOKEN", "room", 0.7
    )


RULES = (
    Rule("share-fragment", (rb"#[a-z0-9/_+=-]{12}",), pattern_search(_FRAGMENT, _fragment), back=560, ahead=1000),
    Rule("share-fragment", (rb"/\?[0-9a-f]{16}#",), pattern_search(_BIN, _bin), back=24, ahead=60),
    Rule("share-path", (rb"/(?:s|d|f|fi|sh|share|shared|download|dl|file|folder|folders|secret|private|drop|get|send|transfer|downloads|link|u|view|doc|paste|p|join|invite|joinchat)/[a-z0-9_+-]{10}", rb"t\.me/\+", rb"whatsapp\.com/", rb"signal\.group/"),
         pattern_search(_PATH, _path), back=60, ahead=130),
    Rule("room", (rb"zoom\.us/", rb"meet\.google\.com/", rb"teams\.live\.com/", rb"whereby\.com/", rb"jit\.si/", rb"webex\.com/"), pattern_search(_ROOM, _room), back=24, ahead=90),
)  # fmt: skip
