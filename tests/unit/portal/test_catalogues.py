from __future__ import annotations

import re

import pytest

from unit.portal.messages import ROOT, in_labels, in_templates
from veildesk.attachments.reasons import Refusal, Removed
from veildesk.portal import labels
from veildesk.portal.i18n import load, read_po, suggest
from veildesk.redact.masks import WORDS

LANGUAGES = sorted(path.stem for path in (ROOT / "locale").glob("*.po"))
PLACEHOLDER = re.compile(r"%\(\w+\)s")


@pytest.mark.parametrize("language", LANGUAGES)
def test_catalogue_is_complete_and_has_nothing_left_over(language: str) -> None:
    messages = read_po((ROOT / "locale" / f"{language}.po").read_text("utf-8"))
    wanted = in_templates() | in_labels()
    plurals = set(
        re.findall(r'^msgid_plural "(.*)"$', (ROOT / "locale" / f"{language}.po").read_text(), re.M)
    )
    assert wanted - set(messages) - plurals == set()
    assert set(messages) - wanted == set()
    assert all(all(forms) for forms in messages.values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_keep_placeholders_and_no_markup(language: str) -> None:
    for message, forms in load(language).messages.items():
        for form in forms:
            assert sorted(PLACEHOLDER.findall(form)) == sorted(PLACEHOLDER.findall(message)), message
            assert not set(form) & set("<>")


def test_plural_forms() -> None:
    singular = "Your ticket is kept for %(num)s day after the last message."
    plural = singular.replace("day ", "days ")
    russian = load("ru")
    word = [
        russian.ngettext(singular, plural, n).split("%(num)s ")[1].split()[0]
        for n in (1, 2, 5, 11, 12, 21, 90)
    ]
    assert word == ["день", "дня", "дней", "дней", "дней", "день", "дней"]
    assert load("en").ngettext(singular, plural, 1) == singular
    assert load("en").ngettext(singular, plural, 0) == plural


def test_unreadable_catalogue_lines_are_refused() -> None:
    with pytest.raises(ValueError):
        read_po('msgid "a"\nmsgstr oops\n')


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("ru", "ru"),
        ("ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        ("en-US,en;q=0.5", "en"),
        ("de,ru;q=0.3,en;q=0.4", "en"),
        ("de", "en"),
        ("ru;q=x", "en"),
        ("ru;q=0", "en"),
    ],
)
def test_suggested_language(accepted: str, language: str) -> None:
    assert suggest(accepted, ("en", "ru")) == language


def test_every_code_of_other_parts_has_words() -> None:
    assert set(WORDS) <= set(labels.KINDS)
    assert {reason.value for reason in Removed} <= set(labels.REMOVED)
    assert {reason.sentence for reason in Refusal} <= set(labels.REFUSALS)
