"""Whether another gateway publishes our address through another tor.

One tor refuses a key twice, so a second gateway on the same tor shows at once. On another machine it does
not: both publish, the later descriptor wins, and visitors reach now one, now the other. Each tor signs its
descriptors with a key of its own, which stands readable in the outer layer (rend-spec-v3, 2.4 and 2.1). So
our tor fetches our address as a visitor would, and the signing keys are compared.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from veildesk.onion.control import ControlLink

__all__ = ["AnotherWatch", "Signed", "another_published", "signed_by"]

_CERTIFICATE: Final = re.compile(
    r"^descriptor-signing-key-cert\s+-----BEGIN ED25519 CERT-----\s+"
    r"([A-Za-z0-9+/=\s]+?)\s*-----END ED25519 CERT-----",
    re.M,
)
_HEAD: Final = 40
_SIGNED_WITH: Final = 4


@dataclass(frozen=True, slots=True)
class Signed:
    """`blinded` is our address's key for a period of time, `signing` the key of the tor that published."""

    blinded: bytes
    signing: bytes


def signed_by(descriptor: str | None) -> Signed | None:
    """By which keys a descriptor is signed; None if it is not one (cert-spec, 2.1)."""
    found = _CERTIFICATE.search(descriptor.replace("\r\n", "\n")) if descriptor else None
    if found is None:
        return None
    try:
        data = base64.b64decode("".join(found[1].split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(data) < _HEAD or data[0] != 1:
        return None
    place = _HEAD
    for _ in range(data[_HEAD - 1]):
        length, kind = int.from_bytes(data[place : place + 2], "big"), data[place + 2 : place + 3]
        if kind == bytes([_SIGNED_WITH]) and length == 32 and len(data) >= place + 36:
            return Signed(data[place + 4 : place + 36], data[7:39])
        place += 4 + length
    return None


def another_published(own: str | None, fetched: str | None) -> bool | None:
    """Whether a descriptor of our address is of another tor than ours; None if that cannot be told.

    Around the end of a period the two may be of different periods.
    """
    ours, theirs = signed_by(own), signed_by(fetched)
    if ours is None or theirs is None or ours.blinded != theirs.blinded:
        return None
    return ours.signing != theirs.signing


class AnotherWatch:
    """Looks now and then. Says yes after two looks in a row: our own last run may have left a descriptor."""

    def __init__(self, label: str, pause: float, again: float) -> None:
        """`pause` seconds between looks, `again` after one that found another."""
        self.found = False
        self._label, self._pause, self._again = label, pause, again
        self._due = 0.0
        self._asked = self._received = False
        self._seen = 0

    def begin(self, now: float) -> None:
        """A fresh connection; `now` is monotonic seconds."""
        self._due, self._asked, self._received = now + self._again, False, False

    def received(self) -> None:
        """A directory gave us a descriptor of our address."""
        self._received = self._asked

    async def beat(self, link: ControlLink, now: float) -> None:
        """Ask when it is time, or look at what was fetched since the last beat."""
        if self._received:
            own = await link.info(f"hs/service/desc/id/{self._label}")
            self._judge(another_published(own, await link.info(f"hs/client/desc/id/{self._label}")), now)
        elif now >= self._due:
            self._asked, self._due = True, now + self._pause
            await link.send(f"HSFETCH {self._label}")

    def _judge(self, another: bool | None, now: float) -> None:
        self._asked = self._received = False
        if another is None:
            self._due = now + self._again
            return
        self._seen = self._seen + 1 if another else 0
        self.found = self._seen >= 2
        self._due = now + (self._again if self._seen == 1 else self._pause)
