"""Publication against a scripted control socket: hang, refusal, loss, and what gets into logs."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import logging

import pytest

from testbed.scripted_control import ScriptedControl
from veildesk.core.errors import KeyUnusable, OnionUnavailable
from veildesk.onion import ManagedOnion, Timing, Trouble, WatchedOnion, check_onion, create_key

# A busy machine lets an answer wait; only where a silent tor is to be noticed is patience short.
QUICK = Timing(call=30, heartbeat=0.2, first_pause=0.01, longest_pause=0.05, refused_pause=0.05)
NOTICING = dataclasses.replace(QUICK, call=2)


@pytest.fixture
def key(tmp_path):
    return create_key(tmp_path / "onion.key")


@pytest.fixture
def onion(tmp_path, key):
    return ManagedOnion(tmp_path / "c", tmp_path / "onion.key", [(80, "unix:/s")], timing=QUICK)


@contextlib.asynccontextmanager
async def running(service):
    task = asyncio.create_task(service.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def uploaded(key):
    label = key.address.removesuffix(".onion")
    lines = (
        f"650 HS_DESC UPLOAD {label} UNKNOWN $F HSDIR\r\n650 HS_DESC UPLOADED {label} UNKNOWN $F HSDIR\r\n"
    )
    return lines.replace("$F", "$" + "A" * 40)


async def test_published_means_that_a_directory_took_it(tmp_path, key, onion):
    async with ScriptedControl(tmp_path / "c") as tor, running(onion):
        await tor.heard("ADD_ONION")
        await until(lambda: onion.state().trouble == Trouble.UPLOAD)
        assert not onion.state().published
        tor.say(uploaded(key))
        await onion.wait_published(60)
        assert onion.state().trouble == ""
        assert onion.state().connected


async def test_anothers_upload_does_not_count(tmp_path, key, onion):
    async with ScriptedControl(tmp_path / "c") as tor, running(onion):
        await tor.heard("ADD_ONION")
        tor.say(uploaded(create_key(tmp_path / "other.key")))
        with pytest.raises(OnionUnavailable) as failure:
            await onion.wait_published(0.3)
        assert failure.value.detail == Trouble.UPLOAD


async def test_an_upload_of_the_remainder_that_was_removed_does_not_count(tmp_path, key, onion):
    late = uploaded(key).splitlines(keepends=True)[1]
    async with ScriptedControl(tmp_path / "c") as tor, running(onion):
        await tor.heard("ADD_ONION")
        tor.say(late)
        with pytest.raises(OnionUnavailable):
            await onion.wait_published(0.3)
        tor.say(uploaded(key))
        await onion.wait_published(60)


async def test_added_again_after_the_connection_was_lost(tmp_path, key, onion):
    async with ScriptedControl(tmp_path / "c") as tor, running(onion):
        await tor.heard("ADD_ONION")
        tor.say(uploaded(key))
        await onion.wait_published(60)
        tor.drop()
        await until(lambda: not onion.state().published)
        await tor.heard("ADD_ONION", 2)
        tor.say(uploaded(key))
        await onion.wait_published(60)


async def test_added_again_when_no_directory_takes_the_descriptor(tmp_path, key):
    impatient = dataclasses.replace(QUICK, upload=0.3, longest_upload=5)
    onion = ManagedOnion(tmp_path / "c", tmp_path / "onion.key", [(80, "unix:/s")], timing=impatient)
    async with ScriptedControl(tmp_path / "c") as tor, running(onion):
        await tor.heard("ADD_ONION", 2)
        assert not onion.state().published
        tor.say(uploaded(key))
        await onion.wait_published(60)


async def test_a_tor_without_network_is_waited_for_and_not_pressed(tmp_path, key):
    def answer(line):
        return (
            "250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=5\r\n250 OK\r\n"
            if "phase" in line
            else None
        )

    impatient = dataclasses.replace(QUICK, heartbeat=0.05, upload=0.1)
    onion = ManagedOnion(tmp_path / "c", tmp_path / "onion.key", [(80, "unix:/s")], timing=impatient)
    async with ScriptedControl(tmp_path / "c", answer) as tor, running(onion):
        await until(lambda: sum("phase" in line for line in tor.commands) > 10)
        assert sum(line.startswith("ADD_ONION") for line in tor.commands) == 1


async def test_a_tor_that_stops_answering_is_noticed_and_left(tmp_path, key):
    onion = ManagedOnion(tmp_path / "c", tmp_path / "onion.key", [(80, "unix:/s")], timing=NOTICING)
    mute = False

    def answer(line):
        return "" if mute else None

    async with ScriptedControl(tmp_path / "c", answer) as tor, running(onion):
        await tor.heard("ADD_ONION")
        tor.say(uploaded(key))
        await onion.wait_published(60)
        mute = True
        await until(lambda: onion.state().trouble == Trouble.SILENT)
        assert not onion.state().published
        mute = False
        await tor.heard("ADD_ONION", 2)


@pytest.mark.parametrize(
    ("reply", "trouble"),
    [
        ("550 Onion address collision\r\n", Trouble.COLLISION),
        ("512 Unrecognized keyword 'PoWDefensesEnabled'\r\n", Trouble.PROOF_OF_WORK),
        ("513 Invalid VIRTPORT/TARGET\r\n", Trouble.REFUSED),
    ],
)
async def test_a_refusal_is_named_and_tried_again(tmp_path, onion, reply, trouble):
    def answer(line):
        return reply if line.startswith("ADD_ONION") else None

    async with ScriptedControl(tmp_path / "c", answer) as tor, running(onion):
        await tor.heard("ADD_ONION", 2)
        await until(lambda: onion.state().trouble == trouble)
        assert not onion.state().published
        with pytest.raises(OnionUnavailable, match=trouble.value):
            await onion.wait_published(0.05)


async def test_never_added_to_a_tor_that_shows_its_location(tmp_path, onion):
    def answer(line):
        return "250 HiddenServiceNonAnonymousMode=1\r\n" if "nonanonymous" in line.lower() else None

    async with ScriptedControl(tmp_path / "c", answer) as tor, running(onion):
        await tor.heard("GETCONF", 2)
        await until(lambda: onion.state().trouble == Trouble.NOT_ANONYMOUS)
        assert not any(command.startswith("ADD_ONION") for command in tor.commands)


async def test_a_detached_service_on_our_key_is_taken_over(tmp_path, key, onion):
    label = key.address.removesuffix(".onion")

    def answer(line):
        return f"250-onions/detached={label}\r\n250 OK\r\n" if "onions/detached" in line else None

    async with ScriptedControl(tmp_path / "c", answer) as tor, running(onion):
        await tor.heard("ADD_ONION")
        assert f"DEL_ONION {label}" in tor.commands


async def test_a_missing_and_a_dead_socket_are_told_apart(tmp_path, onion):
    async with running(onion):
        await until(lambda: onion.state().trouble == Trouble.CONTROL_MISSING)
    async with ScriptedControl(tmp_path / "d"):
        pass
    import socket

    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "c"))
    async with running(onion):
        await until(lambda: onion.state().trouble == Trouble.CONTROL_REFUSED)


async def test_refused_authentication_is_named(tmp_path, onion):
    def answer(line):
        return "515 Authentication failed\r\n" if line.startswith("AUTHENTICATE") else None

    async with ScriptedControl(tmp_path / "c", answer), running(onion):
        await until(lambda: onion.state().trouble == Trouble.AUTHENTICATION)


async def test_nonsense_instead_of_a_control_protocol_ends_nothing(tmp_path, key):
    onion = ManagedOnion(tmp_path / "c", tmp_path / "onion.key", [(80, "unix:/s")], timing=NOTICING)
    nonsense = "HTTP/1.1 400 Bad Request\r\n\r\n"
    async with ScriptedControl(tmp_path / "c", lambda _: nonsense) as tor, running(onion) as task:
        await tor.heard("PROTOCOLINFO", 2)
        assert not task.done()


async def test_no_log_handler_ever_sees_the_key(tmp_path, key, onion):
    seen: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record):
            seen.append(record.getMessage())

    root, handler = logging.getLogger(), Collect(0)
    level = root.level
    root.addHandler(handler)
    root.setLevel(1)
    try:
        async with ScriptedControl(tmp_path / "c") as tor, running(onion):
            await tor.heard("ADD_ONION")
            tor.say(uploaded(key))
            await onion.wait_published(60)
            tor.drop()
            await tor.heard("ADD_ONION", 2)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    secret = base64.b64encode(key.expanded).decode()
    assert any("onion-published" in line for line in seen)
    assert not any(secret[:16] in line or "ADD_ONION" in line for line in seen)


async def test_cancelling_says_unpublished_and_leaves_no_connection(tmp_path, key, onion):
    async with ScriptedControl(tmp_path / "c") as tor:
        async with running(onion):
            await tor.heard("ADD_ONION")
            tor.say(uploaded(key))
            await onion.wait_published(60)
        assert not onion.state().published
        assert not onion.state().connected


def test_a_key_that_cannot_work_is_refused_at_once(tmp_path):
    with pytest.raises(KeyUnusable):
        ManagedOnion(tmp_path / "c", tmp_path / "none.key", [(80, "unix:/s")])


async def test_watching_only_asks_and_never_adds(tmp_path, key):
    label = key.address.removesuffix(".onion")
    watched = WatchedOnion(tmp_path / "c", key.address, timing=QUICK)

    def answer(line):
        return f"250-hs/service/desc/id/{label}=x\r\n250 OK\r\n" if "hs/service" in line else None

    async with ScriptedControl(tmp_path / "c", answer) as tor, running(watched):
        await tor.heard("HSFETCH")
        tor.say(f"650 HS_DESC RECEIVED {label} NO_AUTH ${'A' * 40} HSDIR\r\n")
        await watched.wait_published(60)
        assert not any(command.startswith(("ADD_ONION", "SETCONF")) for command in tor.commands)


def test_a_mistyped_address_is_not_watched(tmp_path):
    with pytest.raises(ValueError, match="onion"):
        WatchedOnion(tmp_path / "c", "example.onion")


async def test_what_could_not_be_checked_is_skipped_and_never_ok(tmp_path, key):
    results = {r.id: r for r in await check_onion(tmp_path / "c", key_file=tmp_path / "onion.key")}
    levels = {name: str(result.level) for name, result in results.items()}
    assert levels.pop("onion.key") == "ok"
    assert levels.pop("onion.control") == "fail"
    assert set(levels.values()) == {"skip"}
    assert results["onion.control"].fix


def test_every_trouble_has_a_hint():
    assert all(trouble.hint for trouble in Trouble if trouble is not Trouble.NONE)
