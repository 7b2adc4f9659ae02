"""mat2 in a sandbox of its own: office files and sound and film without their metadata.

mat2 needs Debian's Python (its bindings for pictures), a place to write, and for film ffmpeg. All of it is
bound read-only beside a small file system in memory that ends with the process. What comes back is looked
at by other processes before anyone believes it; see `sandbox`.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from veildesk.attachments.bounds import Bounds
from veildesk.attachments.bubblewrap import Layout, command
from veildesk.attachments.kind import Kind
from veildesk.attachments.wire import BadAnswer, frame, unframe

__all__ = ["Mat2", "ending_for_mat2"]

_PROGRAM = Path(__file__).resolve().with_name("mat2_worker.py")
_PYTHON = Path("/usr/bin/python3")
_BINDINGS = Path("/usr/lib/python3/dist-packages")
_PACKAGES = ("libmat2", "mutagen")
_TOOLS = ("exiftool", "perl")
_FILM_TOOLS = ("ffmpeg", "ffprobe")
_SHARED = ("/usr/share/perl", "/usr/share/perl5", "/usr/share/mime", "/etc/alternatives")
_FILMS = frozenset(("mp4", "avi", "wmv", "wav", "aiff"))
_OFFICE = {Kind.DOCX: "docx", Kind.XLSX: "xlsx", Kind.PPTX: "pptx"}
_OPEN = {b"text": "odt", b"spreadsheet": "ods", b"presentation": "odp"}
_SOUND = (
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b"ID3", "mp3"),
    (b"\xff\xfb", "mp3"),
    (b"\xff\xf3", "mp3"),
    (b"\xff\xf2", "mp3"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "wmv"),
)
_BRANDS = frozenset(
    (b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V ", b"M4A ", b"M4B ",
     b"dash", b"qt  ", b"3gp4", b"3gp5", b"3gp6", b"3g2a", b"mmp4", b"f4v ")
)  # fmt: skip
_MATROSKA = b"\x1aE\xdf\xa3"


def ending_for_mat2(kind: Kind, content: bytes) -> str | None:
    """The ending by which mat2 knows a file, told by its content; None if mat2 does not clean it."""
    if kind in _OFFICE:
        return _OFFICE[kind]
    if kind is Kind.ODF:
        named = content[38:100].removeprefix(b"application/vnd.oasis.opendocument.")
        return next((end for name, end in _OPEN.items() if named.startswith(name)), None)
    if kind is not Kind.AUDIO_VIDEO:
        return None
    for magic, end in _SOUND:
        if content.startswith(magic):
            return end
    if content.startswith(_MATROSKA):
        return "mp4"  # MKV and WebM: their streams go into an MP4 as they are, or the file is refused
    if content[4:8] == b"ftyp":
        return "mp4" if content[8:12] in _BRANDS else None
    outer, inner = content[:4], content[8:12]
    return {(b"RIFF", b"WAVE"): "wav", (b"RIFF", b"AVI "): "avi", (b"FORM", b"AIFF"): "aiff"}.get(
        (outer, inner)
    )


@dataclass(frozen=True, slots=True)
class Mat2:
    """mat2 as found on this machine; `films` tells whether sound and film can be cleaned too."""

    layout: Layout
    films: bool

    @classmethod
    def find(cls, base: Layout) -> Mat2 | None:
        """Look for all that mat2 needs. None if anything is missing."""
        specs = [importlib.util.find_spec(name) for name in _PACKAGES]
        folders = [Path(path) for spec in specs for path in (spec and spec.submodule_search_locations) or ()]
        bindings = (_BINDINGS / "gi", _BINDINGS / "cairo")
        if len(folders) < len(_PACKAGES) or base.bwrap is None:
            return None
        if not all(path.exists() for path in (_PYTHON, *bindings)) or not all(map(shutil.which, _TOOLS)):
            return None
        films = all(map(shutil.which, _FILM_TOOLS))
        tools = [Path(found) for name in (*_TOOLS, *_FILM_TOOLS) if (found := shutil.which(name))]
        own = Path(__file__).resolve().parent
        layout = replace(
            base,
            python=_PYTHON.resolve(),
            base=Path("/usr"),
            modules=(own, own.parent / "__init__.py", *folders, *map(Path, _SHARED)),
            import_paths=(own.parent.parent, _BINDINGS, *dict.fromkeys(path.parent for path in folders)),
            tools=(*tools, *(tool.resolve() for tool in tools)),
        )
        return cls(layout, films)

    def command(self, bounds: Bounds) -> list[str]:
        """Arguments that run the worker. Twice the memory: ffmpeg maps much and touches little."""
        larger = replace(bounds, memory=2 * bounds.memory)
        return command(self.layout, _PROGRAM, larger, confined=True, room=bounds.unpacked * 2)

    def request(self, mode: str, end: str, content: bytes) -> bytes:
        """What to give to the worker for "clean" or "check"."""
        media = end not in (*_OFFICE.values(), *_OPEN.values())
        head = {"mode": mode, "ending": end, "media": media, "film": end in _FILMS}
        return frame(head, [content])

    @staticmethod
    def answer(output: bytes) -> tuple[Sequence[str], bytes]:
        """(names of what is left, the cleaned file). Raises `BadAnswer`."""
        head, content = unframe(output)
        left = head.get("left")
        if not isinstance(left, list):
            raise BadAnswer("left")
        return [json.dumps(name)[:80] for name in left], content
