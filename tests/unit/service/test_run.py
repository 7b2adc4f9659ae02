"""The gateway as a process: starts from what `init` writes, answers, and ends with a truthful code."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from click.testing import CliRunner

from veildesk.cli import main
from veildesk.core.errors import SpoolUnavailable
from veildesk.ops.control import ask
from veildesk.service.config import load_config
from veildesk.service.initialise import initialise

COMMAND = [sys.executable, "-I", "-m", "veildesk"]


@pytest_asyncio.fixture
async def folder(tmp_path: Path) -> Path:
    await initialise(tmp_path / "gw", name="Desk", address="support@desk.example")
    return tmp_path / "gw"


@pytest_asyncio.fixture
async def gateway(folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "run", "--config", str(folder / "veildesk.toml"),
        stderr=asyncio.subprocess.PIPE, cwd="/",
    )  # fmt: skip
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while b"ready parts=" not in (line := await process.stderr.readline()):
            assert line, "the gateway ended"
    yield process
    if process.returncode is None:
        process.kill()
        await process.communicate()


async def test_it_answers_on_its_control_socket_and_stops_cleanly(
    folder: Path, gateway: asyncio.subprocess.Process
) -> None:
    answer = await asyncio.to_thread(ask, folder / "state" / "control", {"command": "status"})
    assert answer["result"]["running"] is True
    assert answer["result"]["key_trouble"] == {}
    extended = await asyncio.to_thread(
        CliRunner().invoke,
        main,
        ["keys", "extend", "support", "--for", "90d", "--config", str(folder / "veildesk.toml")],
    )
    assert "The running gateway has taken it up." in extended.output
    answer = await asyncio.to_thread(ask, folder / "state" / "control", {"command": "status"})
    assert answer["result"]["key_days"]["support"] in (89, 90)
    retry = ["spool", "retry", "--config", str(folder / "veildesk.toml"), "--json"]
    retried = await asyncio.to_thread(
        CliRunner().invoke, main, [*retry, "--all", "--reason", "backend-unavailable"]
    )
    assert json.loads(retried.output) == {"retried": 0}
    for words in ([], ["--all", "0" * 32], ["--reason", "internal", "0" * 32]):
        refused = await asyncio.to_thread(CliRunner().invoke, main, [*retry, *words])
        assert refused.exit_code == 2
        assert "--all" in refused.output
    unknown = await asyncio.to_thread(ask, folder / "state" / "control", {"command": "explode"})
    assert unknown["ok"] is False
    gateway.send_signal(signal.SIGTERM)
    _, rest = await gateway.communicate()
    assert gateway.returncode == 0
    assert b"stopped" in rest
    assert not (folder / "state" / "control").exists()


async def test_an_lmtp_mail_becomes_a_ticket_in_the_maildir(
    folder: Path, gateway: asyncio.subprocess.Process
) -> None:
    reader, writer = await asyncio.open_unix_connection(folder / "run" / "lmtp.sock")
    dialogue = [
        b"LHLO client.test", b"MAIL FROM:<a@b.example>", b"RCPT TO:<support@desk.example>", b"DATA",
        b"From: a@b.example\r\nSubject: Hi\r\n\r\nHello from 93.184.216.34\r\n.",
    ]  # fmt: skip
    codes = [(await reader.readline())[:3]]
    for words in dialogue:
        writer.write(words + b"\r\n")
        while (line := await reader.readline())[3:4] == b"-":
            pass
        codes.append(line[:3])
    writer.close()
    assert codes == [b"220", b"250", b"250", b"250", b"354", b"250"]
    async with asyncio.timeout(30):
        while not (found := list((folder / "tickets" / "new").glob("*"))):
            await asyncio.sleep(0.02)
    assert b"[ip-1]" in found[0].read_bytes()


async def test_init_never_overwrites(folder: Path) -> None:
    before = (folder / "veildesk.toml").read_bytes()
    done = await asyncio.create_subprocess_exec(
        *COMMAND, "init", "--dir", str(folder), "--json",
        stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, words = await done.communicate()
    assert done.returncode == 10
    assert json.loads(words)["error"] == "config-invalid"
    assert (folder / "veildesk.toml").read_bytes() == before


async def test_a_store_that_failed_ends_the_process_with_its_code(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from veildesk.service import run
    from veildesk.service.running import Running

    async def broken(self: Running) -> None:
        raise SpoolUnavailable("store failed")

    monkeypatch.setattr(Running, "_watch_store", broken)
    config = load_config(folder / "veildesk.toml", os.environ)
    assert await run.serve(config) == SpoolUnavailable.exit_code


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("[gatway]\nname = 'x'\n", "unknown section"),
        ("[onion]\n", "control_socket"),
        ("[outgoing]\nhost = 'mail.example'\nsecurity = 'plain'\n", "loopback only"),
        ("[imap]\nhost = 3\nuser = 'a'\npassword_file = 'b'\n", "expected a text"),
        ("[smtp]\nlisten = 'x'\nport = 25\n", "unknown key"),
        ("[portal.queues]\nsecurity = 'nowhere'\n", "no [queues.nowhere]"),
        ("[portal.queues]\nweapons = 'support'\n", "unknown topic"),
    ],
)
async def test_a_wrong_configuration_is_named_where_it_is_wrong(folder: Path, line: str, words: str) -> None:
    config = folder / "veildesk.toml"
    config.write_text(config.read_text() + line)
    done = await asyncio.create_subprocess_exec(
        *COMMAND, "check-config", "--config", str(config), stderr=asyncio.subprocess.PIPE
    )
    _, said = await done.communicate()
    assert done.returncode == 10
    assert words in said.decode()
