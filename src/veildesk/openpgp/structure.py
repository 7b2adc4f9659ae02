"""Where a mail holds OpenPGP, told from its structure alone (RFC 3156, RFC 1847, RFC 9787 § 4).

Only a layer that covers a whole entity is a `Layer`; opening goes on inside it. Everything else that
is encrypted or signed covers a part: ciphertext there is never decrypted, since an answer could carry
its plaintext to whoever put it there. Pure; no crypto, nothing imported, nothing fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from veildesk.core.errors import VeildeskError
from veildesk.mail.charset import decode_bytes
from veildesk.mail.html import html_to_text
from veildesk.mail.parse import Part
from veildesk.openpgp.armor import Block, find_blocks, outside, single_block
from veildesk.openpgp.packets import Kind, classify

__all__ = [
    "Layer",
    "LayerKind",
    "SignedSpan",
    "canonical",
    "find_layer",
    "has_ciphertext",
    "is_blank",
    "is_copy",
    "is_message",
    "shown_html",
    "signed_spans",
]

_MAX_SPANS = 4
_BLANK_HTML = 65536
_EMPTY_HTML = re.compile(
    rb"(?:\s|&nbsp;|\xc2?\xa0|<!--[^<>]*-->|<style[^<>]*>[^<>\"'(]*</style>"
    rb"|</?(?:!doctype|html|head|meta|title|body|div|p|br|span|font)(?:\s[^<>]*)?>)*",
    re.IGNORECASE,
)
_LINK_TARGET = re.compile(r" <(?:https?|ftp)://[^<>\s]{1,2000}>$", re.MULTILINE)
_WORD = re.compile(rb"[0-9A-Za-z\x80-\xff]")
# What Proton's bridge writes before the ciphertext that another program handed to it.
_PROTON_BRIDGE = b"Empty Message"
_MARKUP = re.compile(rb"[<&]")
_CONTROL = re.compile(rb"\s*Version: *1\s*")
_BODIES = frozenset({"application/octet-stream", "application/pgp-encrypted", "text/plain"})
_SMIME = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature"})
_SMIME_DATA = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_SMIME_NAMES = (".p7m", ".p7z")


class LayerKind(StrEnum):
    """What wraps a whole entity."""

    NONE = "none"
    ENCRYPTED = "encrypted"
    SIGNED = "signed"
    INLINE = "inline"
    SMIME_SIGNED = "smime-signed"


@dataclass(frozen=True, slots=True)
class SignedSpan:
    """Exact signed bytes with CRLF line ends and their detached signatures; or, when `data` is None,
    clear-signed text in `signature`."""

    data: bytes | None = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Layer:
    """The outermost layer of one entity.

    `content` is ciphertext or an inline block, `span` what is signed, `inner` the entity inside a
    signature. `charset` belongs to an inline block, `clear` says that it is clear-signed, `bare` that the
    block is the whole mail as a file called `name`, which may hold a MIME entity. `notes` are fixed words.
    """

    kind: LayerKind = LayerKind.NONE
    content: bytes = field(default=b"", repr=False)
    span: SignedSpan | None = None
    inner: bytes = field(default=b"", repr=False)
    charset: str = ""
    clear: bool = False
    bare: bool = False
    name: str | None = None
    notes: tuple[str, ...] = ()


def canonical(data: bytes) -> bytes:
    """Line ends as they are signed (RFC 3156 § 5): CRLF, whatever a store made of them."""
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def find_layer(source: bytes, root: Part) -> Layer:
    """The layer around the whole entity `root`, parsed from `source`."""
    if root.media_type == "multipart/encrypted":
        return _pgp_mime(root.children, repaired=False) if _protocol(root, "encrypted") else Layer()
    if root.media_type == "multipart/signed":
        return _multipart_signed(source, root)
    if _is_smime(root):
        return Layer(notes=("smime-unsupported",))
    if root.media_type in ("multipart/mixed", "multipart/related", "multipart/alternative"):
        layer = Layer() if root.media_type == "multipart/alternative" else _mangled(root)
        text = sole_block(root) if layer.kind is LayerKind.NONE and not layer.notes else None
        return layer if text is None else _inline(text)
    if root.media_type in ("text/plain", "application/pgp") and not root.children:
        return _inline(root)
    return _bare(root) if _is_file(root) else Layer()


def _is_smime(part: Part) -> bool:
    """S/MIME data by its type, or by its name where a program knew no type."""
    if part.media_type in _SMIME_DATA:
        return True
    named = (part.filename or "").lower().endswith(_SMIME_NAMES)
    return named and part.media_type == "application/octet-stream"


def _is_file(part: Part) -> bool:
    """A leaf of any type but those that are read as text; attached text is a file as well.

    Programs guess the type of an encrypted file from its name, and name it as they like.
    """
    if part.children or part.media_type.startswith(("multipart/", "message/", "text/html")):
        return False
    return part.media_type != "text/plain" or part.filename is not None or part.disposition == "attachment"


def _protocol(root: Part, word: str) -> bool:
    """A missing protocol is let pass: the parts have to be the right ones anyway."""
    return root.params.get("protocol", "").lower() in ("", f"application/pgp-{word}")


def _pgp_mime(children: tuple[Part, ...], *, repaired: bool) -> Layer:
    """Exactly control part and ciphertext (RFC 3156 § 4)."""
    if len(children) != 2 or any(one.children for one in children):
        return Layer(notes=("encrypted-structure",))
    control, body = children
    if control.media_type != "application/pgp-encrypted" or body.media_type.startswith("text/html"):
        return Layer(notes=("encrypted-structure",))
    content = _ciphertext(body.content)
    if content is None:
        return Layer(notes=("not-encrypted-posing",))
    notes = ("repaired-structure",) if repaired else ()
    return Layer(LayerKind.ENCRYPTED, content, notes=notes)


def _ciphertext(content: bytes) -> bytes | None:
    """Packets if it is just one armor block, so that large ones are decoded once; as it is if it cannot be
    read, for the engine to refuse; None if it is readable and something else.
    """
    try:
        data = content
        if not (content[:1] and content[0] & 0x80):
            blocks = find_blocks(content)
            if any(one.label != "MESSAGE" for one in blocks):
                return None
            if len(blocks) != 1 or outside(content, blocks).strip():
                return content
            data = blocks[0].data
        return data if classify(data).kind is Kind.ENCRYPTED else None
    except VeildeskError:
        return content


def _multipart_signed(source: bytes, root: Part) -> Layer:
    protocol = root.params.get("protocol", "").lower()
    if len(root.children) != 2:
        return Layer(notes=("signed-structure",))
    signed, signature = root.children
    inner = source[signed.start : signed.end]
    if protocol in _SMIME or signature.media_type in _SMIME:
        return Layer(LayerKind.SMIME_SIGNED, inner=inner, notes=("smime-unsupported",))
    span = _detached(source, root)
    if span is None:
        return Layer(notes=("signed-structure",))
    return Layer(LayerKind.SIGNED, span=span, inner=inner)


def _detached(source: bytes, root: Part) -> SignedSpan | None:
    if root.media_type != "multipart/signed" or len(root.children) != 2 or not _protocol(root, "signature"):
        return None
    signed, signature = root.children
    if signature.media_type != "application/pgp-signature" or signature.children:
        return None
    return SignedSpan(canonical(source[signed.start : signed.end]), signature.content)


def _mangled(root: Part) -> Layer:
    """PGP/MIME that a relay rewrote into multipart/mixed, if nothing readable stands beside it."""
    kept = [one for one in root.children if not is_blank(one)]
    if len(kept) == 1 and kept[0].media_type == "multipart/encrypted":
        return _pgp_mime(kept[0].children, repaired=True) if _protocol(kept[0], "encrypted") else Layer()
    if len(kept) == 1 and _is_smime(kept[0]):
        return Layer(notes=("smime-unsupported",))
    if len(kept) == 1 and _is_file(kept[0]):
        return _bare(kept[0])
    if len(kept) == 2 and not any(one.children for one in kept):
        control, body = kept
        declared = control.media_type == "application/pgp-encrypted"
        if declared and body.media_type == "application/octet-stream":
            return _pgp_mime((control, body), repaired=True)
        if _CONTROL.fullmatch(control.content) and body.media_type in _BODIES and is_message(body.content):
            return Layer(LayerKind.ENCRYPTED, body.content, notes=("repaired-structure",))
    return Layer()


def is_blank(part: Part) -> bool:
    """Plain text without a letter or digit or that calls itself empty, or HTML that is just a closed frame.

    HTML that is left open, or that names anything, could be there to take in what follows.
    """
    if part.children:
        return part.media_type == "multipart/alternative" and all(map(is_blank, part.children))
    if part.media_type == "text/html":
        small = len(part.content) <= _BLANK_HTML and not part.filename
        return small and _EMPTY_HTML.fullmatch(part.content) is not None
    if part.media_type != "text/plain":
        return False
    return not _WORD.search(part.content) or part.content.strip() == _PROTON_BRIDGE


def is_message(content: bytes) -> bool:
    """Whether this is exactly one encrypted message, armored or binary, as far as structure tells."""
    try:
        if content[:1] and content[0] & 0x80:
            return classify(content).kind is Kind.ENCRYPTED
        block = single_block(content)
        return block is not None and block.label == "MESSAGE" and classify(block.data).kind is Kind.ENCRYPTED
    except VeildeskError:
        return False


def _bare(root: Part) -> Layer:
    """A mail that is nothing but a file with one encrypted message in it."""
    if not is_message(root.content):
        return Layer()
    return Layer(LayerKind.INLINE, root.content, bare=True, name=root.filename, notes=("legacy-inline",))


def sole_block(root: Part) -> Part | None:
    """The plain text that is one armored message, where nothing else is in the mail but copies of it.

    Webmail writes what was encrypted in it twice, as text and as HTML.
    """
    leaves = root.leaves()
    text = leaves[0]
    if text.media_type != "text/plain" or text.disposition == "attachment" or text.filename is not None:
        return None
    block = single_block(text.content)
    if block is None or (block.label != "MESSAGE" and len(leaves) > 1):
        return None
    return text if all(is_blank(one) or is_copy(one, block) for one in leaves[1:]) else None


def is_copy(part: Part, block: Block) -> bool:
    """Whether an HTML part shows exactly this armored message."""
    if part.media_type != "text/html" or part.filename is not None or part.disposition == "attachment":
        return False
    shown = single_block(shown_html(part))
    return shown is not None and (shown.label, shown.data) == (block.label, block.data)


def shown_html(part: Part) -> bytes:
    """What an HTML part shows, as UTF-8 text without the targets of links.

    Text that is only called HTML keeps its line ends: some forms on web sites send such mail.
    """
    if not _MARKUP.search(part.content):
        return part.content
    text = html_to_text(decode_bytes(part.content, part.params.get("charset")))
    return _LINK_TARGET.sub("", text).encode()


def _inline(root: Part) -> Layer:
    block = single_block(root.content)
    if block is None or block.label not in ("MESSAGE", "SIGNED MESSAGE"):
        return Layer()
    if block.label == "MESSAGE" and not _carries_message(block):
        return Layer(notes=("not-encrypted-posing",))
    charset = dict(block.headers).get("Charset") or root.params.get("charset", "")
    clear = block.label == "SIGNED MESSAGE"
    return Layer(LayerKind.INLINE, root.content, charset=charset, clear=clear, notes=("legacy-inline",))


def _carries_message(block: Block) -> bool:
    try:
        return classify(block.data).kind in (Kind.ENCRYPTED, Kind.SIGNED, Kind.COMPRESSED)
    except VeildeskError:
        # Let the engine say what is wrong with it.
        return True


def _nodes(part: Part) -> Iterator[Part]:
    yield part
    for child in part.children:
        yield from _nodes(child)


def has_ciphertext(root: Part) -> bool:
    """Whether any part of this entity is OpenPGP ciphertext, by declaration or by content."""
    for part in _nodes(root):
        if part.media_type == "multipart/encrypted" and _protocol(part, "encrypted"):
            return True
        if part.children or part.media_type.startswith("message/"):
            continue
        if part.media_type == "application/pgp-encrypted" or b"-----BEGIN PGP MESSAGE" in part.content:
            return True
        if part.media_type != "text/plain" and _binary_ciphertext(part.content):
            return True
    return False


def _binary_ciphertext(content: bytes) -> bool:
    if content[:1] not in (b"\x84", b"\x85", b"\x86", b"\x8c", b"\xa8", b"\xc1", b"\xc3", b"\xca"):
        return False
    try:
        return classify(content).kind is Kind.ENCRYPTED
    except VeildeskError:
        return False


def signed_spans(source: bytes, root: Part) -> tuple[SignedSpan, ...]:
    """Signatures that cover parts of this entity only; at most four are looked at."""
    spans: list[SignedSpan] = []
    for part in _nodes(root):
        span = _detached(source, part)
        if span is not None:
            spans.append(span)
        elif not part.children and part.media_type == "text/plain":
            spans += _clear_signed(part.content)
        if len(spans) >= _MAX_SPANS:
            break
    return tuple(spans[:_MAX_SPANS])


def _clear_signed(content: bytes) -> list[SignedSpan]:
    try:
        blocks = find_blocks(content)
    except VeildeskError:
        return []
    return [SignedSpan(None, one.source) for one in blocks if one.label == "SIGNED MESSAGE"]
