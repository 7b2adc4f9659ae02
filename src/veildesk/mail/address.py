"""Strict reading of address fields (RFC 5322 § 3.4), because who wrote decides who gets answers.

A field is read as a list of mailboxes or not at all: what different programs could read differently
gives no address. Comments and display names are never searched for addresses. One pass, no regular
expression over the whole field.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from veildesk.mail.charset import clean_line, decode_bytes, decode_words

__all__ = ["Mailbox", "parse_mailboxes", "single_address", "valid_address"]

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_LABEL = r"[A-Za-z0-9\u00a1-\U0010ffff](?:[A-Za-z0-9_\u00a1-\U0010ffff-]*[A-Za-z0-9\u00a1-\U0010ffff])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_QUOTED_LOCAL = re.compile(r'"[^"\\\x00-\x1f\x7f]{1,64}"')
# Many programs leave commas and colons in encoded words, against RFC 2047 § 5; no address fits in here.
_ENCODED_WORD = re.compile(r'=\?[A-Za-z0-9_*-]{1,40}\?[bBqQ]\?[^?\s<>@"()]*\?=')
_BARE_NAME = re.compile(r'[^<>@"\x00-\x1f]{1,200}<([^<>@\s]{1,64}@[^<>@\s]{1,253})>')
_MAX_COMMENT_DEPTH = 10


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One mailbox: decoded display name as one clean line, and addr-spec with lower-case domain."""

    name: str
    address: str


def valid_address(address: str) -> bool:
    """Whether this is one addr-spec without comments, at most 254 characters, fit for an envelope."""
    local, at, domain = address.rpartition("@")
    if not at or len(address) > 254 or len(local) > 64 or len(domain) > 253:
        return False
    if not (_LOCAL.fullmatch(local) or _QUOTED_LOCAL.fullmatch(local)):
        return False
    return _DOMAIN.fullmatch(domain) is not None


def parse_mailboxes(value: bytes) -> tuple[Mailbox, ...] | None:
    """All mailboxes of one field value; None when it is not plainly a list of mailboxes or groups."""
    tokens = _tokens(decode_bytes(value))
    if tokens is None:
        return None
    found: list[Mailbox] = []
    current: list[tuple[str, str]] = []
    in_group = False
    for kind, text in [*tokens, (",", ",")]:
        if kind == ":" and not in_group:
            current, in_group = [], True
        elif kind == "," or (kind == ";" and in_group):
            in_group = in_group and kind == ","
            if current:
                mailbox = _mailbox(current)
                if mailbox is None:
                    return None
                found.append(mailbox)
            current = []
        elif kind in ":;":
            return None
        else:
            current.append((kind, text))
    return None if in_group else tuple(found)


def single_address(values: tuple[bytes, ...]) -> str | None:
    """The address when there is exactly one field with exactly one mailbox, else None."""
    if len(values) != 1:
        return None
    boxes = parse_mailboxes(values[0])
    if boxes is None:
        return _only_address(values[0])
    return boxes[0].address if len(boxes) == 1 else None


def _only_address(value: bytes) -> str | None:
    """The address of `Last, First <address>`, as some programs write it without quotes.

    With one "@" in the whole field, and that in its one pair of angle brackets at the end, there is nothing
    that programs could read as another address.
    """
    match = _BARE_NAME.fullmatch(decode_bytes(value).strip())
    mailbox = _checked("", match.group(1)) if match is not None else None
    return mailbox.address if mailbox is not None else None


def _tokens(text: str) -> list[tuple[str, str]] | None:
    """Words, quoted strings, angle addresses and separators; None for unbalanced input."""
    tokens: list[tuple[str, str]] = []
    pos = 0
    while pos < len(text):
        char = text[pos]
        if char == '"':
            word, pos = _quoted(text, pos)
            if word is None:
                return None
            tokens.append(("quoted", word))
        elif char == "(":
            pos = _skip_comment(text, pos)
            if pos < 0:
                return None
        elif char == "<":
            end = text.find(">", pos)
            if end < 0:
                return None
            tokens.append(("angle", text[pos + 1 : end]))
            pos = end + 1
        elif char in ",:;":
            tokens.append((char, char))
            pos += 1
        elif char in ">)":
            return None
        elif char in " \t":
            pos += 1
            tokens.append(("blank", " "))
        elif (encoded := _ENCODED_WORD.match(text, pos)) is not None:
            tokens.append(("word", encoded.group()))
            pos = encoded.end()
        else:
            end = pos
            while end < len(text) and text[end] not in ' \t"(<>),:;':
                end += 1
            tokens.append(("word", text[pos:end]))
            pos = end
    return tokens


def _quoted(text: str, pos: int) -> tuple[str | None, int]:
    out: list[str] = []
    pos += 1
    while pos < len(text):
        if text[pos] == '"':
            return "".join(out), pos + 1
        if text[pos] == "\\" and pos + 1 < len(text):
            pos += 1
        out.append(text[pos])
        pos += 1
    return None, pos


def _skip_comment(text: str, pos: int) -> int:
    depth = 0
    while pos < len(text):
        char = text[pos]
        pos += 2 if char == "\\" else 1
        if char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth == 0:
                return pos
        if depth > _MAX_COMMENT_DEPTH:
            return -1
    return -1


def _mailbox(tokens: list[tuple[str, str]]) -> Mailbox | None:
    """`name <address>` or a bare address; anything after the address makes it unclear."""
    while tokens and tokens[-1][0] == "blank":
        tokens.pop()
    while tokens and tokens[0][0] == "blank":
        tokens.pop(0)
    if not tokens:
        return None
    angles = [text for kind, text in tokens if kind == "angle"]
    if not angles:
        raw = "".join(f'"{text}"' if kind == "quoted" else text for kind, text in tokens)
        return _checked("", raw)
    if len(angles) > 1 or tokens[-1][0] != "angle":
        return None
    phrase = "".join(text for kind, text in tokens if kind != "angle")
    return _checked(clean_line(decode_words(phrase)), angles[0].strip(" \t"))


def _checked(name: str, address: str) -> Mailbox | None:
    if not valid_address(address):
        return None
    local, _, domain = address.rpartition("@")
    return Mailbox(name, f"{local}@{domain.lower().rstrip('.')}")
