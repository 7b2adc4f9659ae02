"""Files beside the status pages: for programs, and for people who verify. Pure.

The signed originals are exact bytes; JSON, Atom and plain text are made from them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import segno

from veildesk.core.notice import Board, Kind, Notice, PublishedNotice
from veildesk.portal.feed import atom
from veildesk.portal.ports import PortalSettings
from veildesk.portal.render import moment
from veildesk.portal.snapshot import Snapshot

__all__ = ["FILES", "MEDIA_TYPES", "StatusFile", "base_address", "index", "plain_text"]

StatusFile = Callable[[PortalSettings, Snapshot], bytes | None]

_TEXT = "text/plain; charset=utf-8"


def base_address(settings: PortalSettings) -> str:
    """The site's own address, empty if it has none; onions are their own encryption and need no TLS."""
    host = settings.hosts[0] if settings.hosts else ""
    scheme = "http" if host.endswith(".onion") or host == "localhost" else "https"
    return f"{scheme}://{host}" if host else ""


def index(settings: PortalSettings, shot: Snapshot) -> bytes:
    """Everything as JSON."""
    board = shot.board or Board()
    body = {
        "v": 2,
        "summaryStatus": shot.summary,
        "components": [
            {"name": one.name, "state": one.state.value, "since": _iso(one.since), "source": one.source}
            for one in board.components
        ],
        "active": [one.latest.incident for one in shot.going_on],
        "maintenance": [one.latest.incident for one in shot.maintenance],
        "notices": [_entry(item) for item in reversed(board.statements)],
        "heartbeat": "/heartbeat.asc" if board.heartbeat else None,
        "series": "/notices.txt",
    }
    return json.dumps(body, ensure_ascii=False, indent=1).encode()


def plain_text(settings: PortalSettings, shot: Snapshot) -> bytes:
    """The same to read in a terminal."""
    lines = [f"{settings.organisation}: status", f"Now: {shot.summary}", ""]
    board = shot.board or Board()
    lines += [f"{one.name}: {one.state.value}" for one in board.components] + [""]
    for name, group in (
        ("GOING ON", shot.going_on),
        ("MAINTENANCE", shot.maintenance),
        ("EARLIER", shot.over),
    ):
        for one in group:
            notice = one.latest.notice
            lines += [
                f"{name}: {notice.title}",
                f"{notice.state.value}, {notice.severity.value}, {moment(one.latest.issued)}",
                *[f"{words.action}\n{words.summary}" for words in notice.words.values()],
                f"Signed: {base_address(settings)}/status/{one.latest.number}.asc",
                "",
            ]
    return ("\n".join(lines).rstrip("\n") + "\n").encode()


def _entry(item: PublishedNotice) -> Mapping[str, object]:
    entry: dict[str, object] = {
        "number": item.number,
        "kind": item.kind.value,
        "issued": _iso(item.issued),
        "validUntil": _iso(item.statement.valid_until),
        "signed": f"/status/{item.number}.asc",
        "sha256": item.sha256,
    }
    content = item.statement.content
    if isinstance(content, Notice):
        entry |= {
            "incident": item.incident,
            "title": content.title,
            "state": content.state.value,
            "severity": content.severity.value,
            "components": list(content.components),
            "starts": _iso(content.starts),
            "ends": _iso(content.ends),
        }
    return entry


def _iso(seconds: int | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _feed(settings: PortalSettings, shot: Snapshot) -> bytes:
    board = shot.board or Board()
    base, language = base_address(settings), settings.languages[0]
    return atom(board.statements, title=settings.organisation, base=base, language=language)


def _series(settings: PortalSettings, shot: Snapshot) -> bytes | None:
    board = shot.board or Board()
    return "".join(item.signed_text for item in board.statements).encode() or None


def _latest(kind: Kind) -> StatusFile:
    def file(settings: PortalSettings, shot: Snapshot) -> bytes | None:
        item = shot.board.latest(kind) if shot.board else None
        return item.signed_text.encode() if item else None

    return file


def _text(name: str) -> StatusFile:
    def file(settings: PortalSettings, shot: Snapshot) -> bytes | None:
        text = getattr(shot.board, name) if shot.board else None
        return text.encode() if text else None

    return file


def _qr(settings: PortalSettings, shot: Snapshot) -> bytes | None:
    out = io.BytesIO()
    segno.make(base_address(settings) or settings.organisation, error="m", micro=False).save(
        out, kind="png", scale=6, border=4
    )
    return out.getvalue()


def _notice_keys(settings: PortalSettings, shot: Snapshot) -> bytes:
    return (shot.board.keys if shot.board else b"") or settings.notices_key


def _support_key(settings: PortalSettings, shot: Snapshot) -> bytes:
    """As it is now; the settings have it as it was at the start."""
    return (shot.board.support_key if shot.board else b"") or settings.support_key


def _transition(role: str) -> StatusFile:
    def file(settings: PortalSettings, shot: Snapshot) -> bytes | None:
        text = shot.board.transitions.get(role) if shot.board else None
        return text.encode() if text else None

    return file


FILES: Mapping[str, StatusFile] = {
    "status.json": index,
    "status.atom": _feed,
    "status.txt": plain_text,
    "notices.txt": _series,
    "heartbeat.asc": _text("heartbeat"),
    "addresses.asc": _latest(Kind.IDENTITY),
    "canary.asc": _latest(Kind.CANARY),
    "keys/notices.asc": _notice_keys,
    "keys/support.asc": _support_key,
    "keys/support-next.asc": lambda settings, shot: (shot.board.support_next or None) if shot.board else None,
    "transition-support.asc": _transition("support"),
    "transition-notice.asc": _transition("notice"),
    ".well-known/security.txt": _text("security_txt"),
    "verify-notices.py": lambda settings, shot: shot.board.verifier if shot.board else None,
    "onion.png": _qr,
}
"""Path to maker; None from a maker means that there is no such file now."""

MEDIA_TYPES: Mapping[str, str] = {
    "json": "application/json",
    "atom": "application/atom+xml; charset=utf-8",
    "png": "image/png",
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
}
"""By ending; everything else is plain text."""


def media_type(path: str) -> str:
    """The media type of a path of the status site."""
    if path.startswith("keys/"):
        return "application/pgp-keys"
    return MEDIA_TYPES.get(path.rpartition(".")[2], _TEXT)
