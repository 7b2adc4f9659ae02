"""Our own keys as gpg lists them (GnuPG doc/DETAILS), and how long they can still be used. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from veildesk.core.errors import KeyUnusable
from veildesk.openpgp.key_listing import address_of

__all__ = ["OwnKey", "OwnPart", "SecretPlace", "read_own_keys"]

_REVOKED, _ENDED = "r", frozenset({"r", "e", "i", "d", "n"})


class SecretPlace(StrEnum):
    """Where the secret half of a key is."""

    HOME = "home"
    TOKEN = "token"  # noqa: S105
    MISSING = "missing"


@dataclass(slots=True)
class OwnPart:
    """A primary key or subkey. `usage` is gpg's letters: c certify, s sign, e encrypt, a authenticate."""

    usage: str
    created: int
    expires: int | None
    revoked: bool
    usable: bool
    secret: SecretPlace
    algorithm: str = ""
    fingerprint: str = ""
    keygrip: str = ""


@dataclass(slots=True)
class OwnKey:
    """A key with its secret half. `parts` begins with the primary key."""

    parts: list[OwnPart] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)

    @property
    def primary(self) -> OwnPart:
        """The key that certifies the others."""
        return self.parts[0]

    @property
    def fingerprint(self) -> str:
        """Of the primary key."""
        return self.primary.fingerprint

    def can(self, usage: str) -> bool:
        """Whether a usable part with its secret half at hand may do this ("s" or "e")."""
        return self.primary.usable and any(
            usage in one.usage and one.usable and one.secret is not SecretPlace.MISSING for one in self.parts
        )

    def ends(self, *usages: str) -> int | None:
        """When the first of these usages is over, seconds since 1970; None for never.

        A usage lasts as long as its longest part, and no part outlives the primary key.
        """
        ends = [self.primary.expires]
        for usage in usages:
            lasting = [one.expires for one in self.parts if usage in one.usage and one.usable]
            ends.append(None if None in lasting else max((e for e in lasting if e is not None), default=0))
        return min((one for one in ends if one is not None), default=None)


def read_own_keys(raw: bytes) -> tuple[OwnKey, ...]:
    """Keys of `gpg --with-colons --list-secret-keys`. Raises `KeyUnusable` if the listing is malformed."""
    keys: list[OwnKey] = []
    for line in raw.split(b"\n"):
        fields = line.split(b":")
        kind = fields[0]
        if kind == b"sec":
            keys.append(OwnKey([_part(fields)]))
        elif kind == b"ssb" and keys:
            keys[-1].parts.append(_part(fields))
        elif kind == b"fpr" and keys and not keys[-1].parts[-1].fingerprint:
            keys[-1].parts[-1].fingerprint = _text(fields, 9)
        elif kind == b"grp" and keys:
            keys[-1].parts[-1].keygrip = _text(fields, 9)
        elif kind == b"uid" and keys and _text(fields, 1) not in ("r", "i", "n"):
            address = address_of(fields[9].replace(b"\\x3a", b":") if len(fields) > 9 else b"")
            if address and address not in keys[-1].addresses:
                keys[-1].addresses.append(address)
    return tuple(keys)


def _part(fields: list[bytes]) -> OwnPart:
    validity, place = _text(fields, 1), _text(fields, 14)
    expires = _text(fields, 6)
    secret = SecretPlace.MISSING if place == "#" else SecretPlace.TOKEN
    return OwnPart(
        # Capital letters tell of the whole key and are left out.
        usage="".join(letter for letter in _text(fields, 11) if letter.islower()),
        created=_number(_text(fields, 5)),
        expires=_number(expires) if expires else None,
        revoked=validity == _REVOKED,
        usable=validity not in _ENDED and "D" not in _text(fields, 11),
        secret=SecretPlace.HOME if place in ("+", "") else secret,
        algorithm=_text(fields, 16) or _algorithm(_text(fields, 3), _text(fields, 2)),
    )


def _algorithm(number: str, bits: str) -> str:
    return f"rsa{bits}" if number == "1" else f"{number}/{bits}"


def _number(text: str) -> int:
    if not text.isdigit():
        raise KeyUnusable("listing")
    return int(text)


def _text(fields: list[bytes], index: int) -> str:
    if index >= len(fields):
        return ""
    try:
        return fields[index].decode("ascii")
    except UnicodeDecodeError as error:
        raise KeyUnusable("listing") from error
