"""Images made anew from their pixels; runs inside the sandbox only.

Nothing but pixels crosses over: the picture is decoded, turned upright, copied into a fresh image
and encoded. EXIF, XMP, IPTC, comments, colour profiles, previews and bytes after the end have no way
to follow. Marks in the pixels themselves, such as sensor noise or a visible address, stay.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

from PIL import Image, ImageOps

from veildesk.attachments.bounds import Bounds
from veildesk.attachments.kind import Kind
from veildesk.attachments.reasons import FileRefused, Refusal, Removed
from veildesk.attachments.scan import leftovers

__all__ = ["Picture", "encode_jpeg", "reencode"]

_FORMATS = {
    Kind.JPEG: "JPEG",
    Kind.PNG: "PNG",
    Kind.GIF: "GIF",
    Kind.WEBP: "WEBP",
    Kind.BMP: "BMP",
    Kind.TIFF: "TIFF",
}
_GPS = 0x8825
_WIDE = frozenset(("I", "I;16", "I;16B", "I;16L", "I;16N"))
_QUALITY = 88


@dataclass(frozen=True, slots=True)
class Picture:
    """A clean image: JPEG or PNG bytes and what was removed."""

    kind: Kind
    content: bytes
    removed: tuple[Removed, ...]


def reencode(kind: Kind, content: bytes, bounds: Bounds) -> Picture:
    """Decode and encode again: JPEG stays JPEG, all others become PNG. Raises `FileRefused`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(content), formats=(_FORMATS[kind],)) as source:
                if source.width * source.height > bounds.pixels:
                    raise FileRefused(Refusal.TOO_MANY_PIXELS)
                removed = _found(kind, content, source)
                pixels = _pixels(source)
        except FileRefused:
            raise
        except Image.DecompressionBombError:
            raise FileRefused(Refusal.TOO_MANY_PIXELS) from None
        except MemoryError:
            raise FileRefused(Refusal.TOO_LARGE) from None
        except Exception:  # decoders raise anything; whatever it is, there is no sound picture
            raise FileRefused(Refusal.DAMAGED) from None
    return _encode(kind, pixels, removed, bounds)


def _found(kind: Kind, content: bytes, source: Image.Image) -> tuple[Removed, ...]:
    removed = []
    exif = source.getexif()
    if exif or {"exif", "xmp", "photoshop", "Raw profile type exif"} & source.info.keys():
        removed.append(Removed.METADATA)
    if exif.get_ifd(_GPS):
        removed.append(Removed.LOCATION)
    if exif.get_ifd(1):
        removed.append(Removed.THUMBNAIL)
    if source.info.get("icc_profile"):
        removed.append(Removed.COLOUR_PROFILE)
    if source.info.get("comment") or getattr(source, "text", None):
        removed.append(Removed.COMMENT)
    if getattr(source, "n_frames", 1) > 1:
        removed.append(Removed.FRAMES)
    left = leftovers(kind, content) if kind in (Kind.JPEG, Kind.PNG) else ()
    if "trailing" in left:
        removed.append(Removed.TRAILING)
    if left and not removed:
        removed.append(Removed.METADATA)
    return tuple(removed)


def _pixels(source: Image.Image) -> Image.Image:
    """A fresh image, upright, in mode L, RGB or RGBA, sharing nothing with its source."""
    source.load()
    image = ImageOps.exif_transpose(source)
    if image.mode in _WIDE:
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    elif image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
    elif image.mode in ("1", "L"):
        image = image.convert("L")
    elif image.mode == "F":
        raise FileRefused(Refusal.UNKNOWN)
    else:
        image = image.convert("RGB")
    fresh = Image.new(image.mode, image.size)
    fresh.paste(image)
    return fresh


def _encode(kind: Kind, pixels: Image.Image, removed: tuple[Removed, ...], bounds: Bounds) -> Picture:
    to, content = (Kind.JPEG, encode_jpeg(pixels)) if kind is Kind.JPEG else (Kind.PNG, _png(pixels))
    if to is Kind.PNG and len(content) > bounds.output_size and pixels.mode != "RGBA":
        to, content = Kind.JPEG, encode_jpeg(pixels)
    if len(content) > bounds.output_size:
        raise FileRefused(Refusal.TOO_LARGE)
    if leftovers(to, content):
        raise FileRefused(Refusal.NOT_CLEAN)
    return Picture(to, content, removed)


def encode_jpeg(pixels: Image.Image) -> bytes:
    """Encode fresh pixels (mode L or RGB) as baseline JPEG without anything optional."""
    out = io.BytesIO()
    (pixels if pixels.mode in ("L", "RGB") else pixels.convert("RGB")).save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()


def _png(pixels: Image.Image) -> bytes:
    out = io.BytesIO()
    pixels.save(out, "PNG")
    return out.getvalue()
