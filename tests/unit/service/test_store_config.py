"""[store.s3]: what is accepted, what is refused and how, and that nobody else pays for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from veildesk.core.errors import ConfigInvalid
from veildesk.service.config import Config, parse_config
from veildesk.service.database import files_of
from veildesk.spool.file_places import open_files
from veildesk.spool.file_store import ObjectSettings

S3: dict[str, Any] = {
    "endpoint": "https://s3.example.org",
    "bucket": "tickets",
    "access_key_file": "keys/s3-access",
    "secret_key_file": "keys/s3-secret",
}


def parse(tmp_path: Path, store: dict[str, Any]) -> Config:
    raw = {
        "gateway": {"name": "x", "address": "support@example.org", "domain": "example.org"},
        "keys": {"home": "home", "support": "A" * 40, "notice": "B" * 40},
        "backends": {"maildir": {"kind": "maildir"}},
        "store": store,
    }
    return parse_config(raw, tmp_path)


def with_s3(tmp_path: Path, **changed: Any) -> Config:
    return parse(tmp_path, {"database": "dbname=veildesk", "s3": {**S3, **changed}})


def write_keys(tmp_path: Path, mode: int = 0o600) -> None:
    (tmp_path / "keys").mkdir()
    for name in ("s3-access", "s3-secret"):
        (tmp_path / "keys" / name).write_text(f"planted-{name}\n")
        (tmp_path / "keys" / name).chmod(mode)


def test_a_bucket_is_read_with_its_keys(tmp_path: Path) -> None:
    write_keys(tmp_path)
    place = files_of(with_s3(tmp_path, endpoint="https://s3.example.org/", region="eu-central-1"))
    assert isinstance(place, ObjectSettings)
    assert (place.endpoint, place.bucket, place.prefix) == ("https://s3.example.org", "tickets", "veildesk")
    assert (place.access_key, place.secret_key) == ("planted-s3-access", "planted-s3-secret")
    assert "planted" not in repr(place)
    open_files(place).close()


def test_without_it_files_lie_in_a_folder(tmp_path: Path) -> None:
    assert files_of(parse(tmp_path, {"files": "elsewhere"})) == tmp_path / "elsewhere"
    assert files_of(parse(tmp_path, {})) == tmp_path / "state" / "files"


@pytest.mark.parametrize(
    "endpoint",
    ["http://127.0.0.1:9000", "http://[::1]:9000", "https://10.0.0.1", "https://s3.example.org:9000"],
)
def test_https_and_loopback_are_good(tmp_path: Path, endpoint: str) -> None:
    assert with_s3(tmp_path, endpoint=endpoint)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"endpoint": "http://s3.example.org"}, "use https"),
        ({"endpoint": "http://127.0.0.1.example.org"}, "use https"),
        ({"endpoint": "http://localhost:9000"}, "use https"),
        ({"endpoint": "s3.example.org"}, "such as https"),
        ({"endpoint": "ftp://s3.example.org"}, "such as https"),
        ({"endpoint": "https://s3.example.org/tickets"}, "such as https"),
        ({"endpoint": "https://s3.example.org:port"}, "such as https"),
        ({"endpoint": "https://user:planted@s3.example.org"}, "keys belong into files"),
        ({"bucket": "AB"}, "bucket"),
        ({"bucket": "a/b"}, "bucket"),
        ({"prefix": "../other"}, "prefix"),
        ({"prefix": ""}, "prefix"),
        ({"region": "eu central"}, "region"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"endpoint": f"http://{'a' * 56}.onion"}, "loopback lead there"),
        ({"secret_key": "planted"}, "unknown key"),
        ({"bucket": 7}, "expected a text"),
    ],
)
def test_what_cannot_work_is_refused_with_its_place(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigInvalid, match=said) as error:
        with_s3(tmp_path, **changed)
    assert error.value.detail.startswith("[store.s3]")
    assert "planted" not in error.value.detail


def test_a_bucket_needs_a_database_and_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"only with \[store\] database"):
        parse(tmp_path, {"s3": S3})
    with pytest.raises(ConfigInvalid, match="not both"):
        parse(tmp_path, {"database": "dbname=x", "files": "there", "s3": S3})
    with pytest.raises(ConfigInvalid, match="expected a section"):
        parse(tmp_path, {"database": "dbname=x", "s3": "here"})


@pytest.mark.parametrize("content", [None, b"", b"two words", b"\xff", b"line\nline"])
def test_keys_that_cannot_be_used_are_not_told(tmp_path: Path, content: bytes | None) -> None:
    write_keys(tmp_path)
    path = tmp_path / "keys" / "s3-secret"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(ConfigInvalid, match="secret_key_file") as error:
        files_of(with_s3(tmp_path))
    assert "line" not in error.value.detail.replace("one line", "")


def test_keys_that_everybody_reads_are_refused(tmp_path: Path) -> None:
    write_keys(tmp_path, 0o644)
    with pytest.raises(ConfigInvalid, match="chmod o="):
        files_of(with_s3(tmp_path))


def test_an_authority_that_is_none_is_refused(tmp_path: Path) -> None:
    write_keys(tmp_path)
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ConfigInvalid, match="cannot be used"):
        open_files(files_of(with_s3(tmp_path, ca_file="ca.pem")))
    with pytest.raises(ConfigInvalid, match="ca_file"):
        files_of(with_s3(tmp_path, ca_file="none.pem"))


def test_the_library_is_loaded_only_where_a_bucket_is_used() -> None:
    program = "import sys, veildesk.service.running, veildesk.cli; sys.exit('obstore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0
