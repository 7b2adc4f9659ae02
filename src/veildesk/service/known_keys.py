"""Where certificates are looked up: the operator's folder first, then the contact store.

Both are asked by address or by fingerprint, so that the engine gets the few certificates that can matter
for a mail, never all of them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from veildesk.core.contact import KnownKey, Provenance
from veildesk.core.errors import VeildeskError
from veildesk.core.ports import Contacts, KeyLookup
from veildesk.openpgp.certificate_merge import merged
from veildesk.openpgp.key_index import index_of

__all__ = ["KnownKeys", "MemoryContacts"]

_log = logging.getLogger("veildesk.service")
_MOST = 4


class MemoryContacts:
    """`veildesk.core.ports.Contacts` in memory: the operator's folder, and a store for tests."""

    def __init__(self, certificates: Iterable[bytes] = ()) -> None:
        self._keys: dict[str, KnownKey] = {}
        self._by_key: dict[str, str] = {}
        self._by_address: dict[str, list[str]] = {}
        for certificate in certificates:
            try:
                found = index_of(certificate)
            except VeildeskError as error:
                _log.warning("contact-unusable reason=%s", error.detail)
                continue
            self._put(
                KnownKey(
                    found.certificate, found.fingerprint, found.keys, found.addresses, Provenance.CONFIGURED
                )
            )

    def _put(self, key: KnownKey) -> None:
        before = self._keys.get(key.fingerprint)
        if before is not None:
            key = key.with_names_of(before)
        self._keys[key.fingerprint] = key
        for one in key.keys:
            # A certificate can hold another's key as if it were its subkey.
            self._by_key.setdefault(one, key.fingerprint)
        self._by_key[key.fingerprint] = key.fingerprint
        for address in key.addresses:
            names = self._by_address.setdefault(address, [])
            if key.fingerprint not in names:
                names.insert(0, key.fingerprint)

    async def by_address(self, address: str) -> tuple[KnownKey, ...]:
        """Keys known for a lower-case address, the latest first."""
        return tuple(self._keys[name] for name in self._by_address.get(address, ())[:_MOST])

    async def by_key(self, fingerprint: str) -> KnownKey | None:
        """The certificate that holds a key with this fingerprint."""
        name = self._by_key.get(fingerprint)
        return self._keys[name] if name is not None else None

    async def remember(self, key: KnownKey, replaces: str | None = None) -> None:
        """Store or refresh a key."""
        self._put(key)
        for names in self._by_address.values():
            if replaces in names and replaces is not None:
                names.remove(replaces)

    async def forget_before(self, day: int) -> int:
        """Forget keys last used before `day`."""
        old = [name for name, key in self._keys.items() if key.last_day < day]
        for name in old:
            del self._keys[name]
        self._by_key = {key: name for key, name in self._by_key.items() if name in self._keys}
        for names in self._by_address.values():
            names[:] = [name for name in names if name in self._keys]
        return len(old)


@dataclass(frozen=True, slots=True)
class KnownKeys:
    """`configured` are keys the operator has put there, `contacts` those that were learned; `lookup` asks
    mail domains, None for never."""

    configured: MemoryContacts = field(default_factory=MemoryContacts)
    contacts: Contacts = field(default_factory=MemoryContacts)
    lookup: KeyLookup | None = None

    async def by_address(self, address: str | None) -> tuple[KnownKey, ...]:
        """What is known for an address, configured keys first, each once."""
        if not address:
            return ()
        wanted = address.lower()
        found = (*await self.configured.by_address(wanted), *await self.contacts.by_address(wanted))
        return tuple({key.fingerprint: key for key in reversed(found)}.values())[::-1][:_MOST]

    async def by_key(self, fingerprint: str) -> KnownKey | None:
        """The certificate that holds this key, None if it is not known."""
        given = await self.configured.by_key(fingerprint)
        if given is not None and given.fingerprint == fingerprint:
            return given
        # What was learned has signed with its keys; a given certificate may only claim one.
        return await self.contacts.by_key(fingerprint) or given

    async def remember(self, key: KnownKey, replaces: str | None = None) -> None:
        """Store or refresh a key that was learned; no copy of it takes back what another one said."""
        whole = await self.with_known(key.fingerprint, key.certificate)
        await self.contacts.remember(dataclasses.replace(key, certificate=whole), replaces)

    async def with_known(self, fingerprint: str, certificate: bytes) -> bytes:
        """A copy of a certificate with what is known of it besides."""
        known = await self.contacts.by_key(fingerprint)
        if known is not None and known.fingerprint == fingerprint:
            with contextlib.suppress(VeildeskError):
                return merged(known.certificate, certificate)
        return certificate

    async def add_copy(self, fingerprint: str, certificate: bytes) -> None:
        """Put a copy to a learned key, whoever brought it; a key that is not known stays unknown."""
        known = await self.contacts.by_key(fingerprint)
        if known is not None and known.fingerprint == fingerprint:
            await self.remember(dataclasses.replace(known, certificate=certificate))

    async def discover(self, address: str | None, day: int) -> tuple[KnownKey, ...]:
        """Ask the address's mail domain and remember what it publishes; what is known keeps its names."""
        if self.lookup is None or not address:
            return ()
        found = await self.lookup.find(address)
        for key in found:
            if await self.by_key(key.fingerprint) is not None:
                await self.add_copy(key.fingerprint, key.certificate)
            else:
                # Its subkeys may be other people's keys; only what has signed is a name.
                own = dataclasses.replace(key, keys=(key.fingerprint,), last_day=day)
                await self.contacts.remember(own)
        return found
