"""Keys from ticket words, and sealing of portal thread entries to them.

The words go through one Argon2id (RFC 9106) with the gateway's pepper; from its output come the lookup id
and the seed of an HPKE key pair (RFC 9180, KEM ML-KEM-768 with X25519). The gateway keeps lookup id and
public key: it can add to a thread, but only the words open it, and who steals the database without the
pepper cannot even try words. Nothing here normalises or judges words; that happened before.

Spare codes come from the same output, one way only. Under a code (100 bits, with the pepper, no slow
derivation) lies a copy of lookup id and private key: AES-256-GCM, version 1, nonce (12), ciphertext.

Sealed entry: suite 1, then encapsulated key and ciphertext. Public key: suite 1, ML-KEM-768 (1184),
X25519 (32). Private key: suite 1, ML-KEM-768 seed (64), X25519 (32).

Files of answers are sealed under a random key each, which lies in a sealed entry (thread_files.py).
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from veildesk.core import spare_code
from veildesk.core.errors import AuthenticationFailed, KeyUnusable
from veildesk.core.ports import ThreadKeys
from veildesk.core.submission import SpareCode
from veildesk.core.thread_entry import SealedFile
from veildesk.spool import thread_files
from veildesk.spool.sealing import pad, unpad

__all__ = ["WordsCipher"]

_SUITE = b"\x01"
_INFO = b"veildesk portal thread v1"
_HPKE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_MLKEM_PUBLIC, _MLKEM_SEED, _X25519 = 1184, 64, 32
_SPARES = 2


class WordsCipher:
    """`core.ports.ThreadCipher`.

    `pepper` is at least 16 secret bytes, the same for the whole life of the gateway
    (`KeyRing.derive_secret(b"ticket words")`). `memory_kib` and `iterations` are Argon2id's cost; they are
    part of the format: other values find other threads. At most `workers` derivations run at a time, the
    others wait in order.
    """

    def __init__(
        self, pepper: bytes, *, memory_kib: int = 64 * 1024, iterations: int = 3, workers: int = 2
    ) -> None:
        if len(pepper) < 16:
            raise KeyUnusable("pepper too short")
        self._salt = _expand(pepper.ljust(32, b"\0"), b"salt", 16)
        self._secret = _expand(pepper.ljust(32, b"\0"), b"secret", 32)
        self._memory_kib = memory_kib
        self._iterations = iterations
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="veildesk-words")

    async def derive(self, words: str) -> ThreadKeys:
        """Exactly one Argon2id over the normalised words, whatever they are."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._derive, words)

    def _derive(self, words: str) -> ThreadKeys:
        argon = Argon2id(
            salt=self._salt,
            length=32,
            iterations=self._iterations,
            lanes=1,
            memory_cost=self._memory_kib,
            secret=self._secret,
        )
        root = argon.derive(words.encode())
        seed = _SUITE + _expand(root, b"key pair", _MLKEM_SEED + _X25519)
        codes = [_expand(root, b"spare code %d" % number, spare_code.BYTES) for number in range(_SPARES)]
        return ThreadKeys(
            _expand(root, b"lookup id", 32),
            _encode_public(_private(seed)),
            seed,
            tuple(map(spare_code.from_bytes, codes)),
        )

    def seal(self, public_key: bytes, data: bytes) -> bytes:
        """Seal one entry, padded. Raises `KeyUnusable` if the public key is not one."""
        if public_key[:1] != _SUITE or len(public_key) != 1 + _MLKEM_PUBLIC + _X25519:
            raise KeyUnusable("thread key of an unknown suite")
        try:
            mlkem = MLKEM768PublicKey.from_public_bytes(public_key[1 : 1 + _MLKEM_PUBLIC])
            x25519 = X25519PublicKey.from_public_bytes(public_key[1 + _MLKEM_PUBLIC :])
            sealed = _HPKE.encrypt(pad(data), hpke.MLKEM768X25519PublicKey(mlkem, x25519), info=_INFO)
        except ValueError:
            raise KeyUnusable("thread key not valid") from None
        return _SUITE + sealed

    def unseal(self, keys: ThreadKeys, sealed: bytes) -> bytes:
        """Open one entry. Raises `AuthenticationFailed` for other words or a changed entry."""
        if sealed[:1] != _SUITE or keys.private_key[:1] != _SUITE:
            raise AuthenticationFailed("thread entry of an unknown suite")
        mlkem, x25519 = _private(keys.private_key)
        private = hpke.MLKEM768X25519PrivateKey(mlkem, x25519)
        try:
            return unpad(_HPKE.decrypt(sealed[1:], private, info=_INFO))
        except (InvalidTag, ValueError):
            raise AuthenticationFailed("thread entry does not open") from None

    def seal_file(self, content: bytes) -> SealedFile:
        """Seal a file under a fresh key."""
        return thread_files.seal_file(content)

    def open_piece(self, key: bytes, number: int, pieces: int, sealed: bytes) -> bytes:
        """Open one piece of a file. Raises `AuthenticationFailed`."""
        return thread_files.open_piece(key, number, pieces, sealed)

    def spares(self, keys: ThreadKeys) -> tuple[SpareCode, ...]:
        """What to keep for the keys' spare codes."""
        return tuple(SpareCode(self.spare_digest(code), self._lodge(code, keys)) for code in keys.spare_codes)

    def _lodge(self, code: str, keys: ThreadKeys) -> bytes:
        nonce = os.urandom(12)
        sealed = AESGCM(self._spare(code, b"key", 32)).encrypt(nonce, keys.lookup_id + keys.private_key, None)
        return b"\x01" + nonce + sealed

    def spare_digest(self, code: str) -> bytes:
        """By what a spare code is found (16 bytes)."""
        return self._spare(code, b"digest", 16)

    def recall(self, code: str, sealed: bytes) -> ThreadKeys:
        """The keys under a spare code. Raises `AuthenticationFailed`."""
        if sealed[:1] != b"\x01":
            raise AuthenticationFailed("spare code of an unknown version")
        try:
            plain = AESGCM(self._spare(code, b"key", 32)).decrypt(sealed[1:13], sealed[13:], None)
        except (InvalidTag, ValueError):
            raise AuthenticationFailed("spare code does not open") from None
        return ThreadKeys(plain[:32], _encode_public(_private(plain[32:])), plain[32:])

    def _spare(self, code: str, label: bytes, length: int) -> bytes:
        info = b"veildesk spare code v1|" + label
        return HKDF(hashes.SHA256(), length, salt=self._secret, info=info).derive(code.encode())

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _expand(key: bytes, label: bytes, length: int) -> bytes:
    info = b"veildesk words v1|" + label
    return HKDFExpand(algorithm=hashes.SHA256(), length=length, info=info).derive(key)


def _private(encoded: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    seed = encoded[1:]
    return (
        MLKEM768PrivateKey.from_seed_bytes(seed[:_MLKEM_SEED]),
        X25519PrivateKey.from_private_bytes(seed[_MLKEM_SEED:]),
    )


def _encode_public(private: tuple[MLKEM768PrivateKey, X25519PrivateKey]) -> bytes:
    mlkem, x25519 = private
    return _SUITE + mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
