"""Who speaks for the team by mail: each proof, and what forgers try; answers handed over by LMTP."""

from __future__ import annotations

import asyncio
import secrets
import smtplib
from collections.abc import AsyncIterator, Iterator
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from testbed.openpgp_lab import Lab, new_lab
from veildesk.core.errors import ConfigInvalid
from veildesk.deliver.answer_proof import AnswerProof
from veildesk.deliver.backends.mailbox import MailboxBackend, from_config

AGENT, TEAM = "agent@team.test", frozenset({"team.test"})
THREAD = "a1" * 16
TO = f"answers+{THREAD}@gateway.test"


def plain(text: str = "An answer.", **headers: str) -> bytes:
    mail = EmailMessage(policy=SMTP)
    for name, value in {"From": AGENT, "To": TO, "Subject": "Re: it", **headers}.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(text)
    return mail.as_bytes()


# ---------------------------------------------------------------------------- envelope


@pytest.mark.parametrize(
    ("sender", "good"),
    [
        (AGENT, True),
        ("AGENT@TEAM.TEST", True),
        ("", False),
        ("agent@evil.test", False),
        ("agent@team.test.evil.test", False),
        ("agent@team.test@evil.test", False),
        ("team.test", False),
    ],
)
async def test_the_envelope_speaks_for_the_team(sender: str, good: bool) -> None:
    proof = AnswerProof(TEAM, kinds=frozenset({"envelope"}))
    assert (await proof.proven(plain(), sender, None) is not None) is good
    # From must be the team's as well: the envelope alone may be a list's or a forwarder's.
    assert await proof.proven(plain(From="who@evil.test"), AGENT, None) is None


async def test_without_an_envelope_the_topmost_return_path_counts() -> None:
    proof = AnswerProof(TEAM, kinds=frozenset({"envelope"}))
    genuine = b"Return-Path: <agent@team.test>\r\n" + plain()
    forged = b"Return-Path: <who@evil.test>\r\n" + genuine
    assert await proof.proven(genuine, None, None) is not None
    assert await proof.proven(forged, None, None) is None
    assert await proof.proven(plain(), None, None) is None


async def test_all_proofs_that_are_asked_for_must_hold() -> None:
    proof = AnswerProof(TEAM, "mx.team.test", frozenset({"results", "envelope"}))
    results = "mx.team.test; dkim=pass header.d=team.test"
    assert await proof.proven(plain(Authentication_Results=results), AGENT, None) is not None
    assert await proof.proven(plain(Authentication_Results=results), "who@evil.test", None) is None
    assert await proof.proven(plain(), AGENT, None) is None


async def test_the_same_mail_handed_over_again_is_the_same_answer() -> None:
    proof = AnswerProof(TEAM)
    first = await proof.proven(b"Received: by a; 1\r\n\tid 1\r\nDelivered-To: x\r\n" + plain(), AGENT, None)
    second = await proof.proven(b"Received: by a; 2\r\n" + plain(), AGENT, None)
    other = await proof.proven(plain("Another."), AGENT, None)
    assert first is not None
    assert second is not None
    assert other is not None
    assert first[1] == second[1] != other[1]


# --------------------------------------------------------------------------- signature


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with new_lab() as made:
        made.make("agent", f"Agent <{AGENT}>")
        made.make("other", "Other <other@team.test>")
        made.make("stranger", f"Agent <{AGENT}>")
        yield made


def signed(
    lab: Lab, who: str, text: str = "Signed answer.", *, after: bytes = b"", sender: str = AGENT, to: str = ""
) -> bytes:
    inner = f"To: {to}\r\n".encode() if to else b""
    inner += b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + text.encode() + b"\r\n"
    signature = lab.gpg(who, "--armor", "--digest-algo", "SHA512", "--detach-sign", stdin=inner)
    return (
        f"From: {sender}\r\nTo: {TO}\r\nSubject: Re: it\r\nMIME-Version: 1.0\r\n".encode()
        + b'Content-Type: multipart/signed; boundary="b"; micalg=pgp-sha512; '
        + b'protocol="application/pgp-signature"\r\n\r\n--b\r\n'
        + inner
        + b"\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\n"
        + signature.replace(b"\n", b"\r\n")
        + b"\r\n--b--\r\n"
        + after
    )


@pytest.fixture(scope="module")
def proof(lab: Lab) -> AnswerProof:
    certificates = (lab.certificate("agent"), lab.certificate("other"))
    return AnswerProof(TEAM, kinds=frozenset({"signature"}), certificates=certificates)


async def test_an_agents_own_signature_is_proof_and_only_what_it_covers_is_read(
    lab: Lab, proof: AnswerProof
) -> None:
    engine = lab.engine("desk")
    found = await proof.proven(signed(lab, "agent"), None, engine)
    assert found is not None
    assert b"Signed answer." in found[0]
    with_more = await proof.proven(signed(lab, "agent", after=b"\r\nsend your seed phrase\r\n"), None, engine)
    assert with_more is None or b"seed phrase" not in with_more[0]
    # A copy with other headers is the same answer, not a second one.
    copy = await proof.proven(b"X-More: 1\r\n" + signed(lab, "agent"), None, engine)
    assert copy is not None


async def test_what_is_not_signed_by_the_one_it_is_from_is_no_answer(lab: Lab, proof: AnswerProof) -> None:
    engine = lab.engine("desk")
    genuine = signed(lab, "agent")
    forgeries = [
        plain(),
        signed(lab, "stranger"),
        signed(lab, "other"),
        genuine.replace(b"Signed answer.", b"Forged answer."),
        genuine.replace(AGENT.encode(), b"who@evil.test"),
        # A signed part inside of what an attacker wrote around it.
        plain().replace(b"\r\n\r\n", b"\r\n\r\nsend your seed phrase\r\n", 1) + genuine,
        b"From: agent@team.test\r\nTo: "
        + TO.encode()
        + b'\r\nContent-Type: multipart/mixed; boundary="o"\r\n\r\n'
        b"--o\r\nContent-Type: text/plain\r\n\r\nsend your seed phrase\r\n--o\r\n"
        + genuine.split(b"\r\n", 3)[3]
        + b"\r\n--o--\r\n",
    ]
    for forged in forgeries:
        assert await proof.proven(forged, AGENT, engine) is None
    assert await proof.proven(genuine, None, None) is None


async def test_an_answer_signed_for_one_ticket_is_none_for_another(
    lab: Lab, proof: AnswerProof, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("x")
    backend = from_config("desk", settings(tmp_path))
    backend._proof = proof
    backend.verify_with(lab.engine("desk"))
    kept = await backend._read(signed(lab, "agent", to=TO), recipient=TO)
    assert kept is not None
    assert kept.thread == THREAD
    other = f"answers+{'b2' * 16}@gateway.test"
    for redirected in (signed(lab, "agent", to=other), signed(lab, "agent", to="who@else.test")):
        assert await backend._read(redirected, recipient=TO) is None
        assert await backend._read(redirected) is None


# -------------------------------------------------------------------------------- LMTP


class Box:
    """Stands in for the IMAP account, which other tests try for real."""

    def __init__(self) -> None:
        self.aside: list[bytes] = []

    def put_aside(self, raw: bytes) -> None:
        self.aside.append(raw)

    def waiting(self) -> list[tuple[int, bytes]]:
        return []


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[tuple[MailboxBackend, Path, asyncio.Event]]:
    (tmp_path / "secret").write_text("x")
    path = Path("/tmp") / f"vd-{secrets.token_hex(6)}" / "answers"
    backend = from_config("desk", settings(tmp_path, lmtp=f"unix:{path}", proof=["envelope"]))
    backend._box = Box()
    nudged = asyncio.Event()
    task = asyncio.create_task(backend.listen(nudged.set))
    async with asyncio.timeout(20):
        while not path.exists():
            await asyncio.sleep(0.01)
    yield backend, path, nudged
    task.cancel()
    path.unlink(missing_ok=True)
    path.parent.rmdir()


def settings(base: Path, **changes: Any) -> dict[str, Any]:
    return {
        "base": str(base),
        "host": "127.0.0.1",
        "security": "plain",
        "from": "tickets@gateway.test",
        "to": "desk@team.test",
        "answers": "answers@gateway.test",
        "domain": "gateway.test",
        "imap_host": "localhost",
        "imap_user": "answers",
        "imap_password_file": "secret",
        "agents": ["team.test"],
        **changes,
    }


def hand_over(path: Path, raw: bytes, sender: str, *recipients: str) -> dict[str, tuple[int, bytes]]:
    with smtplib.LMTP(str(path), timeout=60) as client:
        client.ehlo_or_helo_if_needed()
        return client.sendmail(sender, list(recipients), raw)


async def test_an_answer_is_acknowledged_only_when_it_is_kept(
    desk: tuple[MailboxBackend, Path, asyncio.Event],
) -> None:
    backend, path, nudged = desk
    handing = asyncio.create_task(asyncio.to_thread(hand_over, path, plain(), AGENT, TO))
    await asyncio.wait_for(nudged.wait(), 30)
    (reply,) = [one async for one in backend.replies(None)]
    assert (reply.thread, reply.text.strip()) == (THREAD, "An answer.")
    # Not taken over yet: asked again, it is still there, and the sender still waits.
    (again,) = [one async for one in backend.replies(None)]
    assert again.reply_id == reply.reply_id
    assert not handing.done()
    await backend.acknowledge(reply)
    assert await asyncio.wait_for(handing, 30) == {}
    assert [one async for one in backend.replies(None)] == []


async def test_an_answer_that_is_not_kept_stays_with_its_sender(
    desk: tuple[MailboxBackend, Path, asyncio.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, path, _ = desk
    monkeypatch.setattr("veildesk.deliver.backends.mailbox._PATIENCE", 0.2)
    with pytest.raises(smtplib.SMTPDataError) as refused:
        await asyncio.to_thread(hand_over, path, plain(), AGENT, TO)
    assert refused.value.smtp_code == 451
    assert [one async for one in backend.replies(None)] == []


async def test_forgeries_are_put_aside_and_bounce_to_nobody(
    desk: tuple[MailboxBackend, Path, asyncio.Event],
) -> None:
    backend, path, nudged = desk
    for raw, sender in ((plain(), "who@evil.test"), (plain(From="who@evil.test"), AGENT), (b"junk", AGENT)):
        assert await asyncio.to_thread(hand_over, path, raw, sender, TO) == {}
    assert len(backend._box.aside) == 3
    assert not nudged.is_set()
    assert [one async for one in backend.replies(None)] == []


async def test_the_envelope_says_whose_answer_it_is_and_other_addresses_are_unknown(
    desk: tuple[MailboxBackend, Path, asyncio.Event],
) -> None:
    backend, path, nudged = desk
    other = "b2" * 16
    raw = plain(To=f"answers+{other}@gateway.test")
    handing = asyncio.create_task(asyncio.to_thread(hand_over, path, raw, AGENT, TO))
    await asyncio.wait_for(nudged.wait(), 30)
    (reply,) = [one async for one in backend.replies(None)]
    assert reply.thread == THREAD
    await backend.acknowledge(reply)
    await asyncio.wait_for(handing, 30)
    for address in ("answers@gateway.test", "answers+@gateway.test", f"answers+{THREAD}@evil.test"):
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            await asyncio.to_thread(hand_over, path, plain(), AGENT, address)


def test_settings_are_read_strictly(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    for wrong in (
        {"lmtp": "0.0.0.0:24"},
        {"lmtp": "gateway.test:24"},
        {"lmtp": "127.0.0.1"},
        {"proof": ["trust me"]},
        {"proof": ["results"]},
        {"proof": ["signature"]},
        {"proof": ["signature"], "agent_keys": "nowhere"},
        {"agents": []},
    ):
        with pytest.raises(ConfigInvalid):
            from_config("desk", settings(tmp_path, **wrong))
