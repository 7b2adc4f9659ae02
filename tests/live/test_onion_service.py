"""The onion service on a private tor network, seen from a visitor's side."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import shutil

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from testbed.onion_http import OnionClient, SocksError, socks_connect, wait_reachable
from testbed.tiny_portal import TIMING, tiny_portal
from veildesk.onion import ManagedOnion, Trouble, WatchedOnion, check_onion, create_key, load_key

pytestmark = pytest.mark.live


@contextlib.asynccontextmanager
async def published(service):
    task = asyncio.create_task(service.run())
    try:
        await service.wait_published(90)
        yield service
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def portal(tmp_path):
    async with tiny_portal(tmp_path / "portal.sock") as target:
        create_key(tmp_path / "onion.key")
        yield target


async def test_a_visitor_gets_pages_cookies_and_redirects(private_tor, tmp_path, portal):
    onion = ManagedOnion(private_tor.control("host"), tmp_path / "onion.key", [(80, portal)], timing=TIMING)
    async with published(onion):
        visitor = OnionClient(private_tor.socks_port, onion.address)
        await asyncio.to_thread(visitor.wait_reachable)
        assert (await asyncio.to_thread(visitor.get)).text == "hello"
        page = await asyncio.to_thread(visitor.post, "/enter", {"a": "b c"})
        assert page.history == ((303, "/enter"),)
        assert page.path == "/seen"
        assert "Cookie: s=opaque" in page.text
        assert f"Host: {onion.address}" in page.text
        upload = await asyncio.to_thread(
            visitor.post, "/echo", {"t": "ä"}, files=[("f", "a.txt", "text/plain", b"\0bytes")]
        )
        assert "\0bytes" in upload.text
        assert "ä" in upload.text
    assert private_tor.foreign_connections() == []


async def test_every_check_is_ok_while_published_and_none_afterwards(private_tor, tmp_path, portal):
    control, key = private_tor.control("host"), tmp_path / "onion.key"
    async with published(ManagedOnion(control, key, [(80, portal)], timing=TIMING)):
        calm = private_tor.net.calm
        results = {r.id: str(r.level) for r in await check_onion(control, key_file=key)}
        if not calm:
            assert results.pop("onion.alone") in ("ok", "skip")
        assert set(results.values()) == {"ok"}
    levels = {r.id: str(r.level) for r in await check_onion(control, key_file=key)}
    assert levels["onion.control"] == "ok"
    assert levels["onion.published"] == "fail"
    assert levels["onion.proof-of-work"] == "skip"


async def test_a_service_without_proof_of_work_is_not_called_protected(private_tor, tmp_path, portal):
    control, key = private_tor.control("host"), tmp_path / "onion.key"
    async with published(ManagedOnion(control, key, [(80, portal)], timing=TIMING, proof_of_work=False)):
        wanted = {r.id: str(r.level) for r in await check_onion(control, key_file=key)}
        assert wanted["onion.proof-of-work"] == "fail"
        unwanted = {r.id: str(r.level) for r in await check_onion(control, key_file=key, proof_of_work=False)}
        assert unwanted["onion.proof-of-work"] == "warn"


async def test_no_visitor_is_led_anywhere_once_the_gateway_is_gone(private_tor, tmp_path, portal):
    """Refused, or left waiting by an introduction point that has not noticed yet; never connected."""
    control, key = private_tor.control("host"), tmp_path / "onion.key"
    port = private_tor.socks_port
    async with published(ManagedOnion(control, key, [(80, portal)], timing=TIMING)) as onion:
        await asyncio.to_thread(wait_reachable, port, onion.address)
    with pytest.raises(OSError, match=r"SOCKS|timed out"):
        await asyncio.to_thread(lambda: socks_connect(port, onion.address, 80, timeout=5))
    found = {r.id: r.found for r in await check_onion(control, key_file=key)}
    assert found["onion.published"] == Trouble.ABSENT


def x25519():
    key = X25519PrivateKey.generate()
    public = base64.b32encode(key.public_key().public_bytes_raw()).decode().rstrip("=")
    return public, base64.b64encode(key.private_bytes_raw()).decode()


async def test_only_the_holders_of_client_keys_get_in(private_tor, tmp_path, portal):
    (first, first_secret), (second, second_secret), (_, wrong_secret) = x25519(), x25519(), x25519()
    onion = ManagedOnion(
        private_tor.control("host"),
        tmp_path / "onion.key",
        [(80, portal)],
        client_keys=(first, second),
        timing=TIMING,
    )
    label = onion.address.removesuffix(".onion")

    def attempt(secret):
        with private_tor.controller("client") as control:
            control.msg(f"ONION_CLIENT_AUTH_REMOVE {label}")
            if secret:
                assert control.msg(f"ONION_CLIENT_AUTH_ADD {label} x25519:{secret}").is_ok()
            control.signal("NEWNYM")
        try:
            return OnionClient(private_tor.socks_port, onion.address, timeout=20).get().text
        except SocksError as error:
            return error.reply

    async with published(onion):
        assert await asyncio.to_thread(attempt, None) == 0xF4
        assert await asyncio.to_thread(attempt, wrong_secret) == 0xF5
        assert await asyncio.to_thread(attempt, first_secret) == "hello"
        assert await asyncio.to_thread(attempt, second_secret) == "hello"
        results = {
            r.id: str(r.level)
            for r in await check_onion(private_tor.control("host"), key_file=tmp_path / "onion.key")
        }
        assert results["onion.proof-of-work"] == "skip"


async def test_a_circuit_that_wants_too_many_streams_is_closed(private_tor, tmp_path, portal):
    onion = ManagedOnion(
        private_tor.control("host"), tmp_path / "onion.key", [(80, portal)], timing=TIMING, max_streams=3
    )
    port = private_tor.socks_port

    def greedy():
        with contextlib.ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(socks_connect(port, onion.address, 80, user="greedy", timeout=20))
            stack.enter_context(socks_connect(port, onion.address, 80, user="greedy", timeout=20))

    async with published(onion):
        await asyncio.to_thread(wait_reachable, port, onion.address)
        with pytest.raises(OSError, match="SOCKS"):
            await asyncio.to_thread(greedy)
        assert (await asyncio.to_thread(OnionClient(port, onion.address).get)).text == "hello"


async def test_the_same_key_serves_from_tors_own_configuration(private_tor, tmp_path, portal):
    key = load_key(tmp_path / "onion.key")
    folder = private_tor.net.nodes["host"].directory / f"hs-{key.address[:8]}"
    folder.mkdir(mode=0o700)
    shutil.copy(tmp_path / "onion.key", folder / "hs_ed25519_secret_key")
    with private_tor.controller("host") as control:
        answer = control.msg(f'SETCONF HiddenServiceDir="{folder}" HiddenServicePort="80 {portal}"')
        assert answer.is_ok()
        try:
            async with published(WatchedOnion(private_tor.control("host"), key.address)) as onion:
                assert onion.state().published
                visitor = OnionClient(private_tor.socks_port, key.address)
                await asyncio.to_thread(visitor.wait_reachable)
        finally:
            control.msg("RESETCONF HiddenServiceDir HiddenServicePort")
