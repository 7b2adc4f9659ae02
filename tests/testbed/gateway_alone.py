"""A whole gateway on a private Tor network, used by visitors, on a machine that has loopback only.

Run in a network namespace of its own, whose default route is `lo`. Prints one JSON object: what happened,
where packets went beyond loopback, and whether one that is sent on purpose was seen.
"""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import smtplib
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "deploy" / "demo")]

from gateway import VEILDESK, GatewayProcess  # noqa: E402
from visitor import form_with, submit  # noqa: E402

from testbed.onion_http import OnionClient, socks_connect, wait_reachable  # noqa: E402
from testbed.private_tor import PrivateTor  # noqa: E402
from testbed.tor_sockets import foreign_sockets  # noqa: E402

MAIL = b"From: eve@example.net\r\nTo: support@example.org\r\nSubject: hello\r\n\r\nover the onion\r\n"


class Watch:
    """Counts packets to addresses beyond loopback: the default route of this namespace is `lo`."""

    def __init__(self) -> None:
        self.foreign: list[str] = []
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))  # ETH_P_ALL
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 26)
        self._socket.bind(("lo", 3))
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            packet = self._socket.recv(40)
            version = packet[0] >> 4
            to = ipaddress.ip_address(packet[16:20] if version == 4 else packet[24:40])
            if not to.is_loopback:
                self.foreign.append(str(to))

    def dropped(self) -> int:
        """Packets that came too fast to be looked at."""
        return struct.unpack("II", self._socket.getsockopt(263, 6, 8))[1]  # SOL_PACKET, PACKET_STATISTICS

    def probe(self) -> bool:
        """Send a packet beyond loopback on purpose and see whether it is counted."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", ("192.0.2.1", 9))
        end = time.monotonic() + 10
        while "192.0.2.1" not in self.foreign and time.monotonic() < end:
            time.sleep(0.01)
        return "192.0.2.1" in self.foreign


def ticket(net: PrivateTor, onion: str) -> list[tuple[str, str]]:
    """Open a ticket; titles are left to the caller's `told`."""
    client = OnionClient(net.socks_port, onion)
    client.wait_reachable()
    page = client.get("/en/new")
    form = form_with(page, "message")
    page = submit(client, page, form, {"message": "written over Tor", "topic": "function"})
    page = submit(client, page, form_with(page, "words"), {}, ("op", "send"))
    return [("receipt", str(page.status)), ("path", page.path)]


def mail(net: PrivateTor, onion: str) -> str:
    """Send a mail to port 25 of the onion; returns all that the server said of itself."""
    smtp = smtplib.SMTP()
    smtp.sock = socks_connect(net.socks_port, onion, 25)
    smtp.file = None
    code, banner = smtp.getreply()
    assert code == 220
    smtp.ehlo("visitor.invalid")
    said = banner + smtp.ehlo_resp
    smtp.sendmail("eve@example.net", ["support@example.org"], MAIL)
    smtp.quit()
    return said.decode()


def notices(net: PrivateTor, onion: str) -> tuple[int, int]:
    """Statuses of the notices' own onion: of its page, and of the form it must not have."""
    wait_reachable(net.socks_port, onion)
    client = OnionClient(net.socks_port, onion)
    return client.get("/en/status").status, client.get("/en/new").status


def published(gateway: GatewayProcess) -> dict[str, Any]:
    """The gateway's status once both onions are published."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        status = gateway.status()
        if status and status["onion_published"] and status["status_onion_published"]:
            return status
        time.sleep(0.1)
    raise TimeoutError("not published")


def apart(net: PrivateTor, gateway: GatewayProcess) -> dict[str, Any]:
    """The same onions, served by a portal process; the gateway only publishes them."""
    gateway.stop()
    run = gateway.folder / "run"
    gateway.configure(
        portal={"socket": str(run / "apart.sock"), "status_socket": str(run / "alone.sock")},
        **{"portal.process": {"user": str(os.geteuid()), "socket": str(run / "link.sock")}},
    )
    words = [*VEILDESK, "portal", "serve", "--gateway", str(run / "link.sock")]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as portal:
        try:
            gateway.start()
            status = published(gateway)
            told: dict[str, Any] = dict(ticket(net, status["onion"]))
            told["notices"] = notices(net, status["status_onion"])
            told["portal"] = published(gateway)["portal"]
            gateway.wait("the third", 60, delivered=3)
            told["foreign"] = foreign_sockets(portal.pid)
        finally:
            portal.terminate()
    return told


def main() -> None:
    """Everything once."""
    folder = Path(tempfile.mkdtemp(prefix="vd-"))
    gateway = GatewayProcess(folder)
    told: dict[str, Any] = {}
    watch = Watch()
    try:
        with PrivateTor() as net:
            control = net.control("host")
            gateway.init("Example", "support@example.org", control)
            gateway.configure(
                onion={"control_socket": str(control), "smtp": True, "status_key_file": "keys/status.key"},
                smtp={"listen": "unix:run/smtp.sock"},
            )
            gateway.command("onion", "create", "--status", "--config", str(gateway.config))
            pid = gateway.start()
            status = published(gateway)
            told |= dict(ticket(net, status["onion"]))
            told["smtp"] = mail(net, status["onion"])
            told["notices"] = notices(net, status["status_onion"])
            gateway.wait("both", 60, delivered=2)
            told["tickets"] = sorted(path.read_text() for path in (folder / "tickets" / "new").iterdir())
            told["foreign"] = foreign_sockets(pid) + net.foreign_connections()
            told["apart"] = apart(net, gateway)
    finally:
        gateway.stop()
        shutil.rmtree(folder, ignore_errors=True)
    told["packets"], told["dropped"] = list(watch.foreign), watch.dropped()
    told["probe"], told["host"] = watch.probe(), socket.gethostname()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
