"""The main job on real parts, run as a user runs it, and everything ended by the command it names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = {
    "onion", "socks_port", "portal_socket", "lmtp", "smtp_port", "imap_port", "imap_user", "stop",
    "imap_password_file", "tls_ca", "support_address", "maildir", "agent_reply_dir", "support_key",
    "notice_key", "notice_path",
}  # fmt: skip


def _alive(marker: str) -> list[str]:
    """Command lines of processes that name this run's folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if marker in words and str(os.getpid()) != path.parent.name:
            found.append(words)
    return found


def test_the_main_job_holds_end_to_end_and_leaves_nothing_running() -> None:
    # Short: gpg-agent's sockets must fit into 108 bytes.
    folder = Path(tempfile.mkdtemp(prefix="vd-"))
    environment = {**os.environ, "VEILDESK_DEMO_DIR": str(folder), "KEEP": "1"}
    done = subprocess.run(
        [sys.executable, "-I", str(ROOT / "deploy" / "demo" / "run.py")],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=720,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.rstrip().endswith("demo: ok")
    summary = json.loads((folder / "summary.json").read_text())
    try:
        assert summary["ok"] is True
        assert set(summary) >= OUTSIDE
        steps = {step["step"]: step["evidence"] for step in summary["steps"]}
        assert set(steps) >= {
            "a.network",
            "a.keys",
            "a.onion",
            "b",
            "c",
            "d",
            "canary",
            "e",
            "f",
            "g",
            "loopback",
        }
        assert steps["g"] == {"tickets": steps["b"]["sent"], "lost": 0, "doubled": 0}
        assert steps["loopback"]["foreign_connections"] == 0
        assert steps["e"]["answers"] == 4
        for name in ("support_key", "notice_key", "tls_ca", "maildir", "agent_reply_dir", "portal_socket"):
            assert Path(summary[name]).exists(), name
    finally:
        subprocess.run(summary["stop"], shell=True, check=False)
        end = time.monotonic() + 60
        while _alive(str(folder)) and time.monotonic() < end:
            time.sleep(0.05)
    assert _alive(str(folder)) == []
    shutil.rmtree(folder)
