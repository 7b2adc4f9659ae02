"""Key files and addresses, checked against an independent Ed25519."""

from __future__ import annotations

import hashlib
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from veildesk.core.errors import KeyUnusable
from veildesk.onion.edwards import public_point
from veildesk.onion.key import (
    OnionKey,
    address_of,
    create_key,
    load_key,
    load_or_create_key,
    public_key_of,
    restore_key,
)


def expand(seed: bytes) -> bytes:
    digest = bytearray(hashlib.sha512(seed).digest())
    digest[0] &= 248
    digest[31] = digest[31] & 63 | 64
    return bytes(digest)


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=32, max_size=32))
def test_public_key_equals_that_of_another_implementation(seed):
    expected = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    assert public_point(expand(seed)[:32]) == expected


def test_public_key_of_the_first_vector_of_rfc_8032():
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    expected = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert public_point(expand(seed)[:32]).hex() == expected


@given(st.binary(min_size=32, max_size=32))
def test_address_gives_its_public_key_back(public_key):
    address = address_of(public_key)
    assert len(address) == 62
    assert public_key_of(address) == public_key
    assert public_key_of(address.upper().removesuffix(".ONION")) == public_key


@pytest.mark.parametrize("position", [0, 30, 54, 55])
def test_a_mistyped_address_is_noticed(position):
    address = OnionKey.generate().address
    other = "a" if address[position] != "a" else "b"
    with pytest.raises(ValueError, match="onion"):
        public_key_of(address[:position] + other + address[position + 1 :])


@pytest.mark.parametrize("text", ["", "example.org", "a" * 16 + ".onion", "1" * 56 + ".onion", "ä" * 56])
def test_other_names_are_no_addresses(text):
    with pytest.raises(ValueError, match="v3"):
        public_key_of(text)


def test_a_new_key_file_has_tors_format_and_is_for_its_owner_alone(tmp_path):
    key = create_key(tmp_path / "onion.key")
    data = (tmp_path / "onion.key").read_bytes()
    assert data == b"== ed25519v1-secret: type0 ==\0\0\0" + key.expanded
    assert stat.S_IMODE((tmp_path / "onion.key").stat().st_mode) == 0o600
    assert load_key(tmp_path / "onion.key") == key
    assert os.listdir(tmp_path) == ["onion.key"]


def test_mode_does_not_depend_on_the_umask(tmp_path):
    before = os.umask(0)
    try:
        create_key(tmp_path / "onion.key")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "onion.key").stat().st_mode) == 0o600


def test_a_key_is_never_overwritten(tmp_path):
    path = tmp_path / "onion.key"
    first = create_key(path)
    with pytest.raises(FileExistsError):
        create_key(path)
    with pytest.raises(FileExistsError):
        restore_key(OnionKey.generate().encode(), path)
    assert load_key(path) == first
    assert os.listdir(tmp_path) == ["onion.key"]


def test_a_dangling_link_is_not_followed(tmp_path):
    (tmp_path / "onion.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        create_key(tmp_path / "onion.key")
    assert not (tmp_path / "elsewhere").exists()


def test_starting_twice_at_once_gives_one_key(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: load_or_create_key(tmp_path / "onion.key"), range(8)))
    assert len({key.address for key in keys}) == 1


def test_a_backup_can_be_restored(tmp_path):
    key = create_key(tmp_path / "onion.key")
    backup = (tmp_path / "onion.key").read_bytes()
    assert restore_key(backup, tmp_path / "restored.key") == key
    assert load_key(tmp_path / "restored.key").address == key.address


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660, 0o666])
def test_a_key_open_to_others_is_refused(tmp_path, mode):
    create_key(tmp_path / "onion.key")
    (tmp_path / "onion.key").chmod(mode)
    with pytest.raises(KeyUnusable, match="permissions"):
        load_key(tmp_path / "onion.key")


def test_a_service_managers_credential_is_read(tmp_path):
    create_key(tmp_path / "onion.key")
    (tmp_path / "onion.key").chmod(0o440)
    assert load_key(tmp_path / "onion.key").address.endswith(".onion")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"== ed25519v1-secret: type0 ==\0\0\0",
        b"== ed25519v1-public: type0 ==\0\0\0" + bytes(64),
        OnionKey.generate().encode()[:-1],
        OnionKey.generate().encode() + b"\n",
        b"== ed25519v1-secret: type0 ==\0\0\0" + b"\xff" * 64,
    ],
    ids=["empty", "header", "public", "short", "long", "not-clamped"],
)
def test_a_malformed_key_is_refused_and_not_restored(tmp_path, data):
    (tmp_path / "onion.key").write_bytes(data)
    (tmp_path / "onion.key").chmod(0o600)
    with pytest.raises(KeyUnusable):
        load_key(tmp_path / "onion.key")
    with pytest.raises(KeyUnusable):
        restore_key(data, tmp_path / "restored.key")
    assert not (tmp_path / "restored.key").exists()


def test_missing_and_odd_files_are_told_apart(tmp_path):
    with pytest.raises(KeyUnusable, match="missing"):
        load_key(tmp_path / "onion.key")
    (tmp_path / "folder").mkdir()
    with pytest.raises(KeyUnusable):
        load_key(tmp_path / "folder")


def test_the_secret_is_in_no_representation():
    key = OnionKey.generate()
    assert key.expanded.hex() not in repr(key)
    assert repr(key.expanded) not in repr(key)
