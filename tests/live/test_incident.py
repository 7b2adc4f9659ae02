"""One incident from draft to post-mortem over all channels: real tor, Postfix, web server and gpg.

In the middle the gateway is killed; the status site, a process of its own, goes on and says so.
"""

from __future__ import annotations

import email
import email.policy
import functools
import http.server
import json
import re
import shutil
import signal
import smtplib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from html import unescape
from pathlib import Path
from typing import Any

import feedparser
import pytest
from lxml import etree

from testbed.fixtures_mail import mail_servers
from testbed.mail_servers import MailServers
from testbed.onion_http import OnionClient
from testbed.press import SHM, PressRoom, fresh_gpg, press_room, stop_agents
from testbed.private_tor import PrivateTor, free_ports
from veildesk.onion.key import create_key, load_key

__all__ = ["mail_servers"]
pytestmark = pytest.mark.live

READER = "box7@users.test"
CHANNELS = {"onion", "export-status.example.org", "mail", "social", "webhook"}


def until(ready: Callable[[], Any], what: str, seconds: float = 90.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := ready():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


@contextmanager
def process(room: PressRoom, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    log = (room.folder / f"{words[0]}.log").open("wb")
    child = subprocess.Popen(
        [sys.executable, "-m", "veildesk", *words, "--config", str(room.config)], stdout=log, stderr=log
    )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(20)
        log.close()


@contextmanager
def web(handler: Any) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


class Static(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Quiet."""


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return bytes(answer.read())


def configure(room: PressRoom, servers: MailServers, www: Path, hook: str) -> int:
    (lmtp,) = free_ports(1)
    create_key(room.folder / "keys" / "status-onion")
    room.replace('listen = "unix:run/lmtp.sock"', f'listen = "127.0.0.1:{lmtp}"')
    room.replace(
        'key_file = "keys/hs_ed25519_secret_key"\n',
        'key_file = "keys/hs_ed25519_secret_key"\nstatus_key_file = "keys/status-onion"\n',
    )
    room.settings(f"""
[outgoing]
host = "localhost"
port = {servers.smtp_port}
security = "starttls"
ca_file = "{servers.tls_ca}"

[identity]
domains = ["status.example.org"]
handles = ["matrix @example:example.org"]

[notices]
exports = ["status.example.org={www}"]
mail = "notices@gateway.test"
webhook = "{hook}/hook"

[status]
check_seconds = 1.0
""")
    return lmtp


def commands_on(page: str, name: str) -> str:
    found = re.search(rf'<pre[^>]* id="{name}">(.*?)</pre>', page, re.DOTALL)
    assert found is not None, name
    return unescape(found[1])


def run_as_printed(page: str, files: dict[str, bytes]) -> None:
    """The commands of the verify page, exactly as printed, by somebody with a fresh home."""
    home = Path(tempfile.mkdtemp(dir=SHM))
    try:
        for name, content in files.items():
            (home / name).write_bytes(content)
        for name in ("verify-answer", "verify-notice", "verify-series"):
            done = subprocess.run(
                ["sh", "-e"],
                input=commands_on(page, name),
                cwd=home,
                env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
                text=True,
                capture_output=True,
                check=False,
            )
            assert done.returncode == 0, (name, done.stdout, done.stderr)
            assert "Good signature" in done.stderr or "Sound." in done.stdout
    finally:
        stop_agents(home / ".gnupg")
        shutil.rmtree(home, ignore_errors=True)


@pytest.mark.timeout(420)
def test_an_incident_on_every_channel(
    private_tor: PrivateTor, mail_servers: MailServers, tmp_path: Path
) -> None:
    hooked: list[dict[str, Any]] = []

    class Hook(Static):
        def do_POST(self) -> None:
            hooked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

    www = tmp_path / "www"
    with ExitStack() as stack:
        hook = stack.enter_context(web(Hook))
        room = stack.enter_context(
            press_room(address="support@gateway.test", tor_control=private_tor.control("host"))
        )
        lmtp = configure(room, mail_servers, www, hook)
        mail_servers.set_gateway_lmtp(("127.0.0.1", lmtp))
        gateway = stack.enter_context(process(room, "run"))
        stack.enter_context(process(room, "status-site", "run"))
        portal = OnionClient(
            private_tor.socks_port, load_key(room.folder / "keys" / "hs_ed25519_secret_key").address
        )
        status = OnionClient(private_tor.socks_port, load_key(room.folder / "keys" / "status-onion").address)
        until((room.folder / "run" / "status.sock").exists, "the status site starts")
        portal.wait_reachable()
        status.wait_reachable()
        room.run("identity", "publish")

        # A reader subscribes by mail, with the token of the portal.
        token = re.search(r"start-[a-z2-7]+", portal.get("/en/status/subscribe").text)
        assert token is not None
        with smtplib.SMTP("127.0.0.1", mail_servers.smtp_port, timeout=30) as client:
            head = f"From: {READER}\r\nTo: notices@gateway.test\r\nSubject: hi\r\nMessage-ID: <1@u>\r\n"
            client.sendmail(READER, ["notices@gateway.test"], f"{head}\r\n{token[0]}\r\n")
        records = room.notices / "subscribers"
        until(lambda: list(records.glob("?" * 32)) if records.is_dir() else None, "the subscription is kept")

        published = incident(room, tmp_path)
        assert all({one["channel"] for one in item["channels"]} == CHANNELS for item in published)
        assert all(one["state"] == "delivered" for item in published for one in item["channels"])
        site = stack.enter_context(web(functools.partial(Static, directory=str(www))))
        keys = room.notices / "keys.asc"
        with fresh_gpg(keys) as gpg:
            for item in published:
                path = f"/status/{item['number']}.asc"
                signed = (room.notices / f"{item['number']:06d}.asc").read_bytes()
                assert status.get(path).body == portal.get(path).body == fetch(site + path) == signed
                assert any(one["signed"].encode() == signed for one in hooked)
                subprocess.run([*gpg, "--verify"], input=signed, check=True, capture_output=True)
        mails_arrived(mail_servers, room, published)
        feed_is_sound(fetch(f"{site}/status.atom"), published)

        # The gateway dies; the status site says what it cannot see, and publishing goes on.
        assert "unknown" not in status.get("/en/status").text.split("Portal")[1]
        gateway.send_signal(signal.SIGKILL)
        gateway.wait(20)
        until(lambda: "unknown" in status.get("/en/status").text, "the status site says unknown")
        assert json.loads(status.get("/status.json").body)["summaryStatus"] == "unknown"
        last = room.publish("The portal is down")
        assert {one["state"] for one in last["channels"]} == {"delivered"}
        until(
            lambda: "The portal is down" in status.get("/en/status").text, "the notice is on the status site"
        )

        answer = room.gpg("--clearsign", "--local-user", room.keys["support_key"], stdin="An answer.\n")
        files = {"answer-2.asc": answer.encode()}
        for path in (
            "/keys/support.asc",
            "/keys/notices.asc",
            "/addresses.asc",
            "/verify-notices.py",
            "/notices.txt",
            "/heartbeat.asc",
        ):
            files[path.rpartition("/")[2]] = status.get(path).body
        run_as_printed(status.get("/en/verify").text, files)
        assert status.get("/onion.png").body.startswith(b"\x89PNG")
        assert b"Canonical: https://status.example.org/.well-known/security.txt" in fetch(
            f"{site}/.well-known/security.txt"
        ) or room.run("identity", "security-txt")


def incident(room: PressRoom, tmp_path: Path) -> list[dict[str, Any]]:
    """Draft, publish, update, resolve, post-mortem."""
    draft, report = tmp_path / "draft.toml", tmp_path / "report.toml"
    room.command("notice", "draft", "--template", "mail-delayed", "--out", str(draft))
    draft.write_text(re.sub(r"<time[^>]*>", "18:00 UTC", draft.read_text()))
    opened = room.run("notice", "publish", str(draft))
    number = str(opened["number"])
    update = room.run("notice", "update", number, "--state", "identified", "--summary", "A disk is full.")
    resolved = room.run("notice", "resolve", number, "--summary", "All mail has arrived.")
    room.command(
        "notice", "post-mortem", number, "--draft-to", str(report), "--summary", "From 10 to 12 UTC."
    )
    return [opened, update, resolved, room.run("notice", "post-mortem", number, str(report))]


def mails_arrived(servers: MailServers, room: PressRoom, published: list[dict[str, Any]]) -> None:
    """Every notice came once, signed by the support key, with the exact signed text attached."""
    servers.wait_messages(READER, len(published))
    found = [email.message_from_bytes(raw, policy=email.policy.default) for raw in servers.messages(READER)]
    attached = {}
    with fresh_gpg(room.folder / "keys" / "support.asc") as gpg:
        for raw, message in zip(servers.messages(READER), found, strict=True):
            assert message.get_content_type() == "multipart/signed"
            assert message["To"] == READER
            for part in message.walk():
                if (part.get_filename() or "").startswith("notice-"):
                    attached[part.get_filename()] = part.get_payload(decode=True)
            boundary = message.get_boundary().encode()
            inner = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n").split(b"--" + boundary + b"\r\n")[1]
            folder = Path(tempfile.mkdtemp(dir=SHM))
            (folder / "m").write_bytes(inner.removesuffix(b"\r\n"))
            (folder / "s").write_text(message.get_payload(1).get_payload())
            subprocess.run(
                [*gpg, "--verify", str(folder / "s"), str(folder / "m")], check=True, capture_output=True
            )
            shutil.rmtree(folder)
    assert attached == {
        f"notice-{item['number']}.asc": (room.notices / f"{item['number']:06d}.asc").read_bytes()
        for item in published
    }


def feed_is_sound(content: bytes, published: list[dict[str, Any]]) -> None:
    """By an independent reader and by the schema: one entry for every update, with its date."""
    schema = Path(__file__).parents[1] / "notices" / "atom.rng"
    etree.RelaxNG(etree.parse(str(schema))).assertValid(etree.fromstring(content))
    feed = feedparser.parse(content)
    assert not feed.bozo
    numbers = [int(entry.id.rpartition(":")[2]) for entry in feed.entries]
    assert numbers == sorted(numbers, reverse=True)
    dates = {int(entry.id.rpartition(":")[2]): entry.updated_parsed for entry in feed.entries}
    for item in published:
        assert tuple(dates[item["number"]])[:6] == time.gmtime(item["issued"])[:6]
    assert len(feed.entries) >= len(published) + 2
    assert feed.entries[0].link == f"https://status.example.org/en/status/{numbers[0]}"
