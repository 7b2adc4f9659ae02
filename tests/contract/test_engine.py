"""The contract of `core.ports.Engine`, run over every implementation.

"in-process" are real workers with secret keys in memory, "in-process-agent" such that ask gpg-agent for every
operation with one; "combined" puts them in front of gpg, and "combined-agent" does so with the secret keys
left to gpg-agent. An engine that may decline must still never
give a wrong answer: where the contract demands an error, declining is allowed to it, and nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio

from testbed.openpgp_lab import Lab, new_lab
from veildesk.core.errors import KeyUnusable, NotSoundCiphertext, Undecryptable, VeildeskError
from veildesk.core.limits import Limits
from veildesk.core.message import Integrity, Scope, Signature, Verdict
from veildesk.core.ports import DecryptedData, Engine
from veildesk.openpgp.declining import Declined
from veildesk.openpgp.fake_engine import FakeEngine
from veildesk.openpgp.pool import InProcessEngine
from veildesk.service.engines import agent_access, from_home, in_front_of

MAIL = b"Content-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n"


@dataclass
class Pair:
    """Two sides that know each other's fingerprints."""

    desk: Engine
    user: Engine
    desk_key: str
    user_key: str
    declining: tuple[type[Exception], ...] = ()


class Exporting(InProcessEngine):
    """Certificates come from elsewhere for this engine."""

    certificates: dict[str, bytes]

    async def export(self, fingerprint: str) -> bytes:
        if fingerprint not in self.certificates:
            raise Declined("export")
        return self.certificates[fingerprint]


@pytest.fixture(scope="module")
def gpg_lab():
    with new_lab() as made:
        yield made


pytestmark = pytest.mark.asyncio(loop_scope="module")
KINDS = ["gnupg", "in-process", "in-process-agent", "combined", "combined-agent", "fake"]


@pytest_asyncio.fixture(params=KINDS, scope="module", loop_scope="module")
async def pair(request: pytest.FixtureRequest, gpg_lab: Lab) -> AsyncIterator[Pair]:
    if request.param == "fake":
        desk, user = FakeEngine(), FakeEngine()
        yield Pair(desk, user, desk.add_key("support@desk.example"), user.add_key("rosa@example.org"))
        return
    keys = gpg_lab.fingerprints
    async with AsyncExitStack() as stack:
        desk, user = [await made(gpg_lab, request.param, who, stack) for who in ("desk", "user")]
        declining = (Declined,) if request.param.startswith("in-process") else ()
        yield Pair(desk, user, keys["desk"], keys["user"], declining)


async def made(lab: Lab, kind: str, who: str, stack: AsyncExitStack) -> Engine:
    gpg = lab.engine(who)
    await gpg.start()
    if kind == "gnupg":
        return gpg
    secret = None if kind.endswith("agent") else from_home(gpg, [lab.fingerprints[who]])
    if not kind.startswith("in-process"):
        return await in_front_of(gpg, Limits(), stack, secret=secret, workers=1)
    agent = await agent_access(gpg) if kind.endswith("agent") else None
    alone = Exporting([lab.certificate(who)], secret=secret, agent=agent, workers=1)
    alone.certificates = {lab.fingerprints[who]: lab.certificate(who)}
    await alone.start()
    stack.push_async_callback(alone.close)
    return alone


async def verdicts(pair: Pair, asked: Awaitable[DecryptedData | tuple[Signature, ...]]) -> list[Verdict]:
    """Verdicts of an answer; of an engine that declines, what the one behind it would have to say."""
    try:
        answer = await asked
    except pair.declining:
        return [Verdict.INVALID]
    found = answer.signatures if isinstance(answer, DecryptedData) else answer
    return [one.verdict for one in found]


async def test_sealed_data_opens_with_its_signer(pair: Pair) -> None:
    sealed = await pair.user.seal(MAIL, [await pair.desk.export(pair.desk_key)], pair.user_key)
    assert sealed.startswith(b"-----BEGIN PGP MESSAGE-----")
    opened = await pair.desk.open(sealed, [await pair.user.export(pair.user_key)])
    assert opened.data == MAIL
    assert opened.encrypted
    assert opened.integrity in (Integrity.MDC, Integrity.AEAD)
    (signature,) = opened.signatures
    assert signature.verdict is Verdict.VALID
    assert signature.fingerprint == pair.user_key
    assert signature.scope is Scope.PART
    assert not signature.bound_to_from


async def test_unknown_signer_still_opens(pair: Pair) -> None:
    sealed = await pair.user.seal(MAIL, [await pair.desk.export(pair.desk_key)], pair.user_key)
    opened = await pair.desk.open(sealed, [])
    assert opened.data == MAIL
    assert [(one.verdict, one.fingerprint) for one in opened.signatures] == [(Verdict.UNKNOWN_KEY, None)]


async def test_not_for_us_is_undecryptable(pair: Pair) -> None:
    sealed = await pair.user.seal(MAIL, [await pair.user.export(pair.user_key)], pair.user_key)
    with pytest.raises((Undecryptable, *pair.declining)):
        await pair.desk.open(sealed, [])


async def test_damaged_ciphertext_yields_nothing(pair: Pair) -> None:
    sealed = await pair.user.seal(MAIL, [await pair.desk.export(pair.desk_key)], pair.user_key)
    lines = sealed.split(b"\n")
    middle = next(at for at, line in enumerate(lines) if len(line) > 40) + (1 if len(lines) > 8 else 0)
    lines[middle] = lines[middle][:20] + (b"A" if lines[middle][20:21] != b"A" else b"B") + lines[middle][21:]
    with pytest.raises((VeildeskError, *pair.declining)):
        await pair.desk.open(b"\n".join(lines), [])


async def test_detached_signature_is_about_exact_bytes(pair: Pair) -> None:
    made = await pair.user.sign_detached(MAIL, pair.user_key)
    assert made.hash_name in ("sha256", "sha384", "sha512")
    known = [await pair.user.export(pair.user_key)]
    (good,) = await pair.desk.verify_detached(MAIL, made.armored.encode(), known)
    assert (good.verdict, good.fingerprint, good.hash_name) == (Verdict.VALID, pair.user_key, made.hash_name)
    assert await verdicts(pair, pair.desk.verify_detached(MAIL + b"x", made.armored.encode(), known)) == [
        Verdict.INVALID
    ]
    (unknown,) = await pair.desk.verify_detached(MAIL, made.armored.encode(), [])
    assert unknown.verdict is Verdict.UNKNOWN_KEY
    assert [one.verdict for one in await pair.desk.verify_detached(MAIL, b"nonsense", known)] == [
        Verdict.INVALID
    ]


async def test_clear_signed_text_comes_back(pair: Pair) -> None:
    signed = await pair.desk.clearsign("All systems are up.\nSecond line.\n", pair.desk_key)
    assert signed.startswith("-----BEGIN PGP SIGNED MESSAGE-----\n")
    assert "\r" not in signed
    known = [await pair.desk.export(pair.desk_key)]
    opened = await pair.user.open(signed.encode(), known)
    assert opened.data.decode() == "All systems are up.\nSecond line.\n"
    assert not opened.encrypted
    assert [one.verdict for one in opened.signatures] == [Verdict.VALID]
    forged = pair.user.open(signed.replace("are up", "are down").encode(), known)
    assert await verdicts(pair, forged) == [Verdict.INVALID]


async def test_certificates_say_what_they_are_good_for(pair: Pair) -> None:
    status = await pair.desk.certificate_status(await pair.user.export(pair.user_key))
    assert status.fingerprint == pair.user_key
    assert status.addresses == ("rosa@example.org",)
    assert status.can_encrypt
    assert status.can_sign
    assert not status.expired
    assert not status.revoked
    with pytest.raises(KeyUnusable):
        await pair.desk.certificate_status(b"no key")


async def test_keys_that_are_not_there_are_refused(pair: Pair) -> None:
    missing = "0" * 40
    known = [await pair.user.export(pair.user_key)]
    for attempt in (
        pair.desk.seal(MAIL, known, missing),
        pair.desk.seal(MAIL, [], pair.desk_key),
        pair.desk.seal(MAIL, [b"no key"], pair.desk_key),
        pair.desk.sign_detached(MAIL, missing),
        pair.desk.clearsign("x", missing),
        pair.desk.export(missing),
        pair.desk.export("--output"),
    ):
        with pytest.raises((KeyUnusable, *pair.declining)):
            await attempt


@pytest.mark.parametrize("data", [b"", b"just text\n", b"\x00\x01", b"-----BEGIN PGP MESSAGE-----\n"])
async def test_what_is_no_message_is_refused(pair: Pair, data: bytes) -> None:
    with pytest.raises(VeildeskError):
        await pair.desk.open(data, [])


@pytest.mark.parametrize("pair", [one for one in KINDS if one != "fake"], indirect=True)
async def test_broken_integrity_is_named_and_final(pair: Pair) -> None:
    sealed = await pair.user.seal(MAIL * 50, [await pair.desk.export(pair.desk_key)], pair.user_key)
    begin, *body, end = sealed.strip().split(b"\n")
    last = max(at for at, line in enumerate(body) if len(line) == 64)
    body[last] = body[last][:10] + (b"AAAA" if body[last][10:14] != b"AAAA" else b"BBBB") + body[last][14:]
    with pytest.raises(NotSoundCiphertext):
        await pair.desk.open(b"\n".join([begin, *body, end]), [])
