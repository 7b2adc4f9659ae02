"""The worker processes: what they may do, and that a lost one loses nothing but itself."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from testbed.openpgp_lab import Lab, literal, packet
from veildesk.core.errors import EngineUnavailable, LimitExceeded, NotSoundCiphertext
from veildesk.core.limits import Limits
from veildesk.core.message import Verdict
from veildesk.openpgp.combined_engine import CombinedEngine
from veildesk.openpgp.declining import Declined
from veildesk.openpgp.frames import FrameMalformed, body_size, decode_body, encode
from veildesk.openpgp.gnupg_engine import GnuPGEngine
from veildesk.openpgp.pool import InProcessEngine
from veildesk.service.engines import from_home, in_front_of

DATA = b"some text"


@pytest.fixture
async def pool(lab: Lab) -> AsyncIterator[InProcessEngine]:
    gpg = GnuPGEngine(lab.home("desk"), runtime_dir=lab.root / "run")
    await gpg.start()
    made = InProcessEngine(
        [lab.certificate("desk")],
        secret=from_home(gpg, [lab.fingerprints["desk"]]),
        workers=1,
        memory=256 * 1024 * 1024,
    )
    await made.start()
    yield made
    await made.close()


def worker_of(pool: InProcessEngine) -> int:
    (process,) = pool._all
    return process.pid


def limits_of(process: int) -> dict[str, str]:
    lines = Path(f"/proc/{process}/limits").read_text().splitlines()[1:]
    return {line[:26].strip(): line[26:47].strip() for line in lines}


async def test_a_worker_can_open_start_and_write_nothing(pool: InProcessEngine) -> None:
    process = worker_of(pool)
    limits = limits_of(process)
    assert limits["Max open files"] == "3"
    assert limits["Max file size"] == "0"
    assert limits["Max core file size"] == "0"
    assert limits["Max address space"] != "unlimited"
    status = Path(f"/proc/{process}/status").read_text()
    assert "NoNewPrivs:\t1" in status
    # Not dumpable: its memory belongs to root alone, also for others of the same user.
    assert Path(f"/proc/{process}/mem").stat().st_uid == 0
    assert len(os.listdir(f"/proc/{process}/fd")) == 3


async def test_no_secret_in_arguments_or_environment(pool: InProcessEngine, lab: Lab) -> None:
    process = worker_of(pool)
    words = Path(f"/proc/{process}/cmdline").read_bytes() + Path(f"/proc/{process}/environ").read_bytes()
    assert lab.fingerprints["desk"].encode() not in words
    assert b"PATH=/usr/bin:/bin" in words


async def test_a_killed_worker_is_replaced(pool: InProcessEngine, lab: Lab) -> None:
    message = lab.encrypt(DATA, sign=True)
    first = worker_of(pool)
    os.kill(first, signal.SIGKILL)
    with pytest.raises(Declined):
        await pool.open(message, [])
    opened = await pool.open(message, [lab.certificate("user")])
    assert [one.verdict for one in opened.signatures] == [Verdict.VALID]
    assert worker_of(pool) != first


async def test_a_cancelled_caller_never_gives_its_answer_to_another(pool: InProcessEngine, lab: Lab) -> None:
    big, small = lab.encrypt(os.urandom(2_000_000)), lab.encrypt(DATA)
    task = asyncio.create_task(pool.open(big, []))
    while not task.done() and pool._idle.qsize():
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await pool.open(small, [])).data == DATA


async def test_more_memory_than_allowed_is_declined(lab: Lab) -> None:
    limits = Limits(plaintext_size=1 << 40)
    small = InProcessEngine(workers=1, memory=32 * 1024 * 1024, limits=limits)
    await small.start()
    try:
        with pytest.raises(Declined):
            await small.content(packet(11, b"b\x00" + bytes(4) + bytes(60_000_000)), [])
        content, signatures = await small.content(literal(DATA), [])
        assert (content, signatures) == (DATA, ())
    finally:
        await small.close()


async def test_a_bomb_is_an_error_and_no_reason_to_ask_gpg(pool: InProcessEngine, lab: Lab) -> None:
    import bz2

    bomb = lab.enclose(packet(8, b"\x03" + bz2.compress(literal(bytes(50_000_000)))))
    with pytest.raises(LimitExceeded):
        await pool.open(bomb, [])


async def test_broken_integrity_never_reaches_gpg(lab: Lab) -> None:
    asked: list[str] = []

    class Watched(GnuPGEngine):
        async def open(self, *words: object, **others: object) -> object:  # type: ignore[override]
            asked.append("open")
            raise AssertionError

    gpg = Watched(lab.home("desk"), runtime_dir=lab.root / "run")
    await gpg.start()
    async with AsyncExitStack() as stack:
        secret = from_home(gpg, [lab.fingerprints["desk"]])
        both = await in_front_of(gpg, Limits(), stack, secret=secret, workers=1)
        assert isinstance(both, CombinedEngine)
        with pytest.raises(NotSoundCiphertext):
            await both.open(lab.enclose(literal(DATA), break_mdc=True), [])
    assert asked == []


async def test_workers_that_cannot_start_are_told() -> None:
    async def broken(descriptor: int) -> None:
        raise OSError

    with pytest.raises(EngineUnavailable):
        await InProcessEngine(secret=broken, workers=1).start()


async def test_keys_with_a_passphrase_or_rsa_stay_with_gpg(lab: Lab) -> None:
    user_id = "RSA <rsa@desk.example>"
    lab.gpg("rsa", "--passphrase=", "--quick-generate-key", "--", user_id, "rsa3072", "default")
    gpg = GnuPGEngine(lab.home("rsa"), runtime_dir=lab.root / "run")
    await gpg.start()
    (name,) = await gpg.own_fingerprints()
    lab.fingerprints["rsa"] = name
    lab.gpg("rsa", "--passphrase=", "--quick-add-key", name, "rsa3072", "encr")
    message = lab.encrypt(DATA, to=("rsa",))
    pool = InProcessEngine([lab.certificate("rsa")], secret=from_home(gpg, [name]), workers=1)
    await pool.start()
    try:
        with pytest.raises(Declined):
            await pool.open(message, [])
        with pytest.raises(Declined):
            await pool.sign_detached(DATA, name)
    finally:
        await pool.close()
    assert (await gpg.open(message, [])).data == DATA


def decoded(frame: bytes) -> object:
    if body_size(frame[:8]) != len(frame[8:]):
        raise FrameMalformed("length")
    return decode_body(frame[:8], frame[8:])


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xff" * 8,
        bytes(8),
        encode({})[:-1] + b"x",
        encode({"a": 1}, [b"x"])[:-1],
        b"\x00\x00\x00\x02\x00\x00\x00\x00[]",
    ],
)
def test_malformed_frames_are_refused(frame: bytes) -> None:
    with pytest.raises(FrameMalformed):
        decoded(frame)


async def test_a_worker_that_cannot_be_started_leaves_no_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_more(*_: object, **__: object) -> None:
        raise BlockingIOError("no more processes")

    async def nothing(_: int) -> None:
        """No keys."""

    monkeypatch.setattr(asyncio, "create_subprocess_exec", no_more)
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        with pytest.raises(EngineUnavailable):
            await InProcessEngine(secret=nothing, workers=1).start()
    assert len(os.listdir("/proc/self/fd")) == len(before)
