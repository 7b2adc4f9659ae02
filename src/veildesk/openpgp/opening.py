"""Open a mail: peel layers of encryption and signature off the whole, and say what they cover.

Raw bytes in, `OpenedMail` out. Layers count only as long as each wraps everything inside the one
before (RFC 9787 § 4); what covers less is reported with scope "part" and left closed. Plaintext is
returned only from an engine that checked its integrity, and only as what the engine returned.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from veildesk.core.errors import KeyUnusable, LimitExceeded, Undecryptable, Unparsable, VeildeskError
from veildesk.core.limits import Limits
from veildesk.core.message import Encryption, Integrity, Scope, Signature, Verdict
from veildesk.core.ports import Engine
from veildesk.mail.address import single_address
from veildesk.mail.headers import Protection, header_protection
from veildesk.mail.parse import Part, parse_mail
from veildesk.openpgp.candidates import (
    autocrypt_fingerprint,
    candidate_certificates,
    enclosed_fingerprints,
)
from veildesk.openpgp.off_loop import off_loop
from veildesk.openpgp.packets import read_certificate
from veildesk.openpgp.plain_entity import file_entity, text_entity
from veildesk.openpgp.structure import (
    Layer,
    LayerKind,
    SignedSpan,
    find_layer,
    has_ciphertext,
    signed_spans,
)

__all__ = ["Looked", "OpenedMail", "look_at", "open_mail"]

_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_ENTITY = re.compile(rb"(?:content-type|mime-version):", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class OpenedMail:
    """A mail with its cryptographic envelope taken off.

    `outer_headers` is the raw header block of the mail as it came. `payload` is the MIME entity
    inside the envelope, or the raw mail when there is none. `protected` is true when the payload
    declares protected headers and an encryption or a valid signature over the whole backs that.
    `certificates` are candidates the mail carries, binary; `autocrypt` is the fingerprint of the one from
    its Autocrypt header, `enclosed` those of the ones that stand inside the payload.
    `notes` are fixed words: "legacy-inline",
    "mixed-encrypted-plain", "not-encrypted-posing", "repaired-structure", "smime-unsupported",
    "encrypted-structure", "signed-structure", "inner-undecryptable", "closed-file". `outer` is the mail as
    parsed, `inner` the parsed payload, None where it is the mail itself or was not parsed.
    """

    encryption: Encryption
    signatures: tuple[Signature, ...]
    outer_headers: bytes = field(repr=False)
    payload: bytes = field(repr=False)
    protected: bool = False
    certificates: tuple[bytes, ...] = ()
    notes: tuple[str, ...] = ()
    autocrypt: str | None = None
    enclosed: frozenset[str] = frozenset()
    outer: Part | None = field(default=None, repr=False)
    inner: Part | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Looked:
    """An entity as parsed, and its outermost layer. Nothing is decrypted or verified."""

    root: Part = field(repr=False)
    layer: Layer = field(repr=False)

    @property
    def sender(self) -> str | None:
        """The one address in From, lower-case; it proves nothing."""
        address = single_address(self.root.values("From"))
        return address.lower() if address is not None else None


@dataclass(slots=True)
class _Peeling:
    """What the layers taken off so far amount to."""

    entity: bytes
    root: Part
    layers: int = 0
    integrity: Integrity | None = None
    signatures: list[Signature] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)


async def open_mail(
    raw: bytes,
    engine: Engine,
    certificates: Sequence[bytes],
    limits: Limits | None = None,
    looked: Looked | None = None,
) -> OpenedMail:
    """Open `raw` with our keys and verify against `certificates`.

    `looked` is `look_at(raw)`, if that was done. Raises `Unparsable`, `LimitExceeded`, `Undecryptable` or
    `NotSoundCiphertext`; a bad, unknown or missing signature is no error but a verdict.
    """
    limits = limits or Limits()
    looked = looked or await look_at(raw, limits)
    outer = looked.root
    state = _Peeling(raw, outer)
    await _peel_all(state, looked.layer, engine, certificates, limits)
    encryption = _encryption(state)
    state.signatures += await _partial(state, engine, certificates)
    protected = _is_protected(state)
    bound = await _bound(state, outer, engine, certificates, protected=protected)
    return OpenedMail(
        encryption,
        tuple(bound),
        raw[outer.start : outer.body_start],
        state.entity,
        protected,
        candidate_certificates(outer, state.root),
        tuple(state.notes),
        autocrypt_fingerprint(outer),
        enclosed_fingerprints(state.root),
        outer,
        state.root if state.root is not outer else None,
    )


async def look_at(entity: bytes, limits: Limits) -> Looked:
    """Parse an entity and find its outermost layer. Raises `LimitExceeded` or `Unparsable`."""

    def look() -> Looked:
        root = parse_mail(entity, limits)
        return Looked(root, find_layer(entity, root))

    return await off_loop(len(entity), look)


async def _peel_all(
    state: _Peeling, layer: Layer, engine: Engine, certificates: Sequence[bytes], limits: Limits
) -> None:
    """Take layers off until none wraps the whole."""
    state.notes.update(dict.fromkeys(layer.notes))
    while layer.kind is not LayerKind.NONE:
        state.layers += 1
        if state.layers > limits.crypto_layers:
            raise LimitExceeded("crypto-layers")
        try:
            state.entity = await _peel(layer, state, engine, certificates)
        except (Undecryptable, Unparsable):
            if layer.clear:
                # Text that is no sound clear-signed message is text all the same, and not signed.
                return
            if state.integrity is None:
                raise
            # The mail itself was encrypted to us; what it holds besides stays closed.
            state.notes["inner-undecryptable"] = None
            return
        looked = await look_at(state.entity, limits)
        state.root, layer = looked.root, looked.layer
        state.notes.update(dict.fromkeys(layer.notes))


async def _peel(layer: Layer, state: _Peeling, engine: Engine, certificates: Sequence[bytes]) -> bytes:
    """Take one layer off: the entity inside."""
    if layer.kind is LayerKind.SMIME_SIGNED:
        return layer.inner
    if layer.kind is LayerKind.SIGNED:
        assert layer.span is not None
        verdicts = await _verify(layer.span, engine, certificates)
        state.signatures += [replace(one, scope=Scope.WHOLE) for one in verdicts]
        return layer.inner
    opened = await engine.open(layer.content, certificates)
    if opened.encrypted:
        # Whoever signs a ciphertext need not know what is in it (RFC 9787 § 6): such a signature speaks for
        # the wrapping only.
        state.signatures = [replace(one, scope=Scope.PART) for one in state.signatures]
        # The weakest layer names the protection; with several, each was sound.
        state.integrity = state.integrity or opened.integrity
    state.signatures += [replace(one, scope=Scope.WHOLE) for one in opened.signatures]
    if layer.bare:
        return _from_file(opened.data, layer.name)
    if layer.kind is LayerKind.INLINE:
        return text_entity(opened.data, layer.charset)
    return opened.data


def _from_file(data: bytes, name: str | None) -> bytes:
    """What was in an encrypted file that is the whole mail: an entity, text, or else a file."""
    if _ENTITY.match(data):
        return data
    return file_entity(data, name) if _BINARY.search(data, 0, 4096) else text_entity(data, "")


async def _verify(span: SignedSpan, engine: Engine, certificates: Sequence[bytes]) -> tuple[Signature, ...]:
    if span.data is not None:
        return await engine.verify_detached(span.data, span.signature, certificates)
    try:
        return (await engine.open(span.signature, certificates)).signatures
    except VeildeskError:
        return (Signature(Verdict.INVALID),)


def _encryption(state: _Peeling) -> Encryption:
    if state.integrity is not None:
        return Encryption(Scope.WHOLE, state.integrity)
    if has_ciphertext(state.root) and "not-encrypted-posing" not in state.notes:
        state.notes["mixed-encrypted-plain"] = None
        return Encryption(Scope.PART)
    return Encryption()


async def _partial(state: _Peeling, engine: Engine, certificates: Sequence[bytes]) -> list[Signature]:
    """Verdicts on signatures that cover parts of the innermost entity."""
    found: list[Signature] = []
    for span in signed_spans(state.entity, state.root):
        found += [replace(one, scope=Scope.PART) for one in await _verify(span, engine, certificates)]
    return found


def _is_protected(state: _Peeling) -> bool:
    if state.layers == 0 or header_protection(state.root) is Protection.NONE:
        return False
    signed = any(one.verdict is Verdict.VALID and one.scope is Scope.WHOLE for one in state.signatures)
    return state.integrity is not None or signed


async def _bound(
    state: _Peeling, outer: Part, engine: Engine, certificates: Sequence[bytes], *, protected: bool
) -> list[Signature]:
    """Set `bound_to_from`: every From there is must be one and the same address of the signer."""
    authors = [outer.values("From")]
    if protected and state.root.values("From"):
        authors.append(state.root.values("From"))
    addresses = {(single_address(one) or "").lower() for one in authors}
    address = addresses.pop() if len(addresses) == 1 else ""
    known: dict[str, tuple[str, ...]] = {}
    result: list[Signature] = []
    for one in state.signatures:
        name = one.fingerprint
        if name is not None and address and name not in known:
            known[name] = await _addresses(name, engine, certificates)
        bound = name is not None and bool(address) and address in known[name]
        result.append(replace(one, bound_to_from=bound))
    return result


async def _addresses(fingerprint: str, engine: Engine, certificates: Sequence[bytes]) -> tuple[str, ...]:
    """Addresses of the certificate with this primary fingerprint; our own key counts as one."""
    for one in certificates:
        try:
            read = read_certificate(one)
            if read.fingerprint == fingerprint:
                return (await engine.certificate_status(read.data)).addresses
        except KeyUnusable:
            continue
    try:
        return (await engine.certificate_status(await engine.export(fingerprint))).addresses
    except KeyUnusable:
        return ()
