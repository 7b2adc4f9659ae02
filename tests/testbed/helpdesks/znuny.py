"""Znuny 6.5 from Debian's package on loopback: a copy of its own, its own PostgreSQL, no mail, no cron."""

from __future__ import annotations

import base64
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from testbed.helpdesks.waiting import free_port, stop, wait_for_http
from veildesk.core.ticket import Erased, File
from veildesk.deliver.backends.znuny import Znuny, from_config

PACKAGE = Path("/usr/share/otrs")
DEPLOY = Path(__file__).parents[3] / "deploy" / "helpdesk" / "znuny"
PASSWORDS = {"veildesk": "gateway-pass-1", "agent": "agent-pass-1"}
SERVICE = "/nph-genericinterface.pl/Webservice/Veildesk"


def installed() -> bool:
    return (PACKAGE / "bin" / "otrs.Console.pl").exists()


@dataclass
class ZnunyServer:
    """A running server in `home`; `znuny` is its copy of the program, `pg` the folder of its database."""

    home: Path
    port: int
    pg_port: int
    settings: dict[str, Any] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{SERVICE}"

    @property
    def znuny(self) -> Path:
        return self.home / "otrs"

    def run(
        self, *command: str, user: str = "otrs", stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command,
            user=user,
            group=_group(user),
            extra_groups=[],
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(self.home)},
            cwd=self.home,
            input=stdin,
            capture_output=True,
            timeout=120,
        )

    def expect(self, *command: str, user: str = "otrs", stdin: bytes = b"") -> bytes:
        done = self.run(*command, user=user, stdin=stdin)
        assert done.returncode == 0, (command, (done.stdout + done.stderr).decode()[-2000:])
        return done.stdout

    def console(self, *words: str) -> None:
        self.expect("perl", str(self.znuny / "bin" / "otrs.Console.pl"), *words)

    def sql(self, query: str, database: str = "otrs") -> str:
        words = ("psql", "-h", "127.0.0.1", "-p", str(self.pg_port), "-U", "postgres", "-Atq")
        return self.expect(*words, "-v", "ON_ERROR_STOP=1", "-c", query, database, user="postgres").decode()


def _group(user: str) -> str:
    return {"otrs": "www-data", "postgres": "postgres"}[user]


def _pg_program(name: str) -> str:
    return str(max(Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))


@contextmanager
def znuny_server() -> Iterator[ZnunyServer]:
    """Start one; everything is gone afterwards. Its accounts must be able to reach the folder."""
    home = Path(tempfile.mkdtemp(prefix="veildesk-znuny-", dir="/var/tmp"))
    home.chmod(0o755)
    server = ZnunyServer(home, free_port(), free_port())
    started: list[subprocess.Popen[bytes]] = []
    try:
        started.append(_database(server))
        _copy(server)
        _fill(server)
        started.append(_web(server))
        (home / "password").write_text(PASSWORDS["veildesk"])
        server.settings = {
            "base": str(home),
            "url": server.url,
            "user": "veildesk",
            "password_file": "password",
            "queue": "Raw",
            "customer": "veildesk",
            "timeout": 90,  # Its Perl takes long to start on a busy machine.
            "erase_command": [str(home / "erase")],
            "setup_command": [str(home / "setup")],
        }
        yield server
    finally:
        for process in reversed(started):
            stop(process)
        shutil.rmtree(home, ignore_errors=True)


def _start(server: ZnunyServer, log: str, *command: str, user: str) -> subprocess.Popen[bytes]:
    with (server.home / log).open("wb") as file:
        return subprocess.Popen(
            command,
            user=user,
            group=_group(user),
            extra_groups=[],
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(server.home)},
            cwd=server.home,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )


def _database(server: ZnunyServer) -> subprocess.Popen[bytes]:
    data = server.home / "pg"
    data.mkdir()
    shutil.chown(data, "postgres", "postgres")
    words = ("-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D", str(data))
    server.expect(_pg_program("initdb"), *words, user="postgres")
    options = [
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        "unix_socket_directories=",
        "-c",
        "fsync=off",
        "-c",
        "autovacuum=off",
    ]
    process = _start(
        server,
        "pg.log",
        _pg_program("postgres"),
        *("-D", str(data), "-p", str(server.pg_port), *options),
        user="postgres",
    )
    for _ in range(300):
        ready = (_pg_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(server.pg_port))
        if server.run(*ready, user="postgres").returncode == 0:
            return process
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    raise AssertionError((server.home / "pg.log").read_text()[-2000:])


def _copy(server: ZnunyServer) -> None:
    subprocess.run(["cp", "-r", "--no-dereference", str(PACKAGE), str(server.znuny)], check=True)
    (server.znuny / "var").unlink()
    subprocess.run(
        ["cp", "-rL", "/var/lib/otrs", str(server.znuny / "var")], check=False, capture_output=True
    )
    config = server.znuny / "Kernel" / "Config"
    for path in config.iterdir():
        if path.is_symlink():
            path.unlink()
    shutil.copytree("/var/lib/otrs/Config/Files", config / "Files")
    for name in ("run", "tmp", "log", "article", "spool", "cron", "sessions", "stats"):
        (server.znuny / "var" / name).mkdir(parents=True, exist_ok=True)
    (server.znuny / "Kernel" / "Config.pm").unlink()
    (server.znuny / "Kernel" / "Config.pm").write_text(f"""
package Kernel::Config;
use strict; use warnings; use utf8;
sub Load {{
    my $Self = shift;
    $Self->{{Home}} = '{server.znuny}';
    $Self->{{DatabaseHost}} = '127.0.0.1'; $Self->{{Database}} = 'otrs';
    $Self->{{DatabaseUser}} = 'otrs'; $Self->{{DatabasePw}} = 'otrs';
    $Self->{{DatabaseDSN}} = "DBI:Pg:dbname=otrs;host=127.0.0.1;port={server.pg_port};";
    $Self->{{SecureMode}} = 1; $Self->{{FQDN}} = 'znuny.test';
    # Neither mail nor questions to the DNS leave the test-bed.
    $Self->{{CheckMXRecord}} = 0; $Self->{{SendmailModule}} = 'Kernel::System::Email::Test';
    return 1;
}}
use Kernel::Config::Defaults;
use parent qw(Kernel::Config::Defaults);
1;
""")
    subprocess.run(["chown", "-R", "otrs:www-data", str(server.znuny)], check=True)


def _fill(server: ZnunyServer) -> None:
    server.sql("create role otrs login password 'otrs'", "postgres")
    server.sql("create database otrs owner otrs", "postgres")
    for name in ("schema", "initial_insert", "schema-post"):
        script = PACKAGE / "scripts" / "database" / f"{name}.postgresql.sql"
        words = ("psql", "-h", "127.0.0.1", "-p", str(server.pg_port), "-U", "otrs", "-q")
        server.expect(*words, "-v", "ON_ERROR_STOP=1", "-f", str(script), "otrs")
    server.console("Maint::Config::Rebuild")
    for name, password in PASSWORDS.items():
        server.console(
            *("Admin::User::Add", "--user-name", name, "--first-name", name, "--last-name", "Test"),
            *("--email-address", f"{name}@znuny.test", "--password", password, "--group", "users"),
        )
    server.console(
        *("Admin::CustomerUser::Add", "--user-name", "veildesk", "--first-name", "Veildesk"),
        *("--last-name", "User", "--email-address", "veildesk@veildesk.invalid", "--customer-id", "veildesk"),
    )
    source = server.home / "Veildesk.yml"
    shutil.copy(DEPLOY / "Veildesk.yml", source)
    source.chmod(0o644)
    server.console("Admin::WebService::Add", "--name", "Veildesk", "--source-path", str(source))
    for name in ("veildesk-znuny-setup", "veildesk-znuny-erase"):
        shutil.copy(DEPLOY / name, server.home / name)
        (server.home / name).chmod(0o755)
    server.expect("perl", str(server.home / "veildesk-znuny-setup"), str(server.znuny))
    (server.home / "erase.conf").write_text(f"home {server.znuny}\nqueue Raw\nvacuum full\n")
    erase = server.home / "erase"
    erase.write_text(
        "#!/bin/sh\nexec setpriv --reuid=otrs --regid=www-data --clear-groups "
        f"perl {server.home}/veildesk-znuny-erase {server.home}/erase.conf\n"
    )
    erase.chmod(0o755)
    (server.home / "setup.conf").write_text(
        f"home {server.znuny}\nqueue Raw\nqueue Fresh\ncustomer veildesk\nservice {source}\n"
    )
    setup = server.home / "setup"
    setup.write_text(
        erase.read_text()
        .replace("veildesk-znuny-erase", "veildesk-znuny-setup")
        .replace("erase.conf", "setup.conf")
    )
    setup.chmod(0o755)


def _web(server: ZnunyServer) -> subprocess.Popen[bytes]:
    process = _start(
        server,
        "web.log",
        *("plackup", "-E", "deployment", "-s", "Starlet", "--max-workers", "2"),
        *("--host", "127.0.0.1", "--port", str(server.port), str(server.znuny / "bin/cgi-bin/app.psgi")),
        user="otrs",
    )
    try:
        wait_for_http(f"http://127.0.0.1:{server.port}/index.pl", process, server.home / "web.log")
    except AssertionError:
        stop(process)
        raise
    return process


_MERGE = r"""
use lib "$INC[0]/Kernel/cpan-lib"; use Kernel::System::ObjectManager;
local $Kernel::OM = Kernel::System::ObjectManager->new();
my ($main, $merge) = @ARGV;
$Kernel::OM->Get('Kernel::System::Ticket')->TicketMerge(
    MainTicketID => $main, MergeTicketID => $merge, UserID => 1) or die "not merged";
"""


class ZnunyDesk:
    """An agent at work by the same interface, and a look into the database and its files."""

    erases = Erased.GONE

    def __init__(self, server: ZnunyServer, backend: Znuny, agent: httpx.AsyncClient) -> None:
        self.server, self.backend, self._agent = server, backend, agent

    async def call(self, path: str, **body: Any) -> dict[str, Any]:
        if "agent" not in self.server.sessions:
            form = {"UserLogin": "agent", "Password": PASSWORDS["agent"]}
            answer = await self._agent.post(self.server.url + "/Session", json=form)
            self.server.sessions["agent"] = answer.json()["SessionID"]
        whole = {"SessionID": self.server.sessions["agent"], **body}
        answer = (await self._agent.post(self.server.url + path, json=whole)).json()
        assert "Error" not in answer, answer
        return answer

    async def ref(self, thread: str) -> str | None:
        found = await self.call("/Ticket/Search", DynamicField_VeildeskThread={"Equals": thread})
        numbers = found.get("TicketID") or []
        return str(numbers[0] if isinstance(numbers, list) else numbers) if numbers else None

    async def _articles(self, thread: str) -> list[dict[str, Any]]:
        ref = await self.ref(thread)
        if ref is None:
            return []
        found = await self.call(
            "/Ticket/Get",
            TicketID=ref,
            AllArticles=1,
            ArticleSenderType=["customer"],
            Attachments=1,
            GetAttachmentContents=1,
        )
        return found["Ticket"][0].get("Article", [])

    async def texts(self, thread: str) -> list[str]:
        return [article["Body"] for article in await self._articles(thread)]

    async def files(self, thread: str) -> list[bytes]:
        return [
            base64.b64decode(one["Content"])
            for article in await self._articles(thread)
            for one in article.get("Attachment", [])
            if one["Disposition"] != "inline"
        ]

    async def _write(self, thread: str, text: str, kind: str, visible: int, files: Sequence[File]) -> None:
        article = {
            "CommunicationChannel": "Internal",
            "SenderType": "agent",
            "IsVisibleForCustomer": visible,
            "Subject": "Re",
            "Body": text,
            "ContentType": f"{kind}; charset=utf8",
        }
        body: dict[str, Any] = {"TicketID": await self.ref(thread), "Article": article}
        if files:
            body["Attachment"] = [
                {
                    "Content": base64.b64encode(file.content).decode(),
                    "ContentType": file.media_type,
                    "Filename": file.name,
                }
                for file in files
            ]
        await self.call("/Ticket/Update", **body)

    async def answer(self, thread: str, text: str, *, html: str = "", files: Sequence[File] = ()) -> None:
        await self._write(thread, html or text, "text/html" if html else "text/plain", 1, files)

    async def note(self, thread: str, text: str) -> None:
        await self._write(thread, text, "text/plain", 0, ())

    async def close_ticket(self, thread: str) -> None:
        await self.call(
            "/Ticket/Update", TicketID=await self.ref(thread), Ticket={"State": "closed successful"}
        )

    async def merge(self, thread: str, into: str) -> None:
        """As the page for merging does; the interface has no operation for it."""
        numbers = await self.ref(into), await self.ref(thread)
        self.server.expect("perl", "-I", str(self.server.znuny), "-e", _MERGE, *map(str, numbers))

    async def is_open(self, thread: str) -> bool:
        found = await self.call("/Ticket/Get", TicketID=await self.ref(thread))
        return found["Ticket"][0]["StateType"] in ("new", "open")

    def leftovers(self, needle: bytes) -> int:
        self.server.sql("checkpoint", "postgres")
        files = [*(self.server.home / "pg" / "base").rglob("*"), *(self.server.znuny / "var").rglob("*")]
        encoded = base64.b64encode(needle)[:-4]
        total = 0
        for path in files:
            if path.is_file() and not path.is_symlink():
                data = path.read_bytes()
                found = data.count(needle) + data.count(encoded)
                if found:
                    # Seen when an assertion fails.
                    print(f"{found} in {path.relative_to(self.server.home)}")
                total += found
        return total


@asynccontextmanager
async def znuny_desk(server: ZnunyServer, **changes: Any) -> AsyncIterator[ZnunyDesk]:
    backend = from_config("znuny", {**server.settings, **changes})
    async with httpx.AsyncClient(timeout=60) as agent:
        try:
            yield ZnunyDesk(server, backend, agent)
        finally:
            await backend.close()
