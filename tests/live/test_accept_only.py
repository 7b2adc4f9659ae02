"""`veildesk accept` beside a stopped gateway: mail is kept by a process that has no key ring at all."""

from __future__ import annotations

import asyncio
import smtplib
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.outside import free_port
from testbed.filled_store import open_store
from veildesk.core.work import State
from veildesk.spool import KeyRing

pytestmark = pytest.mark.live

_CONFIG = """\
[gateway]
name = "Desk"
address = "support@gateway.test"
domain = "gateway.test"

[keys]
home = "nowhere"
support = "{key}"
notice = "{key}"
ring = "{ring}"
intake = "intake"

[queues.support]
addresses = ["support@gateway.test"]
backend = "desk"

[backends.desk]
kind = "maildir"
path = "tickets"

[lmtp]
listen = "127.0.0.1:{port}"
"""


def veildesk(*words: str) -> list[str]:
    return [sys.executable, "-I", "-m", "veildesk", *words]


def send(port: int, text: str) -> None:
    mail = (
        f"From: a@users.test\r\nTo: support@gateway.test\r\nMessage-ID: <{text}@users.test>\r\n\r\n{text}\r\n"
    )
    with smtplib.LMTP("127.0.0.1", port, timeout=60) as client:
        client.sendmail("a@users.test", ["support@gateway.test"], mail.encode())


async def test_mail_is_kept_without_the_ring_and_read_with_it(tmp_path: Path) -> None:
    (tmp_path / "vault").mkdir()
    KeyRing.create(tmp_path / "ring")
    gateway = await open_store(tmp_path)
    port, key = free_port(), "A" * 40
    config = tmp_path / "accept.toml"
    config.write_text(_CONFIG.format(key=key, ring=tmp_path / "ring", port=port))
    words = ["--config", str(config)]
    refused = await asyncio.to_thread(
        subprocess.run, veildesk("accept", *words), capture_output=True, text=True, timeout=100, check=False
    )
    assert refused.returncode == 11
    assert "veildesk keys intake" in refused.stderr
    await asyncio.to_thread(subprocess.run, veildesk("keys", "intake", *words), check=True, timeout=100)
    (tmp_path / "ring").rename(tmp_path / "vault" / "ring")
    process = await asyncio.create_subprocess_exec(
        *veildesk("accept", *words), stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        while b"accepting" not in (line := await asyncio.wait_for(process.stderr.readline(), 100)):
            assert line, "it ended"
        for text in ("first", "second", "first"):
            await asyncio.to_thread(send, port, text)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 100) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    works = await gateway.claim([State.ACCEPTED], limit=9)
    payloads = [await gateway.part(work.message_id, "raw") for work in works]
    assert [b"first" in (payload or b"") for payload in payloads] == [True, False]
    assert len(payloads) == 2
    await gateway.close()
