"""Keys that stay with gpg-agent: what workers can do with them and what not, and agents that misbehave."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.openpgp_lab import Lab
from veildesk.core.limits import Limits
from veildesk.core.message import Verdict
from veildesk.core.ports import Engine
from veildesk.openpgp.assuan import (
    AgentConnection,
    AgentLost,
    connect_agent,
    read_expression,
    write_expression,
)
from veildesk.openpgp.declining import Declined
from veildesk.openpgp.gnupg_engine import GnuPGEngine
from veildesk.service.engines import agent_access, in_front_of

GRIP = "A" * 40
HELLO = b"OK Pleased to meet you\n"
POINT = bytes(range(32))


@pytest.fixture
async def gpg(lab: Lab) -> GnuPGEngine:
    made = GnuPGEngine(lab.home("desk"), runtime_dir=lab.root / "run")
    await made.start()
    return made


@pytest.fixture
async def engine(gpg: GnuPGEngine) -> AsyncIterator[Engine]:
    async with AsyncExitStack() as stack:
        yield await in_front_of(gpg, Limits(), stack, workers=1)


def rsa(lab: Lab) -> str:
    """A desk with an RSA key, in a home of its own."""
    if "agent-rsa" not in lab.fingerprints:
        lab.gpg(
            "agent-rsa", "--passphrase=", "--quick-generate-key", "--", "Old <old@desk.example>", "rsa2048"
        )
        listing = lab.gpg("agent-rsa", "--with-colons", "--list-keys").decode()
        made = next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr"))
        lab.gpg("agent-rsa", "--passphrase=", "--quick-add-key", made, "rsa2048", "encr")
        lab.fingerprints["agent-rsa"] = made
    return lab.fingerprints["agent-rsa"]


async def works_without_gpg(engine: Engine, lab: Lab, desk: str, signer: str) -> None:
    message = lab.encrypt(b"Hello", to=(desk,), sign=True)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("open", "seal", "sign_detached", "clearsign"):
            patch.delattr(GnuPGEngine, name)
        opened = await engine.open(message, [lab.certificate("user")])
        assert (opened.data, [one.verdict for one in opened.signatures]) == (b"Hello", [Verdict.VALID])
        sealed = await engine.seal(b"Answer" * 50_000, [lab.certificate("user")], signer)
        detached = await engine.sign_detached(b"data", signer)
        clear = await engine.clearsign("- dash\nFrom me\ntext\n", signer)
    # Stock gpg in a home of its own: others count the keys of the user's.
    lab.gpg("agent-reader", "--import", stdin=lab.gpg("user", "--export-secret-keys") + lab.certificate(desk))
    assert lab.gpg("agent-reader", "--decrypt", stdin=sealed) == b"Answer" * 50_000
    (lab.root / "data").write_bytes(b"data")
    (lab.root / "data.asc").write_text(detached.armored)
    lab.gpg("agent-reader", "--verify", str(lab.root / "data.asc"), str(lab.root / "data"))
    assert lab.gpg("agent-reader", "--decrypt", stdin=clear.encode()) == b"- dash\nFrom me\ntext\n"


async def test_gpg_is_not_asked_where_the_agent_is(engine: Engine, lab: Lab) -> None:
    await works_without_gpg(engine, lab, "desk", lab.fingerprints["desk"])


async def test_rsa_keys_work_through_the_agent_too(lab: Lab) -> None:
    signer = rsa(lab)
    gpg = GnuPGEngine(lab.home("agent-rsa"), runtime_dir=lab.root / "run")
    await gpg.start()
    async with AsyncExitStack() as stack:
        engine = await in_front_of(gpg, Limits(), stack, workers=1)
        await works_without_gpg(engine, lab, "agent-rsa", signer)


async def test_the_agent_may_be_gone_and_come_back(engine: Engine, lab: Lab) -> None:
    message = lab.encrypt(b"Hello")
    assert (await engine.open(message, [])).data == b"Hello"
    subprocess.run(["gpgconf", "--homedir", str(lab.home("desk")), "--kill", "gpg-agent"], check=True)
    # gpg starts it again and opens this one.
    assert (await engine.open(message, [])).data == b"Hello"
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(GnuPGEngine, "open")
        assert (await engine.open(message, [])).data == b"Hello"


async def test_keys_cannot_be_taken_out_over_the_socket_that_workers_get(gpg: GnuPGEngine) -> None:
    access = await agent_access(gpg)
    assert access is not None
    with access.connect() as channel:
        agent = AgentConnection(channel, 20.0)
        for command in (
            b"KEYWRAP_KEY --export",
            b"EXPORT_KEY " + next(iter(access.keygrips.values())).encode(),
        ):
            with pytest.raises(Declined, match="agent-refused"):
                agent._ask([command])


async def test_keys_with_a_passphrase_are_left_to_gpg(gpg: GnuPGEngine, lab: Lab) -> None:
    lab.gpg(
        "agent-locked",
        "--passphrase=abc",
        "--quick-generate-key",
        "--",
        "L <l@desk.example>",
        "future-default",
    )
    assert await lab.engine("agent-locked").agent_keygrips() == {}
    assert len(await gpg.agent_keygrips()) >= 2


async def test_an_agent_of_another_user_is_not_spoken_to(gpg: GnuPGEngine) -> None:
    assert await gpg.agent_keygrips()  # which starts it, if nothing did before
    path = await gpg.agent_socket()
    with pytest.raises(PermissionError):
        connect_agent(path, user=os.getuid() + 1)


# ------------------------------------------------------------------ agents that misbehave


@contextmanager
def agent_that_says(*answers: bytes, seconds: float = 20.0) -> Iterator[AgentConnection]:
    """An agent that gives these answers, one for each line it gets, and hangs up afterwards."""
    ours, theirs = socket.socketpair()

    def serve(lines: Sequence[bytes]) -> None:
        with theirs, theirs.makefile("rb") as asked, contextlib.suppress(OSError):
            theirs.sendall(HELLO)
            for line in lines:
                if not asked.readline():
                    return
                theirs.sendall(line)

    thread = threading.Thread(target=serve, args=(answers,))
    thread.start()
    try:
        with ours:
            yield AgentConnection(ours, seconds)
    finally:
        thread.join()


OK = b"OK\n"
BAD = {
    "line-without-end": b"D " + b"x" * 100_000,
    "line-too-long": b"D " + b"x" * 2000 + b"\nOK\n",
    "answer-too-long": (b"D " + b"x" * 900 + b"\n") * 40 + OK,
    "status-without-end": b"S PROGRESS x\n" * 1000,
    "unknown-word": b"HELLO\n",
    "unknown-question": b"INQUIRE PASSPHRASE\n",
    "broken-escape": b"D %4\nOK\n",
    "hung-up": b"",
}


@pytest.mark.parametrize("name", BAD)
def test_what_no_agent_says_ends_the_connection(name: str) -> None:
    with agent_that_says(OK, OK, OK, BAD[name]) as agent, pytest.raises(AgentLost):
        agent.sign(GRIP, 10, bytes(64))


def test_a_silent_agent_is_given_up() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(AgentLost):
        AgentConnection(ours, 0.05).sign(GRIP, 10, bytes(64))


@pytest.mark.parametrize(
    "said",
    [
        b"(7:sig-val(5:eddsa(1:r1:a)))",
        b"(7:sig-val(5:eddsa(1:r33:" + b"a" * 33 + b")(1:s1:a)))",
        b"(7:sig-val(3:dsa(1:r1:a)(1:s1:a)))",
        b"(7:sig-val(3:rsa(1:s1:a)))x",
        b"((((((((1:a))))))))",
        b"(01:a)",
        b"(999999:a)",
        b"(1:a",
        b"",
    ],
)
def test_odd_values_are_declined(said: bytes) -> None:
    with agent_that_says(OK, OK, OK, b"D " + said + b"\nOK\n") as agent, pytest.raises(Declined):
        agent.sign(GRIP, 10, bytes(64))


def test_a_refusal_leaves_the_connection_usable() -> None:
    refused = b"ERR 67108881 No secret key <GPG Agent>\n"
    good = b"D (7:sig-val(5:eddsa(1:r1:a)(1:s1:b)))\nOK\n"
    with agent_that_says(OK, OK, OK, refused, OK, OK, OK, good) as agent:
        with pytest.raises(Declined, match="agent-refused"):
            agent.sign(GRIP, 10, bytes(64))
        assert agent.sign(GRIP, 10, bytes(64)) == (b"a", b"b")


@pytest.mark.parametrize("said", [b"(5:value32:" + bytes(32).replace(b"\0", b"a") + b")", b"(5:value1:@)"])
def test_a_point_of_another_form_is_declined(said: bytes) -> None:
    asked = b"S INQUIRE_MAXLEN 4096\nINQUIRE CIPHERTEXT\n"
    with agent_that_says(OK, OK, asked, b"", b"D " + said + b"\nOK\n") as agent, pytest.raises(Declined):
        agent.exchange(GRIP, POINT)


@pytest.mark.parametrize("grip", ["", "A" * 39, "a" * 40, "A" * 40 + "\nPKSIGN", "A" * 39 + " "])
def test_nothing_but_a_keygrip_gets_into_a_command(grip: str) -> None:
    with agent_that_says(OK) as agent, pytest.raises(Declined, match="keygrip"):
        agent.sign(grip, 10, bytes(64))


async def test_a_signature_that_does_not_verify_is_never_given_out(lab: Lab) -> None:
    from veildesk.openpgp.agent_keys import AgentSigner
    from veildesk.openpgp.certificate_view import read_view
    from veildesk.openpgp.packets import read_certificate
    from veildesk.openpgp.writing import detached

    view = read_view(read_certificate(lab.certificate("desk")), 1_900_000_000)
    said = b"D (7:sig-val(5:eddsa(1:r32:" + b"a" * 32 + b")(1:s32:" + b"b" * 32 + b")))\nOK\n"
    with agent_that_says(OK, OK, OK, said) as agent:
        signer = AgentSigner(view.fingerprint, 22, GRIP, agent)
        with pytest.raises(Declined, match="agent-signature-bad"):
            detached(b"data", signer, view.primary.key, 1_900_000_000)


EXPRESSIONS = st.recursive(
    st.binary(max_size=60), lambda inner: st.lists(inner, max_size=4), max_leaves=12
).filter(lambda value: _depth(value) <= 6)


def _depth(value: object) -> int:
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


@given(EXPRESSIONS)
def test_expressions_survive_the_way_there_and_back(value: list[object]) -> None:
    assert read_expression(write_expression(value)) == value  # type: ignore[arg-type]


@given(st.binary(max_size=200))
def test_any_bytes_are_an_expression_or_declined(data: bytes) -> None:
    try:
        value = read_expression(data)
    except Declined:
        return
    assert write_expression(value) == data
