"""Redmine from Debian on loopback: SQLite, thin, no mail. Its configuration lies in /etc/redmine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from testbed.helpdesks.waiting import free_port, stop, wait_for_http
from veildesk.core.ticket import Erased, File
from veildesk.deliver.backends.redmine import Redmine, from_config

SHARE = Path("/usr/share/redmine")
INSTANCE = f"veildesk-test-{os.getpid()}"

_SEED = r"""
Setting.rest_api_enabled = '1'; Setting.notified_events = []
make = ->(name) {
  user = User.new(firstname: name, lastname: 'Test', mail: "#{name}@redmine.test", language: 'en')
  user.login = name; user.password = "#{name}-pass-1"; user.save!; user
}
gateway, agent, outsider = make['veildesk'], make['agent'], make['outsider']
project = Project.create!(name: 'Secure', identifier: 'secure', is_public: false)
project.enabled_module_names = ['issue_tracking']; project.trackers = Tracker.all
ours = Role.create!(name: 'Veildesk', permissions: [:view_issues, :add_issues, :edit_issues, :add_issue_notes,
  :delete_issues, :view_private_notes, :set_notes_private, :view_project])
theirs = Role.givable.first
theirs.add_permission!(:view_private_notes, :set_notes_private)
ours.copy_workflow_rules(theirs)
Member.create!(user: gateway, project: project, roles: [ours])
Member.create!(user: agent, project: project, roles: [theirs])
field = IssueCustomField.create!(name: 'veildesk-thread', field_format: 'string', is_filter: true,
  trackers: Tracker.all.to_a, visible: true)
project.issue_custom_fields << field
puts "KEY field #{field.id}"
puts "KEY gateway #{gateway.api_key}"; puts "KEY agent #{agent.api_key}"
"""


@dataclass
class RedmineServer:
    url: str
    home: Path
    agent_key: str
    field: int
    settings: dict[str, Any] = field(default_factory=dict)


def installed() -> bool:
    return (SHARE / "config.ru").exists()


@contextmanager
def redmine_server(home: Path) -> Iterator[RedmineServer]:
    port = free_port()
    folder = Path("/etc/redmine") / INSTANCE
    folder.mkdir(parents=True, exist_ok=True)
    (home / "files").mkdir()
    (folder / "database.yml").write_text(
        f"production:\n  adapter: sqlite3\n  database: {home}/redmine.sqlite\n"
        "  encoding: utf8\n  timeout: 10000\n"
    )
    (folder / "configuration.yml").write_text(
        f"production:\n  attachments_storage_path: {home}/files\n"
        "  email_delivery:\n    delivery_method: :test\n"
    )
    (folder / "secret_key.txt").write_text("0" * 64)
    for name in ("/var/lib/redmine", "/var/cache/redmine", "/var/log/redmine"):
        (Path(name) / INSTANCE).mkdir(parents=True, exist_ok=True)
    # Redmine of Debian reads an instance's configuration by way of these links.
    instance = Path("/var/lib/redmine") / INSTANCE
    for name, place in (("config", folder), ("files", home / "files"), ("log", home), ("tmp", home)):
        (instance / name).symlink_to(place)
    environment = {
        **{k: v for k, v in os.environ.items() if k in ("PATH", "HOME")},
        "RAILS_ENV": "production",
        "REDMINE_INSTANCE": INSTANCE,
        "X_DEBIAN_SITEID": INSTANCE,
        "REDMINE_LANG": "en",
        "SCHEMA": "/dev/null",
        "LC_ALL": "C.UTF-8",
    }
    try:
        _run(environment, "bundle", "exec", "rake", "db:migrate")
        _run(environment, "bundle", "exec", "rake", "redmine:load_default_data")
        (home / "seed.rb").write_text(_SEED)
        said = _run(environment, "bundle", "exec", "ruby", "bin/rails", "runner", str(home / "seed.rb"))
        keys = {line.split()[1]: line.split()[2] for line in said.splitlines() if line.startswith("KEY ")}
        (home / "token").write_text(keys["gateway"])
        with (home / "server.log").open("wb") as log:
            process = subprocess.Popen(
                [
                    *("bundle", "exec", "thin", "start", "-e", "production", "-a", "127.0.0.1"),
                    *("-p", str(port), "--threaded", "--threadpool-size", "4", "-P", str(home / "thin.pid")),
                ],
                cwd=SHARE,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for_http(f"{url}/login", process, home / "server.log")
            settings = {"base": str(home), "url": url, "token_file": "token", "project": "secure"}
            yield RedmineServer(url, home, keys["agent"], int(keys["field"]), settings)
        finally:
            stop(process)
    finally:
        for name in ("/etc/redmine", "/var/lib/redmine", "/var/cache/redmine", "/var/log/redmine"):
            shutil.rmtree(Path(name) / INSTANCE, ignore_errors=True)


def _run(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(command, cwd=SHARE, env=environment, capture_output=True, timeout=300)
    assert done.returncode == 0, (command, (done.stdout + done.stderr).decode(errors="replace")[-2000:])
    return done.stdout.decode()


class RedmineDesk:
    """An agent at work by REST, and a look into the database file and the folder of files."""

    erases = Erased.GONE

    def __init__(self, server: RedmineServer, backend: Redmine, agent: httpx.AsyncClient) -> None:
        self.server, self.backend, self._agent = server, backend, agent

    async def ref(self, thread: str) -> str | None:
        issues = (
            await self._agent.get("/issues.json", params={"status_id": "*", "limit": 100, "sort": "id:desc"})
        ).json()
        for issue in issues["issues"]:
            if any(one.get("value") == thread for one in issue.get("custom_fields", ())):
                return str(issue["id"])
        return None

    async def issue(self, thread: str) -> dict[str, Any] | None:
        ref = await self.ref(thread)
        if ref is None:
            return None
        found = await self._agent.get(f"/issues/{ref}.json", params={"include": "journals,attachments"})
        return found.json()["issue"]

    async def texts(self, thread: str) -> list[str]:
        issue = await self.issue(thread)
        if issue is None:
            return []
        notes = [
            j["notes"] for j in issue["journals"] if j["notes"] and j["user"]["name"].startswith("veildesk")
        ]
        return [text.replace("\r\n", "\n") for text in (issue["description"], *notes)]

    async def files(self, thread: str) -> list[bytes]:
        issue = await self.issue(thread)
        return [
            (await self._agent.get(f"/attachments/download/{one['id']}")).content
            for one in (issue or {}).get("attachments", ())
        ]

    async def _put(self, thread: str, **change: Any) -> None:
        answer = await self._agent.put(f"/issues/{await self.ref(thread)}.json", json={"issue": change})
        assert answer.status_code < 300, answer.text

    async def answer(self, thread: str, text: str, *, html: str = "", files: Sequence[File] = ()) -> None:
        uploads = []
        for file in files:
            answer = await self._agent.post(
                "/uploads.json",
                params={"filename": file.name},
                content=file.content,
                headers={"Content-Type": "application/octet-stream"},
            )
            uploads.append(
                {
                    "token": answer.json()["upload"]["token"],
                    "filename": file.name,
                    "content_type": file.media_type,
                }
            )
        await self._put(thread, notes=text, uploads=uploads)

    async def note(self, thread: str, text: str) -> None:
        await self._put(thread, notes=text, private_notes=True)

    async def close_ticket(self, thread: str) -> None:
        statuses = (await self._agent.get("/issue_statuses.json")).json()["issue_statuses"]
        closed = next(one["id"] for one in statuses if one["is_closed"] and one["name"] == "Closed")
        await self._put(thread, status_id=closed)
        assert not await self.is_open(thread)

    async def merge(self, thread: str, into: str) -> None:
        raise NotImplementedError

    async def is_open(self, thread: str) -> bool:
        statuses = (await self._agent.get("/issue_statuses.json")).json()["issue_statuses"]
        closed = {one["id"] for one in statuses if one["is_closed"]}
        issue = await self.issue(thread)
        return issue is not None and issue["status"]["id"] not in closed

    def leftovers(self, needle: bytes) -> int:
        files = [self.server.home / "redmine.sqlite", *(self.server.home / "files").rglob("*")]
        return sum(path.read_bytes().count(needle) for path in files if path.is_file())


@asynccontextmanager
async def redmine_desk(server: RedmineServer, **changes: Any) -> AsyncIterator[RedmineDesk]:
    backend = from_config("redmine", {**server.settings, **changes})
    headers = {"X-Redmine-API-Key": server.agent_key}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60) as agent:
        try:
            yield RedmineDesk(server, backend, agent)
        finally:
            await backend.close()
