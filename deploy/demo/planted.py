"""Secrets to plant in the demo's messages: random for each run, of the right form, nobody's.

The demo later looks for every one of them in every byte an agent or a disk could show.
"""

from __future__ import annotations

import hashlib
import io
import secrets
from dataclasses import dataclass

from mnemonic import Mnemonic
from PIL import Image

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True)
class Planted:
    """One set of secrets, by kind."""

    email: str
    ipv4: str
    bitcoin: str
    ethereum: str
    api_key: str
    seed: str
    path_user: str
    camera: str

    def values(self) -> list[str]:
        """Everything that must not come through, seed words also in pairs."""
        words = self.seed.split()
        pairs = [" ".join(words[i : i + 2]) for i in range(len(words) - 1)]
        single = [
            self.email,
            self.ipv4,
            self.bitcoin,
            self.ethereum,
            self.api_key,
            self.path_user,
            self.camera,
        ]
        return [*single, self.seed, *pairs]

    def paragraph(self) -> str:
        """A support request that mentions all of them; the address twice."""
        return (
            f"my account is {self.email} and since the update the app ends with error 0x80070005.\n"
            f"I connected from {self.ipv4} with version 4.2.17.\n"
            f"I sent the coins from {self.bitcoin} and the tokens from {self.ethereum}.\n"
            f"The log shows api_key={self.api_key} and the file /home/{self.path_user}/wallet/debug.log\n"
            f"My recovery phrase is: {self.seed}\n"
            f"Please write to {self.email} only encrypted.\n"
        )


def plant() -> Planted:
    """A fresh set."""
    return Planted(
        email=f"{secrets.token_hex(4)}.person@mail.example",
        ipv4=f"93.{secrets.randbelow(200) + 20}.{secrets.randbelow(200) + 20}.{secrets.randbelow(200) + 20}",
        bitcoin=_base58check(b"\0" + secrets.token_bytes(20)),
        ethereum="0x" + secrets.token_hex(20),
        api_key="AKIA" + "".join(secrets.choice(_UPPER) for _ in range(16)),
        seed=Mnemonic("english").generate(128),
        path_user=f"u{secrets.token_hex(5)}",
        camera=f"Camera {secrets.token_hex(6)}",
    )


def photo(planted: Planted) -> bytes:
    """A JPEG with GPS position, camera name and a comment."""
    image = Image.radial_gradient("L").convert("RGB")
    exif = Image.Exif()
    exif[0x010F] = planted.camera
    exif[0x9286] = planted.camera
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "N", (52.0, 31.0, 12.3), "E", (13.0, 24.0, 17.9)
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif, comment=planted.camera.encode())
    return out.getvalue()


def _base58check(payload: bytes) -> str:
    body = payload + hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
    number, text = int.from_bytes(body, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = _BASE58[digit] + text
    return "1" * (len(body) - len(body.lstrip(b"\0"))) + text
