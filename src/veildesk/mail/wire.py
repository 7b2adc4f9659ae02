"""Header fields and bodies as bytes for outgoing mail: refuses instead of mending.

A value with CR, LF, NUL or any other control character is refused here, at the last place before the
wire, whatever was checked earlier (RFC 5322 § 2.2). Everything written is seven-bit with CRLF.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from urllib.parse import quote

from veildesk.core.errors import SendRefused
from veildesk.mail.address import valid_address

__all__ = [
    "address_field",
    "body_base64",
    "body_text",
    "coarse_date",
    "disposition_field",
    "field_line",
    "id_field",
    "is_message_id",
    "text_field",
]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ATOM_TEXT = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_MESSAGE_ID = re.compile(r"[!-;=?-~]+@[!-;=?-~]+")
_PLAIN_LINE = re.compile(r"(?!From )[\t -~]{0,76}(?<![\t ])")
_HALF_HOUR = 1800
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def checked(value: str) -> str:
    """The value, if it can stand in a header or an envelope. Raises `SendRefused`."""
    if _CONTROL.search(value):
        raise SendRefused("header-value")
    return value


def field_line(name: str, value: str) -> bytes:
    """One field, ASCII, folded at blanks to lines of at most 78 characters where there are blanks."""
    checked(value)
    if not value.isascii():
        raise SendRefused("header-value")
    lines: list[str] = []
    line = f"{name}:"
    for word in value.split(" "):
        if len(line) + 1 + len(word) > 78 and line.strip() and line != f"{name}:":
            lines.append(line)
            line = ""
        line += f" {word}"
    lines.append(line)
    if any(len(one) > 998 for one in lines):
        raise SendRefused("header-length")
    return "\r\n".join(one if one.strip() else " " for one in lines).encode("ascii") + b"\r\n"


def text_field(value: str) -> str:
    """Unstructured text, as encoded words where it is not plain ASCII (RFC 2047)."""
    value = " ".join(checked(value).split())
    if value.isascii() and "=?" not in value and all(len(word) <= 900 for word in value.split()):
        return value
    words: list[str] = []
    chunk = b""
    for char in value:
        encoded = char.encode("utf-8")
        if len(chunk) + len(encoded) > 42:
            words.append(_encoded_word(chunk))
            chunk = b""
        chunk += encoded
    words.append(_encoded_word(chunk))
    return " ".join(words)


def _encoded_word(chunk: bytes) -> str:
    return f"=?utf-8?B?{base64.b64encode(chunk).decode('ascii')}?="


def address_field(address: str, name: str = "") -> str:
    """A mailbox with an optional display name. Raises `SendRefused` for what is not one address."""
    if not valid_address(checked(address)) or not address.isascii():
        raise SendRefused("address")
    checked(name)
    if not name:
        return address
    if not name.isascii() or "=?" in name:
        return f"{text_field(name)} <{address}>"
    if _ATOM_TEXT.fullmatch(name):
        return f"{name} <{address}>"
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" <{address}>'


def is_message_id(value: str) -> bool:
    """Whether this can be written as a message id (RFC 5322 § 3.6.4); people's programs make others, too."""
    return len(value) <= 250 and _MESSAGE_ID.fullmatch(value) is not None


def id_field(*message_ids: str) -> str:
    """Message ids in angle brackets; given without them."""
    if not all(map(is_message_id, message_ids)):
        raise SendRefused("message-id")
    return " ".join(f"<{message_id}>" for message_id in message_ids)


def coarse_date(moment: int) -> str:
    """The half hour UTC that a moment (seconds since 1970) lies in.

    As coarse as it can be: Thunderbird takes a signature for invalid that was made more than an hour before
    or after the date of its mail.
    """
    when = datetime.fromtimestamp(moment // _HALF_HOUR * _HALF_HOUR, UTC)
    name, month = _DAYS[when.weekday()], _MONTHS[when.month - 1]
    return f"{name}, {when.day:02d} {month} {when.year:04d} {when:%H:%M}:00 +0000"


def disposition_field(name: str) -> str:
    """Content-Disposition for an attachment, the name by RFC 2231 when it is not plain ASCII."""
    checked(name)
    if re.fullmatch(r"[A-Za-z0-9._ ()+-]{1,100}", name):
        return f'attachment; filename="{name}"'
    return f"attachment; filename*=utf-8''{quote(name, safe='')}"


def body_text(text: str) -> tuple[str, bytes]:
    """Transfer encoding and bytes of a text with LF line ends.

    Plain ASCII in short lines goes as it is; else quoted-printable, with blanks at line ends, "From "
    and leading dots and hyphens encoded, so that no server has a reason to change a byte.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n") + "\n"
    lines = text.split("\n")
    if all(_PLAIN_LINE.fullmatch(line) and line[:1] not in (".", "-") for line in lines):
        return "7bit", "\r\n".join(lines).encode("ascii")
    return "quoted-printable", b"\r\n".join(_quoted(line) for line in lines)


def _quoted(line: str) -> bytes:
    """One line in quoted-printable (RFC 2045 § 6.7), soft breaks before column 76."""
    data = line.encode("utf-8", "replace")
    out: list[str] = []
    column = 0
    for index, byte in enumerate(data):
        last = index == len(data) - 1
        plain = (33 <= byte <= 126 and byte != 0x3D) or (byte in (9, 32) and not last)
        if plain and column == 0 and byte in b".-F":
            plain = False
        token = chr(byte) if plain else f"={byte:02X}"
        if column + len(token) > 75:
            out.append("=\r\n")
            column = 0
            if token in (".", "-", "F"):
                token = f"={byte:02X}"
        out.append(token)
        column += len(token)
    return "".join(out).encode("ascii")


def body_base64(content: bytes) -> bytes:
    """Base64 in lines of 76 characters."""
    encoded = base64.b64encode(content)
    return b"".join(encoded[n : n + 76] + b"\r\n" for n in range(0, len(encoded), 76))
