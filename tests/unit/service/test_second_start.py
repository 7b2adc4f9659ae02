"""A second gateway by mistake, a copy with the same sockets, SIGHUP: the running one goes on undisturbed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from veildesk.core.errors import AlreadyRunning, ListenerUnavailable, SpoolUnavailable
from veildesk.ops.control import ask
from veildesk.service.alone import only_gateway
from veildesk.service.initialise import initialise
from veildesk.service.taken import refuse_taken

COMMAND = [sys.executable, "-I", "-m", "veildesk"]


@pytest_asyncio.fixture
async def folder(tmp_path: Path) -> Path:
    await initialise(tmp_path / "gw", name="Desk", address="support@desk.example")
    return tmp_path / "gw"


@pytest_asyncio.fixture
async def gateway(folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "run", "--config", str(folder / "veildesk.toml"),
        stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, cwd="/",
        # Tests that run under nohup hand on that SIGHUP is ignored, and the gateway would respect it.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )  # fmt: skip
    await _until(process, b"ready parts=")
    yield process
    if process.returncode is None:
        process.kill()
        await process.communicate()


async def _until(process: asyncio.subprocess.Process, words: bytes) -> None:
    assert process.stderr is not None
    async with asyncio.timeout(90):
        while words not in (line := await process.stderr.readline()):
            assert line, "the gateway ended"


async def test_the_running_gateway_keeps_its_sockets_and_goes_on_after_sighup(
    folder: Path, gateway: asyncio.subprocess.Process
) -> None:
    second = await asyncio.create_subprocess_exec(
        *COMMAND, "run", "--config", str(folder / "veildesk.toml"), stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(90):
        _, said = await second.communicate()
    assert second.returncode == SpoolUnavailable.exit_code
    assert "running already" in said.decode()
    # Another folder, the same sockets: what a restored copy of a gateway is.
    copy = folder.parent / "g2"
    await initialise(copy, name="Desk", address="support@desk.example")
    config = copy / "veildesk.toml"
    config.write_text(config.read_text().replace("unix:run/lmtp.sock", f"unix:{folder}/run/lmtp.sock"))
    third = await asyncio.create_subprocess_exec(
        *COMMAND, "run", "--config", str(config), stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(90):
        _, said = await third.communicate()
    assert third.returncode == ListenerUnavailable.exit_code
    assert "[lmtp] listen" in said.decode()
    gateway.send_signal(signal.SIGHUP)
    await _until(gateway, b"reload-refused")
    answer = await asyncio.to_thread(ask, folder / "state" / "control", {"command": "status"})
    assert answer["result"]["running"] is True
    reader, writer = await asyncio.open_unix_connection(folder / "run" / "lmtp.sock")
    assert (await reader.readline())[:3] == b"220"
    writer.close()


def test_the_state_directory_is_held_once_and_given_back(tmp_path: Path) -> None:
    first, second = only_gateway(tmp_path / "state"), only_gateway(tmp_path / "state")
    with first, pytest.raises(AlreadyRunning), second:
        pass
    with only_gateway(tmp_path / "state"):
        assert (tmp_path / "state" / "gateway.lock").stat().st_mode & 0o777 == 0o600


def test_a_state_directory_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolUnavailable, match="Not a directory"), only_gateway(tmp_path / "file" / "state"):
        pass


def test_a_socket_left_by_a_dead_process_is_free_and_one_that_answers_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        one.bind(str(path))
        one.listen(1)
        with pytest.raises(ListenerUnavailable, match=r"\[metrics\] socket"):
            refuse_taken([("[metrics] socket", path)])
    assert path.exists()
    refuse_taken([("[metrics] socket", path), ("[portal] socket", tmp_path / "none")])
    assert os.path.lexists(path)
