"""Reply addresses: each answer that leaves has an address of its own that leads back to its ticket.

`support+token@...` carries 128 random bits and nothing else. The store keeps a keyed digest only, of the
message id that is derived from the token; who knows a token can add to a ticket if he is its
correspondent as well, and can never read anything. Tokens are cut from every text that goes on, so that
a quotation hands none to a helpdesk or to a third person. Pure.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["TOKEN_BYTES", "ReplyAddresses", "message_id_of", "new_token"]

TOKEN_BYTES = 16
_TOKEN = re.compile(r"[a-z2-7]{26}")


def new_token(random: bytes) -> str:
    """A token from 16 random bytes: 26 lower-case base32 characters."""
    if len(random) != TOKEN_BYTES:
        raise ValueError("a token is made of 16 bytes")
    return base64.b32encode(random).decode("ascii").rstrip("=").lower()


def message_id_of(token: str, domain: str) -> str:
    """The Message-ID (no brackets) of the answer that has this token; it does not give the token away."""
    digest = hashlib.sha256(b"veildesk message id\0" + token.encode("ascii")).hexdigest()
    return f"{digest[:32]}@{domain}"


@dataclass(frozen=True, slots=True)
class ReplyAddresses:
    """The reply addresses below one support address.

    `delimiter` separates the token from the local part; "" switches reply addresses off.
    """

    address: str
    delimiter: str = "+"
    _form: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        local, _, domain = self.address.rpartition("@")
        mark = "|".join({re.escape(self.delimiter), re.escape(f"%{ord(self.delimiter or '+'):02X}")})
        form = rf"({re.escape(local)})(?:{mark})([a-z2-7]{{26}})(@{re.escape(domain)})(?![a-z0-9-])"
        object.__setattr__(self, "_form", re.compile(form, re.IGNORECASE))

    def with_token(self, token: str) -> str:
        """The address for one token; the plain one where reply addresses are off."""
        if not self.delimiter:
            return self.address
        local, _, domain = self.address.rpartition("@")
        return f"{local}{self.delimiter}{token}@{domain}"

    def tokens(self, addresses: Iterable[str], extension: str = "") -> tuple[str, ...]:
        """Tokens among addresses that a mail was sent to, that of its envelope first, each once."""
        found = [extension] if _TOKEN.fullmatch(extension) else []
        for one in addresses:
            match = self._form.fullmatch(one) if self.delimiter else None
            if match is not None:
                found.append(match.group(2).lower())
        return tuple(dict.fromkeys(found))

    def is_own(self, address: str) -> bool:
        """Whether this is our address, with a token or without."""
        return address.lower() == self.address.lower() or bool(self.tokens((address,)))

    def cut(self, text: str) -> str:
        """The text with plain addresses in place of those with a token."""
        return self._form.sub(r"\1\3", text) if self.delimiter else text
