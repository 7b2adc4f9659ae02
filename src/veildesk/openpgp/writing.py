"""Write signatures that gpg-agent makes, and messages around them (RFC 9580 § 5 and § 10.3).

rPGP signs only with keys it holds. Here the agent signs a digest; the packets are put together in this
module, and every signature is verified before it is given out. Session keys are wrapped by rPGP.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from openpgp.armor import BlockType
from openpgp.armor import write as armor_write
from openpgp.composed import MessageBuilder
from openpgp.errors import Error as LibraryError
from openpgp.packet import Packet as LibraryPacket

from veildesk.openpgp.agent_keys import AgentSigner
from veildesk.openpgp.declining import Declined
from veildesk.openpgp.packets import PKESK, split_packets

__all__ = ["clear_signed", "detached", "sealed"]

_BINARY, _TEXT = 0, 1
_SHA512 = 10
_LITERAL, _ONE_PASS, _SIGNATURE, _SEIPD = 11, 4, 2, 18


def sealed(data: bytes, recipients: Sequence[Any], signer: AgentSigner, key: Any, now: int) -> bytes:
    """An armored message, signed and encrypted. `recipients` and `key` are the library's public forms, the
    latter of the signer.

    Raises `Declined` when the agent does not sign or what it made does not verify.
    """
    inner = _signed_message(data, signer, key, now)
    return _armored(BlockType.Message, _encrypted(inner, recipients)).encode("ascii")


def detached(data: bytes, signer: AgentSigner, key: Any, now: int) -> str:
    """An armored detached signature. Raises like `sealed`."""
    return _armored(BlockType.Signature, _signature(data, signer, key, now))


def _signature(data: bytes, signer: AgentSigner, key: Any, now: int, kind: int = _BINARY) -> bytes:
    """A version 4 signature packet over `data`."""
    who = bytes.fromhex(signer.fingerprint)
    hashed = b"\x16\x21\x04" + who + b"\x05\x02" + now.to_bytes(4, "big")
    head = bytes((4, kind, signer.algorithm, _SHA512)) + len(hashed).to_bytes(2, "big") + hashed
    digest = hashlib.sha512(data + head + b"\x04\xff" + len(head).to_bytes(4, "big")).digest()
    values = b"".join(map(_number, signer.sign(_SHA512, digest)))
    unhashed = b"\x09\x10" + who[-8:]
    made = _packet(_SIGNATURE, head + len(unhashed).to_bytes(2, "big") + unhashed + digest[:2] + values)
    try:
        checked: Any = LibraryPacket.from_bytes(made).value
        checked.verify(key, data)
    except LibraryError:
        raise Declined("agent-signature-bad") from None
    return made


def _signed_message(data: bytes, signer: AgentSigner, key: Any, now: int) -> bytes:
    """One-pass announcement, literal data, signature (§ 10.3)."""
    announcement = bytes((3, _BINARY, _SHA512, signer.algorithm)) + bytes.fromhex(signer.fingerprint)[-8:]
    content = _packet(_LITERAL, b"b\x00" + bytes(4) + data)
    return _packet(_ONE_PASS, announcement + b"\x01") + content + _signature(data, signer, key, now)


def _encrypted(inner: bytes, recipients: Sequence[Any]) -> bytes:
    """Packets in a SEIPD version 1 message with AES-256 (§ 5.13.1)."""
    session = os.urandom(32)
    builder = MessageBuilder.from_bytes("", b"").seipd_v1("aes256").set_session_key(session)
    for one in recipients:
        builder = builder.encrypt_to_key(one)
    wrapped = [one for one in split_packets(builder.to_vec()) if one.tag == PKESK]
    if len(wrapped) != len(recipients) or any(one.body[:1] != b"\x03" for one in wrapped):
        raise Declined("recipient")
    prefix = os.urandom(16)
    plain = prefix + prefix[-2:] + inner + b"\xd3\x14"
    plain += hashlib.sha1(plain, usedforsecurity=False).digest()
    encryptor = Cipher(algorithms.AES(session), CFB(bytes(16))).encryptor()
    body = b"\x01" + encryptor.update(plain) + encryptor.finalize()
    return b"".join(one.raw for one in wrapped) + _packet(_SEIPD, body)


def clear_signed(lines: Sequence[str], signer: AgentSigner, key: Any, now: int) -> str:
    """A clear-signed text (§ 7) of lines without blanks at their ends."""
    made = _signature("\r\n".join(lines).encode(), signer, key, now, _TEXT)
    text = "\n".join(f"- {line}" if line.startswith(("-", "From ")) else line for line in lines)
    head = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n"
    return f"{head}{text}\n{_armored(BlockType.Signature, made)}"


def _armored(kind: Any, data: bytes) -> str:
    """ASCII armor with a checksum, which some programs still want (§ 6); `kind` is the library's."""
    out = io.BytesIO()
    armor_write(data, kind, out)
    return out.getvalue().decode("ascii").replace("\r\n", "\n")


def _packet(tag: int, body: bytes) -> bytes:
    """A packet with a five-octet length (§ 4.2.1.3)."""
    return bytes((0xC0 | tag, 255)) + len(body).to_bytes(4, "big") + body


def _number(value: bytes) -> bytes:
    """A multiprecision integer (§ 3.2)."""
    return int.from_bytes(value, "big").bit_length().to_bytes(2, "big") + value
