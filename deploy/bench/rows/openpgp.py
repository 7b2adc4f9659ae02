"""OpenPGP: our engine beside plain gpg."""

from __future__ import annotations

import asyncio
import os

import gnupg
from measure import Row, measure

from testbed.openpgp_lab import new_lab

__all__ = ["GROUPS"]


async def opening() -> list[Row]:
    """Decrypt and verify a 5 kB mail: our engine, beside a plain python-gnupg loop."""
    rows = []
    with new_lab() as lab:
        message = lab.encrypt(os.urandom(2500).hex().encode(), "--armor", sign=True)
        engine, certificate = lab.engine("desk"), lab.certificate("user")
        await engine.start()
        home = lab.home("desk")
        plain = gnupg.GPG(gnupghome=str(home), options=["--trust-model", "always"])
        plain.import_keys(certificate)

        async def ours() -> None:
            for _ in range(10):
                opened = await engine.open(message, [certificate])
                assert opened.signatures[0].verdict.value == "valid"

        async def loop() -> None:
            for _ in range(10):
                result = await asyncio.to_thread(plain.decrypt, message)
                assert result.ok
                assert result.valid

        rows.append(
            await measure(
                Row("openpgp.open", "open 10 signed, encrypted 5 kB mails", "python-gnupg"), ours, loop
            )
        )
        rows[-1].note = "ours checks structure, integrity and each signature's key in a keyring of its own"
        await engine.close()
    return rows


GROUPS = (opening,)
