"""Slips in a configuration are named with what was likely meant, before anything starts."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from veildesk.cli import main
from veildesk.core.errors import ConfigInvalid
from veildesk.core.ticket import Level
from veildesk.service import doctor_files
from veildesk.service.config import load_config, parse_config
from veildesk.service.routing import check_backends

SOUND = """\
[gateway]
name = "Desk"
address = "support@example.org"
domain = "example.org"
retention_days = 14
[keys]
home = "keys/gnupg"
support = "{key}"
notice = "{key}"
[backends.maildir]
kind = "maildir"
path = "tickets"
poll_seconds = 5
""".replace("{key}", "A" * 40).encode()


def raw() -> dict[str, Any]:
    return {
        "gateway": {"name": "Desk", "address": "support@example.org", "domain": "example.org"},
        "keys": {"home": "keys/gnupg", "ring": "keys/ring", "support": "A" * 40, "notice": "B" * 40},
        "queues": {"support": {"addresses": ["support@example.org"], "backend": "desk"}},
        "backends": {"desk": {"kind": "maildir", "path": "tickets", "replies": "replies"}},
        "lmtp": {"listen": "unix:run/lmtp.sock"},
    }


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("gateway", "retention_day", 14, "did you mean 'retention_days'?"),
        ("lmtp", "listn", "unix:x", "did you mean 'listen'?"),
        ("lmtp", "zz", "unix:x", "known: listen"),
        ("gateway", "address", "support@@example.org", "expected an address"),
        ("gateway", "domain", "exam ple.org", "expected a domain"),
        ("lmtp", "listen", "lmtp.sock", "expected unix:PATH or ADDRESS:PORT"),
        ("lmtp", "listen", "127.0.0.1:smtp", "expected unix:PATH or ADDRESS:PORT"),
        ("lmtp", "listen", "127.0.0.1:70000", "expected unix:PATH or ADDRESS:PORT"),
    ],
)
def test_a_slip_is_named(tmp_path: Path, section: str, key: str, value: object, said: str) -> None:
    changed = raw()
    changed[section][key] = value
    with pytest.raises(ConfigInvalid) as caught:
        parse_config(changed, tmp_path)
    assert key in caught.value.detail
    assert said in caught.value.detail


@pytest.mark.parametrize(("free", "level"), [(10_000, Level.OK), (100, Level.WARN), (3, Level.FAIL)])
def test_doctor_says_how_much_room_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: Level
) -> None:
    usage = type(shutil.disk_usage(tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(free * 2**20, 0, free * 2**20))
    (found,) = doctor_files.room(tmp_path)
    assert found.level is level
    assert found.found == f"{free} MiB free"
    assert bool(found.fix) == (level is not Level.OK)


@pytest.mark.parametrize("listen", ["unix:run/a.sock", "127.0.0.1:2525", "[::1]:25", "mail.example.org:25"])
def test_places_to_listen_at(tmp_path: Path, listen: str) -> None:
    changed = raw()
    changed["lmtp"]["listen"] = listen
    assert parse_config(changed, tmp_path).lmtp is not None


def test_a_misspelt_section_and_address_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="did you mean 'portal'"):
        parse_config({**raw(), "portl": {}}, tmp_path)
    changed = raw()
    changed["queues"]["support"]["addresses"] = ["support"]
    with pytest.raises(ConfigInvalid, match="no mail address"):
        parse_config(changed, tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"pathx": "x"}, "pathx: unknown key; known: .*path"), ({"kind": "maildirr"}, "installed: ")],
)
def test_sections_of_helpdesks_are_read(tmp_path: Path, change: dict[str, str], said: str) -> None:
    asyncio.run(check_backends(parse_config(raw(), tmp_path)))
    changed = raw()
    changed["backends"]["desk"] |= change
    with pytest.raises(ConfigInvalid, match=said):
        asyncio.run(check_backends(parse_config(changed, tmp_path)))


def test_the_helpdesk_that_init_sets_up_can_be_checked(tmp_path: Path) -> None:
    config = tmp_path / "veildesk.toml"
    config.write_text(
        '[gateway]\nname = "Desk"\naddress = "support@example.org"\ndomain = "example.org"\n'
        f'[keys]\nhome = "g"\nring = "r"\nsupport = "{"A" * 40}"\nnotice = "{"B" * 40}"\n'
        '[queues.support]\naddresses = ["support@example.org"]\nbackend = "desk"\n'
        '[backends.desk]\nkind = "maildir"\npath = "tickets"\nreplies = "replies"\n'
    )
    result = CliRunner().invoke(main, ["backend", "check", "desk", "--config", str(config)])
    assert result.exit_code == 0, result.output
    assert "Maildir for tickets" in result.output


def test_what_a_command_was_given_is_not_called_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text("not toml")
    arguments = ["redact", "--rules", str(tmp_path / "rules.toml"), str(tmp_path / "rules.toml")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 10
    assert "What was given cannot be used. (the rules file is not TOML)" in result.output
    assert "veildesk.toml" not in result.output


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (b"retention_days = 14", b"retention_days = 99999999999999999999", "from 1 to 3650"),
        (b"poll_seconds = 5", b"poll_seconds = nan", "numbers from 0"),
        (b"poll_seconds = 5", b"poll_seconds = inf", "numbers from 0"),
        (b"[gateway]", b"x = " + b"[" * 100_000 + b"\n[gateway]", "nested too deeply"),
        (b"[gateway]", b"\xff\xfe[gateway]", "no text in UTF-8"),
    ],
)
async def test_values_that_cannot_be_meant_are_refused_in_a_sentence(
    tmp_path: Path, before: bytes, after: bytes, words: str
) -> None:
    path = tmp_path / "veildesk.toml"
    path.write_bytes(SOUND.replace(before, after, 1))
    with pytest.raises(ConfigInvalid, match=words):
        load_config(path)


async def test_a_file_from_another_system_is_read(tmp_path: Path) -> None:
    path = tmp_path / "veildesk.toml"
    path.write_bytes(b"\xef\xbb\xbf" + SOUND.replace(b"\n", b"\r\n"))
    assert load_config(path).gateway.retention_days == 14
