"""Reading posted forms without ever writing an upload anywhere.

The framework's own form parser puts uploads above one megabyte into a temporary file in plaintext;
it is not used. Parts are parsed as they come (RFC 7578) and sealed in memory chunk by chunk.
Limits are checked from the length header first, then on every piece.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import unicodedata
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, NoReturn
from urllib.parse import parse_qsl

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect, Request

from veildesk.core.errors import LimitExceeded, SpoolUnavailable, Unparsable, VeildeskError
from veildesk.portal.sealed import MemoryBudget, SealedBlob, SealedWriter

__all__ = ["BodyLimits", "CutForm", "Form", "Upload", "read_form", "safe_name"]

_FIELDS: Final = 400
_OVERHEAD: Final = 64 * 1024
_STALL_WHEN_TOO_LONG: Final = 3.0


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """`text` bounds all fields together, `file` one upload, `total` all uploads, in bytes.

    `stall` is how many seconds may pass without a byte; `slowest` bytes a second must have come after them.
    """

    text: int
    files: int
    file: int
    total: int
    stall: float = 60.0
    slowest: float = 256.0


@dataclass(frozen=True, slots=True)
class Upload:
    """One sealed upload: safe base name, type as the browser said, key, ciphertext, SHA-256 (hex)."""

    name: str
    media_type: str
    key: bytes = field(repr=False)
    blob: SealedBlob = field(repr=False)
    sha256: str = ""


@dataclass(slots=True)
class Form:
    """A posted form. Fields keep their order; `uploads` belong to whoever reads the form."""

    fields: dict[str, list[str]] = field(default_factory=dict, repr=False)
    uploads: list[Upload] = field(default_factory=list)

    def get(self, name: str) -> str:
        """The first value of a field, empty if there is none."""
        return self.fields.get(name, [""])[0]

    def all(self, name: str) -> list[str]:
        """All values of a field."""
        return self.fields.get(name, [])

    def drop(self) -> None:
        """Forget all uploads."""
        for upload in self.uploads:
            upload.blob.drop()
        self.uploads = []


class CutForm(Exception):
    """Files that could not be taken; `form` has the fields that came with them, so that no text is lost.

    `cause` is `LimitExceeded`, or `SpoolUnavailable` when there is no memory left for drafts.
    """

    def __init__(self, form: Form, cause: VeildeskError) -> None:
        super().__init__("form cut short")
        self.form, self.cause = form, cause


async def read_form(
    request: Request, limits: BodyLimits, budget: MemoryBudget, random_bytes: Callable[[int], bytes]
) -> Form:
    """Read a posted form of either encoding.

    Raises `LimitExceeded` (too long), `Unparsable` (not a form) or `SpoolUnavailable` (no memory left
    for drafts). On any error everything read so far is forgotten. Where uploads are taken, `CutForm` says
    that only they are at fault.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind == b"multipart/form-data":
        ceiling = limits.text + limits.total + _OVERHEAD
        boundary = options.get(b"boundary", b"")
        if not 0 < len(boundary) <= 70:  # RFC 2046 section 5.1.1
            raise Unparsable("form-boundary")
        reader = _Multipart(boundary, limits, budget, random_bytes)
        try:
            _check_length(request, ceiling)
        except LimitExceeded as error:
            await reader.read_text(request, error)
        return await reader.read(request, ceiling)
    if kind in (b"application/x-www-form-urlencoded", b""):
        _check_length(request, limits.text)
        return await _urlencoded(request, limits)
    raise Unparsable("form-type")


def _check_length(request: Request, ceiling: int) -> None:
    declared = request.headers.get("content-length", "0")
    if not declared.isascii() or not declared.isdigit() or len(declared) > 15 or int(declared) > ceiling:
        raise LimitExceeded("form-length")


async def _urlencoded(request: Request, limits: BodyLimits) -> Form:
    body = bytearray()
    async for piece in _pieces(request, limits):
        body += piece
        if len(body) > limits.text:
            raise LimitExceeded("form-length")
    form = Form()
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS
        )
    except (UnicodeDecodeError, ValueError):
        raise Unparsable("form-coding") from None
    for name, value in pairs:
        form.fields.setdefault(name, []).append(_lines(value))
    return form


async def _pieces(request: Request, limits: BodyLimits) -> AsyncIterator[bytes]:
    """The body as it comes; who sends nothing for too long, or a byte now and then, is cut off."""
    stream, loop, received = request.stream(), asyncio.get_running_loop(), 0
    began = loop.time()
    while True:
        try:
            async with asyncio.timeout(limits.stall):
                piece = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise Unparsable("form-stalled") from None
        received += len(piece)
        late = loop.time() - began - limits.stall
        if late > 0 and received < late * limits.slowest:
            raise Unparsable("form-slow")
        yield piece


class _Multipart:
    """Callbacks of one multipart parse."""

    def __init__(
        self, boundary: bytes, limits: BodyLimits, budget: MemoryBudget, random_bytes: Callable[[int], bytes]
    ) -> None:
        self._limits, self._budget, self._random = limits, budget, random_bytes
        self._form = Form()
        self._text_size = self._file_size = self._parts = 0
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._headers: dict[bytes, bytes] = {}
        self._field, self._filename, self._media_type = "", "", ""
        self._value: bytearray | None = None
        self._writer: SealedWriter | None = None
        self._digest = hashlib.sha256()
        self._ended = self._file_began = self._named = False
        self._cut: VeildeskError | None = None
        callbacks: Any = {
            "on_part_begin": self._part_begin,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }
        self._parser = MultipartParser(boundary, callbacks)

    async def read_text(self, request: Request, error: LimitExceeded) -> None:
        """Of a body that is too long, read no more than what stands before its files. Always raises."""
        try:
            stall = min(self._limits.stall, _STALL_WHEN_TOO_LONG)
            async for piece in _pieces(request, replace(self._limits, stall=stall)):
                self._parser.write(piece)
                if self._file_began:
                    break
        except (FormParserError, UnicodeDecodeError, ClientDisconnect, Unparsable, VeildeskError):
            self._forget()
            raise error from None
        self._forget()
        self._cut_short(error)

    def _cut_short(self, cause: VeildeskError) -> NoReturn:
        if self._limits.files and self._form.fields:
            raise CutForm(self._form, cause)
        raise cause

    async def read(self, request: Request, ceiling: int) -> Form:
        """Feed the parser to the end of the body, also when files in it are not taken: a browser shows an
        answer only after it has sent everything."""
        received = 0
        try:
            async for piece in _pieces(request, self._limits):
                received += len(piece)
                if received > ceiling:
                    raise LimitExceeded("form-length")
                self._parser.write(piece)
            if not self._ended:
                raise Unparsable("form-truncated")
            if self._cut is not None:
                self._cut_short(self._cut)
        except (FormParserError, UnicodeDecodeError, ClientDisconnect) as error:
            self._forget()
            raise Unparsable("form-multipart") from (error if isinstance(error, ClientDisconnect) else None)
        except LimitExceeded as error:
            self._forget()
            self._cut_short(error)
        except BaseException:
            self._forget()
            raise
        return self._form

    def _forget(self) -> None:
        if self._writer is not None:
            self._writer.abort()
            self._writer = None
        self._form.drop()

    def _part_begin(self) -> None:
        self._parts += 1
        if self._parts > _FIELDS:
            raise LimitExceeded("form-parts")
        self._headers = {}

    def _header_end(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._field = options.get(b"name", b"").decode()
        self._value = self._writer = None
        if b"filename" not in options:
            self._value = bytearray()
            return
        self._file_began = True
        if self._cut is not None:
            return
        self._named = bool(options[b"filename"])
        self._filename = safe_name(options[b"filename"].decode(errors="replace"))
        self._media_type = _media_type(self._headers.get(b"content-type", b""))
        self._writer, self._digest = SealedWriter(self._random, self._budget), hashlib.sha256()

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        piece = data[start:end]
        if self._writer is not None:
            try:
                self._take(self._writer, piece)
            except (LimitExceeded, SpoolUnavailable) as error:
                self._refuse(error)
        elif self._value is not None:
            self._text_size += len(piece)
            if self._text_size > self._limits.text:
                raise LimitExceeded("form-text")
            self._value += piece

    def _take(self, writer: SealedWriter, piece: bytes) -> None:
        self._file_size += len(piece)
        if len(self._form.uploads) >= self._limits.files:
            raise LimitExceeded("upload-count")
        if writer.size + len(piece) > self._limits.file or self._file_size > self._limits.total:
            raise LimitExceeded("upload-size")
        writer.write(piece)
        self._digest.update(piece)

    def _refuse(self, error: VeildeskError) -> None:
        """Take no file of this form; the fields are read on."""
        if not self._limits.files:
            raise error
        self._cut = error
        self._forget()

    def _part_end(self) -> None:
        if self._writer is not None and self._named and not self._writer.size:
            # Empty, but chosen: a browser sends a part without a name when no file was.
            self._part_data(b"", 0, 0)
        if self._writer is not None and (self._writer.size or self._named):
            key, blob = self._writer.key, self._writer.finish()
            digest = self._digest.hexdigest()
            self._form.uploads.append(Upload(self._filename, self._media_type, key, blob, digest))
        elif self._value is not None:
            self._form.fields.setdefault(self._field, []).append(_lines(self._value.decode()))
        self._value = self._writer = None

    def _end(self) -> None:
        self._ended = True


def safe_name(name: str) -> str:
    """A base name without path, control or direction characters, at most 80 code points."""
    base = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    kept = "".join(letter for letter in base if unicodedata.category(letter)[0] not in "CZ" or letter == " ")
    kept = kept.strip(" .")
    if len(kept) > 80:
        stem, dot, suffix = kept.rpartition(".")
        kept = stem[: 79 - len(suffix)] + dot + suffix if dot and len(suffix) <= 8 else kept[:80]
    return kept or "file"


def _media_type(value: bytes) -> str:
    found = re.match(rb"\s*([a-zA-Z0-9.+-]{1,60}/[a-zA-Z0-9.+-]{1,80})\s*(?:;|$)", value)
    return found[1].decode().lower() if found else "application/octet-stream"


def _lines(value: str) -> str:
    """Line ends as LF; NUL and lone surrogates can only be mischief."""
    return value.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
