"""Postfix and Dovecot snippets, read by Postfix and Dovecot themselves."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from veildesk.core.limits import Limits

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


# Both servers' tools lie where an ordinary user's PATH does not look.
ENVIRONMENT = os.environ | {"PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin", "LC_ALL": "C"}


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=ENVIRONMENT)


@pytest.fixture
def postfix(tmp_path):
    """A configuration folder: the distribution's master.cf, and our lines after a minimal main.cf."""
    folder = tmp_path / "postfix"
    for made in ("postfix", "queue", "data"):
        (tmp_path / made).mkdir()
    checks = folder / "veildesk_header_checks"
    checks.write_text((DEPLOY / "postfix" / "veildesk_header_checks").read_text())
    base = "\n".join([
        "compatibility_level = 3.6",
        f"queue_directory = {tmp_path}/queue", f"data_directory = {tmp_path}/data",
        "command_directory = /usr/sbin", "daemon_directory = /usr/lib/postfix/sbin", "mail_owner = postfix",
        "setgid_group = postdrop", "myhostname = mx.example.org", "inet_interfaces = loopback-only",
    ])  # fmt: skip
    (folder / "main.cf").write_text(base + "\n" + (DEPLOY / "postfix" / "main.cf").read_text())
    services = (DEPLOY / "postfix" / "master.cf").read_text()
    services = services.replace("/etc/postfix/veildesk_header_checks", str(checks))
    distributed = Path("/usr/share/postfix/master.cf.dist").read_text()
    (folder / "master.cf").write_text(distributed + "\n" + services)
    return folder


def test_postfix_knows_every_parameter(postfix):
    shown = run("postconf", "-c", postfix, "-n")
    assert shown.returncode == 0
    assert shown.stderr == ""
    assert "smtpd_forbid_bare_newline = normalize" in shown.stdout


def test_postfix_knows_every_service_and_its_options(postfix):
    services = run("postconf", "-c", postfix, "-M")
    assert services.stderr == ""
    names = [line.split()[0] for line in services.stdout.splitlines()]
    assert {"veildesk", "127.0.0.1:10587", "veildesk-cleanup"} <= set(names)
    overrides = run("postconf", "-c", postfix, "-P")
    assert overrides.stderr == ""
    assert "veildesk/unix/lmtp_send_xforward_command = no" in overrides.stdout


def test_a_misspelt_parameter_would_be_noticed(postfix):
    with (postfix / "main.cf").open("a") as file:
        file.write("smtpd_forbid_bare_newlines = yes\n")
    assert "unused parameter" in run("postconf", "-c", postfix, "-n").stderr


def test_the_mail_server_takes_exactly_what_the_gateway_takes(postfix):
    shown = run("postconf", "-c", postfix, "-h", "message_size_limit")
    assert int(shown.stdout) == Limits().mail_size


def test_only_the_listed_address_is_accepted_and_handed_over(postfix):
    maps = run("postconf", "-c", postfix, "-h", "-x", "relay_recipient_maps", "transport_maps").stdout
    recipients, transport = maps.splitlines()
    assert run("postmap", "-c", postfix, "-q", "support@example.org", recipients).stdout == "ok\n"
    assert run("postmap", "-c", postfix, "-q", "other@example.org", recipients).returncode == 1
    route = run("postmap", "-c", postfix, "-q", "example.org", transport)
    assert route.stdout == "veildesk:unix:/run/veildesk/lmtp/lmtp.sock\n"


@pytest.mark.parametrize(
    ("header", "verdict"),
    [
        ("Received: from gateway (localhost [127.0.0.1]) by mx.example.org", "IGNORE\n"),
        ("X-Mailer: something 1.0", "IGNORE\n"),
        ("X-Originating-IP: 192.0.2.1", "IGNORE\n"),
        ("Subject: ...", ""),
        ("From: support@example.org", ""),
        ("X-Mailing: kept", ""),
    ],
)
def test_headers_that_tell_of_the_gateway_are_dropped(header, verdict, postfix):
    table = f"regexp:{DEPLOY / 'postfix' / 'veildesk_header_checks'}"
    assert run("postmap", "-c", postfix, "-q", header, table).stdout == verdict


def test_dovecot_knows_every_setting(tmp_path):
    config = tmp_path / "dovecot.conf"
    config.write_text(f"protocols = lmtp\n!include {DEPLOY / 'dovecot' / '99-veildesk.conf'}\n")
    shown = run("doveconf", "-c", config, "-n")
    assert shown.returncode == 0, shown.stderr
    assert "ssl = required" in shown.stdout
    assert "mailbox Processed {" in shown.stdout
    assert "mailbox Failed {" in shown.stdout
    assert run("doveconf", "-c", config, "-h", "protocols").stdout.split() == ["lmtp", "imap"]
    assert run("doveconf", "-c", config, "-h", "disable_plaintext_auth").stdout == "yes\n"


def test_a_mistake_in_dovecots_snippet_would_be_noticed(tmp_path):
    config = tmp_path / "dovecot.conf"
    snippet = (DEPLOY / "dovecot" / "99-veildesk.conf").read_text()
    config.write_text(snippet.replace("protocols = $protocols imap", "protocols = imap") + "ssl_mode = on\n")
    assert run("doveconf", "-c", config, "-n").returncode != 0
