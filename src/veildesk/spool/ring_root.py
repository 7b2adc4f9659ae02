"""The root above the key ring: a systemd credential, and a half beside the ring, new at each rotation.

With the credential `veildesk-ring-root` (LoadCredentialEncrypted=, bound to the machine's TPM or its own key)
the ring's file is sealed: a copied disk alone opens nothing. The credential cannot be changed from within
the service, so the key that seals the ring comes from it and from 32 random bytes beside the ring. These are
replaced at each rotation: an older copy of the ring opens with today's root no more.

File: b"VDKR", version 2, nonce (12), AES-256-GCM-SIV of the plain ring. Half file: 32 bytes, 64 while the
ring is being replaced.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from veildesk.core.errors import KeyUnusable
from veildesk.spool.crashpoint import crashpoint
from veildesk.spool.durable import write_file

__all__ = ["CREDENTIAL", "MAGIC", "RingRoot", "root_credential"]

CREDENTIAL = "veildesk-ring-root"
"""Name of the credential in the unit file."""

MAGIC = b"VDKR\x02"
_HALF = 32
_SHORTEST = 32


def root_credential(environment: Mapping[str, str] = os.environ) -> bytes | None:
    """The root the service manager hands us; None when there is none. Raises `KeyUnusable`."""
    folder = environment.get("CREDENTIALS_DIRECTORY")
    path = Path(folder, CREDENTIAL) if folder else None
    if path is None or not path.exists():
        return None
    try:
        root = path.read_bytes()
    except OSError:
        raise KeyUnusable("the ring's root credential cannot be read") from None
    if len(root) < _SHORTEST:
        raise KeyUnusable("the ring's root credential is too short: 32 random bytes are needed")
    return root


class RingRoot:
    """Seals and opens the ring at `path` under the credential `root`."""

    def __init__(self, path: Path, root: bytes) -> None:
        self._half_path = path.with_name(path.name + ".half")
        self._root = root
        self._current = b""

    def _halves(self) -> list[bytes]:
        try:
            data = self._half_path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError:
            raise KeyUnusable("the half beside the key ring cannot be read") from None
        return [data[at : at + _HALF] for at in range(0, len(data) - _HALF + 1, _HALF)]

    def _cipher(self, half: bytes) -> AESGCMSIV:
        info = b"veildesk ring root v1"
        return AESGCMSIV(HKDF(hashes.SHA256(), 32, salt=half, info=info).derive(self._root))

    def open(self, data: bytes) -> bytes:
        """The plain ring. Raises `KeyUnusable`."""
        nonce, sealed = data[len(MAGIC) : len(MAGIC) + 12], data[len(MAGIC) + 12 :]
        for half in self._halves():
            try:
                plain = self._cipher(half).decrypt(nonce, sealed, MAGIC)
            except (InvalidTag, ValueError):
                continue
            self._current = half
            return plain
        raise KeyUnusable("the key ring does not open with this root credential")

    def begin(self) -> bytes:
        """Put a fresh half beside the one that opened the ring, durably, and return it."""
        half = secrets.token_bytes(_HALF)
        # Until the ring is replaced the older one opens it, so that a crash in between costs nothing.
        write_file(self._half_path, [half, self._current], lambda _: None)
        crashpoint("ring.half-added")
        return half

    def seal(self, half: bytes, plain: bytes) -> bytes:
        """The ring's file."""
        nonce = secrets.token_bytes(12)
        return MAGIC + nonce + self._cipher(half).encrypt(nonce, plain, MAGIC)

    def finish(self, half: bytes) -> None:
        """Destroy all halves but this one, once the ring under it is durable."""
        write_file(self._half_path, [half], lambda _: None)
        self._current = half
        crashpoint("ring.half-renewed")
