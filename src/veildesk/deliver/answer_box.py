"""The mailbox agents' answers come to, over IMAP with verified TLS. Blocking: call it in a thread."""

from __future__ import annotations

import contextlib
import imaplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from veildesk.core.errors import BackendUnavailable

__all__ = ["AnswerBox"]

_MOST = 200


@dataclass(frozen=True, slots=True)
class AnswerBox:
    """An account that nothing else uses. `sent` is a folder for marks of what was sent, without content."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    context: ssl.SSLContext = field(repr=False)
    folder: str = "INBOX"
    sent: str = "Veildesk-sent"
    refused: str = "Veildesk-refused"
    seconds: float = 30.0

    @contextlib.contextmanager
    def _open(self, folder: str) -> Iterator[imaplib.IMAP4_SSL]:
        try:
            with imaplib.IMAP4_SSL(
                self.host, self.port, ssl_context=self.context, timeout=self.seconds
            ) as imap:
                imap.login(self.user, self.password)
                if folder != "INBOX":
                    imap.create(folder)
                _expect(imap.select(folder))
                yield imap
        except (OSError, imaplib.IMAP4.error):
            raise BackendUnavailable("mailbox") from None

    def check(self) -> None:
        """Log in and open the folder. Raises `BackendUnavailable`."""
        with self._open(self.folder):
            pass

    def waiting(self) -> list[tuple[int, bytes]]:
        """UIDs and whole mails, oldest first, at most 200."""
        with self._open(self.folder) as imap:
            uids = _uids(imap.uid("SEARCH", "UNDELETED"))[:_MOST]
            found = []
            for uid in uids:
                _, data = imap.uid("FETCH", str(uid), "(BODY.PEEK[])")
                found += [(uid, item[1]) for item in data if isinstance(item, tuple)]
            return found

    def remove(self, uid: int) -> None:
        """Delete one mail and no other."""
        with self._open(self.folder) as imap:
            _expunge(imap, [uid])

    def refuse(self, uid: int) -> None:
        """Put one mail aside for a person to see."""
        with self._open(self.folder) as imap:
            imap.create(self.refused)
            _expect(imap.uid("COPY", str(uid), self.refused))
            _expunge(imap, [uid])

    def put_aside(self, raw: bytes) -> None:
        """Keep a mail that was handed over and is not the team's for a person to see."""
        with self._open(self.refused) as imap:
            _expect(imap.append(self.refused, "", None, raw))

    def was_sent(self, message_id: str) -> bool:
        """Whether a mail of this id was marked as sent."""
        with self._open(self.sent) as imap:
            return bool(_uids(imap.uid("SEARCH", "HEADER", "Message-ID", f'"<{message_id}>"')))

    def first_sent(self, thread: str) -> str | None:
        """The id of the first mail of a thread that was marked as sent."""
        with self._open(self.sent) as imap:
            for uid in _uids(imap.uid("SEARCH", "HEADER", "Message-ID", f'"<{thread}."'))[:1]:
                _, data = imap.uid("FETCH", str(uid), "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
                for item in data:
                    if isinstance(item, tuple) and b"<" in item[1]:
                        return bytes(item[1]).partition(b"<")[2].partition(b">")[0].decode()
        return None

    def mark_sent(self, message_id: str) -> None:
        """Remember that a mail of this id was sent: its id and nothing else."""
        with self._open(self.sent) as imap:
            mark = f"Message-ID: <{message_id}>\r\nSubject: sent\r\n\r\n".encode()
            _expect(imap.append(self.sent, "", None, mark))

    def forget(self, thread: str) -> None:
        """Remove marks and waiting answers of a thread."""
        for folder, header in ((self.sent, "Message-ID"), (self.folder, "To"), (self.refused, "To")):
            with self._open(folder) as imap:
                _expunge(imap, _uids(imap.uid("SEARCH", "HEADER", header, f'"{thread}"')))


def _expect(answer: tuple[str, Any]) -> None:
    if answer[0] != "OK":
        raise BackendUnavailable("mailbox")


def _uids(answer: tuple[str, Any]) -> list[int]:
    return [int(word) for word in (answer[1][0] or b"").split()]


def _expunge(imap: imaplib.IMAP4_SSL, uids: list[int]) -> None:
    if uids:
        those = ",".join(map(str, uids))
        _expect(imap.uid("STORE", those, "+FLAGS.SILENT", r"(\Deleted)"))
        _expect(imap.uid("EXPUNGE", those))
