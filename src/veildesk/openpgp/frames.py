"""Frames between the gateway and its OpenPGP workers: a JSON header and byte strings, both with lengths.

Neither side can make the other run anything: there is nothing but numbers, words and bytes in a frame.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from veildesk.core.errors import (
    EngineUnavailable,
    KeyUnusable,
    LimitExceeded,
    NotSoundCiphertext,
    Undecryptable,
    Unparsable,
    VeildeskError,
)
from veildesk.core.message import Integrity, Signature, Verdict
from veildesk.core.ports import CertificateStatus

__all__ = [
    "HEAD",
    "MAX_FRAME",
    "Frame",
    "FrameMalformed",
    "body_size",
    "decode_body",
    "encode",
    "error_of",
    "integrity_of",
    "read_signatures",
    "read_status",
    "signature_words",
    "status_words",
]

HEAD = 8
MAX_FRAME = 512 * 1024 * 1024
_MAX_HEADER = 1024 * 1024
_ERRORS: dict[str, type[VeildeskError]] = {
    one.code: one for one in (KeyUnusable, LimitExceeded, NotSoundCiphertext, Undecryptable, Unparsable)
}


class FrameMalformed(ValueError):
    """The other side sent something that is no frame."""


@dataclass(frozen=True, slots=True)
class Frame:
    """`header` is a JSON object, `blobs` the byte strings it speaks of."""

    header: dict[str, Any]
    blobs: tuple[bytes, ...] = field(default=(), repr=False)


def encode(header: dict[str, Any], blobs: Sequence[bytes] = ()) -> bytes:
    """A frame: size of the header, size of everything after it (4 octets each), header, blobs."""
    words = json.dumps({**header, "sizes": [len(one) for one in blobs]}, separators=(",", ":")).encode()
    rest = sum(len(one) for one in blobs)
    return b"".join((len(words).to_bytes(4, "big"), rest.to_bytes(4, "big"), words, *blobs))


def body_size(head: bytes) -> int:
    """How many octets follow the first `HEAD` ones. Raises `FrameMalformed`."""
    words, rest = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:8], "big")
    if len(head) != HEAD or words > _MAX_HEADER or rest > MAX_FRAME:
        raise FrameMalformed("size")
    return words + rest


def decode_body(head: bytes, body: bytes) -> Frame:
    """The frame of a head and its body. Raises `FrameMalformed`."""
    split = int.from_bytes(head[:4], "big")
    try:
        header = json.loads(body[:split])
        sizes = header.pop("sizes")
        if not all(type(one) is int and one >= 0 for one in sizes) or sum(sizes) != len(body) - split:
            raise FrameMalformed("sizes")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FrameMalformed("header") from error
    blobs, at = [], split
    for size in sizes:
        blobs.append(body[at : at + size])
        at += size
    return Frame(header, tuple(blobs))


def error_of(code: Any, detail: Any) -> VeildeskError:
    """The error a worker told of by its code."""
    known = _ERRORS.get(str(code), EngineUnavailable)
    return known(str(detail)[:60])


def integrity_of(word: str | None) -> Integrity | None:
    """The integrity word of an answer."""
    return None if word is None else Integrity(word)


def signature_words(signatures: Sequence[Signature]) -> list[list[Any]]:
    """Signatures as plain words, in a fixed order of fields."""
    return [
        [str(one.verdict), one.fingerprint, one.signing_fingerprint, one.created, one.expires, one.hash_name]
        for one in signatures
    ]


def read_signatures(words: Any) -> tuple[Signature, ...]:
    """What `signature_words` wrote. Raises `FrameMalformed`."""
    try:
        return tuple(
            Signature(Verdict(verdict), primary, signing, created=created, expires=expires, hash_name=name)
            for verdict, primary, signing, created, expires, name in words
        )
    except (ValueError, TypeError) as error:
        raise FrameMalformed("signatures") from error


def status_words(status: CertificateStatus) -> dict[str, Any]:
    """A certificate's status as plain words."""
    return {
        "fingerprint": status.fingerprint,
        "addresses": list(status.addresses),
        "can_encrypt": status.can_encrypt,
        "can_sign": status.can_sign,
        "expired": status.expired,
        "revoked": status.revoked,
        "expires": status.expires,
        "signing": list(status.signing),
    }


def read_status(words: Any) -> CertificateStatus:
    """What `status_words` wrote. Raises `FrameMalformed`."""
    try:
        return CertificateStatus(
            **{**words, "addresses": tuple(words["addresses"]), "signing": tuple(words["signing"])}
        )
    except (KeyError, TypeError) as error:
        raise FrameMalformed("status") from error
