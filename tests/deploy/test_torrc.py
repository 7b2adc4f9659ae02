"""torrc.example, read by tor itself with the network off, in both modes."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from veildesk.onion import OnionKey, create_key

EXAMPLE = Path(__file__).resolve().parents[2] / "torrc.example"


def torrc_mode(text):
    """As the file says: take the "#" from lines that start without a space, and no Sandbox."""
    return re.sub(r"^#(?=[A-Z])", "", text, flags=re.MULTILINE).replace("Sandbox 1", "Sandbox 0")


def placed(text, folder):
    """The same lines with every path below `folder`."""
    run, data = folder / "run", folder / "data"
    for made in (run, data):
        made.mkdir(mode=0o700)
    text = text.replace("/run/tor-instances/veildesk", str(run))
    return text.replace("/var/lib/tor-instances/veildesk", str(data)).replace("Log notice syslog", "")


def verify(text, folder):
    file, empty = folder / "torrc", folder / "empty"
    file.write_text(text)
    empty.write_text("")
    return subprocess.run(
        ["tor", "--defaults-torrc", empty, "-f", file, "--DisableNetwork", "1", "--verify-config"],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_managed_mode_is_accepted(tmp_path):
    checked = verify(placed(EXAMPLE.read_text(), tmp_path), tmp_path)
    assert checked.returncode == 0, checked.stdout
    assert "Configuration was valid" in checked.stdout


def test_torrc_mode_is_accepted_with_the_gateways_key(tmp_path):
    text = torrc_mode(placed(EXAMPLE.read_text(), tmp_path))
    text = text.replace("HiddenServiceOnionBalanceInstance 1", "")
    portal = tmp_path / "data" / "portal"
    portal.mkdir(mode=0o700)
    create_key(portal / "hs_ed25519_secret_key")
    checked = verify(text, tmp_path)
    assert checked.returncode == 0, checked.stdout
    assert "HiddenServiceExportCircuitID haproxy" in text.splitlines()


def test_a_backend_of_onionbalance_is_accepted(tmp_path):
    text = torrc_mode(placed(EXAMPLE.read_text(), tmp_path))
    assert "HiddenServiceOnionBalanceInstance 1" in text.splitlines()
    portal = tmp_path / "data" / "portal"
    portal.mkdir(mode=0o700)
    (portal / "ob_config").write_text(f"MasterOnionAddress {OnionKey.generate().address}\n")
    checked = verify(text, tmp_path)
    assert checked.returncode == 0, checked.stdout


def test_a_mistake_would_be_noticed(tmp_path):
    checked = verify(placed(EXAMPLE.read_text(), tmp_path) + "ControlSokcet /nowhere\n", tmp_path)
    assert checked.returncode != 0


@pytest.mark.parametrize(
    "line",
    ["SocksPort 0", "ControlPort 0", "CookieAuthentication 1", "Sandbox 1", "NoExec 1", "SafeLogging 1",
     "ExitRelay 0", "ORPort 0", "HiddenServiceNonAnonymousMode 0"],
)  # fmt: skip
def test_managed_mode_says_what_it_must(line):
    assert line in EXAMPLE.read_text().splitlines()


def test_managed_mode_configures_no_service_of_its_own():
    assert not re.search(r"^HiddenService(Dir|Port)", EXAMPLE.read_text(), re.MULTILINE)


def test_debians_instance_paths_are_the_ones_used():
    defaults = Path("/usr/share/tor/tor-service-defaults-torrc-instances").read_text()
    known = defaults.replace("@@NAME@@", "veildesk")
    example = EXAMPLE.read_text()
    for option in ("DataDirectory", "ControlSocket", "CookieAuthFile"):
        line = next(line for line in known.splitlines() if line.split()[:1] == [option])
        assert line in example.splitlines()
