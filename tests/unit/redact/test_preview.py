"""The check page's view of findings: lines, groups, masks as they will be, never a secret."""

from __future__ import annotations

from unit.redact.samples import every
from veildesk.core.finding import MaskNumbering
from veildesk.redact.apply import apply
from veildesk.redact.engine import find
from veildesk.redact.masks import WORDS
from veildesk.redact.preview import GROUPS, preview


def test_items_and_segments() -> None:
    text = "hi\nmail anna@mail.example\nfrom 45.6.7.8 and password: Sommer2024\n"
    findings = find(text)
    shown = preview(text, findings, MaskNumbering(b"k"))
    assert [(item.id, item.type, item.line, item.secret) for item in shown.items] == [
        ("f1", "EMAIL", 2, False),
        ("f2", "IPV4", 3, False),
        ("f3", "PASSWORD", 3, True),
    ]
    assert shown.items[0].group == "E-mail addresses"
    assert shown.items[0].shortened == "an…le"
    assert (
        "".join(segment.text for segment in shown.segments) == apply(text, findings, MaskNumbering(b"k")).text
    )


def test_no_part_of_a_secret_is_shown() -> None:
    for sample in every(9):
        for item in preview(sample.text, find(sample.text)).items:
            if item.secret:
                assert item.shortened.endswith("••••")
                assert not any(
                    sample.value[i : i + 4] in item.shortened for i in range(len(sample.value) - 4)
                )
            else:
                assert sum(char != "…" for char in item.shortened) <= 4


def test_every_type_has_a_group() -> None:
    assert set(GROUPS) == set(WORDS)
