"""deploy/README.md, done word by word on a bare Debian that runs systemd: the gateway serves mail there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from bare.machine import ROOT, bare_machine, booted

HERE = Path(__file__).resolve().parent
README = ROOT / "deploy" / "README.md"
VEILDESK = "runuser -u veildesk -- /opt/veildesk/.venv/bin/veildesk"
CONFIG = "--config /var/lib/veildesk/veildesk.toml"
_LOOPBACK_TOR = (
    "TestingTorNetwork 1",
    "AssumeReachable 1",
    f"DirAuthority none orport=9 no-v2 v3ident={'0123456789' * 4} 127.0.0.1:9 {'0123456789' * 4}",
)
"""The gateway's tor knows one authority, on a loopback port where nobody listens."""


def blocks(title: str) -> list[str]:
    """The shell blocks of a section of the instructions."""
    text = README.read_text()
    section = re.search(rf"^## \d+\. {re.escape(title)}.*?\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert section, title
    return re.findall(r"^```\n(.*?)^```", section[1], re.M | re.S)


def toml_block(title: str) -> str:
    """What a section of the instructions says to put into the configuration."""
    found = re.search(rf"^## \d+\. {re.escape(title)}.*?^```toml\n(.*?)^```", README.read_text(), re.M | re.S)
    assert found, title
    return found[1]


def changed(config: str, changes: str) -> str:
    """`config` with the values of `changes`, as an operator would type them."""
    for table in re.split(r"(?=^\[)", changes, flags=re.M):
        if not (head := re.match(r"\[([\w.]+)\]\n", table)):
            continue
        own = re.search(rf"^(?:# )?\[{head[1]}\].*?(?=^(?:# )?\[|\Z)", config, re.M | re.S)
        if own is None and "." in head[1]:
            config = f"{config}\n{table}"  # a table that the configuration does not name yet
            continue
        assert own, head[1]
        lines = own[0]
        lines = re.sub(rf"^# \[{head[1]}\]", f"[{head[1]}]", lines, flags=re.M)
        for line in table.splitlines()[1:]:
            key = line.split(" = ")[0].strip()
            if key:
                lines, count = re.subn(rf"^(?:# )?{re.escape(key)} = .*$", line, lines, count=1, flags=re.M)
                assert count == 1, line
        config = config[: own.start()] + lines + config[own.end() :]
    return config


@pytest.fixture(scope="module")
def machine():
    with bare_machine("booted") as chroot:
        chroot.run("cd /opt/veildesk && scripts/install media")
        chroot.run("/opt/veildesk/scripts/install demo")
        chroot.run("systemctl disable tor postfix dovecot 2>/dev/null || true")
        for name in ("person.py", "visitor.py"):
            shutil.copy(HERE / name, chroot.root / "root" / name)
        with booted(chroot) as inside:
            yield inside


@pytest.fixture(scope="module")
def gateway(machine):
    clone, *_ = blocks("Program, user, folders")
    machine.run("\n".join(line for line in clone.splitlines() if "git clone" not in line))
    (tor,) = blocks("tor: an instance for the gateway alone")
    start = "systemctl daemon-reload"
    assert start in tor
    lines = "\n".join(f"echo '{line}' >> /etc/tor/instances/veildesk/torrc" for line in _LOOPBACK_TOR)
    machine.run("cd /opt/veildesk\n" + tor.replace(start, f"{lines}\n{start}"))
    machine.until("test -S /run/tor-instances/veildesk/control")
    (sockets,) = blocks("Sockets, keys and configuration")
    machine.run("cd /opt/veildesk\n" + sockets)
    config = machine.root / "var/lib/veildesk/veildesk.toml"
    config.write_text(changed(config.read_text(), toml_block("Sockets, keys and configuration")))
    (mail,) = blocks("Mail")
    machine.run("cd /opt/veildesk\n" + mail)
    (unit,) = blocks("Start")
    before_doctor, doctor = unit.split("runuser", 1)
    machine.run("cd /opt/veildesk\n" + before_doctor)
    machine.until("systemctl is-active --quiet veildesk")
    return machine, "runuser" + doctor


def new_ticket(machine):
    """A person writes; what the helpdesk got. Tests run in any order."""
    folder = "/var/lib/veildesk/tickets/new"
    # The first ticket makes the folder.
    before = int(machine.run(f"ls {folder} 2>/dev/null | wc -l"))
    machine.run("python3 /root/person.py")
    machine.until(f"test $(ls {folder} 2>/dev/null | wc -l) = {before + 1}")
    return machine.run(f"cat {folder}/$(ls -t {folder} | head -n 1)")


def test_doctor_finds_nothing_but_the_missing_network(gateway):
    machine, doctor = gateway
    if (machine.root / "etc/systemd/system/veildesk.service.d/ring.conf").exists():
        # Tests run in any order, and a ring stays bound.
        doctor = "systemd-run -q -P -p LoadCredentialEncrypted=veildesk-ring-root -p User=veildesk -p "
        doctor += f"SupplementaryGroups=_tor-veildesk /opt/veildesk/.venv/bin/veildesk doctor {CONFIG}"
    said = machine.run(doctor, check=False)
    bad = [line for line in said.splitlines() if line.startswith(("fail", "warn"))]
    # Neither tor's network nor a time server is there, as far as the host's own clock has none.
    outside = ("tor reaches its network", "a time service keeps the clock right")
    assert [line for line in bad if not any(words in line for words in outside)] == []
    assert "ok    the gateway runs" in said


def test_a_mail_becomes_a_clean_ticket_and_the_answer_leaves_encrypted(gateway):
    machine, _ = gateway
    ticket = new_ticket(machine)
    assert "Mail: encrypted; signed" in ticket
    for name in ("screen.png", "letter.odt", "page.pdf"):
        assert f"Removed from {name}" in ticket
    assert "not passed on" not in ticket
    assert 'filename="sound.wav"' in ticket
    assert "[email-1]" in ticket
    assert "Synthetic Author" not in ticket
    (message_id,) = re.findall(r"^Message-ID: (<\S+>)", ticket, re.M)
    (machine.root / "root/answer").write_text(
        f"In-Reply-To: {message_id}\nSubject: Re\n\nPlease update to 4.2.2.\n"
    )
    machine.run("install -o veildesk -g veildesk -m 600 /root/answer /var/lib/veildesk/replies/answer.eml")
    # There is no name service to find the person's server with: the answer stays in Postfix's queue.
    queued = "postqueue -j | grep -o '\"queue_id\": \"[0-9A-F]*' | cut -d'\"' -f4"
    sent = machine.until(f'id=$({queued}) && test -n "$id" && postcat -q $id')
    assert "Subject: [...]" in sent
    assert "BEGIN PGP MESSAGE" in sent
    assert "4.2.2" not in sent


def test_secret_keys_in_memory_serve_too(gateway):
    machine, _ = gateway
    config = machine.root / "var/lib/veildesk/veildesk.toml"
    config.write_text(config.read_text().replace('# secret = "memory"', 'secret = "memory"'))
    machine.run("systemctl restart veildesk")
    assert "Mail: encrypted; signed" in new_ticket(machine)


def test_the_unit_restarts_a_killed_gateway(gateway):
    machine, _ = gateway
    machine.run("systemctl kill -s KILL --kill-whom=main veildesk")
    machine.until(
        "systemctl is-active --quiet veildesk && test $(systemctl show -P NRestarts veildesk) -ge 1"
    )
    machine.until(f"{VEILDESK} status {CONFIG}")


def test_the_status_site_runs_as_its_own_unit(gateway):
    machine, _ = gateway
    config = machine.root / "var/lib/veildesk/veildesk.toml"
    text = config.read_text()
    config.write_text(
        text.replace("# [status]", '[status]\nsocket = "/run/veildesk/status/status.sock"\n#', 1)
    )
    machine.run("cp /opt/veildesk/deploy/systemd/veildesk-status.service /etc/systemd/system/")
    machine.run("systemctl daemon-reload && systemctl start veildesk-status")
    machine.until("test -S /run/veildesk/status/status.sock")


def test_the_portal_runs_apart_as_another_user(gateway):
    machine, _ = gateway
    title = "The portal apart (optional)"
    (units,) = blocks(title)
    machine.run("cd /opt/veildesk\n" + units)
    config = machine.root / "var/lib/veildesk/veildesk.toml"
    config.write_text(changed(config.read_text(), toml_block(title)))
    start = re.search(r"^Then `(systemctl [^`]+)`", README.read_text(), re.M)
    assert start
    machine.run(start[1])
    machine.until(f"{VEILDESK} status {CONFIG} | grep -Eq '^portal +answers'")
    uid = machine.run("stat -c %U /proc/$(systemctl show -P MainPID veildesk-portal)").strip()
    assert uid == "veildesk-portal"
    apart = "runuser -u veildesk-portal -- cat"
    for kept in ("/var/lib/veildesk/veildesk.toml", "/run/veildesk/private"):
        assert "denied" in machine.run(f"{apart} {kept} 2>&1", check=False)
    doctor = machine.run(
        f"runuser -u veildesk -G _tor-veildesk -- /opt/veildesk/.venv/bin/veildesk doctor {CONFIG}",
        check=False,
    )
    assert "ok    the portal process is another user than the gateway" in doctor
    assert "ok    the portal process answers" in doctor

    (host,) = re.findall(r"[a-z2-7]{56}\.onion", machine.run(f"{VEILDESK} status {CONFIG}"))[:1]
    folder = "/var/lib/veildesk/tickets/new"
    before = int(machine.run(f"ls {folder} 2>/dev/null | wc -l"))
    come = "cd /root && PYTHONDONTWRITEBYTECODE=1 python3 visitor.py /run/veildesk/site/portal.sock"
    assert machine.run(f"{come} {host}").splitlines() == [
        "Check before you send True False",
        "We have your message",
    ]
    machine.until(f"test $(ls {folder} 2>/dev/null | wc -l) = {before + 1}")
    ticket = machine.run(f"cat {folder}/$(ls -t {folder} | head -n 1)")
    assert "[email-1]" in ticket
    assert "other@mail.example" not in ticket
    assert "Synthetic Author" not in ticket
    # It goes on while the gateway is away, and the other way round.
    machine.run("systemctl kill -s KILL --kill-whom=main veildesk-portal")
    machine.until("test $(systemctl show -P NRestarts veildesk-portal) -ge 1")
    machine.until(f"{VEILDESK} status {CONFIG} | grep -Eq '^portal +answers'")
    machine.until(f"{come} {host} | grep -q 'We have your message'")


def test_the_ring_opens_only_with_the_credential_of_the_service_manager(gateway):
    machine, _ = gateway
    text = (ROOT / "docs" / "storage.md").read_text()
    section = re.search(r"^### A root above the ring\n(.*?)(?=^### )", text, re.M | re.S)
    assert section
    (block,) = re.findall(r"^```sh\n(.*?)^```", section[1], re.M | re.S)
    make, unit = block.split("# and in /etc/systemd/system/veildesk.service.d/ring.conf\n")
    machine.run(make)
    (machine.root / "etc/systemd/system/veildesk.service.d/ring.conf").write_text(unit)
    machine.run("systemctl daemon-reload && systemctl restart veildesk")
    machine.until("journalctl -u veildesk | grep -q ring-bound")
    machine.run("systemctl restart veildesk")
    assert "Mail: encrypted; signed" in new_ticket(machine)
    machine.run("mv /etc/systemd/system/veildesk.service.d/ring.conf /root/ && systemctl daemon-reload")
    machine.run("systemctl restart veildesk", check=False)
    machine.until("systemctl show -P ExecMainStatus veildesk | grep -vqx 0")
    assert "ring" in machine.run("journalctl -u veildesk -o cat -n 20")
    machine.run("mv /root/ring.conf /etc/systemd/system/veildesk.service.d/ && systemctl daemon-reload")
    machine.run("systemctl reset-failed veildesk; systemctl restart veildesk")
    machine.until(f"{VEILDESK} status {CONFIG}")
    said = machine.run(f"{VEILDESK} doctor {CONFIG}", check=False)
    assert "the key ring is sealed" in said
    assert "LoadCredentialEncrypted=veildesk-ring-root" in said
