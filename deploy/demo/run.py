"""`make demo`: run the main job end to end on loopback, with real parts, and end with "demo: ok".

With KEEP=1 everything is left up: a second process holds it until the command in
var/demo/summary.json under "stop" is given.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import traceback
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT / "tests")]

from gateway import GatewayProcess  # noqa: E402
from person import Person  # noqa: E402
from story import (  # noqa: E402
    SUPPORT,
    World,
    agent_answers,
    mails_arrive,
    notice_is_published,
    tickets_are_clean,
    visitor_writes,
)
from told import Told, check  # noqa: E402

from testbed.mail_servers import MailServers  # noqa: E402
from testbed.onion_http import OnionClient  # noqa: E402
from testbed.private_tor import PrivateTor  # noqa: E402

FOLDER = Path(os.environ.get("VEILDESK_DEMO_DIR") or ROOT / "var" / "demo").resolve()


def build(told: Told, stack: ExitStack) -> World:
    """a: keys, private tor network, mail servers, gateway with its onion."""
    with told.step("a.network", "a private tor network and mail servers come up on loopback") as saw:
        tor = stack.enter_context(PrivateTor(say=lambda line: None))
        mail = stack.enter_context(
            MailServers(
                FOLDER / "mail",
                gateway_domain="gateway.test",
                users=("person@users.test", "inbox@users.test"),
            )
        )
        saw.update(tors=len(tor.running()), smtp_port=mail.smtp_port, imap_port=mail.imap_port)
    gateway = GatewayProcess(FOLDER / "gateway")
    stack.callback(gateway.stop)
    with told.step("a.keys", "throw-away support and notice keys are made") as saw:
        keys = gateway.init("Demo Support", SUPPORT, tor.control("host"))
        saw.update(support=keys["support_key"], notice=keys["notice_key"])
    lmtp = FOLDER / "gateway" / "run" / "lmtp.sock"
    port = _free_port()
    mail.set_gateway_lmtp(("127.0.0.1", port))
    del lmtp
    gateway.configure(
        lmtp={"listen": f"127.0.0.1:{port}"},
        imap={
            "host": "localhost",
            "port": mail.imap_port,
            "user": "inbox@users.test",
            "password_file": str(mail.password_file("inbox@users.test")),
            "ca_file": str(mail.tls_ca),
        },
        outgoing={
            "host": "localhost",
            "port": mail.smtp_port,
            "security": "starttls",
            "ca_file": str(mail.tls_ca),
        },
    )
    person = Person(
        "person@users.test", mail, SUPPORT, (gateway.folder / "keys" / "support.asc").read_bytes()
    )
    stack.callback(person.close)
    with told.step("a.onion", "the gateway starts and publishes its portal as an onion service") as saw:
        pid = gateway.start()
        onion = _onion(gateway)
        visitor = OnionClient(tor.socks_port, onion)
        saw.update(pid=pid, onion=onion, reachable_after=round(visitor.wait_reachable(240), 2))
    return World(FOLDER, tor, mail, gateway, person, keys, onion, [])


def _onion(gateway: GatewayProcess) -> str:
    status = gateway.status()
    assert status is not None
    assert status["onion"], "the gateway runs without its onion service"
    return str(status["onion"])


def _free_port() -> int:
    from testbed.private_tor import free_ports

    return free_ports(1)[0]


def play(told: Told, stack: ExitStack) -> World:
    """All steps in order."""
    world = build(told, stack)
    mails_arrive(told, world)
    visitor_writes(told, world)
    tickets_are_clean(told, world)
    agent_answers(told, world)
    world_notice = notice_is_published(told, world)
    with told.step("loopback", "no tor has spoken to anything outside this machine") as saw:
        check(world.onion == _onion(world.gateway), "the address changed over the restart")
        foreign = world.tor.foreign_connections()
        check(not foreign, f"foreign connections: {foreign}")
        saw["foreign_connections"] = 0
    told.summary["ok"] = True
    told.summary.update(outside(world, world_notice))
    return world


def outside(world: World, notice_path: str) -> dict[str, object]:
    """What a client from outside needs; only useful with KEEP=1."""
    keys = world.gateway.folder / "keys"
    return {
        "onion": world.onion,
        "socks_port": world.tor.socks_port,
        "portal_socket": str(world.gateway.folder / "run" / "portal.sock"),
        "lmtp": world.mail.gateway_lmtp.removeprefix("inet:"),
        "smtp_port": world.mail.smtp_port,
        "imap_port": world.mail.imap_port,
        "imap_user": "person@users.test",
        "imap_password_file": str(world.mail.password_file("person@users.test")),
        "tls_ca": str(world.mail.tls_ca),
        "support_address": SUPPORT,
        "maildir": str(world.maildir),
        "agent_reply_dir": str(world.replies),
        "support_key": str(keys / "support.asc"),
        "notice_key": str(keys / "notices.asc"),
        "notice_path": notice_path,
        "stop": f"kill {os.getpid()}",
    }


def main() -> int:
    """Play, and with KEEP=1 hold everything up until SIGTERM."""
    keep = os.environ.get("KEEP", "") not in ("", "0")
    if FOLDER.exists():
        shutil.rmtree(FOLDER)
    FOLDER.mkdir(parents=True)
    read, write = os.pipe()
    holder = os.fork()
    if holder:
        os.close(write)
        return _relay(read, holder)
    os.close(read)
    os.setsid()
    os.dup2(write, 1)
    os.dup2(write, 2)
    os.close(write)
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    code = _hold(keep)
    os._exit(code)


def _relay(read: int, holder: int) -> int:
    """Pass on what the holder says until it has nothing more to say, then tell how it went."""
    said = b""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os.kill(holder, signal.SIGTERM))
    while chunk := os.read(read, 65536):
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        said = (said + chunk)[-200:]
        # What runs on may hold the pipe open: the last line ends the story, not the end of the pipe.
        if said.endswith((b"demo: ok\n", b"demo: failed\n")):
            break
    if said.endswith(b"demo: ok\n"):
        return 0
    os.waitpid(holder, 0)
    return 1


def _hold(keep: bool) -> int:
    # Before any thread or child exists, so that all of them inherit it: only sigwait takes the signal.
    def end(*_: object) -> None:
        raise SystemExit(1)

    signal.signal(signal.SIGTERM, end)
    told = Told(FOLDER / "summary.json")
    try:
        with ExitStack() as stack:
            world = play(told, stack)
            told.write()
            if keep:
                print(_where(world, told), flush=True)
                _say_no_more()
                signal.pause()
    except SystemExit:
        return 0 if told.summary["ok"] else 1
    except BaseException:
        traceback.print_exc()
        told.write()
        print("demo: failed", flush=True)
        return 1
    print("demo: ok", flush=True)
    return 0


def _where(world: World, told: Told) -> str:
    summary = told.summary
    return (
        f"\nLeft running. Portal: http://{world.onion}/ through SOCKS 127.0.0.1:{summary['socks_port']}\n"
        f"Clean tickets: {world.maildir}\nDrop answers into: {world.replies}\n"
        f"Everything else: {FOLDER / 'summary.json'}\nEnd it all: {summary['stop']}\ndemo: ok"
    )


def _say_no_more() -> None:
    """Let go of the pipe, so that the command that started us can end."""
    log = os.open(FOLDER / "holder.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


if __name__ == "__main__":
    sys.exit(main())
