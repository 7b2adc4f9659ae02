"""Notices as an Atom feed (RFC 4287): one entry for every notice, so that updates show up as news.

Pure. Links are relative to the feed's own address; the signed text itself is the content.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from xml.etree import ElementTree

from veildesk.core.notice import PublishedNotice

__all__ = ["atom"]

_NAMESPACE = "http://www.w3.org/2005/Atom"


def atom(published: Sequence[PublishedNotice], *, title: str, fingerprint: str) -> bytes:
    """The feed, newest first. `fingerprint` of the signing key names it for good."""
    newest = sorted(published, key=lambda item: item.number, reverse=True)
    feed = ElementTree.Element("feed", {"xmlns": _NAMESPACE})
    _add(feed, "title", title)
    _add(feed, "id", f"urn:veildesk:notices:{fingerprint.lower()}")
    _add(feed, "updated", _time(newest[0].issued if newest else 0))
    ElementTree.SubElement(feed, "link", {"rel": "self", "href": "/status.atom"})
    author = ElementTree.SubElement(feed, "author")
    _add(author, "name", title)
    for item in newest:
        entry = ElementTree.SubElement(feed, "entry")
        _add(entry, "title", f"{item.notice.title} ({item.notice.state.value})")
        _add(entry, "id", f"urn:veildesk:notices:{fingerprint.lower()}:{item.number}")
        _add(entry, "updated", _time(item.issued))
        ElementTree.SubElement(entry, "link", {"rel": "alternate", "href": f"/status/{item.number}.asc"})
        _add(entry, "content", item.signed_text)
    body: bytes = ElementTree.tostring(feed, encoding="utf-8")
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + body


def _add(parent: ElementTree.Element, tag: str, text: str) -> None:
    """Add an element; characters that XML 1.0 does not have are left out."""
    ElementTree.SubElement(parent, tag).text = "".join(
        letter for letter in text if letter in "\t\n" or (letter >= " " and letter not in "\ufffe\uffff")
    )


def _time(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
