"""The gate on letters in other registers than the rules were written beside: seven languages, odd places."""

from __future__ import annotations

from unit.redact.corpus import score
from unit.redact.letters import letters


def test_letters_in_seven_languages() -> None:
    made = list(letters())
    assert len(made) > 800
    total = score(document for _, document in made)
    low = {
        kind: total.caught[kind] / count
        for kind, count in total.labels.items()
        if count >= 10 and total.caught[kind] / count < 0.9
    }
    assert low == {}
    assert total.recall >= 0.99
    assert total.precision >= 0.99
    assert total.overmask <= 0.015


def test_no_language_is_left_behind() -> None:
    made = list(letters(1))
    for language in sorted({language for language, _ in made}):
        total = score(document for name, document in made if name == language)
        assert total.recall >= 0.97, language
