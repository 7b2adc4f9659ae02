"""gpg's colon listing of public keys (GnuPG doc/DETAILS) read into `CertificateStatus`.

Fields are positions between colons; lines end with LF only. User ids are unescaped late and only
their addr-spec is taken. Trust is ignored: validity here is expiry, revocation and self-signatures.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from veildesk.core.errors import KeyUnusable
from veildesk.core.ports import CertificateStatus

__all__ = ["address_of", "read_listing"]

_ADDRESS = re.compile(r"[^\s<>@,;:\"()\[\]\\]+@[^\s<>@,;:\"()\[\]\\]+\Z")
_ENDED = frozenset({"r", "e", "i", "d", "n"})
# RSA and ElGamal (RFC 9580 § 9.1); below 2048 bits they count as broken (NIST SP 800-131A).
_COUNTED_IN_BITS, _FEWEST_BITS = frozenset({"1", "2", "16", "20"}), 2048
_ESCAPE = re.compile(rb"\\x([0-9a-fA-F]{2})")


@dataclass(slots=True)
class _Key:
    validity: str
    expires: int | None
    capabilities: str
    fingerprint: str = ""
    addresses: list[str] = field(default_factory=list)
    valid_uids: int = 0
    weak: bool = False


def read_listing(raw: bytes) -> tuple[CertificateStatus, ...]:
    """One status per primary key, in order. Raises `KeyUnusable` if the listing is malformed."""
    keys: list[_Key] = []
    on_primary = False
    for line in raw.split(b"\n"):
        fields = line.split(b":")
        kind = fields[0]
        if kind == b"pub":
            keys.append(_primary(fields))
            on_primary = True
            keys[-1].weak = _is_weak(fields)
        elif kind == b"sub" and keys:
            on_primary = False
            keys[-1].weak = keys[-1].weak or _is_weak(fields)
        elif kind == b"fpr" and keys and on_primary and not keys[-1].fingerprint:
            keys[-1].fingerprint = _ascii(fields, 9)
        elif kind == b"uid" and keys:
            _add_user_id(keys[-1], fields)
    return tuple(_status(one) for one in keys)


def _primary(fields: list[bytes]) -> _Key:
    expires = _ascii(fields, 6)
    return _Key(_ascii(fields, 1), int(expires) if expires.isdigit() else None, _ascii(fields, 11))


def _is_weak(fields: list[bytes]) -> bool:
    """Whether this is a key that one could encrypt to and others could break."""
    if _ascii(fields, 1) in _ENDED or "e" not in _ascii(fields, 11):
        return False
    bits = _ascii(fields, 2)
    return _ascii(fields, 3) in _COUNTED_IN_BITS and bits.isdigit() and int(bits) < _FEWEST_BITS


def _add_user_id(key: _Key, fields: list[bytes]) -> None:
    # "e" is inherited from an expired key; the user id itself was bound all the same.
    if _ascii(fields, 1) in ("r", "i", "n") or not _ascii(fields, 7):
        return
    key.valid_uids += 1
    raw = _ESCAPE.sub(lambda match: bytes((int(match[1], 16),)), fields[9] if len(fields) > 9 else b"")
    address = address_of(raw)
    if address and address not in key.addresses:
        key.addresses.append(address)


def address_of(user_id: bytes) -> str | None:
    """The addr-spec of a user id, lower-case: what stands in one pair of angle brackets at the end,
    or the whole text if it is nothing but an address. Anything else has none."""
    try:
        text = user_id.decode("utf-8").strip(" ")
    except UnicodeDecodeError:
        return None
    if text.endswith(">") and text.count("<") == 1 and text.count(">") == 1:
        text = text[text.index("<") + 1 : -1]
    if not text.isprintable() or not _ADDRESS.match(text):
        return None
    return text.lower()


def _status(key: _Key) -> CertificateStatus:
    usable = key.validity not in _ENDED and "D" not in key.capabilities
    return CertificateStatus(
        fingerprint=key.fingerprint,
        addresses=tuple(key.addresses),
        # Which of several subkeys is taken is gpg's choice, so that none may be weak.
        can_encrypt=usable and "E" in key.capabilities and not key.weak,
        can_sign=usable and "S" in key.capabilities,
        expired=key.validity == "e",
        revoked=key.validity == "r",
        expires=key.expires,
        # gpg lists subkeys as able to sign without a look at their own signatures.
        signing=(key.fingerprint,),
    )


def _ascii(fields: list[bytes], index: int) -> str:
    if index >= len(fields):
        return ""
    try:
        return fields[index].decode("ascii")
    except UnicodeDecodeError as error:
        raise KeyUnusable("listing") from error
