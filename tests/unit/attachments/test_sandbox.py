"""The sandbox holds, and a worker that misbehaves is killed and replaced."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from pathlib import Path
from typing import Any

import pytest

from testbed import attachment_files as files
from testbed.namespaces import bubblewrap_works
from veildesk.attachments import sandbox
from veildesk.attachments.bounds import Bounds
from veildesk.attachments.reasons import Refusal
from veildesk.attachments.sandbox import SandboxCleaner
from veildesk.child.bounded import Finished, run_bounded
from veildesk.core.ticket import Level

MEBIBYTE = 1024 * 1024
# A worker that answers with a text of its own making.
SAY = """
import json, sys
sys.stdin.buffer.read()
def say(text):
    content = text.encode()
    head = {"kind": "text", "refused": None, "text": True, "content": len(content)}
    head |= {"removed": [], "pages": [], "members": []}
    head = json.dumps(head).encode()
    sys.stdout.buffer.write(len(head).to_bytes(8, "big") + head + content)
    sys.stdout.flush()
"""


@pytest.fixture(params=[True, False], ids=["bubblewrap", "limits-only"])
def confined(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def cleaner(
    tmp_path: Path, program: str | None, monkeypatch: pytest.MonkeyPatch, confined: bool, **bounds: float
) -> SandboxCleaner:
    limits = Bounds(**{"wall": 20.0, **bounds})  # type: ignore[arg-type]
    with monkeypatch.context() as patch:
        if not confined:
            patch.setenv("PATH", str(tmp_path))
        if program is None:
            return SandboxCleaner(bounds=limits)
        path = tmp_path / f"worker-{os.getpid()}-{time.monotonic_ns()}.py"
        path.write_text(program)
        return SandboxCleaner(bounds=limits, worker=path)


def running(tmp_path: Path) -> list[int]:
    """Processes that name this test's folder in their arguments."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(tmp_path).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


async def gone(tmp_path: Path) -> bool:
    """Whether the processes of a test end; the kernel may take a moment to reap a namespace."""
    for _ in range(200):
        if not running(tmp_path):
            return True
        await asyncio.sleep(0.02)
    return False


async def test_the_sandbox_hides_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not bubblewrap_works():
        # A place that forbids namespaces: then nothing may call itself a sandbox.
        result, *_ = await cleaner(tmp_path, None, monkeypatch, True).check()
        assert result.level is Level.WARN
        return
    secret = tmp_path / "secret"
    secret.write_text("x")
    look = f"""
import os, socket
seen = {{"uid": os.getuid(), "env": sorted(os.environ), "root": sorted(os.listdir("/")), "pid": os.getpid()}}
for path in ({str(secret)!r}, "/etc/passwd", "/etc/shadow", "/proc/self/maps", "/home", "/var"):
    try:
        open(path).close(); seen[path] = "open"
    except IsADirectoryError:
        seen[path] = "folder"
    except OSError:
        pass
for folder in ("/", "/dev", "/tmp", "/usr/lib", os.path.dirname({str(secret)!r})):
    try:
        with open(folder + "/written", "xb") as file: file.write(b"x")
        seen[folder] = "written"
    except OSError:
        pass
try:
    socket.create_connection(("192.0.2.1", 9), 1); seen["net"] = "open"
except OSError as error:
    seen["net"] = error.errno
say(json.dumps(seen))
"""
    result = await cleaner(tmp_path, SAY + look, monkeypatch, True).clean("a.txt", "", b"x")
    assert result.refused is None
    seen = json.loads(result.content or b"")
    assert seen.pop("net") == 101  # ENETUNREACH
    assert seen.pop("uid") == 65534
    assert set(seen.pop("env")) <= {"LC_CTYPE", "PWD"}
    assert not {"home", "proc", "var", "run", "sys", "boot", "mnt", "opt", "srv"} & set(seen.pop("root"))
    assert seen.pop("pid") <= 3
    assert seen == {}


async def test_a_worker_that_hangs_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, confined: bool
) -> None:
    child = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)', __file__])"
    program = f"import subprocess, sys, time\n{child}\ntime.sleep(99)"
    subject = cleaner(tmp_path, program, monkeypatch, confined, wall=1.5)
    began = time.monotonic()
    result = await subject.clean("a.txt", "", b"x" * MEBIBYTE)
    assert result.refused == Refusal.TIMEOUT.sentence
    assert time.monotonic() - began < 15
    assert await gone(tmp_path)


async def test_processor_time_is_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, confined: bool
) -> None:
    subject = cleaner(tmp_path, "while True: pass", monkeypatch, confined, cpu=1, wall=60.0)
    assert (await subject.clean("a.txt", "", b"x")).refused == Refusal.FAILED.sentence


async def test_memory_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, confined: bool) -> None:
    program = (
        SAY
        + "\ntry:\n    bytearray(300 * 1024 * 1024); say('got it')\nexcept MemoryError:\n    say('refused')"
    )
    subject = cleaner(tmp_path, program, monkeypatch, confined, memory=256 * MEBIBYTE)
    assert (await subject.clean("a.txt", "", b"x")).content == b"refused"


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("raise SystemExit(3)", Refusal.FAILED),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", Refusal.FAILED),
        ("print('something else')", Refusal.FAILED),
        ("pass", Refusal.FAILED),
        (SAY + "say('fine'); raise SystemExit(1)", Refusal.FAILED),
        (SAY + "say('a\\x1b[31mb')", Refusal.NOT_CLEAN),
        ("import sys\nwhile True: sys.stdout.write('x' * 100000)", Refusal.TIMEOUT),
    ],
    ids=["status", "signal", "noise", "silence", "late-failure", "unclean", "flood"],
)
async def test_a_worker_that_misbehaves_means_refusal(
    program: str, reason: Refusal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = cleaner(tmp_path, program, monkeypatch, True, output_size=MEBIBYTE)
    result = await subject.clean("a.txt", "", b"x")
    assert (result.content, result.refused) == (None, reason.sentence)
    assert await gone(tmp_path)


async def test_a_worker_that_the_system_ends_gets_a_second_chance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, confined: bool
) -> None:
    """Short of memory, a machine ends whom it likes: the file is not to blame, and would be gone."""
    subject = cleaner(tmp_path, SAY + "say('fine')", monkeypatch, confined)
    ended: list[Finished] = []

    async def first_killed(*words: Any, **options: Any) -> Finished:
        ended.append(await run_bounded(*words, **options))
        return ended[-1] if len(ended) > 1 else Finished(128 + 9 if confined else -9, b"", b"")

    await subject.check()
    with monkeypatch.context() as patch:
        patch.setattr(sandbox, "run_bounded", first_killed)
        assert (await subject.clean("a.txt", "", b"x")).content == b"fine"
    assert len(ended) == 2
    killed = cleaner(tmp_path, "import os; os.kill(os.getpid(), 9)", monkeypatch, confined)
    assert (await killed.clean("a.txt", "", b"x")).refused == Refusal.FAILED.sentence


async def test_a_probe_that_the_system_ends_decides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither this file nor those after it are cleaned without a sandbox because of one bad moment."""
    subject = cleaner(tmp_path, None, monkeypatch, True)

    async def killed(*words: Any, **options: Any) -> Finished:
        return Finished(-9, b"", b"")

    with monkeypatch.context() as patch:
        patch.setattr(sandbox, "run_bounded", killed)
        assert (await subject.clean("a.txt", "", b"hello")).refused == Refusal.TIMEOUT.sentence
        assert [one.level for one in await subject.check()] == [Level.FAIL]
    assert (await subject.check())[0].level is (Level.OK if bubblewrap_works() else Level.WARN)
    assert (await subject.clean("a.txt", "", b"hello")).content == b"hello"


async def test_a_cancelled_cleaning_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = cleaner(tmp_path, "import time; time.sleep(99)", monkeypatch, True)
    task = asyncio.create_task(subject.clean("a.txt", "", b"x"))
    for _ in range(500):
        if running(tmp_path):
            break
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(tmp_path)


async def test_cancelled_at_any_early_moment_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, confined: bool
) -> None:
    """The sandbox takes some milliseconds to build: at none of its steps may its inside outlive it."""
    subject = cleaner(tmp_path, "import time; time.sleep(99)", monkeypatch, confined)
    await subject.check()
    for step in range(40):
        task = asyncio.create_task(subject.clean("a.txt", "", b"x"))
        await asyncio.sleep(step / 1000)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 10)
    assert await gone(tmp_path)


async def test_the_real_limits_stop_a_real_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, confined: bool
) -> None:
    """A picture within the pixel limit that does not fit into the memory it is given."""
    subject = cleaner(tmp_path, None, monkeypatch, confined, memory=192 * MEBIBYTE)
    large = files.encoded_large(6500, 6500)
    refused = await subject.clean("large.png", "image/png", large)
    assert refused.content is None
    assert refused.refused in (Refusal.TOO_LARGE.sentence, Refusal.FAILED.sentence)
    after = await subject.clean("small.png", "image/png", files.encoded("PNG"))
    assert after.refused is None


async def test_without_a_sandbox_it_says_so_or_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "bwrap").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    lenient, strict = SandboxCleaner(), SandboxCleaner(require_sandbox=True)
    with caplog.at_level(logging.WARNING, "veildesk.attachments"):
        (warned,) = await lenient.check()
    assert warned.level is Level.WARN
    assert "limits of memory and time only" in warned.found
    assert "sandbox-unavailable" in caplog.text
    assert (await lenient.clean("a.txt", "", b"hello")).content == b"hello"
    assert (await strict.check())[0].level is Level.FAIL
    assert (await strict.clean("a.txt", "", b"hello")).refused == Refusal.FAILED.sentence


async def test_a_bwrap_that_only_pretends_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrapper that runs the program without any namespace must not be called a sandbox."""
    fake = tmp_path / "bwrap"
    fake.write_text('#!/bin/sh\nwhile [ "$1" != "--" ]; do shift; done\nshift\nexec "$@"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    result, *_ = await SandboxCleaner().check()
    assert result.level is Level.WARN


async def test_nothing_of_a_file_reaches_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "veildesk"):
        subject = cleaner(tmp_path, "raise ValueError(input())", monkeypatch, True)
        await subject.clean("PLANTED-name.txt", "text/plain", b"PLANTED-content")
    assert "worker-failed" in caplog.text
    assert "PLANTED" not in caplog.text


async def test_many_files_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = cleaner(tmp_path, None, monkeypatch, True)
    results = await asyncio.gather(*(subject.clean(f"{n}.txt", "", str(n).encode()) for n in range(6)))
    assert [result.content for result in results] == [str(n).encode() for n in range(6)]
