"""What is remembered about a certificate, and for how long."""

from __future__ import annotations

from dataclasses import replace

from veildesk.core.ports import CertificateStatus
from veildesk.openpgp.status_cache import StatusCache

GOOD = CertificateStatus("A" * 40, ("a@users.test",), True, True, expired=False, revoked=False)
NOW = 1_800_000_000


def test_an_answer_is_given_again_for_the_same_bytes_only() -> None:
    cache = StatusCache()
    cache.put(b"one", NOW, GOOD)
    assert cache.get(b"one", NOW) == GOOD
    assert cache.get(b"one", NOW + 29) == GOOD
    assert cache.get(b"One", NOW) is None


def test_it_is_forgotten_soon_and_when_the_clock_goes_back() -> None:
    cache = StatusCache()
    cache.put(b"one", NOW, GOOD)
    assert cache.get(b"one", NOW + 30) is None
    assert cache.get(b"one", NOW - 1) is None
    cache.clear()
    assert cache.get(b"one", NOW) is None


def test_a_key_that_expires_meanwhile_is_asked_about_again() -> None:
    cache = StatusCache()
    cache.put(b"one", NOW, replace(GOOD, expires=NOW + 5))
    assert cache.get(b"one", NOW + 4) is not None
    assert cache.get(b"one", NOW + 5) is None


def test_memory_is_bounded() -> None:
    cache = StatusCache()
    for number in range(300):
        cache.put(b"%d" % number, NOW, GOOD)
    assert cache.get(b"0", NOW) is None
    assert cache.get(b"299", NOW) == GOOD
