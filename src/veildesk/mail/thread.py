"""Message ids, and whether a mail was sent by a person.

Automatic mail is told by structure alone: header fields of RFC 3834, RFC 3464, RFC 8098, RFC 2919, a
null return path, too many hops. The words of a mail never count, since people do write to support
about bounces. Nothing here sends or answers anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from veildesk.mail.address import single_address
from veildesk.mail.charset import decode_bytes, decode_header
from veildesk.mail.parameters import parse_parameters
from veildesk.mail.parse import Part

__all__ = ["MAX_HOPS", "first_message_id", "is_automatic", "list_address", "message_ids", "references"]

MAX_HOPS = 30
_MAX_IDS = 100
_BRACKETED = re.compile(r"<([^<>\s]{1,250})>")
_LIST_FIELDS = frozenset(
    {"list-id", "list-post", "list-unsubscribe", "list-subscribe", "list-help", "list-owner", "list-archive"}
)
_MACHINE_FIELDS = frozenset(
    {"x-autoreply", "x-auto-reply", "x-autorespond", "x-failed-recipients", "secure-join"}
)
_MAILTO = re.compile(r"<mailto:([^\s<>?]{3,254})[?>]", re.IGNORECASE)
_BULK = frozenset({"bulk", "junk", "list", "auto_reply", "auto-reply"})


def message_ids(values: Iterable[bytes]) -> tuple[str, ...]:
    """All message ids without angle brackets, in order, each once, at most the last hundred.

    A field that is one bare word with an "@" counts too: some programs forget the brackets.
    """
    found: list[str] = []
    for value in values:
        # Some mail libraries write a long id as encoded words, against RFC 2047 § 5.
        text = decode_header(value) if b"=?" in value else decode_bytes(value)
        ids = _BRACKETED.findall(text)
        bare = text.strip()
        if not ids and "@" in bare and len(bare) <= 250 and not re.search(r"[\s<>]", bare):
            ids = [bare]
        found.extend(item for item in ids if item.isprintable())
    return tuple(dict.fromkeys(found))[-_MAX_IDS:]


def first_message_id(values: Iterable[bytes]) -> str | None:
    """The id of a Message-ID field."""
    return next(iter(message_ids(values)), None)


def references(root: Part) -> tuple[str, ...]:
    """Ids this mail answers, oldest first: References, then In-Reply-To (RFC 5322 § 3.6.4)."""
    return message_ids((*root.values("References"), *root.values("In-Reply-To")))


def list_address(outer: Part) -> str | None:
    """The address of the mailing list that this mail says it came through (RFC 2369), lower-case."""
    for value in outer.values("List-Post"):
        found = _MAILTO.search(decode_bytes(value))
        if found is not None:
            return found.group(1).lower()
    return None


def is_automatic(outer: Part, *, return_path: str | None = None, through_list: bool = False) -> bool:
    """Whether no person sent this mail, judged by the outer header and structure.

    `return_path` is the envelope sender where it is known; "" and "<>" are the null path. With
    `through_list`, what only says that a mail came through a list does not count.
    """
    path = decode_bytes(outer.value("Return-Path") or b"?") if return_path is None else return_path
    if path.strip() in ("", "<>"):
        return True
    if outer.media_type == "multipart/report" or outer.media_type == "message/disposition-notification":
        return True
    keys = {item.key for item in outer.headers}
    if keys & _MACHINE_FIELDS or (keys & _LIST_FIELDS and not through_list):
        return True
    # Other values only ask for no automatic answer, which people's mail may do as well.
    if any(_first_word(value) == "all" for value in outer.values("X-Auto-Response-Suppress")):
        return True
    if any(_first_word(value) not in ("no", "") for value in outer.values("Auto-Submitted")):
        return True
    for name in ("Precedence", "X-Precedence"):
        if not through_list and any(_first_word(value) in _BULK for value in outer.values(name)):
            return True
    if len(outer.values("Received")) >= MAX_HOPS:
        return True
    sender = single_address(outer.values("From"))
    return sender is not None and sender.lower().startswith("mailer-daemon@")


def _first_word(value: bytes) -> str:
    main = parse_parameters(value)[0]
    return main.split("(")[0].strip()
