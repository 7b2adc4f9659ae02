"""The whole gateway over Tor where there is no other network: all of it works, and nothing tries to leave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.timeout(240)]

ROOT = Path(__file__).resolve().parents[2]
ALONE = ROOT / "tests" / "testbed" / "gateway_alone.py"


def test_portal_mail_and_notices_over_tor_send_no_packet_elsewhere() -> None:
    rights = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    script = 'ip link set lo up && ip route add default dev lo && ip -6 route add default dev lo && exec "$@"'
    done = subprocess.run(
        ["unshare", *rights, "--net", "sh", "-c", script, "sh", sys.executable, str(ALONE)],
        capture_output=True,
        text=True,
        timeout=220,
        env=os.environ | {"PYTHONPATH": f"{ROOT}/tests:{ROOT}/src"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert (told["receipt"], told["path"]) == ("200", "/en/receipt")
    assert told["notices"] == [200, 404]
    assert len(told["tickets"]) == 2
    assert any("written over Tor" in ticket for ticket in told["tickets"])
    assert any("over the onion" in ticket for ticket in told["tickets"])
    # The mail server tells neither this machine nor its program.
    said = told["smtp"].lower()
    assert "example.org" in said
    assert not [word for word in (told["host"].lower(), "aiosmtpd", "python", "localhost") if word in said]
    assert told["foreign"] == []
    # The same with the portal as a process of its own: the gateway publishes, that process serves.
    apart = told["apart"]
    assert (apart["receipt"], apart["path"], apart["notices"]) == ("200", "/en/receipt", [200, 404])
    assert (apart["portal"], apart["foreign"]) == ("answers", [])
    assert (told["packets"], told["dropped"]) == ([], 0)
    assert told["probe"], "packets beyond loopback would not have been seen"
