"""A home with our own keys under gpg-agent: making them, taking them over, giving their public half out."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence

from veildesk.core.errors import EngineUnavailable, KeyAbsent, KeyUnusable, VeildeskError
from veildesk.openpgp.armor import find_blocks
from veildesk.openpgp.assuan import AgentConnection, connect_agent
from veildesk.openpgp.declining import Declined
from veildesk.openpgp.gnupg_process import OUTPUT_LIMIT, GnuPGProcess, full_fingerprint
from veildesk.openpgp.key_listing import read_listing
from veildesk.openpgp.own_keys import OwnKey, SecretPlace, read_own_keys
from veildesk.openpgp.packets import SIGNATURE, USER_ID, read_certificate, split_packets

__all__ = ["GnuPGHome"]

# No question is asked: what gpg would ask is in the arguments, and keys have no passphrase.
_QUIET = ("--pinentry-mode=loopback", "--passphrase=")
# What `--gen-revoke` asks: really? reason: none given; no text; really?
_REVOKE_ANSWERS = b"y\n0\n\ny\n"
_KEY_REVOCATION = b"\x20"
_AGENT_SECONDS = 5.0
# What could mean something to gpg's filter language is left out.
_ADDRESS = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+\Z")
_PERIOD = re.compile(r"[1-9][0-9]{0,3}[dwmy]\Z")


class GnuPGHome(GnuPGProcess):
    """Our own keys, by full fingerprint of the primary key."""

    async def export(self, fingerprint: str) -> bytes:
        """See `core.ports.Engine.export`."""
        words = ["--armor", "--no-emit-version", "--export-options=export-minimal", "--export", "--"]
        done, _ = await self._gpg([*words, full_fingerprint(fingerprint)], b"", OUTPUT_LIMIT)
        if done.code or read_certificate(done.output).fingerprint != fingerprint:
            raise KeyUnusable("export-failed")
        return done.output

    async def generate_key(
        self, user_id: str, algorithm: str = "future-default", expires: str = "2y", *, again: bool = False
    ) -> str:
        """Make a key without passphrase: certify and sign on the primary, encrypt on a subkey.

        `algorithm` is a gpg name ("future-default" is Ed25519 with Curve25519, "rsa3072"). Returns
        the primary fingerprint. Raises `KeyUnusable`.
        """
        if not user_id.strip() or not user_id.isprintable():
            raise KeyUnusable("user-id")
        # Without --yes gpg refuses a user id that another key has already.
        words = [*_QUIET, *(["--yes"] if again else []), "--quick-generate-key", "--", user_id]
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

    # ------------------------------------------------------------------ keeping them usable

    async def own_keys(self) -> tuple[OwnKey, ...]:
        """Every key of the home that has a secret half, with its parts."""
        words = ["--with-colons", "--fixed-list-mode", "--with-keygrip", "--list-secret-keys"]
        done, _ = await self._gpg(words, b"", OUTPUT_LIMIT)
        if done.code:
            # An empty list would read as keys that are gone.
            raise EngineUnavailable("key-listing")
        return read_own_keys(done.output)

    async def agent_keygrips(self) -> dict[str, str]:
        """Keygrips by fingerprint of what the agent has in files without passphrase, for `agent_socket`."""
        parts = [part for key in await self.own_keys() for part in key.parts]
        found = [one for one in parts if one.secret is SecretPlace.HOME and one.keygrip]
        path = await self._agent_path("agent-socket")
        try:
            plain = await asyncio.to_thread(_unprotected, path, [one.keygrip for one in found])
        except (OSError, Declined):
            return {}
        return {one.fingerprint: one.keygrip for one in found if one.keygrip in plain}

    async def agent_socket(self) -> str:
        """Path of the agent's restricted socket: keys can be used over it and not taken out."""
        return await self._agent_path("agent-extra-socket")

    async def _agent_path(self, name: str) -> str:
        command = ["gpgconf", "--homedir", str(self._home), "--list-dirs", name]
        done = await self._raw(command, b"", OUTPUT_LIMIT)
        if done.code:
            raise EngineUnavailable("agent-socket")
        return os.fsdecode(done.output.rstrip(b"\n"))

    async def own_key(self, fingerprint: str) -> OwnKey:
        """One of them. Raises `KeyUnusable` if it is not there."""
        for one in await self.own_keys():
            if one.fingerprint == full_fingerprint(fingerprint):
                return one
        raise KeyAbsent("secret-missing")

    async def set_expiry(self, fingerprint: str, period: str) -> None:
        """Let the key and its usable subkeys end `period` ("2y", "90d") from now."""
        name = full_fingerprint(fingerprint)
        for parts in ((), ("*",)):
            words = [*_QUIET, "--quick-set-expire", "--", name, _period(period), *parts]
            done, _ = await self._gpg(words, b"", OUTPUT_LIMIT, passphrase=None)
            if done.code:
                raise KeyUnusable("expiry-failed")

    async def add_encryption_subkey(self, fingerprint: str, period: str, algorithm: str = "cv25519") -> None:
        """A new subkey that others encrypt to from now on; the old ones still open what was sent to them."""
        name = full_fingerprint(fingerprint)
        words = [*_QUIET, "--quick-add-key", "--", name, algorithm, "encr", _period(period)]
        done, report = await self._gpg(words, b"", OUTPUT_LIMIT, passphrase=None)
        if done.code or "KEY_CREATED" not in report.once:
            raise KeyUnusable("subkey-failed")

    async def certify(self, fingerprint: str, signer: str) -> None:
        """Let one of our keys certify another one."""
        words = [*_QUIET, "--default-key", full_fingerprint(signer), "--quick-sign-key", "--"]
        done, _ = await self._gpg([*words, full_fingerprint(fingerprint)], b"", OUTPUT_LIMIT, passphrase=None)
        if done.code:
            raise KeyUnusable("certify-failed")

    async def revocation_certificate(self, fingerprint: str) -> bytes:
        """An armored revocation of a key, to be kept elsewhere until it is needed."""
        words = [
            "--no-batch",
            *_QUIET,
            "--command-fd=0",
            "--armor",
            "--no-emit-version",
            "--gen-revoke",
            "--",
        ]
        done, _ = await self._gpg(
            [*words, full_fingerprint(fingerprint)], _REVOKE_ANSWERS, OUTPUT_LIMIT, passphrase=None
        )
        if done.code or not _is_revocation(done.output):
            raise KeyUnusable("revocation-failed")
        return done.output

    async def revoke(self, fingerprint: str, certificate: bytes) -> None:
        """Revoke one of our keys for good with its revocation certificate."""
        if not _is_revocation(certificate):
            raise KeyUnusable("revocation-unreadable")
        await self._gpg(["--import"], certificate, OUTPUT_LIMIT)
        if not (await self.own_key(fingerprint)).primary.revoked:
            raise KeyUnusable("revocation-of-another-key")

    async def export_for(self, fingerprint: str, address: str) -> bytes:
        """Our public key, binary, with the user ids of one address only (for a Web Key Directory)."""
        if not _ADDRESS.match(address):
            raise KeyUnusable("wkd-address")
        keep = f"keep-uid=mbox={address.lower()}"
        words = ["--export-options=export-minimal", f"--export-filter={keep}", "--export", "--"]
        done, _ = await self._gpg([*words, full_fingerprint(fingerprint)], b"", OUTPUT_LIMIT)
        if done.code:
            raise KeyUnusable("export-failed")
        read = read_certificate(done.output)
        if read.fingerprint != fingerprint or not any(one.tag == USER_ID for one in split_packets(read.data)):
            raise KeyUnusable("wkd-address")
        return read.data


def _unprotected(path: str, keygrips: Sequence[str]) -> frozenset[str]:
    with connect_agent(path) as channel:
        agent = AgentConnection(channel, _AGENT_SECONDS)
        return frozenset(one for one in keygrips if agent.unprotected(one))


def _is_revocation(certificate: bytes) -> bool:
    """Whether this is one armored block with one key revocation (RFC 9580 § 5.2.1.11) and nothing else."""
    try:
        blocks = find_blocks(certificate)
        packets = [one for block in blocks for one in split_packets(block.data)]
    except VeildeskError:
        return False
    return [(one.tag, one.body[1:2]) for one in packets] == [(SIGNATURE, _KEY_REVOCATION)]


def _period(text: str) -> str:
    if not _PERIOD.match(text):
        raise KeyUnusable("period")
    return text
