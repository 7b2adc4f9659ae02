"""Statements as an Atom feed (RFC 4287): one entry for every update, so that updates show up as news.

Pure. The dates are those of issue, which the signature covers; the signed text itself is the content.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from xml.etree import ElementTree

from veildesk.core.notice import Notice, PublishedNotice

__all__ = ["atom"]

_NAMESPACE = "http://www.w3.org/2005/Atom"


def atom(published: Sequence[PublishedNotice], *, title: str, base: str, language: str) -> bytes:
    """The feed, newest first. `base` is the site's address, such as "http://….onion"."""
    newest = sorted(published, key=lambda item: item.number, reverse=True)
    # The first statement names the series for good; keys may change.
    name = f"urn:veildesk:series:{newest[-1].sha256 if newest else 'empty'}"
    feed = ElementTree.Element("feed", {"xmlns": _NAMESPACE})
    _add(feed, "title", title)
    _add(feed, "id", name)
    _add(feed, "updated", _time(newest[0].issued if newest else 0))
    ElementTree.SubElement(feed, "link", {"rel": "self", "href": f"{base}/status.atom"})
    author = ElementTree.SubElement(feed, "author")
    _add(author, "name", title)
    for item in newest:
        entry = ElementTree.SubElement(feed, "entry")
        _add(entry, "title", _title(item))
        _add(entry, "id", f"{name}:{item.number}")
        _add(entry, "updated", _time(item.issued))
        _add(entry, "published", _time(item.issued))
        page = {"rel": "alternate", "type": "text/html", "href": f"{base}/{language}/status/{item.number}"}
        ElementTree.SubElement(entry, "link", page)
        signed = {"rel": "related", "type": "text/plain", "href": f"{base}/status/{item.number}.asc"}
        ElementTree.SubElement(entry, "link", signed)
        ElementTree.SubElement(entry, "category", {"term": item.kind.value})
        content = item.statement.content
        if isinstance(content, Notice):
            _add(entry, "summary", next(iter(content.words.values())).action)
        _add(entry, "content", item.signed_text)
    body: bytes = ElementTree.tostring(feed, encoding="utf-8")
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + body


def _title(item: PublishedNotice) -> str:
    content = item.statement.content
    if isinstance(content, Notice):
        return f"{content.title} ({content.state.value})"
    return f"Signed statement {item.number}: {item.kind.value}"


def _add(parent: ElementTree.Element, tag: str, text: str) -> None:
    """Add an element; characters that XML 1.0 does not have are left out."""
    ElementTree.SubElement(parent, tag).text = "".join(
        letter for letter in text if letter in "\t\n" or (letter >= " " and letter not in "\ufffe\uffff")
    )


def _time(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
