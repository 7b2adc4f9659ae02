"""A receiver of your own, by signed JSON over one address. docs/helpdesks/webhook.md is the format.

Every call is a POST signed by Standard Webhooks; its `webhook-id` is the message's key, the same each time
it is tried. The receiver's answers are believed because of TLS, and read as strangers' data all the same:
what does not fit the format is a fault, and an answer that is not marked as public goes to nobody.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from veildesk.core.errors import BackendRefused, BackendUnavailable, VeildeskError
from veildesk.core.shown import shown, subject_line, without_commands
from veildesk.core.ticket import (
    AgentReply,
    CheckResult,
    Delivered,
    Erased,
    Level,
    RemoteFile,
    TicketChange,
    TicketEntry,
)
from veildesk.deliver.answers import Seen, answer_text
from veildesk.deliver.http import HelpdeskClient, client_from, read_secret
from veildesk.deliver.settings import Settings, token
from veildesk.deliver.standard_webhook import (
    SharedSecret,
    SigningKey,
    read_key,
    shared_secret,
    signed_headers,
)

__all__ = ["PROTOCOL", "Webhook", "from_config"]

PROTOCOL: Final = 1
_KNOWN: Final = {"url", "key_file", "queue", "webhook_file", "ca_file", "timeout"}
_WORD: Final = re.compile(r"[^\x00-\x1f\x7f]{1,1000}\Z")
_OUTCOMES: Final = {"gone": Erased.GONE, "requested": Erased.REQUESTED, "unsupported": Erased.UNSUPPORTED}
_PAGES: Final = 1000


def from_config(name: str, settings: Mapping[str, Any]) -> Webhook:
    """Make the connector from `[backends.NAME]`: url, key_file, queue, webhook_file for notices."""
    read = Settings(name, settings, _KNOWN)
    return Webhook(
        name,
        client_from(read),
        _key(read),
        read.places(read.text("queue", "support")),
        hints=shared_secret(read, "webhook_file"),
    )


def _key(read: Settings) -> SharedSecret | SigningKey:
    try:
        return read_key(read_secret(read.name, read.values, "key_file"))
    except ValueError:
        raise read.wrong("key_file", "a file with whsec_ or whsk_ and base64") from None


class Webhook:
    """Implements `core.ports.Backend` and `Hints`. `queues` are the receiver's names, the first for entries
    without a place."""

    def __init__(
        self,
        name: str,
        client: HelpdeskClient,
        key: SharedSecret | SigningKey,
        queues: tuple[str, ...],
        *,
        hints: SharedSecret | None = None,
    ) -> None:
        self.name = name
        self._client = client
        self._key = key
        self._queues = queues
        self._hints = hints
        self._seen = Seen()

    # -------------------------------------------------------------- transport
    def _event(self, kind: str, data: Mapping[str, Any]) -> bytes:
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return json.dumps({"type": kind, "timestamp": stamp, "data": data}, ensure_ascii=False).encode()

    def _headers(self, identity: str, event: bytes) -> dict[str, str]:
        return signed_headers(self._key, identity or secrets.token_hex(16), int(time.time()), event)

    async def _call(self, kind: str, data: Mapping[str, Any], identity: str = "") -> dict[str, Any]:
        event = self._event(kind, data)
        headers = {**self._headers(identity, event), "Content-Type": "application/json"}
        answer = (await self._client.call("POST", "", content=event, headers=headers)).json()
        if not isinstance(answer, dict):
            raise BackendUnavailable("answer-form")
        return answer

    # --------------------------------------------------------------------- in
    async def check(self) -> list[CheckResult]:
        """Ask the receiver who it is and which queues it has."""
        place = f"backend.{self.name}"
        try:
            answer = await self._call("check", {"protocol": PROTOCOL})
        except VeildeskError as error:
            wrong = error.detail in ("status-401", "status-403")
            found = "our signature is not accepted" if wrong else error.detail
            fix = (
                "give both sides the same key; check both clocks" if wrong else "check url, and that it runs"
            )
            return [CheckResult(f"{place}.call", "the receiver answers", Level.FAIL, found, fix=fix)]
        results = [CheckResult(f"{place}.call", "the receiver answers", Level.OK)]
        speaks = answer.get("protocol") == PROTOCOL
        fix = "" if speaks else f"bring the receiver to version {PROTOCOL} of the format"
        level = Level.OK if speaks else Level.FAIL
        results.append(CheckResult(f"{place}.protocol", f"format version {PROTOCOL}", level, fix=fix))
        queues = answer.get("queues")
        for queue in self._queues:
            known = not isinstance(queues, list) or queue in queues
            fix = "" if known else f"make the queue {queue} there, or correct its name"
            level = Level.OK if known else Level.FAIL
            results.append(CheckResult(f"{place}.queue", f"queue {queue} is there", level, fix=fix))
        return results

    async def deliver(self, entry: TicketEntry) -> Delivered:
        """One call; the receiver knows the key if it had it before."""
        key = token(entry.key)
        event = self._event("ticket.message", self._message(entry))
        headers = self._headers(key, event)
        if entry.files:
            parts: list[Any] = [("event", (None, event, "application/json"))]
            parts += [("files", (f.name, io.BytesIO(f.content), f.media_type)) for f in entry.files]
            answer = await self._client.call("POST", "", headers=headers, files=parts)
        else:
            headers["Content-Type"] = "application/json"
            answer = await self._client.call("POST", "", headers=headers, content=event)
        found = answer.json()
        if not isinstance(found, dict) or not isinstance(found.get("fresh"), bool):
            raise BackendUnavailable("answer-form")
        return Delivered(_word(found, "ref"), fresh=found["fresh"])

    def _message(self, entry: TicketEntry) -> dict[str, Any]:
        return {
            "thread": token(entry.thread),
            "key": entry.key,
            "ref": entry.ref,
            "queue": entry.place or self._queues[0],
            "subject": subject_line(entry.subject),
            "text": shown(entry),
            "body": without_commands(entry.text),
            "protection": entry.protection,
            "topic": entry.topic,
            "language": entry.language,
            "priority": entry.priority,
            "removed": dict(entry.removed),
            "notices": list(entry.notices),
            "files": [
                {
                    "name": file.name,
                    "type": file.media_type,
                    "size": len(file.content),
                    "sha256": hashlib.sha256(file.content).hexdigest(),
                }
                for file in entry.files
            ],
        }

    # -------------------------------------------------------------------- out
    async def replies(self, cursor: str | None) -> AsyncIterator[AgentReply]:
        """Public answers after the position, page by page; the receiver says where a page ends."""
        after = cursor
        for _ in range(_PAGES):
            answer = await self._call("replies.list", {"after": after})
            replies = answer.get("replies")
            if not isinstance(replies, list):
                raise BackendUnavailable("answer-form")
            for one in replies:
                if not isinstance(one, dict):
                    raise BackendUnavailable("answer-form")
                reply = _reply(one)
                if reply.reply_id not in self._seen:
                    yield reply
                after = reply.cursor
            if not answer.get("more") or not replies:
                return

    async def acknowledge(self, reply: AgentReply) -> None:
        """Do not hand it over again should the receiver's positions overlap."""
        self._seen.add(reply.reply_id)

    async def download(self, file: RemoteFile) -> AsyncIterator[bytes]:
        """The bytes of a file, in pieces."""
        event = self._event("file.get", {"handle": file.handle})
        headers = {**self._headers("", event), "Content-Type": "application/json"}
        async for piece in self._client.pieces("", method="POST", content=event, headers=headers):
            yield piece

    def hint(self, headers: Mapping[str, str], body: bytes) -> bool:
        """A notice signed with the secret in `webhook_file`, not older than five minutes."""
        return self._hints is not None and self._hints.verifies(headers, body, int(time.time()))

    # ---------------------------------------------------------------- changes
    async def update(self, ref: str, change: TicketChange) -> None:
        """Everything there is; the receiver leaves out what it has no place for."""
        data = {
            "ref": ref,
            "state": change.state,
            "priority": change.priority,
            "tags": list(change.tags),
            "fields": dict(change.fields),
            "note": change.note,
            "note_key": change.note_key,
        }
        await self._call("ticket.update", data, change.note_key)

    async def erase(self, ref: str, thread: str) -> Erased:
        """Whatever the receiver says that it did."""
        answer = await self._call("ticket.erase", {"ref": ref, "thread": token(thread)})
        outcome = _OUTCOMES.get(str(answer.get("outcome")))
        if outcome is None:
            raise BackendUnavailable("answer-form")
        return outcome

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _word(record: Mapping[str, Any], name: str) -> str:
    """A text or whole number of 1 to 1000 characters without control characters."""
    value = record.get(name)
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _WORD.match(text):
        raise BackendUnavailable("answer-form")
    return text


def _reply(one: Mapping[str, Any]) -> AgentReply:
    reply_id, cursor = _word(one, "id"), _word(one, "cursor")
    try:
        thread = token(str(one.get("thread")))
    except BackendRefused:
        thread = ""
    if not thread or one.get("visibility") != "public":
        return AgentReply(thread="", reply_id=reply_id, cursor=cursor, text="")
    kind = "text/html" if one.get("type") == "text/html" else "text/plain"
    files, others = one.get("files") or [], one.get("others") or []
    if not isinstance(files, list) or not all(isinstance(file, dict) for file in files):
        raise BackendUnavailable("answer-form")
    if not isinstance(others, list):
        raise BackendUnavailable("answer-form")
    return AgentReply(
        thread=thread,
        reply_id=reply_id,
        cursor=cursor,
        text=answer_text([(kind, str(one.get("text") or ""))]),
        # Without its number nothing would say that the answer stands in the ticket we made.
        ref=_word(one, "ref"),
        remote=tuple(_remote(file) for file in files),
        others=tuple(str(other)[:64] for other in others),
    )


def _remote(file: Mapping[str, Any]) -> RemoteFile:
    size = file.get("size")
    return RemoteFile(
        str(file.get("name") or "")[:1000],
        str(file.get("type") or "application/octet-stream")[:200],
        _word(file, "handle"),
        size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None,
    )
