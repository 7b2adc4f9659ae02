"""What the onion service does when tor, its connection or another gateway does what it should not."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.onion_http import wait_reachable
from testbed.tiny_portal import tiny_portal
from veildesk.onion import ManagedOnion, Timing, Trouble, check_onion, create_key, load_key

pytestmark = pytest.mark.live

QUICK = Timing(call=1.5, heartbeat=1.0, upload=20.0)


@contextlib.asynccontextmanager
async def running(service):
    task = asyncio.create_task(service.run())
    try:
        yield service
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition, seconds=30):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.fixture
async def onion(private_tor, tmp_path):
    create_key(tmp_path / "onion.key")
    async with tiny_portal(tmp_path / "portal.sock") as target:
        yield ManagedOnion(private_tor.control("host"), tmp_path / "onion.key", [(80, target)], timing=QUICK)


async def reach(private_tor, onion):
    return await asyncio.to_thread(wait_reachable, private_tor.socks_port, onion.address, timeout=60)


async def test_published_again_after_tor_was_killed(private_tor, onion):
    async with running(onion):
        await onion.wait_published(90)
        private_tor.kill("host")
        try:
            await until(lambda: not onion.state().published, 2)
            assert onion.state().trouble
        finally:
            private_tor.restart("host")
        await onion.wait_published(60)
        await reach(private_tor, onion)


async def test_published_again_after_tor_stood_still(private_tor, onion):
    async with running(onion):
        await onion.wait_published(90)
        private_tor.pause("host")
        try:
            await until(lambda: onion.state().trouble == Trouble.SILENT, 10)
            assert not onion.state().published
        finally:
            private_tor.resume("host")
        await onion.wait_published(60)
        await reach(private_tor, onion)


async def test_stopping_does_not_wait_for_a_tor_that_stands_still(private_tor, onion):
    async with running(onion):
        await onion.wait_published(90)
        private_tor.pause("host")
    try:
        assert not onion.state().connected
    finally:
        private_tor.resume("host")


async def test_a_second_gateway_is_noticed_and_takes_over_when_the_first_ends(private_tor, onion, tmp_path):
    targets = [(80, f"unix:{tmp_path}/portal.sock")]
    second = ManagedOnion(private_tor.control("host"), tmp_path / "onion.key", targets, timing=QUICK)
    async with running(second):
        await second.wait_published(90)
        async with running(onion):
            await until(lambda: onion.state().trouble == Trouble.COLLISION)
            assert second.state().published
            assert not onion.state().published
    async with running(onion):
        await onion.wait_published(90)


async def test_a_second_gateway_on_another_tor_is_noticed(private_tor, onion, tmp_path):
    """Each publishes on its own tor; whose descriptor was replaced sees that the newest is not its own."""
    control, key = private_tor.control("host"), tmp_path / "onion.key"
    targets = [(80, f"unix:{tmp_path}/portal.sock")]
    keen = Timing(call=5.0, heartbeat=0.3, look=3.0, look_again=1.0)
    first = ManagedOnion(control, key, targets, timing=keen)
    async with running(first):
        await first.wait_published(90)
        if not private_tor.net.calm:
            # Our tor and a visitor's mean descriptors of different periods for now: nothing is claimed then.
            assert not first.state().another
            return
        assert await alone(control, key) == "ok"
        assert not first.state().another
        second = ManagedOnion(private_tor.control("client"), key, targets, timing=keen)
        async with running(second):
            await second.wait_published(90)
            await until(lambda: first.state().another, 120)
            assert first.state().published
            assert first.state().trouble == ""
            assert await alone(control, key) == "fail"


async def alone(control: Path, key: Path) -> str:
    """What doctor says; a directory that is being written to is asked again."""
    async with asyncio.timeout(60):
        while True:
            levels = {result.id: result.level.value for result in await check_onion(control, key_file=key)}
            if levels["onion.alone"] != "skip":
                return levels["onion.alone"]


async def test_a_detached_remainder_is_taken_over(private_tor, onion, tmp_path):
    key = load_key(tmp_path / "onion.key")
    secret = base64.b64encode(key.expanded).decode()
    label = key.address.removesuffix(".onion")
    with private_tor.controller("host") as control:
        add = f"ADD_ONION ED25519-V3:{secret} Flags=DiscardPK,Detach Port=80,127.0.0.1:9"
        assert control.msg(add).is_ok()
        async with running(onion):
            await onion.wait_published(90)
            assert label not in control.get_info("onions/detached", "")
            await reach(private_tor, onion)


_GATEWAY = """
import asyncio, sys
from pathlib import Path
from veildesk.onion import ManagedOnion
async def main():
    onion = ManagedOnion(Path(sys.argv[1]), Path(sys.argv[2]), [(80, sys.argv[3])])
    task = asyncio.create_task(onion.run())
    await onion.wait_published(90)
    print("published", flush=True)
    await task
asyncio.run(main())
"""


async def test_a_killed_gateway_leaves_no_service_behind(private_tor, onion, tmp_path):
    arguments = [
        str(private_tor.control("host")),
        str(tmp_path / "onion.key"),
        f"unix:{tmp_path}/portal.sock",
    ]
    gateway = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _GATEWAY, *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert gateway.stdout is not None
        assert await gateway.stdout.readline() == b"published\n"
    finally:
        gateway.kill()
        await gateway.wait()
    async with running(onion):
        await onion.wait_published(90)
        assert onion.state().trouble == ""


async def test_a_gateway_that_stood_still_is_still_there(private_tor, onion, tmp_path):
    arguments = [
        str(private_tor.control("host")),
        str(tmp_path / "onion.key"),
        f"unix:{tmp_path}/portal.sock",
    ]
    gateway = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _GATEWAY, *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert gateway.stdout is not None
        assert await gateway.stdout.readline() == b"published\n"
        gateway.send_signal(signal.SIGSTOP)
        await asyncio.to_thread(private_tor.forget_descriptors)
        await asyncio.sleep(2.0)  # tor goes on without it; nothing is to be awaited here
        gateway.send_signal(signal.SIGCONT)
        await reach(private_tor, onion)
        # It holds the service, so that another gateway on the same key is told so.
        async with running(onion):
            await until(lambda: onion.state().trouble == Trouble.COLLISION)
    finally:
        gateway.kill()
        await gateway.wait()


_ALONE = """
import asyncio, sys, tempfile
from pathlib import Path
from testbed.onion_http import OnionClient
from testbed.private_tor import PrivateTor
from testbed.tiny_portal import TIMING, tiny_portal
from veildesk.onion import ManagedOnion, create_key

async def visit(net, folder):
    create_key(folder / "key")
    async with tiny_portal(folder / "s") as target:
        onion = ManagedOnion(net.control("host"), folder / "key", [(80, target)], timing=TIMING)
        task = asyncio.create_task(onion.run())
        await onion.wait_published(90)
        visitor = OnionClient(net.socks_port, onion.address)
        await asyncio.to_thread(visitor.wait_reachable)
        assert (await asyncio.to_thread(visitor.get)).text == "hello"
        task.cancel()
        await asyncio.wait([task])

with PrivateTor() as net, tempfile.TemporaryDirectory() as folder:
    asyncio.run(visit(net, Path(folder)))
for line in Path("/proc/net/dev").read_text().splitlines()[2:]:
    name, _, counts = line.partition(":")
    print(name.strip(), int(counts.split()[8]) > 0)
"""


@pytest.mark.slow
def test_everything_works_on_a_machine_that_has_loopback_only():
    """In a network namespace with nothing but `lo`, no packet can go anywhere else, and none is missed."""
    root = Path(__file__).resolve().parents[2]
    rights = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    script = 'ip link set lo up && exec "$@"'
    done = subprocess.run(
        ["unshare", *rights, "--net", "sh", "-c", script, "sh", sys.executable, "-c", _ALONE],
        capture_output=True,
        text=True,
        timeout=110,
        env=os.environ | {"PYTHONPATH": f"{root}/tests:{root}/src"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["lo", "True"]


_ORPHANS = """
import os
from testbed.private_tor import PrivateTor
with PrivateTor() as net:
    print(net.root, *[net.pid(name) for name in net.running()], flush=True)
    os.read(0, 1)
"""


@pytest.mark.slow
def test_a_killed_test_run_leaves_no_tor_behind():
    import shutil
    import time

    root = Path(__file__).resolve().parents[2]
    run = subprocess.Popen(
        [sys.executable, "-c", _ORPHANS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": f"{root}/tests"},
    )
    assert run.stdout is not None
    assert run.stdin is not None
    folder, *pids = run.stdout.readline().decode().split()
    run.kill()
    run.wait()
    run.stdin.close()
    run.stdout.close()
    try:
        assert len(pids) == 8
        deadline = time.monotonic() + 40
        while any(_is_tor(pid) for pid in pids):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_tor(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[1:3] not in (["(tor)", "Z"],)
    except OSError:
        return False
