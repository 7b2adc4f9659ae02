"""Structured header values with parameters (RFC 2045 § 5.1, RFC 2231, RFC 2183).

Also reads what real programs write instead: encoded words inside quotes, missing character sets,
parameters given twice, unclosed quotes. One pass over the value, at most 200 parameters.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from veildesk.mail.charset import decode_bytes, decode_words

__all__ = ["parse_parameters"]

_MAX = 200
# A comma between parameters is wrong and in use; it counts only right behind a quoted value.
_COMMA = re.compile(r"[ \t\r\n]{0,20},")
_SEGMENT = re.compile(r"([^*]+)(?:\*(\d{1,3}))?(\*)?")


def parse_parameters(raw: bytes) -> tuple[str, dict[str, str]]:
    """The lower-case main value and its decoded parameters, names in lower case.

    An extended parameter (`name*=`) wins over a plain one of the same name; of two plain ones the
    first counts.
    """
    text = decode_bytes(raw)
    main, plain = _split(text)
    values: dict[str, str] = {}
    extended: dict[str, list[tuple[int, bool, str]]] = {}
    for name, value in plain:
        match = _SEGMENT.fullmatch(name)
        if match is None or (match.group(2) is None and match.group(3) is None):
            values.setdefault(name, decode_words(value))
            continue
        number = int(match.group(2) or 0)
        extended.setdefault(match.group(1), []).append((number, match.group(3) is not None, value))
    for name, segments in extended.items():
        values[name] = _join(segments)
    return main.lower(), values


def _split(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Cut at semicolons outside quotes."""
    end = text.find(";")
    main = (text if end < 0 else text[:end]).strip()
    found: list[tuple[str, str]] = []
    pos = end
    while 0 <= pos < len(text) and len(found) < _MAX:
        pos += 1
        semicolon = text.find(";", pos)
        semicolon = len(text) if semicolon < 0 else semicolon
        equals = text.find("=", pos, semicolon)
        if equals < 0:
            pos = semicolon
            continue
        name = text[pos:equals].strip().lower()
        value, pos = _value(text, equals + 1)
        if name:
            found.append((name, value))
    return main, found


def _value(text: str, pos: int) -> tuple[str, int]:
    """One value and the position of the separator after it (or the length of the text)."""
    while pos < len(text) and text[pos] in " \t\r\n":
        pos += 1
    if not text.startswith('"', pos):
        end = text.find(";", pos)
        end = len(text) if end < 0 else end
        return text[pos:end].strip(), end
    out = []
    pos += 1
    while pos < len(text) and text[pos] != '"':
        if text[pos] == "\\" and pos + 1 < len(text):
            pos += 1
        out.append(text[pos])
        pos += 1
    comma = _COMMA.match(text, pos + 1)
    end = comma.end() - 1 if comma is not None else text.find(";", pos)
    return "".join(out), len(text) if end < 0 else end


def _join(segments: list[tuple[int, bool, str]]) -> str:
    """Continuations in order of number (RFC 2231 § 3 and § 4.1)."""
    segments.sort(key=lambda item: item[0])
    if not any(encoded for _, encoded, _ in segments):
        return decode_words("".join(value for _, _, value in segments))
    charset: str | None = None
    data = b""
    for index, (_, encoded, value) in enumerate(segments):
        if encoded and index == 0 and value.count("'") >= 2:
            charset, _, value = value.split("'", 2)
        if encoded:
            data += unquote_to_bytes(value)
        else:
            data += value.encode("utf-8", "replace")
    return decode_words(decode_bytes(data, charset or None))
