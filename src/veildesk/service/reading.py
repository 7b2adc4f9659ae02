"""One way to read a mail, for the gateway and for `veildesk inspect` alike: open, then normalise.

A key that comes with a mail can say that the mail was signed with it, never whose it is: signatures are
checked against it only when the known keys did not settle them, and it is stored nowhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from veildesk.core.errors import VeildeskError
from veildesk.core.limits import Limits
from veildesk.core.message import OpenedMessage, Signature, Verdict
from veildesk.core.ports import Engine
from veildesk.mail.normalise import normalise
from veildesk.openpgp.inline_body import open_inline_body
from veildesk.openpgp.key_index import index_of
from veildesk.openpgp.off_loop import off_loop
from veildesk.openpgp.opening import Looked, OpenedMail, open_mail

__all__ = ["is_unsettled", "read_mail"]

_MOST_TRIES = 4


async def read_mail(
    raw: bytes,
    engine: Engine,
    certificates: Sequence[bytes],
    limits: Limits,
    *,
    null_sender: bool = False,
    carried_keys: bool = True,
    own: frozenset[str] = frozenset(),
    looked: Looked | None = None,
) -> OpenedMessage:
    """Open with our keys, verify against `certificates`, normalise.

    With `carried_keys`, signatures by keys not among `certificates` are also checked against keys that
    the mail carries. `own` are our addresses. `looked` is `look_at(raw)`, if that was done. Raises
    `Unparsable`, `LimitExceeded`, `Undecryptable` or `NotSoundCiphertext`.
    """
    opened = await open_mail(raw, engine, certificates, limits, looked)
    if carried_keys and opened.certificates and _unknown(opened):
        certificates = (*certificates, *(one for one in opened.certificates if one not in certificates))
        opened = await open_mail(raw, engine, certificates, limits, looked)
    opened = await _settled(raw, engine, certificates, limits, looked, opened)
    body = await open_inline_body(raw, opened, engine, certificates, limits)
    if carried_keys and body is not opened and opened.certificates and _unknown(body):
        body = await open_inline_body(raw, opened, engine, (*certificates, *opened.certificates), limits)
    opened = body
    message = await off_loop(
        len(raw) + len(opened.payload),
        lambda: normalise(
            raw,
            opened.payload if opened.payload != raw else None,
            encryption=opened.encryption,
            signatures=opened.signatures,
            return_path="" if null_sender else None,
            notes=opened.notes,
            limits=limits,
            own=own,
            parsed=(opened.outer, opened.inner),
        ),
    )
    return _with_candidates(message, opened)


def is_unsettled(signature: Signature) -> bool:
    """Whether another certificate may say more: its key is not known, or was claimed by one that is."""
    claimed = signature.verdict is Verdict.INVALID and signature.signing_fingerprint is not None
    return claimed or signature.verdict is Verdict.UNKNOWN_KEY


async def _settled(
    raw: bytes,
    engine: Engine,
    certificates: Sequence[bytes],
    limits: Limits,
    looked: Looked | None,
    opened: OpenedMail,
) -> OpenedMail:
    """The mail opened with the right one of several certificates that claim the key which signed.

    Anybody can put another's key into a certificate of his own. Where that is looked at first, a good
    signature is none; so each is asked without the others.
    """
    tries = 0
    for signature in opened.signatures:
        name = signature.signing_fingerprint
        if signature.verdict is not Verdict.INVALID or name is None:
            continue
        claiming = [one for one in certificates if name in _keys(one)]
        for one in claiming if len(claiming) > 1 else ():
            tries += 1
            if tries > _MOST_TRIES:
                return opened
            kept = [other for other in certificates if other is one or other not in claiming]
            again = await open_mail(raw, engine, kept, limits, looked)
            made = (found for found in again.signatures if found.signing_fingerprint == name)
            if any(found.verdict is not Verdict.INVALID for found in made):
                return again
    return opened


def _keys(certificate: bytes) -> tuple[str, ...]:
    try:
        return index_of(certificate).keys
    except VeildeskError:
        return ()


def _unknown(opened: OpenedMail) -> bool:
    return any(is_unsettled(one) for one in opened.signatures)


def _with_candidates(message: OpenedMessage, opened: OpenedMail) -> OpenedMessage:
    """Keys from the envelope's headers as well as attached ones."""
    merged = tuple(dict.fromkeys((*opened.certificates, *message.certificates)))
    return dataclasses.replace(
        message, certificates=merged, autocrypt=opened.autocrypt, enclosed=opened.enclosed
    )
