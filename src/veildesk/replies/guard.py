"""What an agent's answer must not carry, and when plaintext is forbidden. Pure.

An answer is held, not changed: only a person may decide what was meant.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from veildesk.core.contact import Contact
from veildesk.core.finding import Finding
from veildesk.core.work import Reason

__all__ = ["AnswerRules", "guard_contact", "guard_reply", "guard_text"]

_PERSONAL: Final = frozenset({"EMAIL", "PHONE", "IBAN", "CARD"})
_HOST: Final = re.compile(r"(?<![\w.-])(?:[a-z0-9_](?:[a-z0-9_-]{0,62})\.)+[a-z0-9][a-z0-9-]{0,62}(?![\w-])")
_V6: Final = re.compile(r"(?<![\w:.])[0-9a-f:]{2,39}(?![\w:])")
_INTERNAL: Final = (
    *(".local", ".localdomain", ".internal", ".intranet", ".lan", ".corp", ".home.arpa", ".private"),
)


@dataclass(frozen=True, slots=True)
class AnswerRules:
    """What answers may and may not name; all in lower case.

    `own` are our address and domain, `helpdesks` the hosts of the helpdesks, `internal` further domains
    that are nobody's business, `allowed` values that answers may always carry (a hotline's number).
    """

    own: frozenset[str] = frozenset()
    helpdesks: frozenset[str] = frozenset()
    internal: tuple[str, ...] = ()
    allowed: frozenset[str] = frozenset()


def guard_text(findings: Iterable[Finding]) -> Reason:
    """`GUARD` when the answer holds a secret (private key, seed phrase, password, token)."""
    return Reason.GUARD if any(f.secret for f in findings) else Reason.NONE


def guard_reply(
    text: str, findings: Collection[Finding], contact: Contact | None, rules: AnswerRules
) -> Reason:
    """Why an answer must not leave as it is, `NONE` when it may.

    `findings` are those of redaction in `text`. Data of the person who is answered is hers already.
    """
    if guard_text(findings) is not Reason.NONE:
        return Reason.GUARD
    named = {host for host in _HOST.findall(text.lower()) if host not in rules.allowed}
    if any(host in rules.helpdesks for host in named):
        return Reason.HELPDESK_LINK
    if any(_is_internal(host, rules.internal) for host in named) or _internal_v6(text, rules.allowed):
        return Reason.INTERNAL_ADDRESS
    theirs = contact.address.lower() if contact else ""
    for finding in findings:
        if finding.type in _PERSONAL:
            value = text[finding.start : finding.end].strip().lower()
            if value != theirs and not _is_own(value, rules):
                return Reason.OTHER_PEOPLE
    return Reason.NONE


def _is_internal(host: str, domains: Iterable[str]) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.endswith(_INTERNAL) or any(host == d or host.endswith(f".{d}") for d in domains)
    return _is_private(address)


def _is_private(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Of an organisation's inner network. Loopback says nothing of anybody and stands in many answers."""
    return address.is_private and not (address.is_loopback or address.is_unspecified)


def _internal_v6(text: str, allowed: Collection[str]) -> bool:
    for found in _V6.findall(text.lower()):
        try:
            address = ipaddress.IPv6Address(found)
        except ValueError:
            continue
        if found not in allowed and _is_private(address):
            return True
    return False


def _is_own(value: str, rules: AnswerRules) -> bool:
    plain = value.removeprefix("mailto:")
    return (
        plain in rules.allowed
        or plain in rules.own
        or ("@" in plain and plain.rpartition("@")[2] in rules.own)
        or re.sub(r"[^\w+]", "", plain) in rules.allowed
    )


def guard_contact(contact: Contact | None) -> Reason:
    """Whether an answer may leave: somebody must be reachable, and who wrote encrypted needs a key."""
    if contact is None or not contact.address:
        return Reason.NO_CONTACT
    if contact.wrote_encrypted and contact.certificate is None:
        return Reason.NO_KEY
    return Reason.NONE
