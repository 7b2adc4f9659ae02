"""Text from the right in pages from the left and the other way round, and letters that turn others around."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from portal.fakes import World
from portal.visitor import Page, Visitor
from veildesk.core.notice import IncidentState
from veildesk.core.portal_entry import decode_portal_entry
from veildesk.core.ticket import File
from veildesk.portal import i18n, render
from veildesk.portal.directions import apart, grouped_fingerprint, undirected

TURNED = "photo\u202egpj.exe"
CONTROLS = re.compile("[\u202a-\u202e\u2066-\u2069]")
ARABIC = "لا أستطيع الدخول منذ الأمس"


def boxed(page: Page, text: str) -> bool:
    return any("".join(node.itertext()) == text for node in page.tree.iter("bdi"))


async def test_what_is_sent_turns_no_letters_around(visitor: Visitor, world: World) -> None:
    check = await visitor.write(
        f"see {TURNED}", own_words="a\u2067nna", steps="\u202eback", version="1\u20662"
    )
    assert not CONTROLS.search(check.response.text)
    await visitor.submit(check.form(), op="send")
    entry = decode_portal_entry(world.spool.only.payload)
    assert entry.text == "see photogpj.exe\n\nSteps: back\n\nVersion: 12"
    assert entry.own_words == ("anna",)


async def test_names_of_files_stand_apart_and_turn_nothing_around(visitor: Visitor, world: World) -> None:
    files = [(TURNED.replace("exe", "txt"), b"t"), ("صورة 1.txt", b"t")]
    check = await visitor.write("see files", files)
    assert boxed(check, "photogpj.txt")
    assert boxed(check, "صورة 1.txt")
    change = await visitor.submit(check.form(), op="change")
    assert "Keep صورة 1.txt (1 B)" in change.text
    assert boxed(change, "صورة 1.txt")
    check = await visitor.submit(change.form("/en/new"))
    await visitor.submit(check.form(), op="send")
    await world.answer(" ".join(check.words), f"{TURNED} {ARABIC}", "signed", File(TURNED, "a/b", b"x"))
    ticket = await visitor.get("/en/ticket")
    assert not CONTROLS.search(ticket.response.text)
    assert boxed(ticket, "photogpj.exe")
    download = await visitor.client.get("/en/ticket/message/2/file/1")
    assert download.headers["content-disposition"] == 'attachment; filename="photogpj.exe"'


async def test_messages_have_a_direction_of_their_own(visitor: Visitor, world: World) -> None:
    words = await visitor.open_ticket(ARABIC)
    await world.answer(words, ARABIC, f"-----BEGIN PGP SIGNED MESSAGE-----\n\n{ARABIC}")
    ticket = await visitor.get("/en/ticket")
    own = [node for node in ticket.tree.iter() if ARABIC in (node.text or "")]
    assert [(node.tag, node.get("dir")) for node in own] == [
        ("div", "auto"),
        ("div", "auto"),
        ("pre", "auto"),
    ]


async def test_a_notice_has_the_direction_of_its_own_language(world: World) -> None:
    item = world.notices.add("Mail is late", IncidentState.INVESTIGATING)
    words = {"ar": replace(item.notice.in_language("en"), title="تأخر البريد", action="انتظر")}
    notice = replace(item.notice, words=words)
    world.notices.items[0] = replace(item, statement=replace(item.statement, content=notice))
    visitor = Visitor(world)
    for path in ("", "/status", "/status/1", "/status/history"):
        page = await visitor.get(f"/en{path}")
        named = [
            node for node in page.tree.iter() if "تأخر البريد" in (node.text or "") and node.tag != "title"
        ]
        assert named, path
        assert {(node.get("lang"), node.get("dir")) for node in named} == {("ar", "auto")}, path


@pytest.fixture
def mirrored(monkeypatch: pytest.MonkeyPatch, world: World) -> Visitor:
    """The portal in a made-up language from the right: every message is there, in Arabic letters."""
    russian = i18n.load("ru")
    letters = str.maketrans("абвгдежзийклмнопрстуфхцчшщъыьэюя", "ابتثجحخدذرزسشصضطظعغفقكلمنهويةىءآ")
    messages = {
        message: tuple(
            "".join(
                piece if piece.startswith("%(") else piece.lower().translate(letters)
                for piece in re.split(r"(%\(\w+\)s)", form)
            )
            for form in forms
        )
        for message, forms in russian.messages.items()
    }
    made_up = i18n.Catalogue("ar", messages)
    monkeypatch.setattr(render, "load", lambda name: made_up if name == "ar" else i18n.load(name))
    world.change(languages=("en", "ar"))
    return Visitor(world)


async def test_the_portal_is_ready_for_a_language_from_the_right(mirrored: Visitor, world: World) -> None:
    for path in (
        "",
        "/new",
        "/track",
        "/recover",
        "/status",
        "/verify",
        "/privacy",
        "/help/answers",
        "/none",
    ):
        page = await mirrored.get(f"/ar{path}")
        html = page.tree
        assert (html.get("lang"), html.get("dir")) == ("ar", "rtl"), path
        assert re.search("[\u0600-\u06ff]", page.title), path
    form = (await mirrored.get("/ar/new")).form("/ar/new").set(message="anna@posteo.net", topic="other")
    check = await mirrored.submit(form, [("screen shot.txt", b"t")])
    assert boxed(check, "anna@posteo.net")
    assert boxed(check, "screen shot.txt")
    receipt = await mirrored.submit(check.form("/ar/new/check"), op="send")
    assert receipt.words == check.words
    assert json.dumps(receipt.words).isascii()
    await world.answer(" ".join(receipt.words), ARABIC, "signed", File("steps (1).pdf", "a/b", b"x" * 2048))
    ticket = await mirrored.get("/ar/ticket")
    own = [node.text for node in ticket.tree.iter("span") if node.get("dir") == "ltr"]
    assert own == ["2026-12-13", "2026-09-21", "1 B", "2026-09-21", "2 kB", "10 MB", "25 MB"]


def test_turning_letters_around() -> None:
    assert undirected(TURNED) == "photogpj.exe"
    assert undirected(ARABIC + "\u200f\u200c") == ARABIC + "\u200f\u200c"
    assert apart("<b>\u202e&") == "<bdi>&lt;b&gt;&amp;</bdi>"
    assert grouped_fingerprint("ABCD" * 10) == " ".join(["ABCD"] * 10)
