"""A small IMAP server in memory, over TLS, that can misbehave as no real one does on demand."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

__all__ = ["ScriptedImap"]

_FETCH_PART = re.compile(r"UID FETCH (\d+) \(BODY\.PEEK\[\]<(\d+)\.(\d+)>\)")
_FETCH_SIZE = re.compile(r"UID FETCH (\d+) \(RFC822\.SIZE\)")
_TO_FOLDER = re.compile(r'UID (MOVE|COPY) (\d+) "(.*)"')


@dataclass
class ScriptedImap:
    """One account with folders of mails by UID, and knobs.

    `commands` records every command line without its tag. `refuse` names commands that are answered NO,
    `mute` commands that are never answered, `drop` commands on which the connection is cut before the
    answer. `told_size` is given in place of the true size. With `late_mail`, a mail comes in right after
    the next search was computed and is announced inside the answer.
    """

    capabilities: str = "IMAP4rev1 IDLE MOVE UIDPLUS"
    greeting: str = "* OK ready"
    uid_validity: int = 1
    password: str = "right"
    quoted_bodies: bool = False
    told_size: int | None = None
    late_mail: bytes | None = None
    refuse: set[str] = field(default_factory=set)
    mute: set[str] = field(default_factory=set)
    drop: set[str] = field(default_factory=set)
    folders: dict[str, dict[int, bytes]] = field(default_factory=lambda: {"INBOX": {}})
    deleted: set[int] = field(default_factory=set)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    largest_piece: int = 0
    port: int = 0
    _next_uid: int = 1
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def serve(self, context: ssl.SSLContext) -> AsyncIterator[ScriptedImap]:
        """Listen on a free loopback port."""
        server = await asyncio.start_server(self._client, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            await server.wait_closed()

    def add(self, raw: bytes, folder: str = "INBOX") -> int:
        """Put a mail into a folder and tell connected clients."""
        uid = self._next_uid
        self._next_uid += 1
        self.folders[folder][uid] = raw
        self.tell(f"* {len(self.folders[folder])} EXISTS")
        return uid

    def tell(self, line: str) -> None:
        """Send an untagged line to all clients."""
        for writer in self._writers:
            writer.write(line.encode() + b"\r\n")

    def cut(self) -> None:
        """Cut all connections without a word."""
        for writer in list(self._writers):
            writer.transport.abort()

    def renumber(self) -> None:
        """Give every mail a new UID and the folder a new UIDVALIDITY."""
        self.uid_validity += 1
        old = self.folders["INBOX"]
        self.folders["INBOX"] = {uid + 1000: raw for uid, raw in old.items()}
        self._next_uid += 2000

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(self.greeting.encode() + b"\r\n")
        if self.greeting.startswith("* BYE"):
            writer.close()
            return
        idle_tag = ""
        try:
            while line := (await reader.readline()).decode().rstrip("\r\n"):
                if line == "DONE":
                    self.commands.append("DONE")
                    if "DONE" not in self.mute:
                        writer.write(f"{idle_tag} OK idle over\r\n".encode())
                    continue
                tag, _, command = line.partition(" ")
                self.commands.append(command)
                name = " ".join(command.split()[: 2 if command.startswith("UID") else 1])
                if name in self.drop:
                    self.drop.discard(name)
                    break
                if name in self.mute:
                    continue
                if name in self.refuse:
                    writer.write(f"{tag} NO not now\r\n".encode())
                    continue
                if name == "IDLE":
                    idle_tag = tag
                    writer.write(b"+ idling\r\n")
                    continue
                if name == "SELECT":
                    self._writers.add(writer)
                self._answer(writer, tag, name, command)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    def _answer(self, writer: asyncio.StreamWriter, tag: str, name: str, command: str) -> None:
        inbox = self.folders["INBOX"]
        lines: list[bytes] = []
        result = "OK done"
        if name == "CAPABILITY":
            lines.append(f"* CAPABILITY {self.capabilities}".encode())
        elif name == "LOGIN" and not command.endswith(f'"{self.password}"'):
            result = "NO [AUTHENTICATIONFAILED] no"
        elif name == "STATUS" and command.split('"')[1] not in self.folders:
            result = "NO no such folder"
        elif name == "CREATE":
            self.folders[command.split('"')[1]] = {}
        elif name == "SELECT":
            lines += [f"* {len(inbox)} EXISTS".encode(), b"* 0 RECENT"]
            lines.append(f"* OK [UIDVALIDITY {self.uid_validity}] UIDs valid".encode())
        elif name == "UID SEARCH":
            uids = " ".join(str(uid) for uid in inbox if uid not in self.deleted)
            lines.append(f"* SEARCH {uids}".strip().encode())
            if self.late_mail is not None:
                inbox[self._next_uid] = self.late_mail
                self._next_uid, self.late_mail = self._next_uid + 1, None
                lines.append(f"* {len(inbox)} EXISTS".encode())
        elif name == "UID FETCH":
            lines += self._fetch(command)
        elif match := _TO_FOLDER.fullmatch(command):
            uid = int(match[2])
            if match[3] not in self.folders:
                result = "NO [TRYCREATE] no such folder"
            elif uid in inbox:
                self.folders[match[3]][uid] = inbox[uid]
                if match[1] == "MOVE":
                    del inbox[uid]
        elif name == "UID STORE":
            self.deleted.add(int(command.split()[2]))
        elif name == "UID EXPUNGE":
            inbox.pop(int(command.split()[2]), None)
        elif name == "LOGOUT":
            lines.append(b"* BYE logging out")
        for line in [*lines, f"{tag} {result}".encode()]:
            writer.write(line + b"\r\n")

    def _fetch(self, command: str) -> list[bytes]:
        inbox = self.folders["INBOX"]
        if match := _FETCH_SIZE.fullmatch(command):
            uid = int(match[1])
            if uid not in inbox:
                return []
            size = len(inbox[uid]) if self.told_size is None else self.told_size
            return [f"* 1 FETCH (UID {uid} RFC822.SIZE {size})".encode()]
        match = _FETCH_PART.fullmatch(command)
        assert match is not None, command
        uid, start, count = int(match[1]), int(match[2]), int(match[3])
        if uid not in inbox:
            return []
        piece = inbox[uid][start : start + count]
        self.largest_piece = max(self.largest_piece, len(piece))
        if self.quoted_bodies:
            text = piece.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
            return [b'* 1 FETCH (UID %d BODY[]<%d> "%s")' % (uid, start, text)]
        return [b"* 1 FETCH (UID %d BODY[]<%d> {%d}\r\n%s)" % (uid, start, len(piece), piece)]
