"""Every state a signature can be in, made with stock gpg and told apart by the engine."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import pytest

from testbed.openpgp_lab import Lab
from veildesk.core.errors import KeyUnusable
from veildesk.core.message import Verdict

DATA = b"Content-Type: text/plain\r\n\r\nHello\r\n"
DAY = 86400


def faked(moment: float) -> str:
    return "--faked-system-time=" + time.strftime("%Y%m%dT%H%M%S!", time.gmtime(moment))


@dataclass(frozen=True)
class Signed:
    signature: bytes
    certificate: bytes


@pytest.fixture(scope="module")
def made(lab: Lab) -> dict[str, Signed]:
    now = time.time()
    long_ago, soon = faked(now - 30 * DAY), faked(now + 10 * DAY)
    lab.make("expired", "Expired <expired@example.org>", long_ago, expires="seconds=864000")
    lab.make("old", "Old <old@example.org>", long_ago)
    lab.make("revoked", "Revoked <revoked@example.org>")
    lab.make("future", "Future <future@example.org>", soon)
    out = {
        "valid": Signed(lab.gpg("user", "--detach-sign", stdin=DATA), lab.certificate("user")),
        "expired-key": Signed(
            lab.gpg("expired", long_ago, "--detach-sign", stdin=DATA), lab.certificate("expired")
        ),
        "expired-signature": Signed(
            lab.gpg("old", long_ago, "--default-sig-expire=2d", "--detach-sign", stdin=DATA),
            lab.certificate("old"),
        ),
        "future-date": Signed(lab.gpg("user", soon, "--detach-sign", stdin=DATA), lab.certificate("user")),
        "weak-hash": Signed(
            lab.gpg("user", "--digest-algo=SHA1", "--detach-sign", stdin=DATA), lab.certificate("user")
        ),
    }
    signature = lab.gpg("revoked", "--detach-sign", stdin=DATA)
    fingerprint = lab.fingerprints["revoked"]
    form = (lab.home("revoked") / "openpgp-revocs.d" / f"{fingerprint}.rev").read_text()
    lab.gpg("revoked", "--import", stdin=form.replace(":-----", "-----").encode())
    out["revoked-key"] = Signed(signature, lab.certificate("revoked"))
    out["future-key"] = Signed(
        lab.gpg("future", soon, "--detach-sign", stdin=DATA), lab.certificate("future")
    )
    return out


@pytest.mark.parametrize(
    "state", ["valid", "expired-key", "expired-signature", "future-date", "weak-hash", "revoked-key"]
)
async def test_each_state_is_told(lab: Lab, made: dict[str, Signed], state: str) -> None:
    engine = lab.engine()
    await engine.start()
    (signature,) = await engine.verify_detached(DATA, made[state].signature, [made[state].certificate])
    assert signature.verdict == Verdict(state)
    assert signature.signing_fingerprint is not None


async def test_key_from_the_future_is_never_valid(lab: Lab, made: dict[str, Signed]) -> None:
    engine = lab.engine()
    await engine.start()
    one = made["future-key"]
    (signature,) = await engine.verify_detached(DATA, one.signature, [one.certificate])
    assert signature.verdict in (Verdict.FUTURE_DATE, Verdict.UNKNOWN_KEY)


async def test_changed_data_and_unknown_key(lab: Lab, made: dict[str, Signed]) -> None:
    engine = lab.engine()
    await engine.start()
    one = made["valid"]
    for data in (DATA + b" ", DATA[:-1], b"", DATA.replace(b"\r\n", b"\n")):
        (signature,) = await engine.verify_detached(data, one.signature, [one.certificate])
        assert signature.verdict is Verdict.INVALID
    (signature,) = await engine.verify_detached(DATA, one.signature, [])
    assert signature.verdict is Verdict.UNKNOWN_KEY
    assert signature.fingerprint is None


async def test_several_signatures_keep_their_own_verdicts(lab: Lab, made: dict[str, Signed]) -> None:
    engine = lab.engine()
    await engine.start()
    order = ["valid", "revoked-key", "weak-hash"]
    block = b"".join(made[one].signature for one in order)
    known = [made["valid"].certificate, made["revoked-key"].certificate]
    found = await engine.verify_detached(DATA, block, known)
    assert [one.verdict.value for one in found] == order
    unknown = await engine.verify_detached(
        DATA, made["revoked-key"].signature + made["valid"].signature, known[:1]
    )
    assert [one.verdict for one in unknown] == [Verdict.UNKNOWN_KEY, Verdict.VALID]
    assert [one.fingerprint for one in unknown] == [None, lab.fingerprints["user"]]


@pytest.mark.parametrize("kind", ["--sign", "--clearsign"])
async def test_other_messages_are_no_detached_signature(lab: Lab, kind: str) -> None:
    engine = lab.engine()
    await engine.start()
    whole = lab.gpg("user", kind, stdin=b"something else")
    for block in (whole, b"", b"garbage", lab.certificate("user"), whole + b"x"):
        found = await engine.verify_detached(DATA, block, [lab.certificate("user")])
        assert [one.verdict for one in found] == [Verdict.INVALID]


@pytest.mark.parametrize("separator", ["\x85", "\u2028", "\u00c5", "% ", ":", "\u202e"])
async def test_strange_user_ids_do_not_speak(lab: Lab, separator: str) -> None:
    engine = lab.engine()
    await engine.start()
    who = f"strange-{ord(separator[0]):x}"
    victim = lab.fingerprints["user"]
    forged = f"[GNUPG:] VALIDSIG {victim} 2023-11-14 1700000000 0 4 0 22 10 00 {victim}"
    lab.make(who, f"Mallory {separator}[GNUPG:] NEWSIG{separator}{forged}{separator} <m@example.net>")
    signature = lab.gpg(who, "--detach-sign", stdin=DATA)
    certificate = lab.certificate(who)
    (good,) = await engine.verify_detached(DATA, signature, [certificate, lab.certificate("user")])
    assert (good.verdict, good.fingerprint) == (Verdict.VALID, lab.fingerprints[who])
    (bad,) = await engine.verify_detached(DATA + b"x", signature, [certificate, lab.certificate("user")])
    assert (bad.verdict, bad.fingerprint) == (Verdict.INVALID, None)


async def test_expired_and_revoked_recipients_are_refused(lab: Lab, made: dict[str, Signed]) -> None:
    engine = lab.engine()
    await engine.start()
    desk = lab.fingerprints["desk"]
    for state in ("expired-key", "revoked-key"):
        status = await engine.certificate_status(made[state].certificate)
        assert not status.can_encrypt
        assert (status.expired, status.revoked) == (state == "expired-key", state == "revoked-key")
        with pytest.raises(KeyUnusable):
            await engine.seal(b"x", [lab.certificate("user"), made[state].certificate], desk)
    earlier = await engine.certificate_status(made["expired-key"].certificate, int(time.time() - 25 * DAY))
    assert earlier.can_encrypt
    assert not earlier.expired


async def test_nothing_stays_behind(lab: Lab, made: dict[str, Signed]) -> None:
    engine = lab.engine()
    await engine.start()
    await engine.verify_detached(DATA, made["valid"].signature, [made["valid"].certificate])
    assert list((lab.root / "run").iterdir()) == []
    listing = lab.gpg("desk", "--with-colons", "--list-keys").decode()
    assert re.findall(r"^fpr:+([0-9A-F]{40}):", listing, re.MULTILINE)[0] == lab.fingerprints["desk"]
    assert listing.count("\npub:") + listing.startswith("pub:") == 1
