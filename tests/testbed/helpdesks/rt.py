"""Request Tracker 5 from Debian's package on loopback: SQLite, own configuration, no service, no mail."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from testbed.helpdesks.waiting import free_port, stop, wait_for_http
from veildesk.core.ticket import Erased, File
from veildesk.deliver.backends.rt import RequestTracker, from_config

SHARE = Path("/usr/share/request-tracker5")
ROOT = Path(__file__).parents[3]
INITIALDATA = ROOT / "deploy" / "helpdesk" / "rt" / "veildesk.initialdata"
WEBHOOK = ROOT / "deploy" / "helpdesk" / "rt" / "veildesk-webhook.initialdata"
SETUP = ROOT / "deploy" / "helpdesk" / "rt" / "veildesk-rt-setup"
ERASE = ROOT / "deploy" / "helpdesk" / "rt" / "veildesk-rt-erase"
PASSWORDS = {"veildesk": "gateway-pass-1", "agent": "agent-pass-1"}

_SEED = r"""
use strict; use warnings; use lib '/usr/share/request-tracker5/lib';
use RT; RT::LoadConfig(); RT::Init();
my $sys = RT->SystemUser;
for my $name ('Secure', 'Payments') {
    my $queue = RT::Queue->new($sys);
    my ($ok, $said) = $queue->Create(Name => $name, CorrespondAddress => lc($name).'@rt.test');
    die "queue: $said" unless $ok;
}
my %rights = (
    veildesk => [qw(SeeQueue CreateTicket ReplyToTicket CommentOnTicket ShowTicket ShowTicketComments
                    ModifyTicket DeleteTicket SeeCustomField ModifyCustomField)],
    agent => [qw(SeeQueue CreateTicket ReplyToTicket CommentOnTicket ShowTicket ShowTicketComments
                 ModifyTicket OwnTicket SeeCustomField)],
);
for my $name (sort keys %rights) {
    my $user = RT::User->new($sys);
    my ($ok, $said) = $user->Create(Name => $name, EmailAddress => $name.'@rt.test',
        Password => $ENV{"PASS_$name"}, Privileged => 1);
    die "user: $said" unless $ok;
    for my $queue_name ('Secure', 'Payments') {
        my $queue = RT::Queue->new($sys); $queue->Load($queue_name);
        for my $right (@{ $rights{$name} }) {
            ($ok, $said) = $user->PrincipalObj->GrantRight(Right => $right, Object => $queue);
            die "right $right: $said" unless $ok;
        }
    }
}
# As many sites have it: anybody may write by mail.
my $everyone = RT::Group->new($sys); $everyone->LoadSystemInternalGroup('Everyone');
my $secure = RT::Queue->new($sys); $secure->Load('Secure');
$everyone->PrincipalObj->GrantRight(Right => $_, Object => $secure) for qw(CreateTicket ReplyToTicket);
"""


@dataclass
class RTServer:
    """A running server. `requests` go as an agent."""

    url: str
    home: Path
    environment: dict[str, str]
    settings: dict[str, Any] = field(default_factory=dict)
    agent_session: dict[str, str] = field(default_factory=dict)
    webhook_port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, also again after a kill, and return when it answers."""
        port = self.url.rpartition(":")[2]
        words = [str(SHARE / "libexec" / "rt-server"), "--host", "127.0.0.1", "--port", port]
        with (self.home / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*words, "--max-workers", "3"],
                env=self.environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for_http(f"{self.url}/REST/2.0/rt", self.process, self.home / "server.log")

    def kill(self) -> None:
        """SIGKILL to the server and its workers."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def run(self, *command: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """A command on the server's host with its configuration."""
        return subprocess.run(command, env=self.environment, input=stdin, capture_output=True, timeout=60)


def installed() -> bool:
    return (SHARE / "libexec" / "rt-server").exists()


@contextmanager
def rt_server(home: Path) -> Iterator[RTServer]:
    """Start one in an empty folder; it ends with the context."""
    port = free_port()
    for name in ("site.d", "mail", "mason", "sessions", "shredder"):
        (home / name).mkdir(parents=True)
    catch = home / "catch-mail"
    catch.write_text(f"#!/bin/sh\ncat > $(mktemp {home}/mail/XXXXXXXX)\n")
    catch.chmod(0o755)
    webhook_port, secret = free_port(), f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
    (home / "hints").write_text(secret)
    (home / "RT_SiteConfig.pm").write_text(
        _site_config(home, port, catch).replace(
            "1;\n",
            f"Set($VeildeskWebhook, 'http://127.0.0.1:{webhook_port}/rt');\n"
            f"Set($VeildeskWebhookKey, '{secret}');\n1;\n",
        )
    )
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        "HOME": str(home),
        "RT_SITE_CONFIG": str(home / "RT_SiteConfig.pm"),
        "RT_SITE_CONFIG_DIR": str(home / "site.d"),
        **{f"PASS_{name}": password for name, password in PASSWORDS.items()},
    }
    server = RTServer(f"http://127.0.0.1:{port}", home, environment, webhook_port=webhook_port)
    _expect(server.run("rt-setup-database-5", "--action", "init", "--skip-create"))
    _expect(server.run("perl", "-e", _SEED))
    for source in (INITIALDATA, WEBHOOK):
        data = home / source.name
        data.write_text(source.read_text().replace("Support", "Secure"))
        insert = ("rt-setup-database-5", "--action", "insert", "--skip-create", "--datafile")
        _expect(server.run(*insert, str(data)))
    try:
        server.start()
        (home / "password").write_text(PASSWORDS["veildesk"])
        server.settings = {
            "base": str(home),
            "url": server.url,
            "user": "veildesk",
            "password_file": "password",
            "queue": "Secure",
            "erase_command": [str(_erase_command(server))],
            "webhook_file": "hints",
            "setup_command": [str(_setup_command(server))],
        }
        yield server
    finally:
        if server.process is not None:
            stop(server.process)


def _erase_command(server: RTServer) -> Path:
    """What an `ssh` with a forced command would be: the companion script with RT's own environment."""
    (server.home / "veildesk-rt-erase.conf").write_text("queue Secure\nqueue Payments\n")
    script = server.home / "erase"
    lines = [f"export {name}='{value}'" for name, value in server.environment.items()]
    lines.append("export VEILDESK_ERASE_AS_ROOT=1")
    lines.append(f"exec perl {ERASE} {server.home}/veildesk-rt-erase.conf")
    script.write_text("#!/bin/sh\n" + "\n".join(lines) + "\n")
    script.chmod(0o755)
    return script


def _setup_command(server: RTServer) -> Path:
    """As an `ssh` with a forced command would be; "Fresh" is a queue that does not exist yet."""
    (server.home / "veildesk-rt-setup.conf").write_text("user veildesk\nqueue Secure\nqueue Fresh\n")
    script = server.home / "setup"
    lines = [f"export {name}='{value}'" for name, value in server.environment.items()]
    lines.append(f"exec perl {SETUP} {server.home}/veildesk-rt-setup.conf")
    script.write_text("#!/bin/sh\n" + "\n".join(lines) + "\n")
    script.chmod(0o755)
    return script


def _expect(done: subprocess.CompletedProcess[bytes]) -> None:
    assert done.returncode == 0, (done.stdout + done.stderr).decode()[-2000:]


def _site_config(home: Path, port: int, catch: Path) -> str:
    return f"""
Set($rtname, 'rt.test'); Set($Organization, 'rt.test');
Set($CorrespondAddress, 'support@rt.test'); Set($CommentAddress, 'comment@rt.test');
Set($WebDomain, '127.0.0.1'); Set($WebPort, {port}); Set($WebPath, '');
Set($WebBaseURL, 'http://127.0.0.1:{port}');
Set($Timezone, 'UTC');
Set($DatabaseType, 'SQLite'); Set($DatabaseName, '{home}/rt.sqlite');
Set($LogToSyslog, undef); Set($LogToSTDERR, 'error'); Set($LogToFile, undef);
Set($MailCommand, 'sendmailpipe'); Set($SendmailPath, '{catch}');
Set($ShredderStoragePath, '{home}/shredder');
Set($WebSecureCookies, 0);
Set($MaxAttachmentSize, 50*1024*1024);
1;
"""


class RTDesk:
    """An agent at work by REST, and a look into the database file."""

    erases = Erased.GONE

    def __init__(self, server: RTServer, backend: RequestTracker, agent: httpx.AsyncClient) -> None:
        self.server, self.backend, self._agent = server, backend, agent

    async def ref(self, thread: str) -> str | None:
        query = {"query": f"'CF.{{veildesk-thread}}'='{thread}'"}
        items = (await self._post("/tickets", data=query)).json()["items"]
        return items[0]["id"] if items else None

    async def _post(self, path: str, **request: Any) -> httpx.Response:
        answer = await self._agent.post(path, **request)
        assert answer.status_code < 300, answer.text
        return answer

    async def _transactions(self, thread: str) -> list[str]:
        ref = await self.ref(thread)
        if ref is None:
            return []
        query = {"query": f"TicketId={ref} AND Type='Correspond' AND Creator='veildesk'"}
        items = (await self._post("/transactions?orderby=id&per_page=100", data=query)).json()["items"]
        return [item["id"] for item in items]

    async def _parts(self, thread: str) -> list[dict[str, Any]]:
        found = []
        for number in await self._transactions(thread):
            fields = {"fields": "ContentType,Filename"}
            items = (await self._agent.get(f"/transaction/{number}/attachments", params=fields)).json()[
                "items"
            ]
            for item in items:
                whole = (await self._agent.get(f"/attachment/{item['id']}")).json()
                found.append({**item, "Content": whole.get("Content")})
        return found

    async def texts(self, thread: str) -> list[str]:
        from base64 import b64decode

        parts = await self._parts(thread)
        return [
            b64decode(part["Content"]).decode()
            for part in parts
            if part["ContentType"] == "text/plain" and not part.get("Filename")
        ]

    async def files(self, thread: str) -> list[bytes]:
        from base64 import b64decode

        return [b64decode(part["Content"]) for part in await self._parts(thread) if part.get("Filename")]

    async def answer(self, thread: str, text: str, *, html: str = "", files: Sequence[File] = ()) -> None:
        body = {"Content": html or text, "ContentType": "text/html" if html else "text/plain"}
        form: list[Any] = [("JSON", (None, json.dumps(body), "application/json"))]
        form += [("Attachments", (file.name, file.content, file.media_type)) for file in files]
        await self._post(f"/ticket/{await self.ref(thread)}/correspond", files=form)

    async def note(self, thread: str, text: str) -> None:
        body = {"Content": text, "ContentType": "text/plain"}
        await self._post(f"/ticket/{await self.ref(thread)}/comment", json=body)

    async def close_ticket(self, thread: str) -> None:
        answer = await self._agent.put(f"/ticket/{await self.ref(thread)}", json={"Status": "resolved"})
        assert answer.status_code == 200

    async def merge(self, thread: str, into: str) -> None:
        target = {"MergeInto": await self.ref(into)}
        answer = await self._agent.put(f"/ticket/{await self.ref(thread)}", json=target)
        assert answer.status_code == 200, answer.text

    async def is_open(self, thread: str) -> bool:
        ticket = (await self._agent.get(f"/ticket/{await self.ref(thread)}")).json()
        return ticket["Status"] in ("new", "open")

    def leftovers(self, needle: bytes) -> int:
        files = [self.server.home / "rt.sqlite", *(self.server.home / "shredder").rglob("*")]
        files += [*(self.server.home / "mail").iterdir(), self.server.home / "server.log"]
        return sum(path.read_bytes().count(needle) for path in files if path.is_file())


@asynccontextmanager
async def rt_desk(server: RTServer, **changes: Any) -> AsyncIterator[RTDesk]:
    backend = from_config("rt", {**server.settings, **changes})
    async with httpx.AsyncClient(
        base_url=f"{server.url}/REST/2.0", cookies=server.agent_session, timeout=30
    ) as agent:
        if not server.agent_session:
            # One session for all tests: each log-in costs RT a bcrypt.
            form = {"user": "agent", "pass": PASSWORDS["agent"]}
            await agent.post(f"{server.url}/NoAuth/Login.html", data=form)
            server.agent_session.update(agent.cookies)
        try:
            yield RTDesk(server, backend, agent)
        finally:
            await backend.close()
