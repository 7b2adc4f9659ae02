"""The check page's view of findings: lines, groups, masks as they will be, never a secret."""

from __future__ import annotations

import json

from click.testing import CliRunner

from unit.redact.samples import every
from veildesk.cli import main
from veildesk.core.finding import MaskNumbering
from veildesk.redact.apply import apply
from veildesk.redact.engine import find
from veildesk.redact.masks import WORDS
from veildesk.redact.preview import GROUPS, choices, preview


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


TEXT = "from anna@mail.example\npassword: Xk29!abcd\nto bert@mail.example"


def test_choices_go_by_finding_and_by_kind() -> None:
    shown = preview(TEXT, find(TEXT))
    assert [item.line for item in shown.items] == [1, 2, 3]
    one = choices(TEXT, shown, {"f1"})
    assert [TEXT[f.start : f.end] for f in find(TEXT, kept=one.kept)] == ["Xk29!abcd", "bert@mail.example"]
    kind = choices(TEXT, shown, {"EMAIL"})
    assert [f.type for f in find(TEXT, kept=kind.kept)] == ["PASSWORD"]


def test_a_secret_asks_twice() -> None:
    shown = preview(TEXT, find(TEXT))
    once = choices(TEXT, shown, {"f2"})
    assert (once.kept, once.confirmed, once.unconfirmed) == ((), (), ("f2",))
    assert "PASSWORD" in {f.type for f in find(TEXT, kept=("Xk29!abcd",))}
    twice = choices(TEXT, shown, {"f2"}, {"f2"})
    assert twice.unconfirmed == ()
    assert [f.type for f in find(TEXT, confirmed=twice.confirmed)] == ["EMAIL", "EMAIL"]


def test_the_command_lists_and_leaves_visible() -> None:
    runner = CliRunner()
    rows = json.loads(runner.invoke(main, ["redact", "--preview", "--json"], input=TEXT).stdout)
    assert [(row["id"], row["type"], row["secret"]) for row in rows] == [
        ("f1", "EMAIL", False),
        ("f2", "PASSWORD", True),
        ("f3", "EMAIL", False),
    ]
    assert "Xk29" not in json.dumps(rows)
    kept = runner.invoke(main, ["redact", "--keep", "f3", "--keep", "f2"], input=TEXT)
    assert kept.stdout == "from [email-1]\npassword: [password-1]\nto bert@mail.example"
    assert "--confirm-secret f2" in kept.stderr
    sure = runner.invoke(main, ["redact", "--keep", "f2", "--confirm-secret", "f2"], input=TEXT)
    assert sure.stdout == "from [email-1]\npassword: Xk29!abcd\nto [email-2]"
