"""Components, drafts and templates, what may stand in a notice, and what an identity says."""

from __future__ import annotations

from pathlib import Path

import pytest

from veildesk.core.errors import ConfigInvalid
from veildesk.core.notice import ComponentState, Identity, Impact, IncidentState, Kind, Notice, Words
from veildesk.notices.archive import NoticeRefused
from veildesk.notices.components import clear_component, component_states, set_component, write_checks
from veildesk.notices.draft import (
    draft_text,
    next_draft,
    placeholders,
    read_draft,
    template_names,
    template_text,
)
from veildesk.notices.guard import concerns, official_values
from veildesk.notices.identity import official_handle, security_txt, security_txt_expires
from veildesk.notices.text import HEADINGS

NOW = 1_795_000_000
NAMES = ("portal", "mail")


def states(folder: Path, now: int) -> dict[str, tuple[str, str]]:
    return {one.name: (one.state.value, one.source) for one in component_states(folder, NAMES, now)}


def test_a_component_is_unknown_unless_someone_saw_it_lately(tmp_path: Path) -> None:
    assert states(tmp_path, NOW) == {"portal": ("unknown", "none"), "mail": ("unknown", "none")}
    write_checks(tmp_path, {"portal": ComponentState.OPERATIONAL}, NOW, 60)
    assert states(tmp_path, NOW)["portal"] == ("operational", "check")
    assert states(tmp_path, NOW)["mail"] == ("unknown", "none")
    assert states(tmp_path, NOW + 60 * 3 + 61)["portal"] == ("unknown", "none")
    assert states(tmp_path, NOW - 1)["portal"] == ("unknown", "none"), "a clock that went back proves nothing"
    (tmp_path / "checks.json").write_text("{broken")
    assert states(tmp_path, NOW)["portal"] == ("unknown", "none")


def test_an_operators_word_counts_for_its_time(tmp_path: Path) -> None:
    write_checks(tmp_path, {"mail": ComponentState.OPERATIONAL}, NOW, 60)
    set_component(tmp_path, NAMES, "mail", ComponentState.PARTIAL_OUTAGE, NOW, 3600)
    assert states(tmp_path, NOW)["mail"] == ("partial outage", "operator")
    write_checks(tmp_path, {"mail": ComponentState.OPERATIONAL}, NOW + 3600, 60)
    assert states(tmp_path, NOW + 3600)["mail"] == ("operational", "check")
    set_component(tmp_path, NAMES, "mail", ComponentState.MAINTENANCE, NOW, 3600)
    clear_component(tmp_path, "mail")
    assert states(tmp_path, NOW + 3600)["mail"] == ("operational", "check")
    with pytest.raises(NoticeRefused, match="no such component"):
        set_component(tmp_path, NAMES, "fax", ComponentState.DEGRADED, NOW, 60)


@pytest.mark.parametrize("name", template_names())
def test_every_template_is_a_draft_in_every_language(name: str) -> None:
    draft = read_draft(template_text(name))
    assert set(draft.words) == set(HEADINGS)
    english, russian = draft.words["en"], draft.words["ru"]
    filled = [one for one in ("impact", "affected", "fix", "references") if getattr(english, one)]
    assert filled == [one for one in ("impact", "affected", "fix", "references") if getattr(russian, one)]
    assert placeholders({"en": english}) == placeholders({"ru": russian})
    assert set(read_draft(template_text(name, ["ru"])).words) == {"ru"}
    assert concerns(draft.words, ()) == []


def test_own_templates_win(tmp_path: Path) -> None:
    (tmp_path / "maintenance.toml").write_text(template_text("mail-delayed"))
    (tmp_path / "ours.toml").write_text(template_text("canary"))
    assert "ours" in template_names(tmp_path)
    assert read_draft(template_text("maintenance", (), tmp_path)).kind is Kind.INCIDENT
    for bad in ("../../etc/passwd", "nothing", ""):
        with pytest.raises(ConfigInvalid):
            template_text(bad, (), tmp_path)


def notice(**words: Words) -> Notice:
    return Notice(Kind.INCIDENT, IncidentState.INVESTIGATING, Impact.MINOR, words, components=("mail",))


def test_a_draft_file_says_the_same_as_its_notice() -> None:
    odd = Words('A "quoted" \\ title', 'line\n"""\nline', "back\\slash", fix="x")
    made = notice(en=odd, ru=Words("т", "д", "к"))
    assert read_draft(draft_text(made)).notice == made


@pytest.mark.parametrize(
    "text",
    [
        "",
        "kind = 1",
        'kind = "rumour"',
        'kind = "incident"\nstate = "fine"',
        'kind = "identity"\n[en]\ntitle = "a"\naction = "b"\nsummary = "c"',
        'kind = "incident"\nstate = "resolved"\nseverity = "none"\ncolour = "red"\n[en]\ntitle = "a"',
        'kind = "incident"\nstate = "resolved"\nseverity = "none"\n'
        '[en]\ntitle = "a"\naction = ""\nsummary = "c"',
        'kind = "incident"\nstate = "resolved"\nseverity = "none"\n'
        '[en]\ntitle = 7\naction = "a"\nsummary = "c"',
        'kind = "incident"\nstate = "resolved"\nseverity = "none"\nincident = "x"\n[en]\n'
        'title = "a"\naction = "a"\nsummary = "c"',
    ],
)
def test_a_wrong_draft_says_where(text: str) -> None:
    with pytest.raises(ConfigInvalid, match="draft"):
        read_draft(text)


def test_an_update_never_keeps_an_old_translation_beside_a_new_text() -> None:
    latest = notice(en=Words("T", "A", "S"), ru=Words("Т", "Д", "К"))
    assert set(next_draft(latest, 3, texts={"en": {"summary": "New"}}).words) == {"en"}
    both = next_draft(latest, 3, texts={"en": {"summary": "New"}, "ru": {"summary": "Новое"}})
    assert (both.words["en"].action, both.words["ru"].summary, both.incident) == ("A", "Новое", 3)
    with pytest.raises(ConfigInvalid):
        next_draft(latest, 3, texts={"en": {"action": "Wait."}})
    report = next_draft(latest, 3, state=IncidentState.POSTMORTEM, texts={"en": {"summary": "All"}})
    assert report.kind is Kind.POSTMORTEM
    assert next_draft(report, 3, state=IncidentState.MONITORING).kind is Kind.INCIDENT


def test_only_our_own_addresses_may_stand_in_a_notice() -> None:
    ours = Identity(
        ("A" * 40,), 1, None, "B" * 40, ("x" * 56 + ".onion",), ("status.example.org",), ("us@example.org",)
    )
    official = official_values(ours)

    def found(text: str, *allowed: str) -> list[str]:
        return [one.kind for one in concerns({"en": Words("t", text, "s")}, official, allowed)]

    assert found("Write to us@example.org or US@EXAMPLE.ORG.") == []
    assert found("Write to eve@example.net.") == ["EMAIL"]
    assert found("Write to eve@example.net.", "eve@example.net") == []
    assert found("us@example.org.evil.example.net") != []
    (one,) = concerns({"ru": Words("t", "a", "s", fix="x\ny\nSee eve@example.net")}, official)
    assert str(one) == "EMAIL in [ru] fix, line 3"


def test_handles_and_security_txt() -> None:
    assert official_handle("matrix @a:example.org").risk.startswith("Matrix servers see")
    assert official_handle("forum anna - The forum logs addresses.").risk == "The forum logs addresses."
    for bad in ("forum anna", "matrix", "", "Matrix @a", "matrix a b"):
        with pytest.raises(ConfigInvalid):
            official_handle(bad)
    text = security_txt(
        contacts=["mailto:a@example.org"],
        canonical=["https://example.org/.well-known/security.txt"],
        encryption=["openpgp4fpr:aa"],
        expires=NOW,
        languages=["en", "ru"],
    )
    assert security_txt_expires(text) == NOW
    assert [line.partition(":")[0] for line in text.splitlines()] == [
        "Contact",
        "Expires",
        "Encryption",
        "Preferred-Languages",
        "Canonical",
    ]
