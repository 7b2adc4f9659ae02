"""The program in mat2's sandbox: one file on standard input, one answer on standard output.

Runs with Debian's Python, which has the bindings mat2 needs, and works in a file system in memory that
vanishes with it. "clean" gives the file without metadata; "check" looks at a file that was cleaned, in
a sandbox that never saw the original, and names what is still there. Any fault is an exit status.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from veildesk.attachments.wire import frame, unframe

__all__ = ["main"]

_STRUCTURE = frozenset(
    [
        "MajorBrand", "MinorVersion", "CompatibleBrands", "MediaDataSize", "MediaDataOffset",
        "MovieHeaderVersion", "TimeScale", "NextTrackID", "TrackHeaderVersion", "TrackID",
        "TrackLayer", "GraphicsMode", "CompressorID", "PixelAspectRatio", "BufferSize",
        "MaxBitrate", "AverageBitrate", "MediaHeaderVersion", "HandlerType", "HandlerVendorID",
        "Rotation", "PreferredRate", "CleanApertureDimensions", "ProductionApertureDimensions",
        "EncodedPixelsDimensions", "ColorProfiles", "ColorPrimaries", "TransferCharacteristics",
        "MatrixCoefficients", "VideoFullRangeFlag", "VideoFieldOrder", "TrackVolume", "Balance",
    ]
)  # fmt: skip
"""What exiftool tells of how a film is built, which every player needs and which names nobody."""

_HANDLERS = ("SoundHandler", "VideoHandler")

_FOLDER = Path("/work")
_MUTED = frozenset(("video", "audio"))
_PATH = "/usr/bin:/bin"
_OOXML = "application/vnd.openxmlformats-officedocument."
_TYPES = {
    "docx": _OOXML + "wordprocessingml.document",
    "xlsx": _OOXML + "spreadsheetml.sheet",
    "pptx": _OOXML + "presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "wav": "audio/x-wav",
    "aiff": "audio/x-aiff",
    "mp4": "video/mp4",
    "avi": "video/x-msvideo",
    "wmv": "video/x-ms-wmv",
}


def main() -> int:
    """Serve one request. Returns the exit status."""
    head, content = unframe(sys.stdin.buffer.read())
    os.environ.update(PATH=_PATH, HOME=str(_FOLDER), TMPDIR=str(_FOLDER), LC_ALL="C.UTF-8")
    given = _FOLDER / f"in.{head['ending']}"
    given.write_bytes(content)
    if head["mode"] == "check":
        sys.stdout.buffer.write(frame({"left": _left(given, head["media"] is True)}, []))
    else:
        cleaned = _cleaned(_streams_only(given) if head["film"] is True else given)
        sys.stdout.buffer.write(frame({"left": []}, [cleaned]))
    sys.stdout.buffer.flush()
    return 0


def _parser(path: Path) -> Any:
    """Mat2's parser for a file; it judges by the ending, which the caller took from the content."""
    import mimetypes

    for end, name in _TYPES.items():
        mimetypes.add_type(name, "." + end)
    from libmat2 import parser_factory

    parser: Any = parser_factory.get_parser(str(path))[0]
    if parser is None:
        raise SystemExit(3)
    return parser


def _cleaned(path: Path) -> bytes:
    parser = _parser(path)
    if not parser.remove_all():
        raise SystemExit(4)
    return Path(parser.output_filename).read_bytes()


def _streams_only(path: Path) -> Path:
    """The sound and picture streams of a film: no subtitles, data tracks (positions!), covers or files."""
    kept = path.with_name("streams" + path.suffix)
    command = ["ffmpeg", "-nostdin", "-loglevel", "quiet", "-i", str(path), "-map", "0:V?", "-map", "0:a?"]
    command += ["-codec", "copy", "-dn", "-sn", "-map_metadata", "-1", "-map_chapters", "-1", str(kept)]
    subprocess.run(command, check=True, timeout=60)
    return kept


def _left(path: Path, media: bool) -> list[str]:
    """Names of what mat2 and, for sound and film, the list of streams still show."""
    left = [
        str(name)[:80]
        for name, value in _parser(path).get_meta().items()
        if not (media and (name in _STRUCTURE or (name == "HandlerDescription" and value in _HANDLERS)))
    ]
    if media:
        probe = ["ffprobe", "-loglevel", "quiet", "-print_format", "json", "-show_streams", str(path)]
        answer = subprocess.run(probe, check=True, timeout=60, capture_output=True).stdout
        streams = json.loads(answer).get("streams", [])
        left += [
            "stream"
            for stream in streams
            if stream.get("codec_type") not in _MUTED or stream.get("disposition", {}).get("attached_pic")
        ]
        left += [] if streams else ["no stream"]
    return left


if __name__ == "__main__":
    raise SystemExit(main())
