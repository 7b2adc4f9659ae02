"""What the gateway would make of a stored mail: opened, normalised, cleaned, searched, and told.

Nothing is sent or stored. The mail takes the same way as in the gateway (`read_mail`, the cleaner, the
redaction), so that what is told here is what would happen. No mail, however broken, ends in an error: it
gets a report with its disposition and reason.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from veildesk.attachments.finish import finish
from veildesk.core.errors import NotSoundCiphertext, VeildeskError
from veildesk.core.finding import MaskNumbering
from veildesk.core.limits import Limits
from veildesk.core.message import (
    Attachment,
    Disposition,
    Encryption,
    Integrity,
    OpenedMessage,
    Scope,
    Verdict,
)
from veildesk.core.ports import Cleaned, Cleaner, Engine
from veildesk.mail.headers import effective_headers, removed_headers
from veildesk.mail.names import safe_name
from veildesk.mail.parse import parse_mail
from veildesk.openpgp.structure import LayerKind, find_layer, has_ciphertext
from veildesk.redact.apply import redact_text
from veildesk.service.disposition import dispose, dispose_failed
from veildesk.service.reading import read_mail

__all__ = ["Inspector", "report_of_failure"]

_LOG = logging.getLogger("veildesk.inspect")


@dataclass(slots=True)
class _Search:
    """Findings of one mail, masks numbered across its texts."""

    numbering: MaskNumbering
    counts: dict[str, int] = field(default_factory=dict)

    def mask(self, text: str) -> str:
        masked = redact_text(text, self.numbering)
        for name, count in masked.counts.items():
            self.counts[name] = self.counts.get(name, 0) + count
        return masked.text


@dataclass(frozen=True, slots=True)
class Inspector:
    """Makes reports. `key` keys the numbering of masks, 32 random bytes.

    `certificates` are other people's public keys, binary, one each. With `redacted`, texts are given
    masked. At most `parallel` mails are worked on at a time.
    """

    engine: Engine
    cleaner: Cleaner
    key: bytes = field(repr=False)
    certificates: Sequence[bytes] = field(default=(), repr=False)
    limits: Limits = field(default_factory=Limits)
    redacted: bool = False
    parallel: int = 4

    async def reports(self, files: Iterable[Path]) -> AsyncIterator[dict[str, Any]]:
        """One report a file, in the order given."""
        waiting: list[asyncio.Task[dict[str, Any]]] = []
        try:
            for path in files:
                waiting.append(asyncio.create_task(self.report(path)))
                if len(waiting) >= self.parallel:
                    yield await waiting.pop(0)
            while waiting:
                yield await waiting.pop(0)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def report(self, path: Path) -> dict[str, Any]:
        """The report of one file; never raises for what is in it."""
        # A file name may be bytes that are no UTF-8; the report is.
        name = str(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        try:
            raw = await asyncio.to_thread(self._read, path)
        except (OSError, ValueError):
            return {"file": name, **_document(Disposition.REFUSE, "unreadable-file")}
        return {"file": name, **await self.report_bytes(raw)}

    def _read(self, path: Path) -> bytes:
        with path.open("rb") as stream:
            return stream.read(self.limits.mail_size + 1)

    async def report_bytes(self, raw: bytes) -> dict[str, Any]:
        """The report of one mail without its file name."""
        try:
            message = await self._open(raw)
            return await self._report(message)
        except VeildeskError as error:
            return await asyncio.to_thread(report_of_failure, raw, error, self.limits)
        except Exception as error:  # a report is due whatever happens; the fault is named in the log
            _LOG.error("inspect-failed error=%s", type(error).__name__)
            return _document(Disposition.QUARANTINE, "internal")

    async def _open(self, raw: bytes) -> OpenedMessage:
        """Verify with the keys of our own home first: few mails need all the others.

        Keys that a mail brings along are left out: a report says what the given keys say.
        """
        message = await read_mail(raw, self.engine, (), self.limits, carried_keys=False)
        if not self.certificates or all(one.verdict is Verdict.VALID for one in message.signatures):
            return message
        return await read_mail(raw, self.engine, self.certificates, self.limits, carried_keys=False)

    async def _report(self, message: OpenedMessage) -> dict[str, Any]:
        disposition, reason = dispose(message)
        cleaned = [await self._clean(one) for one in message.attachments]
        search = _Search(MaskNumbering(self.key))
        subject, text = await asyncio.to_thread(_masked, search, message)
        pairs = zip(message.attachments, cleaned, strict=True)
        attachments = [await asyncio.to_thread(self._attachment, *pair, search) for pair in pairs]
        shown = (subject, text) if self.redacted else (message.subject, message.text)
        document = _document(disposition, reason, message.encryption)
        document["signatures"] = [
            {
                "verdict": one.verdict.value,
                "fingerprint": one.fingerprint,
                "scope": one.scope.value,
                "bound_to_from": one.bound_to_from,
            }
            for one in message.signatures
        ]
        document["subject"], document["text"] = shown
        document["subject_protected"] = message.subject_protected
        document["attachments"] = attachments
        document["removed_headers"] = list(message.removed_headers)
        document["findings"] = _findings(search.counts)
        return document

    async def _clean(self, file: Attachment) -> Cleaned:
        return await self.cleaner.clean(file.name, file.media_type, file.content)

    def _attachment(self, file: Attachment, cleaned: Cleaned, search: _Search) -> dict[str, Any]:
        """`size` and `sha256` are those of the cleaned file, of the file as it came when it is refused."""
        done = finish(cleaned, search.mask)
        # Unless redacted text was asked for, text is shown as it was before redaction.
        plain = cleaned.text and done.text and not self.redacted
        content = file.content if done.content is None else (cleaned.content if plain else done.content)
        kind = "text/plain" if done.text else done.media_type
        assert content is not None
        return {
            "name": done.name if self.redacted else safe_name(cleaned.name),
            "type": file.media_type.partition(";")[0] if done.content is None else kind,
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "cleaned": done.content is not None,
            "refused": done.refused,
        }


def _masked(search: _Search, message: OpenedMessage) -> tuple[str, str]:
    text = search.mask(message.text)
    return search.mask(message.subject), text


def _findings(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"type": name, "count": count} for name, count in sorted(counts.items())]


def report_of_failure(raw: bytes, error: VeildeskError, limits: Limits) -> dict[str, Any]:
    """What can be told of a mail that was not opened: its structure, never its content."""
    disposition, reason = dispose_failed(error)
    document = _document(disposition, reason)
    try:
        outer = parse_mail(raw, limits)
        layer = find_layer(raw, outer)
    except VeildeskError:
        return document
    headers = effective_headers(outer)
    integrity = Integrity.NONE if isinstance(error, NotSoundCiphertext) else None
    if layer.kind in (LayerKind.ENCRYPTED, LayerKind.INLINE):
        document["encryption"] = _encryption(Encryption(Scope.WHOLE, integrity))
    elif has_ciphertext(outer):
        document["encryption"] = _encryption(Encryption(Scope.PART, integrity))
    document["subject"] = headers.subject
    document["removed_headers"] = list(removed_headers(outer, None, outer_subject_used=True))
    return document


def _encryption(encryption: Encryption) -> dict[str, str | None]:
    integrity = encryption.integrity.value if encryption.integrity is not None else None
    return {"scope": encryption.scope.value, "integrity": integrity}


def _document(disposition: Disposition, reason: str, encryption: Encryption | None = None) -> dict[str, Any]:
    """All fields there are, in their order, filled with nothing."""
    return {
        "disposition": disposition.value,
        "reason": reason,
        "encryption": _encryption(encryption or Encryption()),
        "signatures": [],
        "subject": "",
        "subject_protected": False,
        "text": "",
        "attachments": [],
        "removed_headers": [],
        "findings": [],
    }
