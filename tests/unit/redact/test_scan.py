"""Both scanning engines give the same findings, and triggers keep to their rules."""

from __future__ import annotations

import random
import re

import pytest

from unit.redact.corpus import labelled, lines
from unit.redact.samples import every
from unit.redact.test_disguise import DISGUISES
from veildesk.redact.detect.catalogue import RULES
from veildesk.redact.engine import find, searcher
from veildesk.redact.scan import ReScanner, hyperscan_scanner

_HYPERSCAN = hyperscan_scanner([((b"a",), True)]) is not None


def test_no_trigger_has_a_dot_or_a_group_that_captures() -> None:
    for pattern in (pattern for alternatives, _ in searcher().triggers for pattern in alternatives):
        bare = re.sub(rb"\\.|\[(?:\\.|[^\]])*\]", b"", pattern)
        assert b"." not in bare, pattern
        assert not re.search(rb"\((?!\?:)", bare), pattern


def _texts() -> list[str]:
    rng = random.Random(11)
    texts = [document.text for document in labelled()] + lines("survives.txt")
    for sample in every(5):
        texts.append(sample.text)
        texts += [sample.head + disguise(sample.value, rng) + sample.tail for disguise in DISGUISES]
    return texts


@pytest.mark.skipif(
    not _HYPERSCAN, reason="no Hyperscan wheel on this platform; the engine on re is the one in use"
)
def test_both_engines_fire_for_the_same_triggers() -> None:
    quick, plain = searcher().scanner, ReScanner(searcher().triggers)
    assert quick.name == "hyperscan"
    for text in _texts():
        data = b"\n" + text.encode("utf-8", "surrogatepass") + b"\n"
        assert {number for number, _ in quick.scan(data)} == {number for number, _ in plain.scan(data)}, text
        assert {*plain.scan(data)} <= {*quick.scan(data)}, text


def test_no_trigger_makes_the_library_slow_to_start() -> None:
    """Long bounded repeats of wide classes took seconds at every start; what is allowed is short."""
    for pattern in (pattern for alternatives, _ in searcher().triggers for pattern in alternatives):
        for most in re.findall(rb"\{[0-9]{0,3},?([0-9]{1,3})\}", pattern):
            assert int(most) <= 90, pattern


def test_both_engines_lead_to_the_same_findings() -> None:
    assert searcher(True).scanner.name == "re"
    for text in _texts():
        assert find(text) == find(text, pure=True)


def test_engine_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "hyperscan", None)
    assert hyperscan_scanner([((b"a",), True)]) is None


def test_what_is_compiled_when_first_asked_compiles() -> None:
    assert [list(rule.search("x y", 0, 3)) for rule in RULES] == [[]] * len(RULES)


def test_there_is_one_engine_however_it_is_asked_for() -> None:
    assert searcher() is searcher(False) is searcher(pure=False)
