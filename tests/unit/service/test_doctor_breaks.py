"""Each part of a set-up is broken in turn, and doctor must name it; what is sound must not be named."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from veildesk.core.errors import ConfigInvalid
from veildesk.core.ticket import CheckResult, Level
from veildesk.ops.control import ControlServer
from veildesk.service.backup_mark import backed_up, mark_backup
from veildesk.service.config import Config, load_config
from veildesk.service.doctor import _backends, examine
from veildesk.service.doctor_files import check_files
from veildesk.service.doctor_mail import check_mail
from veildesk.service.doctor_running import check_running
from veildesk.service.initialise import initialise
from veildesk.service.routing import check_backends

SOUND: Mapping[str, Any] = {
    "messages": {},
    "oldest_days": {"sending": 1, "delivered": 9},
    "deletions": {"late": 0},
    "backends": {"desk": "ok"},
}


@pytest_asyncio.fixture
async def folder(tmp_path: Path) -> Path:
    await initialise(tmp_path / "gw", name="Desk", address="support@desk.example")
    (tmp_path / "gw" / "state").mkdir(mode=0o700, exist_ok=True)
    return tmp_path / "gw"


def config_of(folder: Path, more: str = "") -> Config:
    path = folder / "veildesk.toml"
    path.write_text(path.read_text() + more)
    return load_config(path, {})


@asynccontextmanager
async def running(config: Config, status: Mapping[str, Any]) -> AsyncIterator[None]:
    async def answer(request: object) -> Mapping[str, Any]:
        return status

    control = ControlServer(config.gateway.state_dir / "control", {"status": answer})
    await control.start()
    try:
        yield
    finally:
        await control.close()


def bad(results: list[CheckResult]) -> dict[str, Level]:
    return {one.id: one.level for one in results if one.level in (Level.WARN, Level.FAIL)}


async def test_a_sound_set_up_has_nothing_to_be_named(folder: Path) -> None:
    assert bad(await check_files(config_of(folder))) == {}


@pytest.mark.parametrize(
    ("path", "mode", "name"),
    [
        ("state", 0o750, "files.state"),
        ("keys/ring", 0o640, "files.keys.ring"),
        ("keys/gnupg", 0o705, "files.keys.home"),
        ("keys", 0o777, "files.changeable"),
        (".", 0o777, "files.changeable"),
        ("veildesk.toml", 0o666, "files.changeable"),
    ],
)
async def test_what_others_may_read_or_change_is_named(folder: Path, path: str, mode: int, name: str) -> None:
    config = config_of(folder)
    (folder / path).chmod(mode)
    assert bad(await check_files(config)) == {name: Level.FAIL}
    (folder / path).chmod(0o700)
    assert bad(await check_files(config)) == {}


async def test_passwords_that_everybody_can_read_are_named(folder: Path) -> None:
    config = config_of(folder, '[imap]\nhost = "127.0.0.1"\nport = 1\nuser = "a"\npassword_file = "secret"\n')
    (folder / "secret").write_text("x")
    (folder / "secret").chmod(0o644)
    assert bad(await check_files(config)) == {"files.secrets": Level.FAIL}
    (folder / "secret").chmod(0o640)
    assert bad(await check_files(config)) == {}


async def test_an_old_backup_is_named_and_one_that_is_not_known_is_never_called_fresh(folder: Path) -> None:
    config = config_of(folder)
    level = {one.id: one.level for one in await check_files(config)}["files.backup"]
    assert level is Level.SKIP
    mark_backup(config.gateway.state_dir, ["keys"])
    assert backed_up(config.gateway.state_dir) == {"keys": int(time.time()) // 86400}
    level = {one.id: one.level for one in await check_files(config)}["files.backup"]
    assert level is Level.SKIP
    mark_backup(config.gateway.state_dir, ["bulk"])
    level = {one.id: one.level for one in await check_files(config)}["files.backup"]
    assert level is Level.OK
    today = int(time.time()) // 86400
    old = json.dumps({"keys": today, "bulk": today - 8})
    (config.gateway.state_dir / "backup").write_text(old)
    assert bad(await check_files(config)) == {"files.backup": Level.WARN}


async def test_an_export_that_cannot_be_written_is_named(folder: Path) -> None:
    (folder / "file").write_text("")
    good, broken = folder / "www" / "status", folder / "file" / "status"
    config = config_of(folder, f'[notices]\nexports = ["status.example={good}", "{broken}"]\n')
    assert bad(await check_files(config)) == {"files.exports": Level.FAIL}
    (folder / "file").unlink()
    assert bad(await check_files(config)) == {}


async def test_a_check_that_breaks_is_a_failure_and_not_the_end_of_the_report(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(config: Config) -> list[CheckResult]:
        raise LookupError("what it looked at")

    monkeypatch.setattr("veildesk.service.doctor.check_memory", broken)
    found = {one.id: one for one in await examine(config_of(folder))}
    assert (found["memory"].level, found["memory"].found) == (Level.FAIL, "internal fault (LookupError)")
    assert "gateway" in found


@pytest.mark.parametrize("name", ["tickets", "replies"])
async def test_a_maildir_for_everybody_is_named(folder: Path, name: str) -> None:
    config = config_of(folder)
    assert bad(await _backends(config)) == {}
    (folder / name).mkdir(exist_ok=True)
    (folder / name).chmod(0o770)
    assert bad(await _backends(config)) == {}
    (folder / name).chmod(0o777)
    assert list(bad(await _backends(config)).values()) == [Level.FAIL]


async def test_a_place_in_a_maildir_is_refused_in_words_that_help(folder: Path) -> None:
    config = config_of(folder, '[routes.a]\nqueue = "support"\nbackend = "desk"\nplace = "urgent"\n')
    with pytest.raises(ConfigInvalid, match="a Maildir has no queues inside"):
        await check_backends(config)


async def test_a_mailbox_that_does_not_open_is_named(folder: Path) -> None:
    more = '[imap]\nhost = "127.0.0.1"\nport = 1\nuser = "a"\npassword_file = "secret"\n'
    config = config_of(folder, more)
    assert bad(await check_mail(config))["mail.imap"] is Level.FAIL
    (folder / "secret").write_text("x")
    assert bad(await check_mail(config))["mail.imap"] is Level.FAIL


async def test_a_gateway_that_is_not_running_is_skipped_and_one_that_hangs_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(folder, '[metrics]\nsocket = "run/metrics.sock"\n')
    assert {one.level for one in await check_running(config)} == {Level.SKIP}
    monkeypatch.setattr("veildesk.service.doctor_running._SECONDS", 0.3)
    path = config.gateway.state_dir / "control"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as hung:
        hung.bind(str(path))
        hung.listen(8)
        assert bad(await check_running(config)) == {"gateway": Level.FAIL}
        listener = {one.id: one.level for one in await check_mail(config)}["mail.lmtp"]
        assert listener is Level.FAIL


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"messages": {"held": 2}}, "gateway.waiting"),
        ({"oldest_days": {"sending": 3}}, "gateway.late"),
        ({"deletions": {"late": 1}}, "gateway.deletions"),
        ({"backends": {"desk": "failing"}}, "gateway.polls"),
    ],
)
async def test_what_goes_wrong_in_a_running_gateway_is_named(
    folder: Path, change: Mapping[str, Any], name: str
) -> None:
    config = config_of(folder)
    async with running(config, {**SOUND, **change}):
        assert bad(await check_running(config)) == {name: Level.WARN, "portal.answers": Level.FAIL}


async def test_a_portal_that_answers_is_sound_and_one_with_faults_is_not(folder: Path) -> None:
    config = config_of(folder)
    assert config.portal is not None
    said = [b"HTTP/1.1 421 Misdirected Request"]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said[0] + b"\r\n\r\n")
        writer.close()

    config.portal.socket.parent.mkdir(exist_ok=True)
    async with running(config, SOUND), await asyncio.start_unix_server(serve, config.portal.socket):
        assert bad(await check_running(config)) == {}
        said[0] = b"HTTP/1.1 500 Internal Server Error"
        assert bad(await check_running(config)) == {"portal.answers": Level.FAIL}
