"""Signed forms: proof that a form was made here, for this visitor, not too long ago.

A token is `time.mac`; the MAC covers the visitor's cookie and the form's name, so that no other site
can post in the visitor's stead. Nothing is kept on the server for a form that was only looked at.
"""

from __future__ import annotations

import hmac

from veildesk.core.submission import dedup_key

__all__ = ["FormSigner"]


class FormSigner:
    """Makes and checks form tokens. Times are whole seconds since 1970."""

    def __init__(self, secret: bytes, max_age: int) -> None:
        if len(secret) < 32:
            raise ValueError("the form secret must have at least 32 bytes")
        self._secret, self._max_age = secret, max_age

    def token(self, visitor: bytes, form: str, now: int) -> str:
        """A token for one form of one visitor."""
        return f"{now:x}.{self._mac(visitor, form, now)}"

    def age(self, token: str, visitor: bytes, form: str, now: int) -> int | None:
        """Seconds since the form was made, or None if it is not genuine or too old."""
        made_hex, _, mac = token.partition(".")
        try:
            made = int(made_hex, 16)
        except ValueError:
            return None
        if not 0 <= made < 1 << 40 or not mac.isascii():
            return None
        if not hmac.compare_digest(mac, self._mac(visitor, form, made)):
            return None
        age = now - made
        return age if 0 <= age <= self._max_age else None

    def _mac(self, visitor: bytes, form: str, made: int) -> str:
        return dedup_key(self._secret, b"form", visitor, form.encode(), made.to_bytes(8, "big")).hex()
