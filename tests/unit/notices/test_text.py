"""A statement survives the way into text and back, and cannot fake another field."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veildesk.core.errors import ConfigInvalid
from veildesk.core.notice import (
    Handle,
    Heartbeat,
    Identity,
    Impact,
    IncidentState,
    Kind,
    Notice,
    Statement,
    Words,
)
from veildesk.notices.text import HEADINGS, heartbeat_text, parse_heartbeat, parse_statement, statement_text

NOW = 1_795_000_020
texts = st.text(
    st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"], include_characters="\n"), max_size=80
)
words = st.builds(Words, title=texts, action=texts, summary=texts, impact=texts, fix=texts, references=texts)


def statement(content: object, kind: Kind = Kind.INCIDENT, number: int = 7) -> Statement:
    return Statement(number, kind, NOW, NOW + 86400, "ab" * 32, 1, "http://x.onion/addresses.asc", content)  # type: ignore[arg-type]


def notice(**changes: object) -> Notice:
    values: dict[str, object] = {
        "kind": Kind.INCIDENT,
        "state": IncidentState.MONITORING,
        "severity": Impact.MAJOR,
        "words": {"en": Words("Late", "Wait.", "Mail is late.")},
    }
    return Notice(**(values | changes))  # type: ignore[arg-type]


@settings(deadline=None)
@given(english=words, russian=words)
def test_round_trip(english: Words, russian: Words) -> None:
    try:
        text = statement_text(statement(notice(words={"en": english, "ru": russian}, incident=3)))
    except ConfigInvalid:
        return
    read = parse_statement(text)
    assert statement_text(read) == text
    assert isinstance(read.content, Notice)
    assert (read.content.incident, read.content.state) == (3, IncidentState.MONITORING)
    assert list(read.content.words) == ["en", "ru"]


@settings(deadline=None)
@given(st.text(max_size=400))
def test_no_text_breaks_the_reader(text: str) -> None:
    for head in ("", "Veildesk statement 1\nNumber: 1\nKind: incident\n"):
        with pytest.raises(ValueError):
            parse_statement(head + text)
        with pytest.raises(ValueError):
            parse_heartbeat(head + text)


def test_the_action_comes_first_in_every_language() -> None:
    full = Words("t", "a", "s", "i", "w", "f", "r")
    text = statement_text(statement(notice(words={"en": full, "ru": full})))
    places = [text.index(f"[{heading}]") for table in HEADINGS.values() for heading in table.values()]
    assert places == sorted(places)


def test_identity_and_maintenance_and_canary_round_trip() -> None:
    handle = Handle("matrix", "@a:example.org", "Servers see who writes - and when.")
    identity = Identity(
        ("A" * 40, "B" * 40),
        2,
        "C" * 40,
        "D" * 40,
        ("x.onion",),
        ("example.org",),
        ("a@b.example",),
        (handle,),
    )
    window = notice(kind=Kind.MAINTENANCE, state=IncidentState.SCHEDULED, starts=NOW, ends=NOW + 3600)
    canary = {"ru": Words("Свидетельство", "Смотрите.", "Ничего.")}
    for content, kind in ((identity, Kind.IDENTITY), (window, Kind.MAINTENANCE), (canary, Kind.CANARY)):
        made = statement(content, kind)
        assert parse_statement(statement_text(made)) == made


def test_heartbeat_round_trip() -> None:
    beat = Heartbeat(4, NOW, NOW + 3600, 7, "cd" * 32)
    assert parse_heartbeat(heartbeat_text(beat)) == beat


@pytest.mark.parametrize(
    "content",
    [
        notice(words={"en": Words("", "a", "b")}),
        notice(words={"en": Words("two\nlines", "a", "b")}),
        notice(words={"en": Words("turned \u202e round", "a", "b")}),
        notice(words={"en": Words("t", "", "b")}),
        notice(words={"en": Words("t", "a\n[Summary]\nb", "c")}),
        notice(words={"en": Words("t", "a\nLanguage: ru\nb", "c")}),
        notice(words={"en": Words("t", "a", "-----BEGIN PGP SIGNATURE-----")}),
        notice(words={"en": Words("t", "a\x1b[2J", "c")}),
        notice(words={"en": Words("t", "a\u200bb", "c")}),
        notice(words={"xx": Words("t", "a", "b")}),
        notice(words={}),
        notice(state=IncidentState.SCHEDULED),
        notice(state=IncidentState.POSTMORTEM),
        notice(kind=Kind.MAINTENANCE, state=IncidentState.SCHEDULED),
        notice(components=("mail, portal",)),
        notice(components=("mail\nState: resolved",)),
        Identity(("A" * 40,), 2, None, "D" * 40),
        Identity(("A" * 40,), 1, "A" * 40, "D" * 40),
        Identity(("a" * 8,), 1, None, "D" * 40),
        Identity(("A" * 40,), 1, None, "D" * 40, mails=("a@b.example\nMail: evil@x.example",)),
    ],
)
def test_refuses_what_could_mislead(content: object) -> None:
    kind = Kind.IDENTITY if isinstance(content, Identity) else content.kind  # type: ignore[attr-defined]
    with pytest.raises(ConfigInvalid):
        statement_text(statement(content, kind))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Number: 7", "Number: 07"),
        ("Number: 7", "Number: 7 "),
        ("Kind: incident", "Kind: rumour"),
        ("Kind: incident", "Kind: canary"),
        ("State: monitoring", "State: fine"),
        ("Previous: abab", "Previous: ABAB"),
        ("[Summary]", "[Summary]\n\n[Summary]"),
        ("\n[Summary]", "\n[Ссылки]"),
        ("Title: Late", "Title: Late\nTitle: Early"),
        ("Incident: 7", "Incident: 9"),
        ("Issued: ", "Issued:  "),
    ],
)
def test_reads_only_what_it_writes(old: str, new: str) -> None:
    text = statement_text(statement(notice()))
    assert old in text
    with pytest.raises(ValueError):
        parse_statement(text.replace(old, new, 1))
