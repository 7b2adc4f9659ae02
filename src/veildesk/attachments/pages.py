"""Write a PDF that holds nothing but pictures of pages; pure.

No title, dates, producer or identifiers (ISO 32000-1 § 14.3 makes all of them optional): the same
pages always give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from veildesk.attachments.scan import frame

__all__ = ["picture_pdf"]

_SPACES = {1: b"/DeviceGray", 3: b"/DeviceRGB"}
_LONG_SIDE = 842.0  # points: the longer side of A4


def picture_pdf(pages: Sequence[bytes]) -> bytes:
    """One page per JPEG. Raises ValueError for pages that are no grey or colour JPEG."""
    kids = b" ".join(b"%d 0 R" % (3 + 3 * index) for index in range(len(pages)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(pages), kids),
    ]
    for index, page in enumerate(pages):
        objects.extend(_page(3 + 3 * index, page))
    out, offsets = [b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"], []
    at = len(out[0])
    for number, body in enumerate(objects, 1):
        offsets.append(at)
        out.append(b"%d 0 obj\n%s\nendobj\n" % (number, body))
        at += len(out[-1])
    entries = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    count = len(objects) + 1
    out.append(b"xref\n0 %d\n0000000000 65535 f \n%s" % (count, entries))
    out.append(b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (count, at))
    return b"".join(out)


def _page(number: int, jpeg: bytes) -> list[bytes]:
    """A page, its content stream and its picture, numbered from `number`."""
    width, height, components = frame(jpeg)
    if components not in _SPACES or not width or not height:
        raise ValueError("not a page picture")
    scale = _LONG_SIDE / max(width, height)
    box = b"%.2f %.2f" % (width * scale, height * scale)
    draw = b"%.2f 0 0 %.2f 0 0 cm /P Do" % (width * scale, height * scale)
    return [
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %s]/Contents %d 0 R/Resources<</XObject<</P %d 0 R>>>>>>"
        % (box, number + 1, number + 2),
        b"<</Length %d>>\nstream\n%s\nendstream" % (len(draw), draw),
        b"<</Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace%s/BitsPerComponent 8"
        b"/Filter/DCTDecode/Length %d>>\nstream\n%s\nendstream"
        % (width, height, _SPACES[components], len(jpeg), jpeg),
    ]
