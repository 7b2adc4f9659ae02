"""Versioned bytes for nouns that wait sealed in the spool."""

from __future__ import annotations

import base64
import json
from typing import Any

from veildesk.core.ticket import AgentReply, File, TicketEntry
from veildesk.core.work import Reason

__all__ = ["decode_entry", "decode_reply", "encode_entry", "encode_reply"]

_VERSION = 1


def encode_entry(entry: TicketEntry) -> bytes:
    """A clean ticket entry as JSON bytes."""
    return _dump(
        {
            "thread": entry.thread,
            "key": entry.key,
            "subject": entry.subject,
            "text": entry.text,
            "queue": entry.queue,
            "place": entry.place,
            "topic": entry.topic,
            "language": entry.language,
            "priority": entry.priority,
            "protection": entry.protection,
            "removed": dict(entry.removed),
            "notices": list(entry.notices),
            "files": _files_out(entry.files),
        }
    )


def decode_entry(data: bytes, ref: str | None = None) -> TicketEntry:
    """The reverse; `ref` is what the spool knows by now. Raises `ValueError` for another version."""
    fields = _load(data)
    fields["notices"] = tuple(fields["notices"])
    fields["files"] = _files_in(fields["files"])
    return TicketEntry(ref=ref, **fields)


def encode_reply(reply: AgentReply) -> bytes:
    """An agent's answer as JSON bytes."""
    return _dump(
        {
            "thread": reply.thread,
            "reply_id": reply.reply_id,
            "cursor": reply.cursor,
            "text": reply.text,
            "files": _files_out(reply.files),
            "missing": list(reply.missing),
            "others": list(reply.others),
            "doubt": reply.doubt.value,
        }
    )


def decode_reply(data: bytes) -> AgentReply:
    """The reverse. Raises `ValueError` for another version."""
    fields = _load(data)
    fields["files"] = _files_in(fields["files"])
    for name in ("missing", "others"):
        fields[name] = tuple(fields.get(name, ()))
    fields["doubt"] = Reason(fields.get("doubt", ""))
    return AgentReply(**fields)


def _dump(fields: dict[str, Any]) -> bytes:
    return json.dumps({"v": _VERSION, **fields}, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _load(data: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(data.decode("utf-8", "surrogatepass"))
    if fields.pop("v") != _VERSION:
        raise ValueError("unknown version of a stored noun")
    return fields


def _files_out(files: tuple[File, ...]) -> list[list[str]]:
    return [[f.name, f.media_type, base64.b64encode(f.content).decode()] for f in files]


def _files_in(files: list[list[str]]) -> tuple[File, ...]:
    return tuple(File(name, kind, base64.b64decode(content)) for name, kind, content in files)
