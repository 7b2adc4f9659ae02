"""Decrypt one message with keys held in this process or by gpg-agent (RFC 9580 § 5.1 and § 5.13).

The library for everything else decompresses without a limit while it decrypts, so only this step is done
here, with the primitives of `cryptography`. It hands out packets only after their integrity was checked.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESOCB3
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from veildesk.core.errors import NotSoundCiphertext
from veildesk.openpgp.declining import Declined
from veildesk.openpgp.packets import PKESK, SEIPD, Packet, whole_body

__all__ = ["DecryptionKey", "Operation", "decrypt", "ecdh_parameters", "held_here"]

_RSA, _ECDH, _X25519 = 1, 18, 25
_OID = bytes.fromhex("0a2b060104019755010501")
_KDF_CIPHERS = frozenset({7, 8, 9})
Operation = Callable[[bytes], bytes]
_CURVE25519 = bytes.fromhex("2b060104019755010501")
_AES = {7: 16, 8: 24, 9: 32}
_KDF_HASHES = {8: "sha256", 9: "sha384", 10: "sha512"}
_NONCES: dict[int, tuple[type[AESOCB3] | type[AESGCM], int]] = {2: (AESOCB3, 15), 3: (AESGCM, 12)}
_PAIRS = ((b"\x03", b"\x01"), (b"\x06", b"\x02"))
_MAX_CHUNK = 16
_TAG = 16
_MDC = 22


@dataclass(frozen=True, slots=True)
class DecryptionKey:
    """A secret key. `algorithm` is 1 (RSA), 18 (ECDH on Curve25519) or 25 (X25519).

    `parameters` are the public ones: of ECDH its KDF, of X25519 the public key, of RSA the bits of the
    modulus in two octets. `exchange` makes the shared secret with a public point, `decrypt` is RSA's raw
    operation; each may raise `Declined`.
    """

    fingerprint: str
    algorithm: int
    parameters: bytes = field(repr=False)
    exchange: Operation | None = field(default=None, repr=False)
    decrypt: Operation | None = field(default=None, repr=False)

    @property
    def key_id(self) -> str:
        """What a version 3 PKESK names it by."""
        return self.fingerprint[-16:] if len(self.fingerprint) == 40 else self.fingerprint[:16]


def held_here(private: X25519PrivateKey) -> Operation:
    """The exchange with a secret key in this process."""
    return lambda point: private.exchange(X25519PublicKey.from_public_bytes(point))


def ecdh_parameters(body: bytes) -> bytes | None:
    """KDF parameters of a version 4 ECDH public key on Curve25519 (§ 5.5.5.6), None for another form."""
    if body[:1] != b"\x04" or body[5:6] != bytes((_ECDH,)) or body[6:17] != _OID:
        return None
    end = 19 + (int.from_bytes(body[17:19], "big") + 7) // 8
    kdf = body[end : end + 4]
    if len(kdf) != 4 or kdf[:2] != b"\x03\x01" or kdf[2] not in _KDF_HASHES or kdf[3] not in _KDF_CIPHERS:
        return None
    return kdf


def decrypt(packets: Sequence[Packet], keys: Sequence[DecryptionKey]) -> bytes:
    """The packets inside [PKESK+ SEIPD].

    Raises `Declined` when none of `keys` opens it or a form is not known here; `NotSoundCiphertext`, which
    is final, once a session key fits and the integrity is broken.
    """
    if not packets:
        raise Declined("encrypted-form")
    *wrapped, container = packets
    if container.tag != SEIPD or any(one.tag != PKESK for one in wrapped):
        raise Declined("encrypted-form")
    body = whole_body(container)
    # Version 3 goes with SEIPD 1 and version 6 with SEIPD 2 only (§ 10.3.2.1), else AEAD could be stripped.
    if any((one.body[:1], body[:1]) not in _PAIRS for one in wrapped):
        raise Declined("encrypted-form")
    for one in wrapped:
        for key in keys:
            session = _session_key(one.body, key)
            if session is None:
                continue
            if body[:1] == b"\x01":
                return _open_mdc(body[1:], session)
            return _open_aead(body, session)
    raise Declined("no-secret-key")


def _session_key(body: bytes, key: DecryptionKey) -> tuple[int | None, bytes] | None:
    """Cipher (None where the container names it) and session key; None when it is not for this key.

    Key wrapping (RFC 3394) tells a wrong key from a right one, so a fitting one is sure.
    """
    if body[:1] == b"\x03":
        name, algorithm, rest = body[1:9].hex().upper(), body[9:10], body[10:]
        fits = name in (key.key_id, "0" * 16)
    else:
        length = body[1] if len(body) > 1 else 0
        name, algorithm, rest = (
            body[3 : 2 + length].hex().upper(),
            body[2 + length : 3 + length],
            body[3 + length :],
        )
        fits = name in (key.fingerprint, "")
    if not fits or algorithm != bytes((key.algorithm,)):
        return None
    try:
        if key.algorithm == _RSA:
            return _unwrap_rsa(rest, key) if body[:1] == b"\x03" else None
        if key.algorithm == _ECDH:
            return _unwrap_ecdh(rest, key, versioned=body[:1] == b"\x03")
        return _unwrap_x25519(rest, key, versioned=body[:1] == b"\x03")
    except (InvalidUnwrap, ValueError, IndexError):
        return None


def _unwrap_ecdh(fields: bytes, key: DecryptionKey, *, versioned: bool) -> tuple[int | None, bytes]:
    """RFC 9580 § 11.5: shared point, KDF over the recipient's fingerprint, AES key wrap."""
    bits = int.from_bytes(fields[:2], "big")
    size = (bits + 7) // 8
    point, wrapped = fields[2 : 2 + size], fields[2 + size :]
    if size != 33 or point[:1] != b"\x40" or len(wrapped) != 1 + wrapped[0]:
        raise ValueError
    shared = _operation(key.exchange)(point[1:])
    hash_id, cipher = key.parameters[-2], key.parameters[-1]
    who = bytes.fromhex(key.fingerprint)
    parameter = bytes((len(_CURVE25519),)) + _CURVE25519 + bytes((_ECDH, 3, 1, hash_id, cipher))
    parameter += b"Anonymous Sender    " + who
    material = hashlib.new(_KDF_HASHES[hash_id], b"\x00\x00\x00\x01" + shared + parameter).digest()
    plain = aes_key_unwrap(material[: _AES[cipher]], wrapped[1:])
    padding = plain[-1]
    if not 1 <= padding <= len(plain) or plain[-padding:] != bytes((padding,)) * padding:
        raise ValueError
    plain = plain[:-padding]
    number, session, check = (plain[0] if versioned else None), plain[versioned:-2], plain[-2:]
    if sum(session) & 0xFFFF != int.from_bytes(check, "big"):
        raise ValueError
    return number, session


def _unwrap_rsa(fields: bytes, key: DecryptionKey) -> tuple[int | None, bytes]:
    """RFC 9580 § 5.1.3 and RFC 8017 § 7.2.2: 00 02, at least eight octets, 00, cipher, key, checksum."""
    size = (int.from_bytes(fields[:2], "big") + 7) // 8
    modulus = (int.from_bytes(key.parameters, "big") + 7) // 8
    if len(fields) != 2 + size or size > modulus:
        raise ValueError
    block = _operation(key.decrypt)(fields[2:]).lstrip(b"\x00").rjust(modulus, b"\x00")
    end = block.find(b"\x00", 2)
    if len(block) != modulus or block[:2] != b"\x00\x02" or end < 10:
        raise ValueError
    number, session, check = block[end + 1], block[end + 2 : -2], block[-2:]
    if sum(session) & 0xFFFF != int.from_bytes(check, "big"):
        raise ValueError
    return number, session


def _operation(given: Operation | None) -> Operation:
    if given is None:
        raise ValueError
    return given


def _unwrap_x25519(fields: bytes, key: DecryptionKey, *, versioned: bool) -> tuple[int | None, bytes]:
    """RFC 9580 § 5.1.6."""
    ephemeral, size, rest = fields[:32], fields[32], fields[33:]
    if len(rest) != size:
        raise ValueError
    number = rest[0] if versioned else None
    shared = _operation(key.exchange)(ephemeral)
    material = ephemeral + key.parameters + shared
    derived = HKDF(SHA256(), 16, salt=None, info=b"OpenPGP X25519").derive(material)
    return number, aes_key_unwrap(derived, rest[versioned:])


def _open_mdc(body: bytes, session: tuple[int | None, bytes]) -> bytes:
    """SEIPD version 1 (RFC 9580 § 5.13.1)."""
    number, key = session
    if number not in _AES or len(key) != _AES[number]:
        raise Declined("cipher")
    if len(body) < 16 + 2 + _MDC:
        raise NotSoundCiphertext("integrity")
    decryptor = Cipher(algorithms.AES(key), CFB(bytes(16))).decryptor()
    plain = decryptor.update(body) + decryptor.finalize()
    digest = hashlib.sha1(plain[:-20], usedforsecurity=False).digest()
    # The repeated octets at the start are not looked at: they protect nothing and can be an oracle.
    if not hmac.compare_digest(b"\xd3\x14" + digest, plain[-_MDC:]):
        raise NotSoundCiphertext("integrity")
    return plain[18:-_MDC]


def _open_aead(body: bytes, session: tuple[int | None, bytes]) -> bytes:
    """SEIPD version 2 (RFC 9580 § 5.13.2): chunks, each with its tag, and a last tag over the length."""
    number, mode, size = body[1], body[2], body[3]
    if number not in _AES or mode not in _NONCES or size > _MAX_CHUNK or len(session[1]) != _AES[number]:
        raise Declined("cipher")
    if len(body) < 36 + _TAG:
        raise NotSoundCiphertext("integrity")
    construction, nonce_size = _NONCES[mode]
    info, salt, chunks = b"\xd2" + body[:4], body[4:36], body[36:-_TAG]
    derived = HKDF(SHA256(), _AES[number] + nonce_size - 8, salt=salt, info=info).derive(session[1])
    cipher, start = construction(derived[: _AES[number]]), derived[_AES[number] :]
    step, plain = (1 << (size + 6)) + _TAG, bytearray()
    try:
        index = 0
        for at in range(0, len(chunks), step):
            plain += cipher.decrypt(start + index.to_bytes(8, "big"), chunks[at : at + step], info)
            index += 1
        total = info + len(plain).to_bytes(8, "big")
        cipher.decrypt(start + index.to_bytes(8, "big"), body[-_TAG:], total)
    except (InvalidTag, ValueError):
        raise NotSoundCiphertext("integrity") from None
    return bytes(plain)
