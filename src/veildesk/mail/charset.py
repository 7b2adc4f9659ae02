"""Bytes to clean Unicode: character sets, encoded words (RFC 2047), control characters.

Nothing here raises on any input, and everything is linear in its size. Only character sets on a list
are used: Python knows codecs that are slow or unsafe on hostile input ("idna", "unicode_escape").
"""

from __future__ import annotations

import binascii
import codecs
import re
import unicodedata

from veildesk.mail.charset_guess import guess

__all__ = ["clean_line", "clean_text", "decode_bytes", "decode_header", "decode_words"]

_ALIASES = {
    "ascii": "us-ascii",
    "ansi_x3.4-1968": "us-ascii",
    "unicode-1-1-utf-7": "utf-7",
    "unicode-1-1-utf-8": "utf-8",
    "utf8": "utf-8",
    "utf8mb4": "utf-8",
    "utf7": "utf-7",
    "latin1": "iso-8859-1",
    "latin-1": "iso-8859-1",
    "ks_c_5601-1987": "cp949",
    "ks_c_5601": "cp949",
    "ksc5601": "cp949",
    "euc-kr": "cp949",
    "gb2312": "gb18030",
    "gb_2312-80": "gb18030",
    "gbk": "gb18030",
    "cp936": "gb18030",
    "x-gbk": "gb18030",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "iso-2022-jp": "iso2022_jp_ext",
    "iso-2022-jp-ms": "iso2022_jp_ext",
    "cp50221": "iso2022_jp_ext",
    "x-euc-jp": "euc_jp",
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-8-e": "iso-8859-8",
    "iso-8859-6-i": "iso-8859-6",
    "unicode": "utf-16",
    "ucs-2": "utf-16",
    "x-mac-roman": "mac_roman",
    "macintosh": "mac_roman",
    "tis-620": "cp874",
    "windows-874": "cp874",
    "dos-874": "cp874",
}
_ALLOWED = frozenset(
    codecs.lookup(name).name
    for name in (
        ["us-ascii", "utf-8", "utf-7", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp949", "johab"]
        + ["gb18030", "hz", "big5", "big5hkscs", "cp950", "cp932", "euc_jp", "iso2022_jp", "iso2022_kr"]
        + ["iso2022_jp_1", "iso2022_jp_2", "iso2022_jp_3", "iso2022_jp_ext", "koi8-r", "koi8-u", "koi8-t"]
        + [f"iso-8859-{n}" for n in range(1, 17) if n != 12]
        + [f"cp{n}" for n in range(1250, 1259)]
        + ["cp437", "cp737", "cp775", "cp850", "cp852", "cp855", "cp858", "cp860", "cp861", "cp862"]
        + ["cp863", "cp864", "cp865", "cp866", "cp869", "cp874", "mac_roman", "mac_cyrillic"]
        + ["mac_greek", "mac_latin2", "mac_turkish", "mac_iceland", "tis-620", "ptcp154"]
    )
)
_BEYOND_A_WESTERN_LABEL = 9
_ON_ANYTHING = frozenset({"ascii", "iso8859-1", "cp1252", "utf-8"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,39}")
_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)\?=")
_QUOTED = re.compile(rb"=([0-9A-Fa-f]{2})")
_C1 = re.compile(rb"[\x80-\x9f]")
_CONTROLS = {n: None for n in (*range(32), 127, *range(0x80, 0xA0)) if n not in (9, 10)}
_LINE_CONTROLS = dict.fromkeys((*range(32), 127, *range(0x80, 0xA0), 0x2028, 0x2029), " ")
_BIDI = (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C)
_INVISIBLE = (0x200B, 0x2060, 0xFEFF, *range(0xE0000, 0xE0080))
_HIDDEN = dict.fromkeys((*_BIDI, *_INVISIBLE))
_OVERRIDES = re.compile("[\u202a-\u202e\u2066-\u2069]")
_SURROGATES = re.compile("[\ud800-\udfff]")


def _codec(charset: str | None) -> str | None:
    """The codec for a declared name, None when there is none that we use."""
    found = _NAME.search(charset or "")
    if found is None:
        return None
    name = found.group().lower()
    try:
        known = codecs.lookup(_ALIASES.get(name, name)).name
    except LookupError:
        return None
    return known if known in _ALLOWED else None


def decode_bytes(data: bytes, charset: str | None = None) -> str:
    """Text of `data` in the declared character set.

    Undeclared, unknown or plainly wrong ASCII is read as UTF-8 if it is that, else as the set it is clearly
    written in, else as windows-1252. So is a label that programs put on anything. Latin-1 with bytes 0x80
    to 0x9f is in truth windows-1252. What does not decode becomes U+FFFD.
    """
    name = _codec(charset)
    if name is None or name in _ON_ANYTHING:
        name = _in_truth(data, name)
    if name == "iso8859-1" and _C1.search(data):
        name = "cp1252"
    text = _decode_jis(data) if name == "iso2022_jp_ext" else data.decode(name, "replace")
    return text.removeprefix("\ufeff")


def _in_truth(data: bytes, name: str | None) -> str:
    """The codec for bytes whose label says little."""
    if name == "utf-8":
        try:
            data.decode(name)
        except UnicodeDecodeError:
            return guess(data) or name
    if data.isascii() and b"\x1b" not in data:
        return name or "ascii"
    found = guess(data) if name in (None, "ascii") else guess(data, _BEYOND_A_WESTERN_LABEL)
    return found or ("cp1252" if name in (None, "ascii") else name)


def _decode_jis(data: bytes) -> str:
    """ISO-2022-JP, also with the vendor characters of row 13 that only Shift JIS (cp932) knows."""
    try:
        return data.decode("iso2022_jp_ext")
    except UnicodeDecodeError:
        pass
    out: list[str] = []
    for chunk in re.split(rb"(?=\x1b)", data):
        if chunk.startswith((b"\x1b$B", b"\x1b$@")):
            out.append(_jis_to_sjis(chunk[3:]).decode("cp932", "replace"))
        else:
            out.append(chunk.decode("iso2022_jp_ext", "replace"))
    return "".join(out)


def _jis_to_sjis(pairs: bytes) -> bytes:
    """Two-byte JIS X 0208 codes in the arrangement of Shift JIS; anything else is left out."""
    out = bytearray()
    for high, low in zip(pairs[::2], pairs[1::2], strict=False):
        if not (0x21 <= high <= 0x7E and 0x21 <= low <= 0x7E):
            continue
        lead = (high - 0x21) // 2 + (0x81 if high < 0x5F else 0xC1)
        trail = low + (0x1F + (low > 0x5F) if high % 2 else 0x7E)
        out += bytes((lead, trail))
    return bytes(out)


def _word_bytes(encoding: str, text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    if encoding in "qQ":
        return _QUOTED.sub(lambda m: bytes((int(m.group(1), 16),)), raw.replace(b"_", b" "))
    kept = re.sub(rb"[^A-Za-z0-9+/]", b"", raw)
    if len(kept) % 4 == 1:
        kept = kept[:-1]
    return binascii.a2b_base64(kept + b"=" * (-len(kept) % 4))


def decode_words(text: str) -> str:
    """Encoded words of RFC 2047 decoded wherever they stand, blanks between two of them dropped.

    Neighbouring words of one character set are joined before decoding, since many programs cut
    multi-byte characters in two.
    """
    if "=?" not in text:
        return text
    out: list[str] = []
    pending: list[bytes] = []
    charset = ""
    last = 0
    for match in _WORD.finditer(text):
        between = text[last : match.start()]
        name = match.group(1).split("*")[0].lower()
        if pending and (between.strip(" \t\r\n") or name != charset):
            out.append(decode_bytes(b"".join(pending), charset))
            pending = []
            if between.strip(" \t\r\n"):
                out.append(between)
        elif not pending:
            out.append(between)
        charset = name
        pending.append(_word_bytes(match.group(2), match.group(3)))
        last = match.end()
    if pending:
        out.append(decode_bytes(b"".join(pending), charset))
    out.append(text[last:])
    return "".join(out)


def decode_header(raw: bytes) -> str:
    """One unstructured header value as one clean line."""
    return clean_line(decode_words(decode_bytes(raw)))


def clean_line(text: str) -> str:
    """One line: NFC, blanks collapsed, no control, bidi or invisible formatting character."""
    text = _SURROGATES.sub("\ufffd", text).translate(_LINE_CONTROLS).translate(_HIDDEN)
    return unicodedata.normalize("NFC", " ".join(text.split()))


def clean_text(text: str) -> str:
    """Many lines: NFC, LF line ends, no controls but tab, no lone surrogates, no direction overrides."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    text = _SURROGATES.sub("\ufffd", text).translate(_CONTROLS)
    text = _OVERRIDES.sub("", text)
    return unicodedata.normalize("NFC", text)
