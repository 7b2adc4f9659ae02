"""PDF files that hide something, named after how they do it; made when asked for.

`PLANT` stands wherever nothing of it may come out; `SHOWN` is what a page shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

__all__ = ["PLANT", "SHOWN", "hidden", "protected", "shaped", "visible"]

PLANT = "planted.person@mail.example"
SHOWN = "Firmware fails"

_STAMP = "<</Type/Annot/Subtype/Stamp/Rect[72 600 472 630]/F {flags}/AP<</N 13 0 R>>>>"


def _stream(data: str, extra: str = "") -> str:
    return f"<</Length {len(data)}{extra}>>\nstream\n{data}\nendstream"


def _text(words: str, y: int = 700, before: str = "", font: float = 24) -> str:
    return f"{before} BT /F1 {font} Tf 72 {y} Td ({words}) Tj ET "


def _form(words: str) -> str:
    fonts = "/Resources<</Font<</F1 3 0 R>>>>"
    return _stream(
        f"BT /F1 18 Tf 2 6 Td ({words}) Tj ET", f"/Type/XObject/Subtype/Form/BBox[0 0 400 30]{fonts}"
    )


def _file(objects: Mapping[int, str], trailer: str = "", after: str = "") -> bytes:
    out, table = b"%PDF-1.7\n", b"xref\n0 1\n0000000000 65535 f \n"
    for number, body in objects.items():
        table += f"{number} 1\n{len(out):010d} 00000 n \n".encode()
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    end = f"trailer\n<</Size {max(objects) + 1}/Root 1 0 R{trailer}>>\nstartxref\n{len(out)}\n%%EOF\n{after}"
    return out + table + end.encode()


def _objects(
    content: str,
    catalog: str = "",
    page: str = "",
    more: Mapping[int, str] | None = None,
    box: str = "0 0 612 792",
) -> dict[int, str]:
    resources = "/Resources<</Font<</F1 3 0 R>>/Properties<</OC1 20 0 R>>/XObject<</X1 14 0 R>>>>"
    return {
        1: f"<</Type/Catalog/Pages 2 0 R{catalog}>>",
        2: "<</Type/Pages/Count 1/Kids[10 0 R]>>",
        3: "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        5: _stream(content),
        10: f"<</Type/Page/Parent 2 0 R/MediaBox[{box}]/Contents 5 0 R{resources}{page}>>",
        **(more or {}),
    }


def _plain(**parts: object) -> bytes:
    return _file(_objects(_text(SHOWN), **parts))  # type: ignore[arg-type]


def _updated() -> bytes:
    """The first version shows the address, the second, added behind it, does not."""
    first = _file(_objects(_text(PLANT)))
    table = first.rindex(b"xref\n", 0, first.rindex(b"startxref"))
    second = f"5 0 obj\n{_stream(_text(SHOWN))}\nendobj\n".encode()
    at = len(first) + len(second)
    entry = f"xref\n5 1\n{len(first):010d} 00000 n \n"
    end = f"trailer\n<</Size 21/Root 1 0 R/Prev {table}>>\nstartxref\n{at}\n%%EOF\n"
    return first + second + (entry + end).encode()


def hidden() -> dict[str, bytes]:
    """What no page shows: none of it may come out, in whatever form the file is delivered."""
    annotated = "/Annots[12 0 R]"
    embedded = _stream(PLANT, "/Type/EmbeddedFile")
    return {
        "script-in-names": _plain(
            catalog=f"/Names<</JavaScript<</Names[(a)<</S/JavaScript/JS(var a='{PLANT}')>>]>>>>"
        ),
        "file-inside": _plain(
            catalog="/Names<</EmbeddedFiles<</Names[(f)<</Type/Filespec/F(f.txt)/EF<</F 13 0 R>>>>]>>>>",
            more={13: embedded},
        ),
        "launch-action": _plain(catalog=f"/OpenAction<</S/Launch/F({PLANT})>>"),
        "link": _plain(
            page=annotated,
            more={
                12: f"<</Type/Annot/Subtype/Link/Rect[1 1 9 9]/A<</S/URI/URI(http://a.example/?m={PLANT})>>>>"
            },
        ),
        "form-field-hidden": _plain(
            catalog="/AcroForm<</Fields[12 0 R]>>",
            page=annotated,
            more={
                12: "<</Type/Annot/Subtype/Widget/FT/Tx/T(m)/Rect[9 9 90 30]/F 2"
                f"/V({PLANT})/AP<</N 13 0 R>>>>",
                13: _form(PLANT),
            },
        ),
        "annotation-hidden": _plain(page=annotated, more={12: _STAMP.format(flags=2), 13: _form(PLANT)}),
        "annotation-printed-only": _plain(
            page=annotated, more={12: _STAMP.format(flags=36), 13: _form(PLANT)}
        ),
        "comment-of-annotation": _plain(
            page=annotated,
            more={12: f"<</Type/Annot/Subtype/Highlight/Rect[9 9 90 30]/T({PLANT})/Contents({PLANT})>>"},
        ),
        "layer-switched-off": _file(
            _objects(
                _text(SHOWN) + "/OC /OC1 BDC " + _text(PLANT, 600) + "EMC",
                "/OCProperties<</OCGs[20 0 R]/D<</OFF[20 0 R]>>>>",
                more={20: "<</Type/OCG/Name(L)>>"},
            )
        ),
        "xfa": _plain(
            catalog="/AcroForm<</Fields[]/XFA 13 0 R>>",
            more={13: _stream(f"<xdp:xdp xmlns:xdp='http://ns.adobe.com/xdp/'><f>{PLANT}</f></xdp:xdp>")},
        ),
        "earlier-version": _updated(),
        "outside-crop-box": _file(_objects(_text(SHOWN) + _text(PLANT, 100), page="/CropBox[0 400 612 792]")),
        "outside-page": _file(_objects(_text(SHOWN) + _text(PLANT, 4000))),
        "white-on-white": _file(_objects(_text(SHOWN) + _text(PLANT, 600, "1 g"))),
        "invisible-letters": _file(_objects(_text(SHOWN) + _text(PLANT, 600, "3 Tr"))),
        "under-a-box": _file(_objects(_text(SHOWN) + _text(PLANT, 600) + "0 g 70 596 420 24 re f")),
        "too-small-to-read": _file(_objects(_text(SHOWN) + _text(PLANT, 600, font=0.4))),
        "unused-object": _plain(more={30: _stream(_text(PLANT))}),
        "private-data": _plain(page=f"/PieceInfo<</App<</LastModified(D:2026)/Private({PLANT})>>>>"),
        "metadata": _plain(
            catalog="/Metadata 13 0 R",
            more={13: _stream(f"<x:xmpmeta><dc:creator>{PLANT}</dc:creator></x:xmpmeta>", "/Type/Metadata")},
        ),
        "after-the-end": _file(_objects(_text(SHOWN)), after=f"%{PLANT}\n"),
        "outline": _plain(
            catalog="/Outlines 13 0 R",
            more={13: "<</First 15 0 R/Last 15 0 R/Count 1>>", 15: f"<</Title({PLANT})/Parent 13 0 R>>"},
        ),
    }


def visible() -> dict[str, bytes]:
    """What a page shows though it is no text of the page: it must be read and redacted."""
    annotated = "/Annots[12 0 R]"
    fields = "/AcroForm<</Fields[12 0 R]/DA(/F1 12 Tf 0 g)/DR<</Font<</F1 3 0 R>>>>{more}>>"
    widget = f"<</Type/Annot/Subtype/Widget/FT/Tx/T(m)/V({PLANT})/Rect[72 600 472 630]/F 4/DA(/F1 12 Tf 0 g)"
    note = f"<</Type/Annot/Subtype/FreeText/Contents({PLANT})/Rect[72 600 472 630]/F 4/DA(/Helv 12 Tf 0 g)"
    return {
        "form-field": _plain(
            catalog=fields.format(more=""),
            page=annotated,
            more={12: widget + "/AP<</N 13 0 R>>>>", 13: _form(PLANT)},
        ),
        "form-field-drawn-by-the-viewer": _plain(
            catalog=fields.format(more="/NeedAppearances true"), page=annotated, more={12: widget + ">>"}
        ),
        "free-text": _plain(page=annotated, more={12: note + "/AP<</N 13 0 R>>>>", 13: _form(PLANT)}),
        "free-text-drawn-by-the-viewer": _plain(page=annotated, more={12: note + ">>"}),
        "stamp": _plain(page=annotated, more={12: _STAMP.format(flags=4), 13: _form(PLANT)}),
        "upside-down": _file(_objects(_text(SHOWN) + _text(PLANT, 600), page="/Rotate 180")),
        "on-its-side": _file(_objects(_text(SHOWN) + f"BT /F1 24 Tf 0 1 -1 0 300 100 Tm ({PLANT}) Tj ET")),
        "turned-page": _file(_objects(_text(SHOWN) + _text(PLANT, 600), page="/Rotate 90")),
        "moved-box": _file(_objects(_text(SHOWN) + _text(PLANT, 600), box="-100 -100 612 792")),
        "in-a-form-in-the-page": _file(
            _objects(_text(SHOWN) + " q 1 0 0 1 72 600 cm /X1 Do Q", more={14: _form(PLANT)})
        ),
        "layer-switched-on": _file(
            _objects(
                _text(SHOWN) + "/OC /OC1 BDC " + _text(PLANT, 600) + "EMC",
                "/OCProperties<</OCGs[20 0 R]/D<</ON[20 0 R]>>>>",
                more={20: "<</Type/OCG/Name(L)>>"},
            )
        ),
    }


def shaped() -> dict[str, bytes]:
    """Broken or endless structure: drawn or refused, never more than that."""
    loop = _objects(_text(SHOWN))
    loop[2] = "<</Type/Pages/Count 2/Kids[2 0 R 10 0 R]>>"
    again = "/Resources<</XObject<</X1 14 0 R>>>>"
    many = _objects(_text(SHOWN))
    many[2] = "<</Type/Pages/Count 2000000000/Kids[10 0 R]>>"
    return {
        "pages-in-a-circle": _file(loop),
        "count-of-pages-lies": _file(many),
        "form-that-draws-itself": _file(
            _objects("/X1 Do", more={14: _stream("/X1 Do", f"/Subtype/Form/BBox[0 0 9 9]{again}")})
        ),
        **{
            f"box-{name}": _file(_objects(_text(SHOWN), box=box))
            for name, box in (
                ("immense", "0 0 1000000000 1000000000"),
                ("empty", "0 0 0 0"),
                ("turned-round", "612 792 0 0"),
                ("thin", "0 0 1 14400"),
                ("no-number", "0 0 nan 1e400"),
            )
        },
        "no-pages": _file({**_objects(""), 2: "<</Type/Pages/Count 0/Kids[]>>"}),
        "only-a-head": b"%PDF-1.7\n",
        "endless-content": _file(_objects("q " * 200_000)),
    }


_PAD = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")


def _rc4(key: bytes, data: bytes) -> bytes:
    box, j = list(range(256)), 0
    for i in range(256):
        j = (j + box[i] + key[i % len(key)]) & 255
        box[i], box[j] = box[j], box[i]
    out, i, j = bytearray(), 0, 0
    for byte in data:
        i = (i + 1) & 255
        j = (j + box[i]) & 255
        box[i], box[j] = box[j], box[i]
        out.append(byte ^ box[(box[i] + box[j]) & 255])
    return bytes(out)


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def protected(password: str) -> bytes:
    """Encrypted with 40-bit RC4 (ISO 32000-1 § 7.6.3); an empty password opens in any viewer."""
    user = (password.encode() + _PAD)[:32]
    owner = _rc4(_md5((b"owner" + _PAD)[:32])[:5], user)
    ident, rights = b"0123456789abcdef", -4
    key = _md5(user + owner + rights.to_bytes(4, "little", signed=True) + ident)[:5]
    five = _md5(key + (5).to_bytes(3, "little") + bytes(2))[:10]
    content = _rc4(five, (_text(SHOWN) + _text(PLANT, 600)).encode())
    objects = _objects(_text(SHOWN))
    objects[5] = f"<</Length {len(content)}>>\nstream\n{content.decode('latin-1')}\nendstream"
    words = f"/O<{owner.hex()}>/U<{_rc4(key, _PAD).hex()}>/P {rights}"
    trailer = f"/Encrypt<</Filter/Standard/V 1/R 2{words}>>/ID[<{ident.hex()}><{ident.hex()}>]"
    return _file(objects, trailer)
