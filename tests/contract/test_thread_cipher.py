"""What every `core.ports.ThreadCipher` does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from veildesk.core.errors import AuthenticationFailed, KeyUnusable
from veildesk.spool import WordsCipher

WORDS = "acorn bagel cedar dodge ember fancy gizmo hazel"


@pytest.fixture
def cipher() -> Iterator[WordsCipher]:
    made = WordsCipher(b"p" * 32, memory_kib=64, iterations=1)
    yield made
    made.close()


async def test_the_same_words_give_the_same_keys(cipher: WordsCipher) -> None:
    first, again = await asyncio.gather(cipher.derive(WORDS), cipher.derive(WORDS))
    assert first == again
    assert len(first.lookup_id) == 32
    assert len(first.public_key) == 1217


async def test_other_words_or_another_pepper_give_other_keys(cipher: WordsCipher) -> None:
    mine = await cipher.derive(WORDS)
    other = WordsCipher(b"q" * 32, memory_kib=64, iterations=1)
    for theirs in (await cipher.derive(WORDS + "x"), await other.derive(WORDS)):
        assert theirs.lookup_id != mine.lookup_id
        assert theirs.public_key != mine.public_key
    other.close()


@pytest.mark.parametrize("size", [0, 1, 4096, 2_000_000])
async def test_a_sealed_entry_opens_with_the_words_alone(cipher: WordsCipher, size: int) -> None:
    keys = await cipher.derive(WORDS)
    sealed = cipher.seal(keys.public_key, b"a" * size)
    assert cipher.unseal(keys, sealed) == b"a" * size
    assert cipher.seal(keys.public_key, b"a" * size) != sealed


async def test_other_words_do_not_open(cipher: WordsCipher) -> None:
    mine, theirs = await cipher.derive(WORDS), await cipher.derive("other")
    sealed = cipher.seal(mine.public_key, b"secret")
    with pytest.raises(AuthenticationFailed):
        cipher.unseal(theirs, sealed)


async def test_a_changed_or_cut_entry_does_not_open(cipher: WordsCipher) -> None:
    keys = await cipher.derive(WORDS)
    sealed = cipher.seal(keys.public_key, b"secret")
    broken = [b"", b"\x01", b"\x02" + sealed[1:], sealed[:-1], sealed + b"\0"]
    broken += [
        sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        for at in (1, 500, 1100, 1130, len(sealed) - 1)
    ]
    for entry in broken:
        with pytest.raises(AuthenticationFailed):
            cipher.unseal(keys, entry)


async def test_a_bad_public_key_is_refused(cipher: WordsCipher) -> None:
    keys = await cipher.derive(WORDS)
    for public in (b"", keys.public_key[1:], b"\x02" + keys.public_key[1:], b"\x01" + b"\xff" * 1216):
        with pytest.raises(KeyUnusable):
            cipher.seal(public, b"x")


async def test_lengths_show_only_roughly(cipher: WordsCipher) -> None:
    keys = await cipher.derive(WORDS)
    lengths = {len(cipher.seal(keys.public_key, b"x" * size)) for size in range(0, 240, 20)}
    assert len(lengths) == 1


async def test_private_keys_do_not_show_in_texts(cipher: WordsCipher) -> None:
    keys = await cipher.derive(WORDS)
    assert "private_key" not in repr(keys)
    assert replace(keys) == keys


def test_a_short_pepper_is_refused() -> None:
    with pytest.raises(KeyUnusable):
        WordsCipher(b"short")


async def test_the_real_cost_works() -> None:
    cipher = WordsCipher(b"p" * 32)
    keys = await cipher.derive(WORDS)
    assert cipher.unseal(keys, cipher.seal(keys.public_key, b"x")) == b"x"
    cipher.close()


async def test_a_spare_code_opens_what_the_words_open(cipher: WordsCipher) -> None:
    keys = await cipher.derive(WORDS)
    assert len(set(keys.spare_codes)) == 2
    sealed = cipher.seal(keys.public_key, b"secret")
    for code, spare in zip(keys.spare_codes, cipher.spares(keys), strict=True):
        assert spare.digest == cipher.spare_digest(code)
        recalled = cipher.recall(code, spare.sealed)
        assert recalled == replace(keys, spare_codes=())
        assert cipher.unseal(recalled, sealed) == b"secret"
        assert code.encode() not in spare.digest + spare.sealed


async def test_another_code_or_a_changed_copy_recalls_nothing(cipher: WordsCipher) -> None:
    keys = await cipher.derive(WORDS)
    (spare, _), (code, other) = cipher.spares(keys), keys.spare_codes
    for wrong, sealed in ((other, spare.sealed), (code, spare.sealed[:-1]), (code, b""), (code, b"\x01")):
        with pytest.raises(AuthenticationFailed):
            cipher.recall(wrong, sealed)
