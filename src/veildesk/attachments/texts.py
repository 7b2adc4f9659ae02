"""Plain text out of text files of any charset: Unicode, LF line ends, no control characters.

Pure. What an escape sequence or a direction mark would do to an agent's screen is removed here;
what the text says is left to redaction.
"""

from __future__ import annotations

import codecs
import re

from veildesk.attachments.kind import utf16_side

__all__ = ["declared_charset", "decode", "is_plain", "plain"]

# ECMA-48 control sequences and operating system commands, as terminals and log files hold them.
_ESCAPES = re.compile(
    "\x1b\\[[0-?]{0,64}[ -/]{0,8}[@-~]|\x1b\\][^\x07\x1b\n]{0,512}(?:\x07|\x1b\\\\)|\x1b[@-Z\\\\-_]?"
)
_BREAKS = re.compile("\r\n|[\r\f\v\x85\u2028\u2029]")
# C0 without TAB and LF, DEL, C1, direction overrides and isolates, tag characters, noncharacters.
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\U000e0000-\U000e007f]"
)
_CYRILLIC_PAIR = re.compile(rb"[\xc0-\xff]{3,}")


_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([\w.:+-]{1,40})", re.I)
# Charsets that mail and logs really use; Python's registry also holds escapes and transforms.
_KNOWN = re.compile(
    r"(?:iso-8859-|windows-|cp|koi8-|gb|big5|euc-|iso-2022-|shift_jis|tis-620|mac)[\w-]*", re.I
)


def declared_charset(media_type: str) -> str:
    """The charset parameter of a declared media type if it is a known one, else nothing."""
    found = _CHARSET.search(media_type)
    return found[1] if found and _KNOWN.fullmatch(found[1]) else ""


def decode(content: bytes, charset: str = "") -> str:
    """Decode by byte order mark, then UTF-8, then the declared charset, then a guess that never fails."""
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if content.startswith(mark):
            return content[len(mark) :].decode(name, "replace")
    side = utf16_side(content)
    if side is not None:
        return content.decode(side, "replace")
    for name in ("utf-8", charset):
        text = _strict(content, name)
        if text is not None:
            return text
    return _guess(content)


def _strict(content: bytes, charset: str) -> str | None:
    if not charset:
        return None
    try:
        return content.decode(charset)
    except (LookupError, ValueError):
        return None


def _guess(content: bytes) -> str:
    """UTF-8 with stray bytes if most high bytes form it, else windows-1251 for runs of letters, else 1252."""
    text = content.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    whole = sum(1 for char in text if char > "\x7f") - broken
    if whole >= broken:
        return text
    high = len(content) - len(content.translate(None, bytes(range(0xC0, 0x100))))
    runs = sum(len(run) for run in _CYRILLIC_PAIR.findall(content))
    return content.decode("cp1251" if runs * 2 > high else "cp1252", "replace")


def plain(text: str) -> tuple[str, bool]:
    """Return text with LF line ends and without control characters, and whether any were removed."""
    text = _BREAKS.sub("\n", text)
    cleaned = _FORBIDDEN.sub("", _ESCAPES.sub("", text))
    return cleaned, cleaned != text


def is_plain(text: str) -> bool:
    """Whether `plain` would leave the text as it is."""
    return _FORBIDDEN.search(text) is None
