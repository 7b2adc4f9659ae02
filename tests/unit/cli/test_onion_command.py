"""`veildesk onion`: the address, backups that are never overwritten, keys for visitors."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from veildesk.cli import main
from veildesk.onion.key import create_key, load_key

CONFIG = """
[gateway]
name = "Example"
address = "support@example.org"
domain = "example.org"
[keys]
home = "gnupg"
support = "{key}"
notice = "{key}"
[backends.maildir]
kind = "maildir"
path = "tickets"
[onion]
control_socket = "control"
key_file = "onion.key"
status_key_file = "status.key"
""".replace("{key}", "A" * 40)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "veildesk.toml").write_text(CONFIG)
    create_key(tmp_path / "onion.key")
    return tmp_path


def run(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(
        main, ["onion", words[0], "--config", str(folder / "veildesk.toml"), "--json", *words[1:]]
    )


def test_the_address_is_worked_out_without_tor(folder: Path) -> None:
    done = run(folder, "address")
    assert json.loads(done.stdout) == {"address": load_key(folder / "onion.key").address}
    assert run(folder, "address", "--status").exit_code == 11


def test_a_backup_brings_the_same_address_back(folder: Path) -> None:
    target, before = folder / "backup.key", (folder / "onion.key").read_bytes()
    done = run(folder, "backup", str(target))
    assert json.loads(done.stdout)["address"] == load_key(folder / "onion.key").address
    assert target.stat().st_mode & 0o777 == 0o600
    assert target.read_bytes() == before
    (folder / "onion.key").unlink()
    assert run(folder, "restore", str(target)).exit_code == 0
    assert (folder / "onion.key").read_bytes() == before
    assert (folder / "onion.key").stat().st_mode & 0o777 == 0o600


def test_nothing_is_ever_overwritten(folder: Path) -> None:
    before = (folder / "onion.key").read_bytes()
    run(folder, "backup", str(folder / "backup.key"))
    other = create_key(folder / "other.key")
    assert other.encode() != before
    for words in (
        ("backup", str(folder / "backup.key")),
        ("restore", str(folder / "other.key")),
        ("create",),
    ):
        assert run(folder, *words).exit_code == 11, words
    assert (folder / "onion.key").read_bytes() == before
    assert (folder / "backup.key").read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"x" * 96, b"x" * 1000])
def test_what_is_no_key_is_not_put_in_place(folder: Path, content: bytes) -> None:
    (folder / "onion.key").unlink()
    (folder / "wrong").write_bytes(content)
    done = run(folder, "restore", str(folder / "wrong"))
    assert done.exit_code == 11
    assert not (folder / "onion.key").exists()


def test_the_notices_get_an_onion_of_their_own(folder: Path) -> None:
    made = json.loads(run(folder, "create", "--status").stdout)
    assert made["address"] == load_key(folder / "status.key").address
    assert made["address"] != load_key(folder / "onion.key").address


def test_a_visitors_key_has_two_halves_and_is_not_kept(folder: Path) -> None:
    before = sorted(path.name for path in folder.iterdir())
    made = json.loads(run(folder, "client-key").stdout)
    raw = base64.b32decode(made["private_key"] + "====")
    public = X25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw()
    assert base64.b32decode(made["client_key"] + "====") == public
    label = load_key(folder / "onion.key").address.removesuffix(".onion")
    assert made["auth_private"] == f"{label}:descriptor:x25519:{made['private_key']}"
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('mode = "torrc"\nsmtp = true', "belongs into tor's configuration"),
        ('mode = "torrc"\nkey_file = "none"', "the address is needed"),
        ("circuits = true", "in mode 'torrc' only"),
        ("smtp = true", "no [smtp] section"),
        ('address = "x.onion"', "the key file tells"),
        ('mode = "other"', "expected one of"),
    ],
)
def test_modes_that_do_not_fit_are_named(folder: Path, line: str, told: str) -> None:
    head, _, _ = CONFIG.partition("key_file")
    (folder / "veildesk.toml").write_text(head + line + "\n")
    done = run(folder, "address")
    assert done.exit_code == 10
    assert told in json.loads(done.stderr)["detail"]
