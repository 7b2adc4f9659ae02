"""The text that agents read, and which parts stay attachments.

Plain text is preferred among alternatives; HTML is made text and never goes further. Every other part
is kept as an attachment: nothing that came in disappears without a note, except what only repeats or
frames the text (the other alternatives, signature and control parts of a security multipart).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from veildesk.core.errors import LimitExceeded
from veildesk.core.limits import Limits
from veildesk.mail.charset import clean_text, decode_bytes
from veildesk.mail.html import html_to_text
from veildesk.mail.parse import Part
from veildesk.mail.tnef import is_tnef, read_tnef

__all__ = ["LEGACY_DISPLAY_CLASS", "Body", "read_body", "strip_clear_signature", "tidy", "unflow"]

LEGACY_DISPLAY_CLASS = "header-protection-legacy-display"
_SIGNED_BEGIN = "-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE_BEGIN = "-----BEGIN PGP SIGNATURE-----"
_SIGNATURE_END = "-----END PGP SIGNATURE-----"
_FRAME_TYPES = frozenset(
    {
        *("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"),
        "application/pgp-encrypted",
    }
)
_META_CHARSET = re.compile(rb"<meta\b[^>]*?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:+-]{1,40})", re.IGNORECASE)
_ENRICHED = re.compile(r"<param>[^<]*</param>|</?[A-Za-z0-9-]{1,60}>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Body:
    """`text` in LF lines, the parts that stay attachments in order, and codes of what was noticed."""

    text: str
    attachments: tuple[Part, ...]
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Reader:
    limits: Limits
    legacy_display: bool
    notes: list[str]
    # Text of a winmail.dat: in most mails it repeats the text part, so it stands in only for a missing one.
    spare: list[str] = field(default_factory=list)

    def read(self, part: Part) -> tuple[list[str], list[Part]]:
        """Texts and attachments of one part, in order."""
        if not part.children:
            return self._leaf(part)
        if part.media_type == "multipart/alternative":
            return self._alternative(part.children)
        texts: list[str] = []
        files: list[Part] = []
        for child in self._shown_children(part):
            more, attached = self.read(child)
            texts.extend(more)
            files.extend(attached)
        return texts, files

    def _shown_children(self, part: Part) -> tuple[Part, ...]:
        children = part.children
        if part.media_type in ("multipart/signed", "multipart/encrypted"):
            children = tuple(child for child in children if child.media_type not in _FRAME_TYPES)
        if self.legacy_display and children and _is_legacy_part(children[0]):
            children = children[1:]
        return children

    def _alternative(self, children: tuple[Part, ...]) -> tuple[list[str], list[Part]]:
        """The first alternative with plain text, else the last with any; attachments of all."""
        before = list(self.notes)
        read = [(child, *self.read(child)) for child in children]
        filled = [item for item in read if "".join(item[1]).strip()]
        plain = [item for item in filled if any(leaf.media_type == "text/plain" for leaf in item[0].leaves())]
        chosen = plain[0] if plain else (filled[-1] if filled else None)
        if plain and "html-made-text" not in before:
            self.notes = [note for note in self.notes if note != "html-made-text"]
        files = [part for _, _, attached in read for part in attached]
        return (chosen[1] if chosen is not None else []), files

    def _leaf(self, part: Part) -> tuple[list[str], list[Part]]:
        if not _is_text(part):
            return [], self._kept(part)
        if len(part.content) > self.limits.text_size:
            raise LimitExceeded("text-size")
        text = clean_text(decode_bytes(part.content, _charset(part)))
        if part.media_type == "text/html":
            self.notes.append("html-made-text")
            drop = LEGACY_DISPLAY_CLASS if self._has_legacy_display(part) else None
            return [html_to_text(text, drop_class=drop)], []
        if part.media_type in ("text/enriched", "text/richtext"):
            return [_ENRICHED.sub("", text)], []
        if self._has_legacy_display(part):
            text = text.partition("\n\n")[2]
        if part.params.get("format", "").lower() == "flowed":
            text = unflow(text, delsp=part.params.get("delsp", "").lower() == "yes")
        return [strip_clear_signature(text)], []

    def _kept(self, part: Part) -> list[Part]:
        """What is no text stays an attachment, but for header copies and AMP, which are noted."""
        if is_tnef(part.content):
            return self._unpacked(part)
        if part.disposition == "attachment" or part.filename is not None:
            return [part]
        if part.media_type == "text/rfc822-headers":
            self.notes.append("returned-headers-dropped")
            return []
        if part.media_type == "text/x-amp-html":
            self.notes.append("amp-dropped")
            return []
        return [part]

    def _unpacked(self, part: Part) -> list[Part]:
        """What is in a winmail.dat; one that is cut off is kept besides."""
        content = read_tnef(part.content, self.limits.text_size)
        if content is None or not (content.text or content.files):
            return [part]
        self.notes.append("tnef-opened" if content.sound else "tnef-damaged")
        self.spare.append(clean_text(content.text))
        files = [
            Part((), one.media_type or "application/octet-stream", filename=one.name, content=one.content)
            for one in content.files
        ]
        return files if content.sound else [*files, part]

    def _has_legacy_display(self, part: Part) -> bool:
        return self.legacy_display and part.params.get("hp-legacy-display", "") == "1"


def _charset(part: Part) -> str | None:
    """As declared; HTML may name it itself where the header does not (HTML § 4.2.5.4)."""
    declared = part.params.get("charset")
    if declared is None and part.media_type == "text/html":
        found = _META_CHARSET.search(part.content, 0, 4096)
        return found.group(1).decode("ascii") if found is not None else None
    return declared


def _named_body(root: Part) -> Part | None:
    """The first text that has a file name but is to be shown in place: some programs name the body."""
    for leaf in root.leaves():
        if leaf.media_type == "text/plain" and leaf.disposition != "attachment" and leaf.content.strip():
            return leaf
    return None


def _is_text(part: Part) -> bool:
    if part.disposition == "attachment":
        return False
    if part.media_type.startswith("multipart/"):
        return True
    if part.media_type not in ("text/plain", "text/html", "text/enriched", "text/richtext"):
        return False
    return part.filename is None


def _is_legacy_part(part: Part) -> bool:
    """The part older programs put first to repeat hidden headers (protected-headers="v1")."""
    return (
        part.media_type in ("text/plain", "text/rfc822-headers")
        and part.params.get("protected-headers", "").lower() == "v1"
        and part.disposition != "attachment"
    )


def read_body(root: Part, *, decrypted: bool = False, limits: Limits | None = None) -> Body:
    """Text and attachments of a tree. Raises `LimitExceeded` for text that is too long.

    Repeated headers for older programs are left out of decrypted payloads only (RFC 9788 § 4.5.3).
    """
    limits = limits or Limits()
    reader = _Reader(limits, decrypted, [])
    texts, files = reader.read(root)
    if not texts and root.filename is not None and root.media_type == "text/plain" and not root.children:
        files = [root]
    if not any(item.strip() for item in texts):
        named = _named_body(root) if files else None
        if named is not None and named in files:
            texts = reader.read(replace(named, filename=None))[0]
            files = [one for one in files if one is not named]
        texts = texts if any(item.strip() for item in texts) else reader.spare
    text = tidy("\n\n".join(tidy(item) for item in texts if item.strip()))
    if len(text.encode("utf-8")) > limits.text_size:
        raise LimitExceeded("text-size")
    return Body(text, tuple(files), tuple(dict.fromkeys(reader.notes)))


def tidy(text: str) -> str:
    """No blanks at line ends, no blank lines at the start or end."""
    return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")


def unflow(text: str, *, delsp: bool = False) -> str:
    """Undo what format=flowed adds to lines (RFC 3676 § 4): stuffed blanks, and with DelSp soft breaks.

    Lines keep the width their writer saw, which the format allows, so that patches, tables and quoted
    text stay as they are. With DelSp the break may cut a word, so there lines are joined.
    """
    out: list[str] = []
    open_depth = -1
    for raw in text.split("\n"):
        line = raw.lstrip(">")
        depth = len(raw) - len(line)
        line = line.removeprefix(" ")
        flowed = delsp and line.endswith(" ") and line != "-- "
        content = line[:-1] if flowed else line
        if open_depth == depth and line != "-- ":
            out[-1] += content
        else:
            out.append(f"{'>' * depth} {content}" if depth else content)
        open_depth = depth if flowed else -1
    return "\n".join(out)


def strip_clear_signature(text: str) -> str:
    """The text inside a clear-signed block that is the whole text (RFC 9580 § 7), for reading only.

    What it is worth is told elsewhere; a text with anything around the block stays as it is.
    """
    head, mark, rest = text.strip().partition("\n")
    if head.rstrip() != _SIGNED_BEGIN or not mark or not rest.endswith(_SIGNATURE_END):
        return text
    body, mark, signature = rest.partition(f"\n{_SIGNATURE_BEGIN}\n")
    if not mark or _SIGNATURE_BEGIN in signature or f"\n{_SIGNED_BEGIN}" in body:
        return text
    _, mark, signed = body.partition("\n\n")
    if not mark:
        return text
    return "\n".join(line.removeprefix("- ") for line in signed.split("\n"))
