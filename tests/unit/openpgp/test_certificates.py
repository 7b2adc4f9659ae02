"""Certificates: what one may hold, what it is good for, and what never gets in."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from testbed.openpgp_lab import BASE, Lab, new_lab, packet
from veildesk.core.errors import EngineUnavailable, KeyUnusable, VeildeskError
from veildesk.core.limits import Limits
from veildesk.core.message import Verdict
from veildesk.openpgp.key_listing import address_of, read_listing
from veildesk.openpgp.packets import read_certificate, split_packets

DATA = b"data"


def parts(lab: Lab, who: str = "user") -> list[bytes]:
    return [one.raw for one in split_packets(lab.certificate(who))]


def test_one_public_key_is_read(lab: Lab) -> None:
    read = read_certificate(lab.certificate("user"))
    assert read.fingerprint == lab.fingerprints["user"]
    armored = lab.gpg("user", "--armor", "--export", lab.fingerprints["user"])
    assert read_certificate(armored).data == read.data


def test_packets_that_do_not_belong_are_dropped(lab: Lab) -> None:
    pieces = parts(lab)
    padded = pieces[0] + packet(12, b"\x06\x01") + b"".join(pieces[1:]) + packet(60, b"private")
    assert read_certificate(padded).data == b"".join(pieces)


@pytest.mark.parametrize(
    "case", ["secret", "two", "none", "signature", "message", "empty", "text", "huge", "cut"]
)
def test_everything_else_is_refused(lab: Lab, case: str) -> None:
    certificate = lab.certificate("user")
    data = {
        "secret": lambda: lab.gpg("user", "--export-secret-keys"),
        "two": lambda: certificate + lab.certificate("desk"),
        "none": lambda: b"".join(parts(lab)[1:]),
        "signature": lambda: lab.gpg("user", "--armor", "--detach-sign", stdin=DATA),
        "message": lambda: lab.encrypt(DATA, "--armor"),
        "empty": lambda: b"",
        "text": lambda: b"no key here",
        "huge": lambda: certificate + packet(17, bytes(1024 * 1024)),
        "cut": lambda: certificate[:-3],
    }[case]()
    with pytest.raises(KeyUnusable):
        read_certificate(data)


async def test_user_ids_without_signature_do_not_count(lab: Lab) -> None:
    engine = lab.engine()
    await engine.start()
    pieces = parts(lab)
    forged = pieces[0] + packet(13, b"Bank <help@bank.example>") + b"".join(pieces[1:])
    assert (await engine.certificate_status(forged)).addresses == ("rosa@example.org",)
    bare = await engine.certificate_status(pieces[0] + pieces[1])
    assert bare.addresses == ()
    assert not bare.can_encrypt
    unbound = await engine.certificate_status(b"".join(pieces[:4]))
    assert not unbound.can_encrypt


async def test_one_unreadable_certificate_does_not_hide_another(lab: Lab) -> None:
    engine = lab.engine()
    await engine.start()
    signature = lab.gpg("user", "--detach-sign", stdin=DATA)
    version_6 = packet(6, b"\x06" + bytes(4) + b"\x1b" + (32).to_bytes(4, "big") + bytes(32))
    strange = packet(6, b"\x04" + bytes(4) + b"\x63" + bytes(40)) + packet(13, b"x")
    damaged = parts(lab, "desk")[0][:-4] + b"\xff\xff\xff\xff" + b"".join(parts(lab, "desk")[1:])
    for bad in (version_6, strange, damaged, b"rubbish"):
        (found,) = await engine.verify_detached(DATA, signature, [bad, lab.certificate("user"), bad])
        assert (found.verdict, found.fingerprint) == (Verdict.VALID, lab.fingerprints["user"])


async def test_a_revocation_in_any_copy_counts(lab: Lab) -> None:
    engine = lab.engine()
    await engine.start()
    lab.make("leaver", "Leaver <leaver@example.org>")
    signature, before = lab.gpg("leaver", "--detach-sign", stdin=DATA), lab.certificate("leaver")
    form = lab.home("leaver") / "openpgp-revocs.d" / f"{lab.fingerprints['leaver']}.rev"
    lab.gpg("leaver", "--import", stdin=form.read_text().replace(":-----", "-----").encode())
    for known in ([before, lab.certificate("leaver")], [lab.certificate("leaver"), before]):
        (found,) = await engine.verify_detached(DATA, signature, known)
        assert found.verdict is Verdict.REVOKED_KEY


async def test_a_key_that_may_not_sign_speaks_for_nobody(lab: Lab) -> None:
    engine = lab.engine()
    await engine.start()
    fingerprint = lab.make("certifier", "C <c@example.org>")
    signature = lab.gpg("certifier", "--detach-sign", stdin=DATA)
    command = [*BASE, "--homedir", str(lab.home("certifier")), "--command-fd=0", "--edit-key", fingerprint]
    subprocess.run(command, input=b"change-usage\ns\nq\nsave\n", capture_output=True, timeout=60, check=True)
    (found,) = await engine.verify_detached(DATA, signature, [lab.certificate("certifier")])
    assert found.verdict is Verdict.INVALID


async def test_only_sign_key_cannot_be_encrypted_to(lab: Lab) -> None:
    engine = lab.engine()
    await engine.start()
    options = (
        "--passphrase=",
        "--quick-generate-key",
        "--",
        "Signer <s@example.org>",
        "ed25519",
        "sign",
        "never",
    )
    lab.gpg("signer", *options)
    certificate = lab.gpg("signer", "--export")
    status = await engine.certificate_status(certificate)
    assert status.can_sign
    assert not status.can_encrypt
    with pytest.raises(KeyUnusable):
        await engine.seal(DATA, [certificate], lab.fingerprints["desk"])


async def test_a_key_that_others_can_break_is_not_encrypted_to(lab: Lab) -> None:
    engine = lab.engine()
    await engine.start()
    lab.gpg(
        "short", "--passphrase=", "--quick-generate-key", "--", "A <a@b.example>", "ed25519", "sign", "never"
    )
    (name,) = re.findall(
        r"^fpr:+([0-9A-F]{40}):", lab.gpg("short", "--with-colons", "-k").decode(), re.MULTILINE
    )
    lab.gpg("short", "--passphrase=", "--quick-add-key", "--", name, "rsa1024", "encr")
    weak = lab.gpg("short", "--export")
    assert not (await engine.certificate_status(weak)).can_encrypt
    with pytest.raises(KeyUnusable):
        await engine.seal(DATA, [weak], lab.fingerprints["desk"])
    # Which of two is taken would be gpg's choice.
    lab.gpg("short", "--passphrase=", "--quick-add-key", "--", name, "rsa2048", "encr")
    assert not (await engine.certificate_status(lab.gpg("short", "--export"))).can_encrypt


async def test_own_keys_are_made_exported_and_closed(lab: Lab) -> None:
    engine = lab.engine("fresh")
    await engine.start()
    fingerprint = await engine.generate_key("Support <new@desk.example>")
    exported = await engine.export(fingerprint)
    assert {one.tag for one in split_packets(read_certificate(exported).data)} <= {2, 6, 13, 14}
    status = await engine.certificate_status(exported)
    assert (status.addresses, status.can_encrypt, status.can_sign) == (("new@desk.example",), True, True)
    assert status.expires is not None
    assert status.expires > time.time() + 600 * 86400
    assert await engine.own_fingerprints() == (fingerprint,)
    for wrong in ("", " ", "a\nb <x@y.example>"):
        with pytest.raises(KeyUnusable):
            await engine.generate_key(wrong)
    await engine.close()
    socket = subprocess.run(
        ["gpg-connect-agent", "--homedir", str(lab.home("fresh")), "--no-autostart", "/bye"],
        capture_output=True,
    )
    assert socket.returncode or b"no gpg-agent running" in socket.stderr


async def test_protected_secret_keys_open_with_their_passphrase(lab: Lab) -> None:
    words = [
        "--passphrase=correct",
        "--quick-generate-key",
        "--",
        "P <p@example.org>",
        "future-default",
        "default",
        "never",
    ]
    lab.gpg("protected", *words)
    secret = lab.gpg("protected", "--armor", "--passphrase=correct", "--export-secret-keys")
    (lab.root / "protected.pgp").write_bytes(lab.gpg("protected", "--export"))
    message = lab.gpg("user", "-f", str(lab.root / "protected.pgp"), "--encrypt", stdin=DATA)
    engine = lab.engine("inspecting", passphrases=[b"wrong", b"correct"])
    await engine.start()
    (fingerprint,) = await engine.import_secret(secret)
    assert len(fingerprint) == 40
    assert (await engine.open(message, [])).data == DATA
    with pytest.raises(KeyUnusable):
        await engine.import_secret(lab.certificate("user"))


@pytest.mark.parametrize(
    ("user_id", "address"),
    [
        (b"Rosa <Rosa@Example.org>", "rosa@example.org"),
        (b"rosa@example.org", "rosa@example.org"),
        (b"rosa@example.org <eve@example.net>", "eve@example.net"),
        (b"Rosa <rosa@example.org> (work)", None),
        (b"Rosa <rosa@example.org> <eve@example.net>", None),
        (b"Rosa", None),
        (b"", None),
        (b"\xff <rosa@example.org>", None),
        ("Rosa <ro\u202esa@example.org>".encode(), None),
        ("Rosa <rosa@ex\u0430mple.org>".encode(), "rosa@ex\u0430mple.org"),
        (b"<rosa@example.org", None),
    ],
)
def test_addresses_of_user_ids(user_id: bytes, address: str | None) -> None:
    assert address_of(user_id) == address


def test_listing_reads_only_fields() -> None:
    raw = (
        b"pub:-:255:22:AAAA:1:::-:::scESC::::::23::0:\nfpr:::::::::" + b"A" * 40 + b":\n"
        b"uid:-::::1::HASH::x\\x3a <a@example.org>::::::::::0:\n"
        b"uid:r::::1::HASH::<b@example.org>::::::::::0:\n"
        b"sub:-:255:18:BBBB:1::::::e:::::cv25519::\nfpr:::::::::" + b"B" * 40 + b":\n"
    )
    (status,) = read_listing(raw)
    assert status.fingerprint == "A" * 40
    assert status.addresses == ("a@example.org",)


async def test_home_must_fit_the_agents_sockets(lab: Lab) -> None:
    engine = lab.engine("x" * 100)
    if Path(f"/run/user/{os.getuid()}").is_dir():
        await engine.start()
        return
    with pytest.raises(KeyUnusable):
        await engine.start()


async def test_missing_or_stuck_program_is_a_passing_fault(lab: Lab) -> None:
    engine = lab.engine(program="/nonexistent/gpg")
    with pytest.raises(EngineUnavailable) as raised:
        await engine.start()
    assert raised.value.temporary
    script = lab.root / "stuck"
    script.write_text("#!/bin/sh\nexec sleep 600\n")
    script.chmod(0o700)
    stuck = lab.engine(program=str(script), limits=Limits(crypto_seconds=0.2))
    with pytest.raises(EngineUnavailable):
        await stuck.start()


_KILLED = """#!/bin/sh
for word in "$@"; do
  case "$word" in
    --version) exec gpg "$@" ;;
    --status-fd=*) echo "[GNUPG:] DECRYPTION_INFO 2 9 0" >"/dev/fd/${word#*=}" ;;
  esac
done
kill -s %s $$
"""


@pytest.mark.parametrize("sent", ["KILL", "TERM"])
async def test_a_program_killed_from_outside_says_nothing_about_mail_or_key(lab: Lab, sent: str) -> None:
    """Short of memory, the system ends gpg: the mail is not damaged by that, nor the key of no use."""
    script = lab.root / "killed"
    script.write_text(_KILLED % sent)
    script.chmod(0o700)
    engine = lab.engine(program=str(script))
    await engine.start()
    name, user = lab.fingerprints["desk"], lab.certificate("user")
    for call in (
        engine.open(lab.encrypt(DATA), []),
        engine.open(lab.gpg("user", "--sign", stdin=DATA), [user]),
        engine.seal(DATA, [user], name),
        engine.sign_detached(DATA, name),
        engine.certificate_status(user),
        engine.export(name),
        engine.own_fingerprints(),
    ):
        with pytest.raises(EngineUnavailable):
            await call


async def test_a_program_that_crashes_on_a_mail_is_not_tried_for_days(lab: Lab) -> None:
    script = lab.root / "crashing"
    script.write_text(_KILLED % "SEGV")
    script.chmod(0o700)
    engine = lab.engine(program=str(script))
    await engine.start()
    with pytest.raises(VeildeskError) as raised:
        await engine.open(lab.encrypt(DATA), [])
    assert not raised.value.temporary


@pytest.mark.parametrize("case", ["later-end", "more-user-ids", "shorter", "expired", "revoked"])
async def test_several_forms_of_one_certificate(case: str) -> None:
    """An earlier copy and one that came with the mail: gpg merges them, and so must the verdict."""
    with new_lab() as lab:
        lab.differential = True
        name = lab.fingerprints["user"]
        earlier = lab.certificate("user")
        signature = lab.gpg("user", "--detach-sign", stdin=DATA)
        words = {
            "later-end": ["--quick-set-expire", name, "2y"],
            "more-user-ids": ["--quick-add-uid", name, "Rosa <rosa@other.example>"],
            "shorter": ["--quick-set-expire", name, "1d"],
            "expired": ["--quick-set-expire", name, "seconds=1"],
            "revoked": [],
        }[case]
        if words:
            lab.gpg("user", "--passphrase=", *words)
        else:
            home = lab.home("user")
            revocation = (home / "openpgp-revocs.d" / f"{name}.rev").read_bytes().replace(b":-----", b"-----")
            lab.gpg("user", "--import", stdin=revocation)
        now = lab.certificate("user")
        assert now != earlier
        engine = lab.engine()
        await engine.start()
        try:
            if case == "expired":
                # Not asked in the second in which it ends: the two would look at different moments.
                end = time.time() + 3
                while time.time() < end:
                    await asyncio.sleep(0.2)
            both = ([earlier, now], [now, earlier])
            found = [await engine.verify_detached(DATA, signature, forms) for forms in both]
        finally:
            await engine.close()
        verdicts = {one.verdict for (one,) in found}
        good = case in ("later-end", "more-user-ids", "shorter")
        bad = {"expired": Verdict.EXPIRED_KEY, "revoked": Verdict.REVOKED_KEY}
        assert verdicts == {bad.get(case, Verdict.VALID)}
        # Where every form says valid, both engines were asked and agree; else gpg alone decided.
        assert engine.declined.get("issuer-ambiguous", 0) == (0 if good else 2)
