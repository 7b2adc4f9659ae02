"""What every place for sealed files does: a folder, and a bucket of a real S3 server."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.s3_server import S3Server
from veildesk.core.errors import KeyUnusable, SpoolUnavailable
from veildesk.spool.chunks import CHUNK
from veildesk.spool.file_places import open_files
from veildesk.spool.file_store import MISSING, FileStore, Where


@pytest.fixture(params=["folder", "s3"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Where:
    if request.param == "folder":
        return tmp_path / "files"
    server: S3Server = request.getfixturevalue("s3")
    return server.new_place()


@pytest.fixture
def store(where: Where) -> Iterator[FileStore]:
    made = open_files(where)
    made.make()
    yield made
    made.close()


def new_name() -> str:
    return f"{secrets.token_hex(8)}-{secrets.token_hex(16)}"


@pytest.mark.parametrize("size", [1, CHUNK, 300_000, 5 * 1024 * 1024 + 1, 28 * 1024 * 1024])
def test_what_was_written_is_read(store: FileStore, size: int) -> None:
    name, content = new_name(), secrets.token_bytes(size)
    store.write(name, (content[start : start + CHUNK] for start in range(0, size, CHUNK)))
    assert store.read(name) == content
    assert store.names() == {name}


def test_what_is_not_there_is_said_to_be_missing(store: FileStore) -> None:
    with pytest.raises(KeyUnusable) as found:
        store.read(new_name())
    assert found.value.detail == MISSING


def test_a_name_is_written_once(store: FileStore) -> None:
    name = new_name()
    store.write(name, [b"first"])
    with pytest.raises(SpoolUnavailable) as found:
        store.write(name, [b"second"])
    assert found.value.detail == "file-exists"
    assert store.read(name) == b"first"


def test_a_file_that_could_not_be_made_is_not_there(store: FileStore) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x" * CHUNK
        raise ValueError("planted")

    name = new_name()
    with pytest.raises(ValueError, match="planted"):
        store.write(name, pieces())
    assert name not in store.names()
    with pytest.raises(KeyUnusable):
        store.read(name)


def test_removing_is_durable_and_may_be_repeated(store: FileStore, where: Where) -> None:
    names = [new_name() for _ in range(3)]
    for name in names:
        store.write(name, [b"x"])
    store.remove(names[:2])
    store.remove([*names[:2], new_name()])
    store.remove([])
    again = open_files(where)
    assert again.names() == {names[2]}
    again.close()


def test_more_than_one_page_of_names_is_told(store: FileStore, where: Where) -> None:
    # A server tells a thousand at a time; a folder has no pages.
    names = {new_name() for _ in range(10 if isinstance(where, Path) else 1100)}
    for name in names:
        store.write(name, [b"x"])
    assert store.names() == names
    store.remove(names)
    assert store.names() == set()


def test_a_place_is_marked_as_one_stores(store: FileStore, where: Where) -> None:
    assert store.bound() is None
    mine, other = secrets.token_bytes(48), secrets.token_bytes(48)
    assert store.bind(mine) == store.bind(mine) == mine
    # A folder takes no mark.
    assert store.bind(other) == (other if isinstance(where, Path) else mine)
    assert store.names() == set()
