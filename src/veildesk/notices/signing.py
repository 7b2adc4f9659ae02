"""Make and read clear-signed texts, with one signature or several over the same text.

Several signatures stand in one armor block (RFC 9580 § 10.3 lets a signed message have more than one),
so that stock `gpg --verify` checks all of them at once.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Sequence

from veildesk.core.errors import KeyUnusable, VeildeskError
from veildesk.core.message import Verdict
from veildesk.core.ports import Engine
from veildesk.notices.series import Signed
from veildesk.openpgp.armor import crc24, find_blocks
from veildesk.openpgp.packets import signature_packets

__all__ = ["BEGIN", "END", "combine", "read_signed", "sign_text", "signed_body"]

BEGIN = "-----BEGIN PGP SIGNED MESSAGE-----\n"
END = "-----END PGP SIGNATURE-----\n"
_MIDDLE = "-----BEGIN PGP SIGNATURE-----\n"
_HASHES = {8: "SHA256", 9: "SHA384", 10: "SHA512"}


async def sign_text(text: str, engine: Engine, signers: Sequence[str]) -> str:
    """A clear-signed text with one signature of each signer.

    Raises `KeyUnusable` if a key cannot sign or the result does not carry exactly this text.
    """
    parts = []
    for signer in signers:
        status = await engine.certificate_status(await engine.export(signer))
        if status.expired or status.revoked:
            raise KeyUnusable("the key that should sign is expired or revoked; renew or rotate it first")
        parts.append(await engine.clearsign(text, signer))
    signed = combine(parts)
    if signed_body(signed) != text:
        raise KeyUnusable("the signed text is not the text that was to be signed")
    return signed


def signed_body(signed: str) -> str:
    """The text of a clear-signed file, dash-escaping undone (RFC 9580 § 7.1). Raises `ValueError`.

    For reading our own files without gpg; what a signature covers is only what gpg gives out.
    """
    head, middle, _ = signed.partition(_MIDDLE)
    if not signed.startswith(BEGIN) or not middle or not signed.endswith(END):
        raise ValueError("not exactly one clear-signed text")
    rest = head[len(BEGIN) :]
    while rest.startswith("Hash: "):
        rest = rest.partition("\n")[2]
    if not rest.startswith("\n") or "\n-----BEGIN" in rest:
        raise ValueError("not exactly one clear-signed text")
    return "\n".join(line.removeprefix("- ") for line in rest[1:].split("\n"))


def combine(parts: Sequence[str]) -> str:
    """One clear-signed text with the signatures of all. Raises `ValueError` if the texts differ."""
    bodies = {signed_body(part) for part in parts}
    if len(bodies) != 1:
        raise ValueError("the files do not carry the same text")
    if len(parts) == 1:
        return parts[0]
    packets: dict[bytes, str] = {}
    for part in parts:
        block = find_blocks(part.encode())[0]
        for packet in signature_packets(block.data):
            # Version 4: version, class, key algorithm, hash algorithm (RFC 9580 § 5.2.3).
            name = _HASHES.get(packet.body[3]) if packet.body[:1] == b"\x04" else None
            if name is None:
                raise ValueError("a signature is of a kind that cannot be combined")
            packets[packet.raw] = name
    text = parts[0][len(BEGIN) :].partition("\n\n")[2].partition(_MIDDLE)[0]
    hashes = ", ".join(sorted(set(packets.values())))
    return f"{BEGIN}Hash: {hashes}\n\n{text}{_armored(b''.join(packets))}"


def _armored(data: bytes) -> str:
    encoded = base64.b64encode(data).decode("ascii")
    lines = [encoded[at : at + 64] for at in range(0, len(encoded), 64)]
    check = base64.b64encode(crc24(data).to_bytes(3, "big")).decode("ascii")
    return _MIDDLE + "\n" + "\n".join(lines) + f"\n={check}\n" + END


async def read_signed(raw: bytes, engine: Engine, certificates: Sequence[bytes] = ()) -> Signed:
    """What cryptography says of a file. Never raises for bad content.

    `certificates` are needed for keys that the engine does not hold itself.
    """
    try:
        shaped = raw.decode("utf-8")
        body = signed_body(shaped)
        opened = await engine.open(raw, certificates)
    except (UnicodeDecodeError, ValueError, VeildeskError):
        return Signed(raw)
    # gpg gives out what it checked; it may end the last line in its own way.
    text = opened.data.decode("utf-8", "replace").replace("\r\n", "\n")
    if text.rstrip("\n") != body.rstrip("\n"):
        return Signed(raw)
    signers: list[tuple[str, int]] = []
    revoked: set[str] = set()
    for one in opened.signatures:
        if one.fingerprint is None or one.created is None:
            continue
        if one.verdict is Verdict.VALID or (
            one.verdict is Verdict.EXPIRED_KEY
            and await _was_good(one.fingerprint, one.created, engine, certificates)
        ):
            signers.append((one.fingerprint, one.created))
        elif one.verdict is Verdict.REVOKED_KEY:
            revoked.add(one.fingerprint)
    return Signed(raw, text, tuple(signers), frozenset(revoked))


async def _was_good(fingerprint: str, at: int, engine: Engine, certificates: Sequence[bytes]) -> bool:
    """Whether an expired key was good when it signed: notices outlive the keys that made them."""
    own = []
    with contextlib.suppress(VeildeskError):
        own.append(await engine.export(fingerprint))
    for certificate in (*certificates, *own):
        try:
            status = await engine.certificate_status(certificate, at=at)
        except VeildeskError:
            continue
        if status.fingerprint == fingerprint:
            return status.can_sign and not status.expired and not status.revoked
    return False
