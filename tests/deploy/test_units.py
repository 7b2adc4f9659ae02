"""systemd units: whole, tight, and still wide enough for the attachments' sandbox."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.namespaces import bubblewrap_works

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


@pytest.fixture
def units(tmp_path):
    """The units as installed, but with programs that exist on any machine."""
    folder = tmp_path / "units"
    shutil.copytree(DEPLOY / "systemd", folder)
    for name in ("veildesk.service", "veildesk-status.service", "veildesk-portal.service"):
        unit = folder / name
        unit.write_text(unit.read_text().replace("/opt/veildesk/.venv/bin/veildesk", "/bin/true"))
    return folder


def analyze(units, *arguments):
    environment = os.environ | {"SYSTEMD_UNIT_PATH": f"{units}:", "SYSTEMD_COLORS": "0", "LC_ALL": "C"}
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, env=environment, timeout=60
    )


def complaints(said):
    """What was said of our units: the tool also names mistakes in units of other installed packages."""
    others = ("/lib/systemd/system/", "/usr/lib/systemd/system/")
    return [line for line in said.splitlines() if not line.startswith(others)]


@pytest.mark.parametrize(
    "unit",
    ["veildesk.service", "veildesk-status.service", "veildesk-portal.service", "tor@veildesk.service"],
)
def test_units_are_verified_without_a_complaint(units, unit):
    checked = analyze(units, "verify", "--man=no", unit)
    assert complaints(checked.stderr + checked.stdout) == []
    assert checked.returncode == 0


def test_a_mistake_would_be_noticed(units):
    unit = units / "veildesk.service"
    unit.write_text(unit.read_text().replace("ProtectSystem=strict", "ProtectSystem=stritc"))
    said = complaints(analyze(units, "verify", "--man=no", "veildesk.service").stderr)
    assert any("stritc" in line for line in said)


@pytest.mark.parametrize("name", ["veildesk.service", "veildesk-status.service", "veildesk-portal.service"])
def test_exposure_stays_low(units, name):
    unit = str(units / name)
    checked = analyze(units, "security", "--offline=true", "--no-pager", "--threshold=26", unit)
    assert checked.returncode == 0, checked.stdout[-300:]


def test_the_service_keeps_what_it_promises():
    lines = set((DEPLOY / "systemd" / "veildesk.service").read_text().splitlines())
    for line in (
        "Type=notify",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "MemoryDenyWriteExecute=yes",
        "ProtectSystem=strict",
        "PrivateTmp=yes",
        "UMask=0077",
        "LimitCORE=0",
        "MemorySwapMax=0",
        "StateDirectoryMode=0700",
        "RuntimeDirectoryMode=0700",
    ):
        assert line in lines
    assert any(line.startswith("WatchdogSec=") for line in lines)


def test_the_portal_apart_has_no_network_and_sees_nothing_of_the_gateway():
    lines = (DEPLOY / "systemd" / "veildesk-portal.service").read_text().splitlines()
    for line in ("User=veildesk-portal", "PrivateNetwork=yes", "NoNewPrivileges=yes", "LimitCORE=0"):
        assert line in lines
    hidden = " ".join(line for line in lines if line.startswith("InaccessiblePaths="))
    for place in ("/var/lib/veildesk", "/run/veildesk/private", "/run/tor-instances", "/etc/credstore"):
        assert place in hidden
    assert "AF_INET" not in " ".join(lines)
    assert "StateDirectory" not in " ".join(lines)


def group(name):
    """System calls of a systemd group, groups within it expanded."""
    listed = subprocess.run(
        ["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True
    )
    calls: set[str] = set()
    for line in listed.stdout.splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            calls |= group(word)
        elif word and not word.startswith("#"):
            calls.add(word)
    return calls


def allowed_calls(unit="veildesk.service"):
    """What the unit's SystemCallFilter= lines leave, read as systemd.exec(5) says."""
    allowed: set[str] = group("@default")
    for line in (DEPLOY / "systemd" / unit).read_text().splitlines():
        if not line.startswith("SystemCallFilter="):
            continue
        words = line.removeprefix("SystemCallFilter=")
        deny = words.startswith("~")
        for word in words.removeprefix("~").split():
            calls = group(word) if word.startswith("@") else {word}
            allowed = allowed - calls if deny else allowed | calls
    return allowed


def test_the_sandbox_of_attachments_needs_nothing_that_the_unit_forbids(tmp_path):
    trace = tmp_path / "trace"
    sandbox = ["--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534", "--hostname", "sandbox"]
    sandbox += ["--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL", "--ro-bind", "/usr"]
    sandbox += ["/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"]
    sandbox += ["--dev-bind", "/dev/null", "/dev/null", "--remount-ro", "/", "--chdir", "/", "--"]
    done = subprocess.run(
        ["strace", "-f", "-qq", "-o", str(trace), "bwrap", *sandbox, "/usr/bin/true"], check=False, timeout=60
    )
    used = set(re.findall(r"^\d+ +([a-z0-9_]+)\(", trace.read_text(), re.MULTILINE))
    assert (done.returncode == 0) is bubblewrap_works()
    if bubblewrap_works():
        assert {"mount", "pivot_root", "clone"} <= used
    assert used | {"mount", "pivot_root", "clone"} <= allowed_calls()
    assert allowed_calls("veildesk-portal.service") == allowed_calls()
    assert {"ptrace", "bpf", "kexec_load", "init_module", "swapon", "keyctl"}.isdisjoint(allowed_calls())


_LOAD = """
import hyperscan, PIL.Image, sqlalchemy, ssl, stem.control, uvicorn
import veildesk.service.run
patterns = hyperscan.Database()
patterns.compile(expressions=[b"a.b[0-9]+"], ids=[1], elements=1, flags=[0])
patterns.scan(b"axb12", match_event_handler=lambda *_: None)
"""


def test_the_gateway_never_asks_for_memory_that_is_writable_and_executable(tmp_path):
    """MemoryDenyWriteExecute= would refuse it: mmap of both, mprotect to executable, memfd for code."""
    trace = tmp_path / "trace"
    calls = "trace=mmap,mprotect,pkey_mprotect,shmat"
    subprocess.run(
        ["strace", "-f", "-qq", "-e", calls, "-o", str(trace), sys.executable, "-c", _LOAD],
        check=True,
        timeout=100,
    )
    lines = trace.read_text().splitlines()
    assert any("PROT_EXEC" in line for line in lines)
    assert [
        line for line in lines if "PROT_WRITE|PROT_EXEC" in line or re.search("protect.*EXEC", line)
    ] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to other users")
def test_users_and_folders_of_sockets(tmp_path):
    """sysusers.d and tmpfiles.d in a root of their own: who may enter which folder."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "run").mkdir()
    (root / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (root / "etc" / "group").write_text("root:x:0:\n_tor-veildesk:x:931:\npostfix:x:932:\n")
    for kind in ("sysusers.d", "tmpfiles.d"):
        target = root / "usr" / "lib" / kind
        target.mkdir(parents=True)
        for name in ("veildesk.conf", "veildesk-portal.conf"):
            shutil.copy(DEPLOY / kind / name, target)
    made = subprocess.run(["systemd-sysusers", f"--root={root}"], capture_output=True, text=True, timeout=30)
    assert made.returncode == 0, made.stderr
    users = {line.split(":")[0]: line.split(":") for line in (root / "etc/passwd").read_text().splitlines()}
    assert users["veildesk"][6] == "/usr/sbin/nologin"
    created = subprocess.run(
        ["systemd-tmpfiles", f"--root={root}", "--create", "veildesk.conf", "veildesk-portal.conf"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert created.returncode == 0, created.stderr
    owner = int(users["veildesk"][2])
    expected = {"veildesk": (0o711, None), "veildesk/portal": (0o2750, 931), "veildesk/lmtp": (0o2750, 932)}
    apart, entering = int(users["veildesk-portal"][2]), int(users["veildesk-portal"][3])
    for name, uid, gid in (("veildesk/link", owner, entering), ("veildesk/site", apart, 931)):
        about = (root / "run" / name).stat()
        assert (about.st_mode & 0o7777, about.st_uid, about.st_gid) == (0o2750, uid, gid)
    assert users["veildesk-portal"][6] == "/usr/sbin/nologin"
    for name, (mode, gid) in expected.items():
        about = (root / "run" / name).stat()
        assert about.st_mode & 0o7777 == mode
        assert about.st_uid == owner
        assert gid is None or about.st_gid == gid


def test_the_apparmor_line_names_the_socket_that_tor_is_given():
    lines = (DEPLOY / "apparmor" / "local-system_tor").read_text().splitlines()
    named = [line for line in lines if not line.startswith("#")]
    assert named == ["/run/veildesk/portal/portal.sock rw,", "/run/veildesk/site/portal.sock rw,"]
    assert "/run/veildesk/site/portal.sock" in (DEPLOY / "README.md").read_text()
    assert "unix:/run/veildesk/portal/portal.sock" in (DEPLOY.parent / "torrc.example").read_text()
