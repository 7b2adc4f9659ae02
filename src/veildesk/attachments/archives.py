"""Open ZIP, tar and gzip within bounds; runs inside the sandbox.

Sizes are counted while unpacking and never believed from a header. Only plain files come out: links,
devices and encrypted members mean refusal of the whole archive, as what is left would mislead.
"""

from __future__ import annotations

import io
import itertools
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from veildesk.attachments.bounds import Bounds
from veildesk.attachments.kind import Kind
from veildesk.attachments.reasons import FileRefused, Refusal

__all__ = ["Budget", "Member", "open_archive", "read_zip_member", "zip_entries"]

_UNIX = 3
_STEP = 64 * 1024
_ENCRYPTED_FLAGS = 0x01 | 0x40
_METHODS = frozenset((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
_LITTER = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")


@dataclass(frozen=True, slots=True)
class Member:
    """One file out of an archive; `name` is as found and not safe."""

    name: str
    content: bytes = field(repr=False)


class Budget:
    """What one request may still unpack, over all its archives and documents together."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self._bytes = bounds.unpacked
        self._members = bounds.members

    def member(self) -> None:
        """Count one member. Raises `FileRefused`."""
        self._members -= 1
        if self._members < 0:
            raise FileRefused(Refusal.TOO_MANY_MEMBERS)

    def read(self, stream: IO[bytes], packed: int) -> bytes:
        """Read a stream that unpacks `packed` bytes to its end. Raises `FileRefused`."""
        parts, size = [], 0
        while part := stream.read(_STEP):
            size += len(part)
            self.spend(len(part), size, packed)
            parts.append(part)
        return b"".join(parts)

    def spend(self, step: int, size: int, packed: int) -> None:
        """Count `step` more bytes of a member that is now `size` long. Raises `FileRefused`."""
        self._bytes -= step
        if self._bytes < 0 or (size > self.bounds.ratio_floor and size > self.bounds.ratio * max(packed, 1)):
            raise FileRefused(Refusal.BOMB)


def open_archive(kind: Kind, content: bytes, budget: Budget) -> Iterator[Member]:
    """Yield the files of an archive in their order. Raises `FileRefused`."""
    if kind is Kind.GZIP:
        yield Member("", _gunzip(content, budget))
    elif kind is Kind.TAR:
        yield from _tar(content, budget)
    else:
        with zip_entries(content) as archive:
            for info in archive.infolist():
                budget.member()
                if _is_special(info):
                    raise FileRefused(Refusal.OTHER_ARCHIVE)
                if not info.is_dir() and not _is_litter(info.filename):
                    yield Member(info.filename, read_zip_member(archive, info, budget))


def zip_entries(content: bytes) -> zipfile.ZipFile:
    """Open a ZIP's directory. Raises `FileRefused`."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except Exception:  # zipfile raises BadZipFile, ValueError, struct.error, OverflowError and more
        raise FileRefused(Refusal.DAMAGED) from None
    if _overlaps(archive.infolist()):
        archive.close()
        raise FileRefused(Refusal.BOMB)
    return archive


def _overlaps(members: list[zipfile.ZipInfo]) -> bool:
    """Whether members share packed bytes, which is how one small kernel unpacks to anything."""
    ordered = sorted(members, key=lambda one: one.header_offset)
    return any(
        one.header_offset + one.compress_size > after.header_offset
        for one, after in itertools.pairwise(ordered)
    )


def read_zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget) -> bytes:
    """Unpack one member with its checksum checked. Raises `FileRefused`."""
    if info.flag_bits & _ENCRYPTED_FLAGS:
        raise FileRefused(Refusal.PROTECTED)
    if info.compress_type not in _METHODS:
        raise FileRefused(Refusal.OTHER_ARCHIVE)
    try:
        with archive.open(info) as stream:
            return budget.read(stream, info.compress_size)
    except FileRefused:
        raise
    except Exception:  # damaged data surfaces as zlib.error, BadZipFile, EOFError, NotImplementedError
        raise FileRefused(Refusal.DAMAGED) from None


def _is_special(info: zipfile.ZipInfo) -> bool:
    """Whether a member of a ZIP made on Unix is a link, a device or a pipe."""
    kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == _UNIX else 0
    return kind not in (0, stat.S_IFREG, stat.S_IFDIR)


def _is_litter(name: str) -> bool:
    """Whether a member is what desktop systems leave in archives by themselves."""
    return name.startswith(_LITTER[0]) or name.rpartition("/")[2] in _LITTER[1:]


def _gunzip(content: bytes, budget: Budget) -> bytes:
    """Unpack all members of a gzip file (RFC 1952 § 2.2); name and time in its header are dropped."""
    parts, size, rest = [], 0, content
    while rest.startswith(b"\x1f\x8b"):
        budget.member()
        stream = zlib.decompressobj(wbits=31)
        try:
            part = stream.decompress(rest, _STEP)
            while part or stream.unconsumed_tail:
                size += len(part)
                budget.spend(len(part), size, len(content))
                parts.append(part)
                part = stream.decompress(stream.unconsumed_tail, _STEP)
        except zlib.error:
            raise FileRefused(Refusal.DAMAGED) from None
        if not stream.eof:
            raise FileRefused(Refusal.DAMAGED)
        rest = stream.unused_data.lstrip(b"\x00")
    if rest:
        raise FileRefused(Refusal.DAMAGED)
    return b"".join(parts)


def _tar(content: bytes, budget: Budget) -> Iterator[Member]:
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            for info in archive:
                budget.member()
                if info.isdir() or _is_litter(info.name):
                    continue
                stream = archive.extractfile(info) if info.isreg() and not info.issparse() else None
                if stream is None:
                    raise FileRefused(Refusal.OTHER_ARCHIVE)
                body = budget.read(stream, info.size)
                if len(body) != info.size:
                    raise FileRefused(Refusal.DAMAGED)
                yield Member(info.name, body)
    except FileRefused:
        raise
    except Exception:  # tarfile raises TarError, ValueError, OverflowError and more
        raise FileRefused(Refusal.DAMAGED) from None
