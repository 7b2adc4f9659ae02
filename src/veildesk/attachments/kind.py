"""What a file is, told by its bytes alone: magic numbers and structure, never name or declared type.

Pure. A file is one kind or it is unknown; what is unknown is refused by the caller. Text is told
last, so that nothing with a known binary beginning passes as text.
"""

from __future__ import annotations

import io
import re
import zipfile
from enum import StrEnum

__all__ = ["Kind", "tell"]


class Kind(StrEnum):
    """Kinds that are told apart. Those from `SVG` on are never delivered."""

    JPEG = "jpeg"
    PNG = "png"
    GIF = "gif"
    WEBP = "webp"
    BMP = "bmp"
    TIFF = "tiff"
    PDF = "pdf"
    DOCX = "docx"
    XLSX = "xlsx"
    PPTX = "pptx"
    ODF = "odf"
    ZIP = "zip"
    GZIP = "gzip"
    TAR = "tar"
    TEXT = "text"
    HTML = "html"
    CALENDAR = "calendar"
    SVG = "svg"
    RTF = "rtf"
    OLE = "ole"
    OLE_PROTECTED = "ole-protected"
    TNEF = "tnef"
    MAIL = "mail"
    CONTACT = "contact"
    PUBLIC_KEY = "public-key"
    PRIVATE_KEY = "private-key"
    PGP_DATA = "pgp-data"
    OTHER_ARCHIVE = "other-archive"
    OTHER_IMAGE = "other-image"
    AUDIO_VIDEO = "audio-video"
    PROGRAM = "program"
    EMPTY = "empty"
    UNKNOWN = "unknown"


_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"\xff\xd8\xff", Kind.JPEG),
    (b"\x89PNG\r\n\x1a\n", Kind.PNG),
    (b"GIF87a", Kind.GIF),
    (b"GIF89a", Kind.GIF),
    (b"II*\x00", Kind.TIFF),
    (b"MM\x00*", Kind.TIFF),
    (b"%PDF-", Kind.PDF),
    (b"\x1f\x8b\x08", Kind.GZIP),
    (b"{\\rtf", Kind.RTF),
    (b"\x78\x9f\x3e\x22", Kind.TNEF),
    (b"BZh", Kind.OTHER_ARCHIVE),
    (b"\xfd7zXZ\x00", Kind.OTHER_ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", Kind.OTHER_ARCHIVE),
    (b"Rar!\x1a\x07", Kind.OTHER_ARCHIVE),
    (b"\x28\xb5\x2f\xfd", Kind.OTHER_ARCHIVE),
    (b"MSCF", Kind.OTHER_ARCHIVE),
    (b"!<arch>\n", Kind.OTHER_ARCHIVE),
    (b"\x04\x22\x4d\x18", Kind.OTHER_ARCHIVE),
    (b"8BPS", Kind.OTHER_IMAGE),
    (b"\x00\x00\x00\x0cjP  ", Kind.OTHER_IMAGE),
    (b"OggS", Kind.AUDIO_VIDEO),
    (b"fLaC", Kind.AUDIO_VIDEO),
    (b"ID3", Kind.AUDIO_VIDEO),
    (b"\xff\xfb", Kind.AUDIO_VIDEO),
    (b"\xff\xf3", Kind.AUDIO_VIDEO),
    (b"\xff\xf2", Kind.AUDIO_VIDEO),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Kind.AUDIO_VIDEO),
    (b"\x1aE\xdf\xa3", Kind.AUDIO_VIDEO),
    (b"FLV\x01", Kind.AUDIO_VIDEO),
    (b"\x7fELF", Kind.PROGRAM),
    (b"\xca\xfe\xba\xbe", Kind.PROGRAM),
    (b"\xcf\xfa\xed\xfe", Kind.PROGRAM),
    (b"\x00asm", Kind.PROGRAM),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ARMOR = re.compile(rb"^[ \t]*-----BEGIN PGP ([A-Z ]+?)(?:, PART [0-9/]+)?-----[ \t]*\r?$", re.M)
_MAIL_HEADER = re.compile(
    rb"^(received|return-path|from|to|subject|mime-version|message-id|date):", re.I | re.M
)
_HEADER_LINE = re.compile(rb"^(?:[!-9;-~]{1,80}:|[ \t])")
_HTML = re.compile(r"<(?:!doctype\s+html|html|head|body|script|iframe|meta|title|div|table|svg:svg)\b", re.I)
_SVG = re.compile(r"<(?:[\w-]+:)?svg\b", re.I)
_SKIP = re.compile(r"(?:\s|<\?.*?\?>|<!--.*?-->|<!DOCTYPE\s+svg[^>]*>)*", re.I | re.S)
_CONTROL = bytes(sorted(set(range(32)) - set(b"\t\n\r\f\v\b\x1b") | {127}))


def tell(content: bytes) -> Kind:
    """Return the kind of a file. Never raises; any bytes have a kind."""
    if not content:
        return Kind.EMPTY
    return _binary(content) or _textual(content)


def _binary(content: bytes) -> Kind | None:
    for magic, kind in _MAGIC:
        if content.startswith(magic):
            return kind
    head = content[:16]
    if head.startswith(b"RIFF"):
        return Kind.WEBP if head[8:12] == b"WEBP" else Kind.AUDIO_VIDEO
    if head.startswith(b"FORM") and head[8:12] in (b"AIFF", b"AIFC"):
        return Kind.AUDIO_VIDEO
    if head[4:8] == b"ftyp":
        return Kind.OTHER_IMAGE if head[8:12] in _STILL_BRANDS else Kind.AUDIO_VIDEO
    if content.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_kind(content)
    if content.startswith(_OLE):
        return Kind.OLE_PROTECTED if "EncryptedPackage".encode("utf-16-le") in content else Kind.OLE
    if content[257:262] == b"ustar":
        return Kind.TAR
    if head.startswith(b"BM") and len(content) > 26 and content[14:18] in _BMP_HEADERS:
        return Kind.BMP
    if head.startswith(b"MZ") and b"\x00" in head:
        return Kind.PROGRAM
    return _packets(content)


_STILL_BRANDS = frozenset((b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis"))
_BMP_HEADERS = frozenset(n.to_bytes(4, "little") for n in (12, 40, 52, 56, 64, 108, 124))
_PKESK = 1
_ODF_TYPE = b"application/vnd.oasis.opendocument."


def _zip_kind(content: bytes) -> Kind:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = set(archive.namelist())
    except Exception:  # zipfile raises many kinds; the archive reader refuses it as damaged
        return Kind.ZIP
    if content[30:38] == b"mimetype" and _ODF_TYPE in content[38:200] and "content.xml" in names:
        return Kind.ODF
    if "[Content_Types].xml" in names:
        if "word/document.xml" in names:
            return Kind.DOCX
        if "xl/workbook.xml" in names:
            return Kind.XLSX
        if "ppt/presentation.xml" in names:
            return Kind.PPTX
    return Kind.ZIP


def _packets(content: bytes) -> Kind | None:
    """Tell binary OpenPGP keys and ciphertext by their first packet (RFC 9580 § 4.2): a key packet of version
    3 to 6, or a session key encrypted to somebody."""
    first = content[0]
    if first & 0xC0 == 0xC0:
        tag, skip = first & 0x3F, 2 if len(content) > 1 and content[1] < 192 else 3
    elif first & 0xC0 == 0x80 and first & 3 < 3:
        tag, skip = (first >> 2) & 0x0F, 1 + (1 << (first & 3))
    else:
        return None
    body = content[skip : skip + 1]
    if tag == _PKESK and body in (b"\x02", b"\x03", b"\x06"):
        return Kind.PGP_DATA
    if tag not in (5, 6) or body not in (b"\x03", b"\x04", b"\x05", b"\x06"):
        return None
    return Kind.PRIVATE_KEY if tag == 5 else Kind.PUBLIC_KEY


def _textual(content: bytes) -> Kind:
    if not looks_like_text(content):
        return Kind.UNKNOWN
    armor = _ARMOR.search(content, 0, 65536)
    if armor is not None and not content[: armor.start()].strip(b"\xef\xbb\xbf \t\r\n"):
        return _armor_kind(armor.group(1))
    head = _head(content)
    start = head.lstrip("\ufeff \t\r\n")
    if start[:15].upper() == "BEGIN:VCALENDAR":
        return Kind.CALENDAR
    if start[:11].upper() == "BEGIN:VCARD":
        return Kind.CONTACT
    body = start[_SKIP.match(start).end() :]  # type: ignore[union-attr]
    if _SVG.match(body):
        return Kind.SVG
    if _HTML.match(body):
        return Kind.HTML
    if _is_mail(content):
        return Kind.MAIL
    return Kind.TEXT


def _armor_kind(label: bytes) -> Kind:
    if label == b"PUBLIC KEY BLOCK":
        return Kind.PUBLIC_KEY
    return Kind.PRIVATE_KEY if label in (b"PRIVATE KEY BLOCK", b"SECRET KEY BLOCK") else Kind.PGP_DATA


def _head(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content[:8192].decode("utf-16", "replace")
    return content[:8192].replace(b"\x00", b"").decode("utf-8", "replace")


def _is_mail(content: bytes) -> bool:
    """Tell an RFC 5322 message: header lines only up to an empty line, three well-known ones."""
    head = re.split(rb"\r?\n\r?\n", content[:65536], maxsplit=1)[0]
    lines = head.split(b"\n")
    if lines and lines[0].startswith(b"From "):
        lines = lines[1:]
    if not lines or not all(_HEADER_LINE.match(line) for line in lines):
        return False
    return len({name.lower() for name in _MAIL_HEADER.findall(head)}) >= 3


def looks_like_text(content: bytes) -> bool:
    """Whether bytes can be text in some charset: a byte order mark, or hardly any control bytes.

    One control byte in twenty is allowed, as crash logs hold stray ones (packed data has one in
    ten); UTF-16 without a mark is told by its zero bytes all standing on one side.
    """
    if content.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return True
    if utf16_side(content) is not None:
        return True
    controls = len(content) - len(content.translate(None, _CONTROL))
    return controls * 20 <= len(content)


def utf16_side(content: bytes) -> str | None:
    """Name the UTF-16 variant of unmarked text ("utf-16-le", "utf-16-be"), None if it is not."""
    if len(content) < 4 or len(content) % 2:
        return None
    even, odd, units = content[0::2].count(0), content[1::2].count(0), len(content) // 2
    if odd * 10 >= units * 7 and even * 50 <= units:
        return "utf-16-le"
    if even * 10 >= units * 7 and odd * 50 <= units:
        return "utf-16-be"
    return None
