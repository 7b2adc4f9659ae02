"""django-helpdesk from its Python package on loopback: a small project of its own, SQLite, no mail."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from testbed.helpdesks.waiting import free_port, stop, wait_for_http
from veildesk.core.ticket import Erased, File
from veildesk.deliver.backends.django_helpdesk import DjangoHelpdesk, from_config

PYTHON = Path(__file__).parents[3] / "var" / "django-helpdesk" / "bin" / "python"

_SETTINGS = """
import pathlib
HOME = pathlib.Path(__file__).parent.parent
SECRET_KEY = 'made for one test'; DEBUG = False; ALLOWED_HOSTS = ['127.0.0.1']; ROOT_URLCONF = 'desk.urls'
USE_TZ = True; TIME_ZONE = 'UTC'; SITE_ID = 1; DEFAULT_AUTO_FIELD = 'django.db.models.AutoField'
INSTALLED_APPS = ['django.contrib.' + n for n in
    ('admin', 'auth', 'contenttypes', 'sessions', 'messages', 'staticfiles', 'sites', 'humanize')]
INSTALLED_APPS += ['rest_framework', 'rest_framework.authtoken', 'helpdesk']
INSTALLED_APPS += ['django_cleanup.apps.CleanupConfig']
MIDDLEWARE = ['django.contrib.sessions.middleware.SessionMiddleware',
    'django.contrib.auth.middleware.AuthenticationMiddleware',
    'django.contrib.messages.middleware.MessageMiddleware']
TEMPLATES = [{'BACKEND': 'django.template.backends.django.DjangoTemplates', 'APP_DIRS': True,
    'OPTIONS': {'context_processors': ['django.template.context_processors.request',
        'django.contrib.auth.context_processors.auth',
        'django.contrib.messages.context_processors.messages']}}]
DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': HOME / 'desk.sqlite',
    'OPTIONS': {'timeout': 20}}}
PASSWORD_HASHERS = ['django.contrib.auth.hashers.MD5PasswordHasher']
EMAIL_BACKEND = 'django.core.mail.backends.filebased.EmailBackend'; EMAIL_FILE_PATH = HOME / 'mail'
MEDIA_ROOT = HOME / 'media'; MEDIA_URL = '/media/'; STATIC_URL = '/static/'
REST_FRAMEWORK = {'DEFAULT_AUTHENTICATION_CLASSES': ['rest_framework.authentication.TokenAuthentication']}
HELPDESK_ACTIVATE_API_ENDPOINT = True; HELPDESK_TEAMS_MODE_ENABLED = False
"""
_URLS = """
from django.conf import settings
from django.urls import include, path, re_path
from django.views.static import serve
urlpatterns = [
    re_path('^media/(?P<path>.*)$', serve, {'document_root': settings.MEDIA_ROOT}),
    path('', include('helpdesk.urls', namespace='helpdesk')),
]
"""
_SEED = """
import django; django.setup()
from django.contrib.auth.models import User
from django.core.management import call_command
from rest_framework.authtoken.models import Token
from helpdesk.models import CustomField, Queue
call_command('migrate', verbosity=0)
for name in ('veildesk', 'agent'):
    user = User.objects.create_superuser(name, name + '@desk.test', name + '-pass-1')
    print('KEY', name, Token.objects.create(user=user).key)
outsider = User.objects.create_user('outsider', 'o@desk.test', 'outsider-pass-1')
print('KEY', 'outsider', Token.objects.create(user=outsider).key)
for number in ('secure', 'payments'):
    print('KEY', number, Queue.objects.create(title=number, slug=number).id)
CustomField.objects.create(name='veildesk_thread', label='Veildesk thread', data_type='varchar',
    max_length=64, required=False, staff_only=True)
"""


_MERGE = """
import django; django.setup()
from django.contrib.auth.models import User
from django.test import Client
from helpdesk.models import Ticket
# Its page fails at the end where a ticket has no submitter; by then it has merged them.
browser = Client(HTTP_HOST='127.0.0.1', raise_request_exception=False)
browser.force_login(User.objects.get(username='agent'))
answer = browser.post('/tickets/merge?tickets={source}&tickets={target}', {{'chosen_ticket': '{target}'}})
merged = Ticket.objects.get(id={source}).merged_to_id == {target}
print('merged' if merged else answer.status_code)
"""


def installed() -> bool:
    return PYTHON.exists()


@dataclass
class DjangoHelpdeskServer:
    url: str
    home: Path
    keys: dict[str, str]
    settings: dict[str, Any] = field(default_factory=dict)

    def run(self, code: str) -> str:
        """Python on the server's host, with its settings."""
        return _run(self.home, code)


def _environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    return {**kept, "DJANGO_SETTINGS_MODULE": "desk.settings", "PYTHONPATH": str(home), "LC_ALL": "C.UTF-8"}


def _run(home: Path, code: str) -> str:
    done = subprocess.run(
        [str(PYTHON), "-c", code], cwd=home, env=_environment(home), capture_output=True, timeout=200
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return done.stdout.decode()


@contextmanager
def django_helpdesk_server(home: Path) -> Iterator[DjangoHelpdeskServer]:
    """Start one in an empty folder; it ends with the context."""
    project = home / "desk"
    project.mkdir()
    for name, text in (("__init__", ""), ("settings", _SETTINGS), ("urls", _URLS)):
        (project / f"{name}.py").write_text(text)
    said = _run(home, _SEED)
    keys = {line.split()[1]: line.split()[2] for line in said.splitlines() if line.startswith("KEY ")}
    (home / "token").write_text(keys["veildesk"])
    port = free_port()
    command = [str(PYTHON), "-m", "django", "runserver", "--noreload", f"127.0.0.1:{port}"]
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=home,
            env=_environment(home),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for_http(f"{url}/api/", process, home / "server.log")
        settings = {"base": str(home), "url": url, "token_file": "token", "queue": int(keys["secure"])}
        yield DjangoHelpdeskServer(url, home, keys, settings)
    finally:
        stop(process)


class DjangoHelpdeskDesk:
    """An agent at work by the same interface, and a look into the database and the files."""

    erases = Erased.GONE

    def __init__(
        self, server: DjangoHelpdeskServer, backend: DjangoHelpdesk, agent: httpx.AsyncClient
    ) -> None:
        self.server, self.backend, self._agent = server, backend, agent

    async def ticket(self, thread: str) -> dict[str, Any] | None:
        query = "SELECT ticket_id FROM helpdesk_ticketcustomfieldvalue WHERE value = ?"
        with closing(sqlite3.connect(self.server.home / "desk.sqlite", timeout=20)) as base:
            row = base.execute(query, (thread,)).fetchone()
        if row is None:
            return None
        return (await self._agent.get(f"/api/tickets/{row[0]}/")).json()

    async def _ours(self, thread: str) -> list[dict[str, Any]]:
        ticket = await self.ticket(thread)
        found = ticket["followup_set"] if ticket else []
        ours = [one for one in found if one["public"] and "[veildesk " in one["comment"]]
        ours = [one for one in ours if "The messages are below." not in one["comment"]]
        return sorted(ours, key=lambda one: one["id"])

    async def texts(self, thread: str) -> list[str]:
        return [one["comment"].replace("\r\n", "\n") for one in await self._ours(thread)]

    async def files(self, thread: str) -> list[bytes]:
        return [
            (await self._agent.get(file["file"])).content
            for one in await self._ours(thread)
            for file in sorted(one["followupattachment_set"], key=lambda file: file["id"])
        ]

    async def comment(self, thread: str, text: str, public: bool, files: Sequence[File] = ()) -> None:
        ticket = await self.ticket(thread)
        assert ticket is not None
        form = {"ticket": str(ticket["id"]), "title": ticket["title"], "comment": text}
        form["public"] = "true" if public else "false"
        parts = [("attachments", (file.name, file.content, file.media_type)) for file in files]
        answer = await self._agent.post("/api/followups/", data=form, files=parts or None)
        assert answer.status_code == 201, answer.text

    async def answer(self, thread: str, text: str, *, html: str = "", files: Sequence[File] = ()) -> None:
        await self.comment(thread, text, True, files)

    async def note(self, thread: str, text: str) -> None:
        await self.comment(thread, text, False)

    async def patch(self, thread: str, **change: Any) -> None:
        ticket = await self.ticket(thread)
        assert ticket is not None
        answer = await self._agent.patch(f"/api/tickets/{ticket['id']}/", json=change)
        assert answer.status_code == 200, answer.text

    async def close_ticket(self, thread: str) -> None:
        await self.patch(thread, status=4)

    async def merge(self, thread: str, into: str) -> None:
        """On the page that agents use for it; the interface has nothing for it."""
        source, target = await self.ticket(thread), await self.ticket(into)
        assert source is not None
        assert target is not None
        code = _MERGE.format(source=int(source["id"]), target=int(target["id"]))
        assert (await asyncio.to_thread(self.server.run, code)).strip() == "merged"

    async def is_open(self, thread: str) -> bool:
        ticket = await self.ticket(thread)
        return ticket is not None and ticket["status"] in (1, 2)

    def leftovers(self, needle: bytes) -> int:
        home = self.server.home
        files = [*home.glob("desk.sqlite*"), *(home / "media").rglob("*"), *(home / "mail").rglob("*")]
        files.append(home / "server.log")
        return sum(path.read_bytes().count(needle) for path in files if path.is_file())


@asynccontextmanager
async def django_helpdesk_desk(
    server: DjangoHelpdeskServer, **changes: Any
) -> AsyncIterator[DjangoHelpdeskDesk]:
    backend = from_config("django-helpdesk", {**server.settings, **changes})
    headers = {"Authorization": f"Token {server.keys['agent']}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60) as agent:
        try:
            yield DjangoHelpdeskDesk(server, backend, agent)
        finally:
            await backend.close()
