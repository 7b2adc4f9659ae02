"""A home with our own keys under gpg-agent: making them, taking them over, giving their public half out."""

from __future__ import annotations

from collections.abc import Sequence

from veildesk.core.errors import KeyUnusable, VeildeskError
from veildesk.openpgp.armor import find_blocks
from veildesk.openpgp.gnupg_process import OUTPUT_LIMIT, GnuPGProcess, full_fingerprint
from veildesk.openpgp.key_listing import read_listing
from veildesk.openpgp.packets import read_certificate, split_packets

__all__ = ["GnuPGHome"]


class GnuPGHome(GnuPGProcess):
    """Our own keys, by full fingerprint of the primary key."""

    async def export(self, fingerprint: str) -> bytes:
        """See `core.ports.Engine.export`."""
        words = ["--armor", "--no-emit-version", "--export-options=export-minimal", "--export", "--"]
        done, _ = await self._gpg([*words, full_fingerprint(fingerprint)], b"", OUTPUT_LIMIT)
        if done.code or read_certificate(done.output).fingerprint != fingerprint:
            raise KeyUnusable("export-failed")
        return done.output

    async def generate_key(self, user_id: str, algorithm: str = "future-default", expires: str = "2y") -> str:
        """Make a key without passphrase: certify and sign on the primary, encrypt on a subkey.

        `algorithm` is a gpg name ("future-default" is Ed25519 with Curve25519, "rsa3072"). Returns
        the primary fingerprint. Raises `KeyUnusable`.
        """
        if not user_id.strip() or not user_id.isprintable():
            raise KeyUnusable("user-id")
        words = ["--pinentry-mode=loopback", "--passphrase=", "--quick-generate-key", "--", user_id]
        done, report = await self._gpg(
            [*words, algorithm, "default", expires], b"", OUTPUT_LIMIT, passphrase=None
        )
        made = report.once.get("KEY_CREATED")
        if done.code or made is None:
            raise KeyUnusable("generate-failed")
        return full_fingerprint(made.text(1))

    async def import_secret(self, data: bytes) -> tuple[str, ...]:
        """Take over secret keys (binary or armored) into the home; for throw-away homes only.

        Returns the primary fingerprints. Raises `KeyUnusable` if the bytes are no secret keys.
        """
        try:
            blocks = () if data[:1] and data[0] & 0x80 else find_blocks(data)
            wire = b"".join(one.data for one in blocks) if blocks else data
            tags = [one.tag for one in split_packets(wire)]
        except VeildeskError as error:
            raise KeyUnusable("secret-unreadable") from error
        if 5 not in tags:
            raise KeyUnusable("secret-none")
        before = set(await self.own_fingerprints())
        await self._gpg(["--import-options=import-minimal", "--import"], wire, OUTPUT_LIMIT)
        after = await self.own_fingerprints()
        if not after:
            raise KeyUnusable("secret-not-imported")
        return tuple(one for one in after if one not in before) or after

    async def export_secret(self, fingerprints: Sequence[str], descriptor: int) -> None:
        """Write secret keys, binary, to a descriptor that a child of ours holds the other end of.

        They pass through no memory of this process. Keys that gpg does not give away unprotected (on a
        token, or with a passphrase) come as stubs or protected, which is for the reader to find out.
        """
        words = ["--output", f"-&{descriptor}", "--export-secret-keys", "--"]
        await self._gpg(
            [*words, *map(full_fingerprint, fingerprints)], b"", OUTPUT_LIMIT, descriptors=[descriptor]
        )

    async def own_fingerprints(self) -> tuple[str, ...]:
        """Primary fingerprints of all keys in the home."""
        done, _ = await self._gpg(["--with-colons", "--fixed-list-mode", "--list-keys"], b"", OUTPUT_LIMIT)
        return tuple(one.fingerprint for one in read_listing(done.output))
