"""A local Maildir as helpdesk: clean tickets go in, agents' answers are dropped beside it.

Any mail program that reads Maildir is the agent's tool. An answer is an RFC 5322 file with
In-Reply-To, put into the reply folder (a plain file, or by way of its `new/`). The file name carries the
message's key, so that delivering again finds the first copy; see the Maildir rules of D. J. Bernstein.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import re
import stat
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from veildesk.core.errors import BackendRefused, BackendUnavailable, ConfigInvalid, VeildeskError
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
from veildesk.deliver.maildir_names import FolderNames
from veildesk.mail.agent import compose_ticket, read_agent_reply

__all__ = ["MaildirBackend", "from_config"]

_log = logging.getLogger("veildesk.deliver")
_SETTLE = 0.2
_KNOWN = {"base", "path", "replies", "from", "to", "domain"}
_NO_PLACES = (
    "a Maildir has no queues inside; name another [backends] section in the route, with a path of its own, "
    "and leave place away"
)
_TOKEN = re.compile(r"[A-Za-z0-9]{8,64}\Z")


def from_config(name: str, settings: Mapping[str, Any]) -> MaildirBackend:
    """Make the connector from `[backends.NAME]`: path, replies, from, to, domain."""
    if settings.get("places"):
        raise ConfigInvalid(f"[routes] place for [backends.{name}]: {_NO_PLACES}")
    unknown = set(settings) - _KNOWN
    if unknown:
        known = ", ".join(sorted({*_KNOWN, "kind", "poll_seconds"} - {"base"}))
        raise ConfigInvalid(f"[backends.{name}] {', '.join(sorted(unknown))}: unknown key; known: {known}")
    base = Path(settings.get("base", "."))
    for key in ("path", "replies"):
        if not isinstance(settings.get(key), str):
            raise ConfigInvalid(f"[backends.{name}] {key}: expected a path")
    return MaildirBackend(
        name,
        base / settings["path"],
        base / settings["replies"],
        sender=settings.get("from", "tickets@veildesk.invalid"),
        recipient=settings.get("to", "agents@veildesk.invalid"),
        domain=settings.get("domain", "veildesk.invalid"),
    )


class MaildirBackend:
    """Implements `core.ports.Backend` on the local file system."""

    def __init__(
        self, name: str, path: Path, replies: Path, *, sender: str, recipient: str, domain: str
    ) -> None:
        self.name = name
        self._path = path
        self._replies = replies
        self._sender = sender
        self._recipient = recipient
        self._domain = domain
        self._pending: dict[str, Path] = {}
        self._names = {part: FolderNames(path / part, ours=part == "new") for part in ("new", "cur")}

    async def check(self) -> list[CheckResult]:
        """Whether both folders can be written."""
        return await asyncio.to_thread(self._check)

    def _check(self) -> list[CheckResult]:
        results = []
        for title, folder in (("Maildir for tickets", self._path), ("folder for answers", self._replies)):
            # A folder that does not exist yet is made at the first delivery; checking changes nothing.
            nearest = next(path for path in (folder, *folder.parents) if path.exists())
            good = nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
            if good and nearest == folder and _open_to_all(folder):
                results.append(self._exposed(title, folder))
                continue
            results.append(
                CheckResult(
                    id=f"backend.{self.name}.{'path' if folder is self._path else 'replies'}",
                    title=title,
                    level=Level.OK if good else Level.FAIL,
                    found="writable" if good else "not writable",
                    expected="writable",
                    fix="" if good else "give the gateway's user write access to this folder",
                )
            )
        return results

    def _exposed(self, title: str, folder: Path) -> CheckResult:
        return CheckResult(
            id=f"backend.{self.name}.{'path' if folder is self._path else 'replies'}",
            title=title,
            level=Level.FAIL,
            found="open to every user of the machine",
            expected="for the gateway and the agents' program alone",
            fix=f"chmod o= {folder}",
        )

    def _prepare(self) -> None:
        for folder in (self._path, self._replies):
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(exist_ok=True, mode=0o700)
        for part in ("tmp", "new", "cur"):
            (self._path / part).mkdir(exist_ok=True, mode=0o700)
        (self._replies / "refused").mkdir(exist_ok=True, mode=0o700)

    # ------------------------------------------------------------------ in
    async def deliver(self, entry: TicketEntry) -> Delivered:
        """Write the entry unless a file with its key is there. `ref` is the thread's first message id."""
        try:
            return await asyncio.to_thread(self._deliver_once_prepared, entry)
        except OSError as error:
            raise BackendUnavailable(f"maildir {type(error).__name__} {error.errno}") from None

    def _deliver_once_prepared(self, entry: TicketEntry) -> Delivered:
        try:
            return self._deliver(entry)
        except FileNotFoundError:
            self._prepare()
            return self._deliver(entry)

    def _deliver(self, entry: TicketEntry) -> Delivered:
        # Short enough for one header line: some programs fold longer ids into unusable forms.
        own_id = f"{entry.thread}.{entry.key[:8]}@{self._domain}"
        perhaps = {part: names.may_hold(entry.thread, entry.key) for part, names in self._names.items()}
        known = (entry.ref or "").startswith(f"{entry.thread}.")
        first = entry.ref if known else self._first(entry.thread, perhaps)
        ref = first or own_id
        if self._find(entry, perhaps):
            return Delivered(ref=ref, fresh=False)
        mail = compose_ticket(
            entry,
            sender=self._sender,
            recipient=self._recipient,
            message_id=own_id,
            in_reply_to=first,
        )
        self._write(entry, mail)
        return Delivered(ref=ref)

    def _first(self, thread: str, perhaps: Mapping[str, frozenset[str]]) -> str | None:
        """The message id of the first mail of a thread that is still there."""
        found = [
            (path.stat().st_mtime_ns, path.name.split(".")[1])
            for part in (part for part, words in perhaps.items() if thread in words)
            for path in (self._path / part).glob(f"{thread}.*.veildesk*")
        ]
        return f"{thread}.{min(found)[1][:8]}@{self._domain}" if found else None

    def _find(self, entry: TicketEntry, perhaps: Mapping[str, frozenset[str]]) -> bool:
        if (self._path / "new" / _name(entry)).exists():
            return True
        parts = (part for part, words in perhaps.items() if entry.key in words)
        return any(True for part in parts for _ in (self._path / part).glob(f"*.{entry.key}.veildesk*"))

    def _write(self, entry: TicketEntry, mail: bytes) -> None:
        temporary = self._path / "tmp" / f"{entry.key}.{os.getpid()}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                rest = memoryview(mail)
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(descriptor)
            self._names["new"].put(_name(entry), temporary)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(self._path / "new")

    # ----------------------------------------------------------------- out
    async def replies(self, cursor: str | None) -> AsyncIterator[AgentReply]:
        """Answers in the reply folder, oldest first. A file stays until it is acknowledged."""
        for path in await asyncio.to_thread(self._waiting):
            try:
                raw = await _settled(path)
                reply = self._read(path, raw) if raw is not None else None
                if raw is not None and reply is None:
                    _log.warning("answer-refused backend=%s", self.name)
                    await asyncio.to_thread(path.rename, self._replies / "refused" / path.name)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise BackendUnavailable(f"maildir {type(error).__name__} {error.errno}") from None
            if reply is None:
                continue
            self._pending[reply.reply_id] = path
            yield reply

    def _waiting(self) -> list[Path]:
        self._prepare()
        found: list[tuple[int, str, Path]] = []
        for folder in (self._replies, self._replies / "new", self._replies / "cur"):
            if not folder.is_dir():
                continue
            for path in folder.iterdir():
                if path.name.startswith(".") or path.name.endswith((".tmp", ".part")) or not path.is_file():
                    continue
                found.append((path.stat().st_mtime_ns, path.name, path))
        return [path for _, _, path in sorted(found)]

    def _read(self, path: Path, raw: bytes) -> AgentReply | None:
        try:
            answer = read_agent_reply(raw)
        except VeildeskError:
            # One file that cannot be read must not hold up the others.
            return None
        if not answer.text.strip() and not answer.files:
            return None
        suffix = f"@{self._domain}"
        for message_id in answer.references:
            thread, _, key = message_id.removesuffix(suffix).partition(".")
            if message_id.endswith(suffix) and _TOKEN.match(thread) and _TOKEN.match(key):
                digest = hashlib.sha256(path.name.encode() + b"\0" + raw).hexdigest()
                return AgentReply(
                    thread=thread, reply_id=digest, cursor="", text=answer.text, files=answer.files
                )
        return None

    async def acknowledge(self, reply: AgentReply) -> None:
        """Remove the answer's file: it lies sealed in the spool now."""
        path = self._pending.pop(reply.reply_id, None)
        if path is not None:
            await asyncio.to_thread(path.unlink, missing_ok=True)

    def download(self, file: RemoteFile) -> AsyncIterator[bytes]:
        """Answers bring their files with them."""
        raise BackendRefused("no-such-file")

    async def update(self, ref: str, change: TicketChange) -> None:
        """Mail programs have no place for any of it."""

    async def erase(self, ref: str, thread: str) -> Erased:
        """Remove every file of the thread."""
        try:
            await asyncio.to_thread(self._erase, thread)
        except OSError as error:
            raise BackendUnavailable(f"maildir {type(error).__name__} {error.errno}") from None
        return Erased.GONE

    def _erase(self, thread: str) -> None:
        if not _TOKEN.match(thread):
            return
        # Answers too that were never taken over.
        for path in [*self._waiting(), *(self._replies / "refused").iterdir()]:
            if path.is_file() and f"{thread}.".encode() in path.read_bytes():
                path.unlink(missing_ok=True)
        for part in ("new", "cur", "tmp"):
            for path in (self._path / part).glob(f"{thread}.*.veildesk*"):
                path.unlink(missing_ok=True)
            _sync_folder(self._path / part)


def _name(entry: TicketEntry) -> str:
    return f"{entry.thread}.{entry.key}.veildesk"


async def _settled(path: Path) -> bytes | None:
    """The whole file, or None while somebody still writes it."""
    before = await asyncio.to_thread(path.stat)
    if time.time() - before.st_mtime < _SETTLE:
        await asyncio.sleep(_SETTLE)
    raw = await asyncio.to_thread(path.read_bytes)
    after = await asyncio.to_thread(path.stat)
    same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    return raw if same and len(raw) == after.st_size else None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_to_all(folder: Path) -> bool:
    """Whether every user of the machine could read what lies here, or write here: whoever writes an answer
    speaks for the agents."""
    within = [folder / part for part in ("tmp", "new", "cur")]
    parts = [part for part in within if part.is_dir()] or [folder]
    about = folder.stat().st_mode
    reachable = any(part.stat().st_mode & stat.S_IRWXO for part in parts)
    return bool(about & stat.S_IWOTH) or bool(about & stat.S_IXOTH and reachable)
