"""Certificates a mail carries: attached, pasted, or in an Autocrypt header (Autocrypt 1.1 § 2).

They are handed on as candidates. Nothing here trusts, stores or uses them, and carrying one proves
nothing. What is not exactly one public key without secret packets is left out.
"""

from __future__ import annotations

import base64
import binascii
import contextlib

from veildesk.core.errors import VeildeskError
from veildesk.mail.address import single_address
from veildesk.mail.parse import Part
from veildesk.openpgp.armor import find_blocks
from veildesk.openpgp.packets import read_certificate

__all__ = [
    "autocrypt_certificate",
    "autocrypt_fingerprint",
    "candidate_certificates",
    "enclosed_fingerprints",
]

_KEYS = "application/pgp-keys"
_MAX_HEADER = 10 * 1024
_MAX_CANDIDATES = 8
_ATTRIBUTES = frozenset({"addr", "prefer-encrypt", "keydata"})


def candidate_certificates(outer: Part, payload: Part) -> tuple[bytes, ...]:
    """Distinct certificates, binary: the Autocrypt header's first, then attached ones in order."""
    found: dict[str, bytes] = {}
    header = autocrypt_certificate(outer)
    for data in ([header] if header else []) + _attached(payload):
        try:
            certificate = read_certificate(data)
        except VeildeskError:
            continue
        if len(found) < _MAX_CANDIDATES:
            found.setdefault(certificate.fingerprint, certificate.data)
    return tuple(found.values())


def enclosed_fingerprints(payload: Part) -> frozenset[str]:
    """Fingerprints of the certificates that are attached as files: what covers the payload covers them.

    Not those in texts and forwarded mails: these may be somebody else's words.
    """
    found = set()
    files = [leaf for leaf in payload.leaves() if _is_file(leaf)]
    for data in [data for leaf in files for data in _of_leaf(leaf)][:_MAX_CANDIDATES]:
        with contextlib.suppress(VeildeskError):
            found.add(read_certificate(data).fingerprint)
    return frozenset(found)


def _attached(payload: Part) -> list[bytes]:
    return [data for leaf in payload.leaves() for data in _of_leaf(leaf)]


def _is_file(leaf: Part) -> bool:
    named = leaf.filename is not None or leaf.disposition == "attachment"
    return leaf.media_type == _KEYS or (named and not leaf.media_type.startswith("message/"))


def _of_leaf(leaf: Part) -> list[bytes]:
    if leaf.media_type == _KEYS and leaf.content[:1] >= b"\x80":
        return [leaf.content]
    if b"-----BEGIN PGP PUBLIC KEY BLOCK-----" in leaf.content and leaf.media_type != "text/html":
        return _pasted(leaf.content)
    return []


def _pasted(content: bytes) -> list[bytes]:
    try:
        return [one.data for one in find_blocks(content) if one.label == "PUBLIC KEY BLOCK"]
    except VeildeskError:
        return []


def autocrypt_certificate(outer: Part) -> bytes | None:
    """Key data of the one valid Autocrypt header; None when there is none or more than one."""
    headers = outer.values("Autocrypt")
    sender = single_address(outer.values("From")) if headers else None
    if sender is None or outer.media_type == "multipart/report":
        return None
    keys = [key for value in headers if (key := _key_data(value, sender)) is not None]
    return keys[0] if len(keys) == 1 else None


def autocrypt_fingerprint(outer: Part) -> str | None:
    """Fingerprint of the certificate in the one valid Autocrypt header."""
    data = autocrypt_certificate(outer)
    try:
        return read_certificate(data).fingerprint if data else None
    except VeildeskError:
        return None


def _key_data(value: bytes, sender: str) -> bytes | None:
    if len(value) > _MAX_HEADER:
        return None
    attributes: dict[str, str] = {}
    for item in value.decode("ascii", "replace").split(";"):
        name, equals, content = item.strip().partition("=")
        if not equals or name in attributes or not (name in _ATTRIBUTES or name.startswith("_")):
            return None
        attributes[name] = content.strip()
    if list(attributes)[-1:] != ["keydata"] or attributes.get("addr", "").lower() != sender.lower():
        return None
    try:
        return base64.b64decode("".join(attributes["keydata"].split()), validate=True)
    except (binascii.Error, ValueError):
        return None
