"""Files with planted secrets, made at run time: every planted value begins with `PLANT`."""

from __future__ import annotations

import io
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from PIL import ExifTags, Image, ImageCms, ImageDraw, PngImagePlugin

PLANT = "PLANTED"
_TAGS = (
    f"-Artist={PLANT}-artist",
    f"-XMP:Creator={PLANT}-xmp",
    f"-IPTC:By-line={PLANT}-iptc",
    f"-Comment={PLANT}-comment",
    f"-SerialNumber={PLANT}-serial",
    "-GPSLatitude=52.5163",
    "-GPSLatitudeRef=N",
    "-GPSLongitude=13.3777",
    "-GPSLongitudeRef=E",
    "-DateTimeOriginal=2026:01:02 03:04:05",
)


def picture(mode: str = "RGB", size: tuple[int, int] = (96, 64)) -> Image.Image:
    """A picture whose top left corner is red."""
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).rectangle((0, 0, size[0] // 3, size[1] // 3), fill="red")
    return image.convert(mode)


def encoded(kind: str, mode: str = "RGB", **options: object) -> bytes:
    out = io.BytesIO()
    picture(mode).save(out, kind, **options)
    return out.getvalue()


def planted_image(kind: str, folder: Path, *, orientation: int = 1) -> bytes:
    """A JPEG, PNG, TIFF or WebP with secrets in every place there is, and bytes after its end."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.ImageDescription] = f"{PLANT}-description"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    options: dict[str, object] = {"exif": exif, "icc_profile": profile}
    if kind == "JPEG":
        options["comment"] = f"{PLANT}-com".encode()
    if kind == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_text("Author", f"{PLANT}-text")
        info.add_text("Long", f"{PLANT}-ztxt" * 9, zip=True)
        info.add_itxt("Title", f"{PLANT}-itxt")
        options["pnginfo"] = info
    path = folder / f"planted.{kind.lower()}"
    picture().save(path, kind, **options)
    thumbnail = folder / "thumbnail.jpg"
    picture(size=(40, 30)).save(thumbnail, "JPEG", comment=f"{PLANT}-thumbnail".encode())
    more = [f"-ThumbnailImage<={thumbnail}"] if kind == "JPEG" else []
    subprocess.run(
        ["exiftool", "-q", "-m", "-overwrite_original", *_TAGS, *more, str(path)],
        check=True,
        capture_output=True,
    )
    content = path.read_bytes()
    return content + f"PK\x03\x04{PLANT}-after-the-end".encode() if kind in ("JPEG", "PNG") else content


def zipped(members: Mapping[str, bytes], first: str | None = None) -> bytes:
    """A ZIP; `first` is stored without compression, as OpenDocument wants of its type."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content, zipfile.ZIP_STORED if name == first else zipfile.ZIP_DEFLATED)
    return out.getvalue()


def tarred(members: Mapping[str, bytes], mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.uname, info.mtime = len(content), f"{PLANT}-user", 1_700_000_000
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
_TYPES = b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'


def docx(body: str | None = None) -> bytes:
    """A text with a comment, a deletion, an insertion, a hidden run, properties and a picture."""
    shown = (
        "<w:p><w:r><w:t>Firmware 2.1.3 fails.</w:t></w:r></w:p>"
        f"<w:p><w:del><w:r><w:delText>{PLANT}-deleted</w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t>Write to anna@example.org.</w:t></w:r></w:ins>"
        f"<w:r><w:rPr><w:vanish/></w:rPr><w:t>{PLANT}-hidden</w:t></w:r>"
        f"<w:r><w:instrText>{PLANT}-field</w:instrText></w:r></w:p>"
        "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>left</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"
    )
    document = f"<w:document {_W}><w:body>{shown if body is None else body}</w:body></w:document>"
    comments = f"<w:comments {_W}><w:comment w:author='{PLANT}'><w:t>{PLANT}</w:t></w:comment></w:comments>"
    return zipped(
        {
            "[Content_Types].xml": _TYPES,
            "word/document.xml": document.encode(),
            "word/comments.xml": comments.encode(),
            "docProps/core.xml": f"<a>{PLANT}-creator</a>".encode(),
            "word/media/image1.jpeg": PLANT.encode(),
        }
    )


_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006"
_OOXML = "application/vnd.openxmlformats-officedocument"


def report_docx(text: str, picture: bytes, link: str = "", remote: str = "") -> bytes:
    """A sound text document as a word processor writes it: properties, a picture, perhaps a link."""
    types = (
        f"<Types xmlns='{_PACKAGE}/content-types'><Default Extension='rels' "
        "ContentType='application/vnd.openxmlformats-package.relationships+xml'/>"
        "<Default Extension='xml' ContentType='application/xml'/>"
        "<Default Extension='jpeg' ContentType='image/jpeg'/>"
        f"<Override PartName='/word/document.xml' ContentType='{_OOXML}.wordprocessingml.document.main+xml'/>"
        "<Override PartName='/docProps/core.xml' "
        "ContentType='application/vnd.openxmlformats-package.core-properties+xml'/></Types>"
    )
    relation = "<Relationship Id='{}' Type='{}' Target='{}'{}/>"
    root = relation.format(
        "rId1", f"{_OFFICE}/relationships/officeDocument", "word/document.xml", ""
    ) + relation.format("rId2", f"{_PACKAGE}/relationships/metadata/core-properties", "docProps/core.xml", "")
    parts = relation.format("rId1", f"{_OFFICE}/relationships/image", "media/image1.jpeg", "")
    external = " TargetMode='External'"
    parts += relation.format("rId2", f"{_OFFICE}/relationships/hyperlink", link, external) if link else ""
    parts += relation.format("rId3", f"{_OFFICE}/relationships/image", remote, external) if remote else ""
    core = (
        f"<cp:coreProperties xmlns:cp='{_PACKAGE}/metadata/core-properties' "
        f"xmlns:dc='http://purl.org/dc/elements/1.1/'><dc:creator>{PLANT}-creator</dc:creator></cp:coreProperties>"
    )
    body = "".join(
        f"<w:p w:rsidR='00AB12CD'><w:r><w:t>{line}</w:t></w:r></w:p>" for line in text.splitlines()
    )
    relations = f"<Relationships xmlns='{_PACKAGE}/relationships'>"
    members = {
        "[Content_Types].xml": types,
        "_rels/.rels": f"{relations}{root}</Relationships>",
        "word/document.xml": f"<w:document {_W}><w:body>{body}</w:body></w:document>",
        "word/_rels/document.xml.rels": f"{relations}{parts}</Relationships>",
        "docProps/core.xml": core,
    }
    return zipped(
        {**{name: part.encode() for name, part in members.items()}, "word/media/image1.jpeg": picture}
    )


def recording(ending: str, folder: Path) -> bytes:
    """One second of sound, or of sound and film, with planted names and a planted place."""
    path = folder / f"recording.{ending}"
    film = (
        ["-f", "lavfi", "-i", "testsrc=duration=1:size=64x64"]
        if ending not in ("mp3", "flac", "wav", "m4a")
        else []
    )
    tags = ["title", "artist", "comment"]
    named = [part for tag in tags for part in ("-metadata", f"{tag}={PLANT}-{tag}")]
    subprocess.run(
        ["ffmpeg", "-nostdin", "-y", "-loglevel", "error", *film, "-f", "lavfi", "-i", "sine=duration=1",
         *named, "-metadata", "location=+52.5163+013.3777/", str(path)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return path.read_bytes()


def xlsx() -> bytes:
    """One visible sheet with a hidden row and column, and one hidden sheet."""
    workbook = (
        f"<workbook {_R}><sheets><sheet name='Errors' sheetId='1' r:id='rId7'/>"
        "<sheet name='Secret' sheetId='2' state='hidden' r:id='rId8'/></sheets></workbook>"
    )
    relations = (
        "<Relationships><Relationship Id='rId7' Target='worksheets/sheet2.xml'/>"
        "<Relationship Id='rId8' Target='worksheets/sheet1.xml'/></Relationships>"
    )
    visible = (
        "<worksheet><cols><col min='3' max='3' hidden='1'/></cols><sheetData>"
        "<row r='1'><c r='A1' t='s'><v>0</v></c><c r='B1'><v>42</v></c>"
        f"<c r='C1' t='inlineStr'><is><t>{PLANT}-column</t></is></c></row>"
        f"<row r='2' hidden='1'><c r='A2' t='inlineStr'><is><t>{PLANT}-row</t></is></c></row>"
        "</sheetData></worksheet>"
    )
    return zipped(
        {
            "[Content_Types].xml": _TYPES,
            "xl/workbook.xml": workbook.encode(),
            "xl/_rels/workbook.xml.rels": relations.encode(),
            "xl/sharedStrings.xml": f"<sst><si><t>E42</t><rPh><t>{PLANT}</t></rPh></si></sst>".encode(),
            "xl/worksheets/sheet2.xml": visible.encode(),
            "xl/worksheets/sheet1.xml": (
                f"<worksheet><sheetData><row><c t='inlineStr'><is><t>{PLANT}-sheet</t></is></c></row>"
                "</sheetData></worksheet>"
            ).encode(),
        }
    )


def pptx() -> bytes:
    """Two slides out of file order, one of them hidden, with notes."""
    presentation = (
        f"<p:presentation xmlns:p='p' {_R}><p:sldIdLst><p:sldId id='256' r:id='rId2'/>"
        "<p:sldId r:id='rId3' id='257'/></p:sldIdLst></p:presentation>"
    )
    relations = (
        "<Relationships><Relationship Id='rId2' Target='slides/slide2.xml'/>"
        "<Relationship Id='rId3' Target='slides/slide1.xml'/></Relationships>"
    )
    slide = "<p:sld xmlns:p='p' xmlns:a='a'{}><a:p><a:r><a:t>{}</a:t></a:r></a:p></p:sld>"
    return zipped(
        {
            "[Content_Types].xml": _TYPES,
            "ppt/presentation.xml": presentation.encode(),
            "ppt/_rels/presentation.xml.rels": relations.encode(),
            "ppt/slides/slide2.xml": slide.format("", "Screen stays black").encode(),
            "ppt/slides/slide1.xml": slide.format(" show='0'", f"{PLANT}-slide").encode(),
            "ppt/notesSlides/notesSlide1.xml": f"<a:t xmlns:a='a'>{PLANT}-note</a:t>".encode(),
        }
    )


def odt() -> bytes:
    """A text with an annotation, a deletion, hidden text and three spaces in a row."""
    content = (
        "<office:document-content xmlns:office='o' xmlns:text='t' xmlns:dc='d'><office:body><office:text>"
        f"<text:tracked-changes><text:deletion><text:p>{PLANT}-deleted</text:p></text:deletion>"
        "</text:tracked-changes><text:h>Report</text:h>"
        f"<text:p>Sync<office:annotation><dc:creator>{PLANT}</dc:creator><text:p>{PLANT}</text:p>"
        "</office:annotation><text:s text:c='3'/>stops<text:line-break/>at block 7</text:p>"
        f"<text:p><text:hidden-text>{PLANT}</text:hidden-text></text:p>"
        "</office:text></office:body></office:document-content>"
    )
    mimetype = b"application/vnd.oasis.opendocument.text"
    members = {"mimetype": mimetype, "content.xml": content.encode(), "meta.xml": PLANT.encode()}
    return zipped(members, first="mimetype")


def pdf(
    text: str = "Firmware 2.1.3 fails", pages: int = 1, box: str = "0 0 612 792", extra: str = ""
) -> bytes:
    """A PDF with planted information, a planted sticky note and a planted script."""
    stream = f"BT /F1 24 Tf 72 700 Td ({text}) Tj ET 1 0 0 rg 100 100 200 200 re f"
    kids = " ".join(f"{10 + number} 0 R" for number in range(pages))
    objects = {
        1: f"<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(app.alert\\('{PLANT}-script'\\))>>>>",
        2: f"<</Type/Pages/Count {pages}/Kids[{kids}]>>",
        3: "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        4: f"<</Author({PLANT}-author)/Title({PLANT}-title)/CreationDate(D:20260102030405Z)>>",
        5: f"<</Length {len(stream)}>>\nstream\n{stream}\nendstream",
        6: f"<</Type/Annot/Subtype/Text/Rect[10 10 30 30]/Contents({PLANT}-note)/T({PLANT}-reviewer)>>",
    }
    for number in range(pages):
        objects[10 + number] = (
            f"<</Type/Page/Parent 2 0 R/MediaBox[{box}]/Contents 5 0 R/Annots[6 0 R]"
            "/Resources<</Font<</F1 3 0 R>>>>>>"
        )
    out, table = b"%PDF-1.4\n", b"0 1\n0000000000 65535 f \n"
    for number, body in objects.items():
        table += f"{number} 1\n{len(out):010d} 00000 n \n".encode()
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    trailer = (
        f"trailer\n<</Size {max(objects) + 1}/Root 1 0 R/Info 4 0 R{extra}>>\nstartxref\n{len(out)}\n%%EOF\n"
    )
    return out + b"xref\n" + table + trailer.encode()


def encoded_large(width: int, height: int) -> bytes:
    """A PNG of one colour: few bytes, many pixels."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), "navy").save(out, "PNG")
    return out.getvalue()
