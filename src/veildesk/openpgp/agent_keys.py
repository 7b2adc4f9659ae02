"""Our secret keys where they stay with gpg-agent: each operation is asked for, no key is ever here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from veildesk.openpgp.assuan import AgentConnection
from veildesk.openpgp.decryption import DecryptionKey, Operation, ecdh_parameters
from veildesk.openpgp.packets import PUBLIC_KEY, PUBLIC_SUBKEY, Packet, fingerprint_of, split_packets

__all__ = ["AgentSigner", "agent_decryption", "agent_signing"]

_RSA, _ECDH, _EDDSA = 1, 18, 22


@dataclass(frozen=True, slots=True)
class AgentSigner:
    """A key that signs with the agent's help. `algorithm` is its OpenPGP number: 1 (RSA) or 22 (EdDSA)."""

    fingerprint: str
    algorithm: int
    keygrip: str
    agent: AgentConnection = field(repr=False)

    def sign(self, hash_id: int, digest: bytes) -> tuple[bytes, ...]:
        """The values of the signature, in the order of its packet. Raises `Declined`."""
        values = self.agent.sign(self.keygrip, hash_id, digest)
        return tuple(value.lstrip(b"\x00") for value in values)


def agent_decryption(
    certificates: Sequence[bytes], keygrips: Mapping[str, str], agent: AgentConnection
) -> tuple[DecryptionKey, ...]:
    """Keys of our certificates that the agent decrypts with; `keygrips` by fingerprint."""
    found: list[DecryptionKey] = []
    for fingerprint, grip, packet in _known(certificates, keygrips):
        if packet.body[5] == _ECDH and (parameters := ecdh_parameters(packet.body)) is not None:
            exchange = _exchange(agent, grip)
            found.append(DecryptionKey(fingerprint, _ECDH, parameters, exchange=exchange))
        elif packet.body[5] == _RSA:
            found.append(DecryptionKey(fingerprint, _RSA, packet.body[6:8], decrypt=_rsa(agent, grip)))
    return tuple(found)


def agent_signing(
    certificates: Sequence[bytes], keygrips: Mapping[str, str], agent: AgentConnection
) -> dict[str, AgentSigner]:
    """Keys of our certificates that the agent signs with, by fingerprint."""
    return {
        fingerprint: AgentSigner(fingerprint, packet.body[5], grip, agent)
        for fingerprint, grip, packet in _known(certificates, keygrips)
        if packet.body[5] in (_RSA, _EDDSA)
    }


def _known(certificates: Sequence[bytes], keygrips: Mapping[str, str]) -> list[tuple[str, str, Packet]]:
    """Version 4 keys whose keygrip is known."""
    found = []
    for data in certificates:
        for packet in split_packets(data):
            if packet.tag in (PUBLIC_KEY, PUBLIC_SUBKEY) and packet.body[:1] == b"\x04":
                fingerprint = fingerprint_of(packet)
                if fingerprint in keygrips:
                    found.append((fingerprint, keygrips[fingerprint], packet))
    return found


def _exchange(agent: AgentConnection, grip: str) -> Operation:
    return lambda point: agent.exchange(grip, point)


def _rsa(agent: AgentConnection, grip: str) -> Operation:
    return lambda value: agent.decrypt_rsa(grip, value)
