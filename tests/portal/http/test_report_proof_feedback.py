"""Safe report, signed receipt of lodging, feedback, and topics that lead to queues."""

from __future__ import annotations

import hashlib
import json

import pytest

from portal.fakes import World
from portal.visitor import Visitor
from veildesk.core.portal_entry import decode_portal_entry
from veildesk.portal.report import MOST, take_apart

REPORT = """\
App: Example Wallet
Version: 4.2.1
OS: Android 15
Serial: R58M123ABCD
Error: timeout while syncing with 203.0.113.7
Home = /home/karlotta/.wallet
User: karlotta
Stack: at sync.py line 12
    connect(203.0.113.7)
"""


async def chosen(visitor: Visitor, report: str):
    page = await visitor.get("/en/new/report")
    return await visitor.submit(page.form("/en/new/report").set(report=report))


async def test_only_harmless_lines_are_ticked_beforehand(visitor: Visitor) -> None:
    page = await chosen(visitor, REPORT)
    form = page.form("/en/new/report/lines")
    ticked = [int(value) for name, value in form.fields if name == "take"]
    assert [REPORT.splitlines()[number] for number in ticked] == [
        "App: Example Wallet",
        "Version: 4.2.1",
        "OS: Android 15",
    ]
    new = await visitor.submit(form)
    assert new.form("/en/new").get("message") == "App: Example Wallet\nVersion: 4.2.1\nOS: Android 15"
    assert "karlotta" not in new.text


async def test_chosen_lines_join_what_was_written_and_are_checked_like_it(
    visitor: Visitor, world: World
) -> None:
    check = await visitor.write("It hangs", topic="outage")
    await visitor.submit(check.form(), op="change")
    form = (await chosen(visitor, REPORT)).form("/en/new/report/lines").drop("take")
    form.fields.append(("take", "4"))
    new = await visitor.submit(form)
    assert new.form("/en/new").get("message").startswith("It hangs\n\nError: timeout")
    check = await visitor.submit(new.form("/en/new"))
    await visitor.submit(check.form(), op="send")
    entry = decode_portal_entry(world.spool.only.payload)
    assert entry.text == "It hangs\n\nError: timeout while syncing with [ip-1]"
    assert entry.topic == "outage"


@pytest.mark.parametrize(
    ("report", "told"), [("", "nothing in it"), ("x\n" * (MOST + 1), f"more than {MOST} lines")]
)
async def test_what_cannot_be_chosen_from_is_told(visitor: Visitor, report: str, told: str) -> None:
    page = await chosen(visitor, report)
    assert told in page.text
    assert page.form("/en/new/report").get("report") == report


def test_a_report_as_json_is_taken_apart_too() -> None:
    lines = take_apart(
        json.dumps({"version": "1.2", "ip": "203.0.113.7", "build": "f" * 40, "os": "linux"}, indent=1)
    )
    assert [(line.text.strip(), line.chosen) for line in lines] == [
        ('"version": "1.2",', True),
        ('"ip": "203.0.113.7",', False),
        (f'"build": "{"f" * 40}",', False),
        ('"os": "linux"', True),
    ]


async def test_the_receipt_of_lodging_proves_text_and_files_and_tells_neither(
    visitor: Visitor, world: World
) -> None:
    words = await visitor.open_ticket("Nothing works for Karlotta", [("secret-name.bin", b"content")])
    await world.answer(words, "It does now", "signed")
    assert "Get it only if you need it" in (await visitor.get("/en/ticket/proof")).text
    response = await visitor.client.get("/en/ticket/proof.asc")
    assert response.headers["content-disposition"] == 'attachment; filename="receipt.asc"'
    exported = (await visitor.client.get("/en/ticket/export")).json()["entries"][0]
    text = response.text
    assert text.startswith("-----BEGIN PGP SIGNED MESSAGE-----")
    assert f"Message 1, {exported['day']} (UTC)" in text
    assert f"SHA-256 {hashlib.sha256(exported['text'].encode()).hexdigest()}" in text
    assert f"File, 7 bytes, SHA-256 {hashlib.sha256(b'content').hexdigest()}" in text
    assert "Message 2" not in text
    for word in ("Karlotta", "secret-name", "works", "does now", *words.split()):
        assert word not in text


async def test_feedback_is_counted_once_and_hangs_on_nothing(visitor: Visitor, world: World) -> None:
    await world.answer(await visitor.open_ticket("Nothing works"), "It does now", "signed")
    assert "/en/ticket/feedback" in (await visitor.get("/en/ticket")).response.text
    form = (await visitor.get("/en/ticket/feedback")).form("/en/ticket/feedback")
    assert (await visitor.submit(form)).title == "Thank you"
    assert world.counted == {}
    await visitor.submit(form.set(helped="stalin"))
    for _ in range(3):
        await visitor.submit(form.set(helped="partly"))
    assert world.counted == {"partly": 1}


async def test_topics_lead_to_their_queues_and_so_do_further_messages(world: World) -> None:
    world.change(queues={"security": "response"})
    for topic, queue in (("security", "response"), ("payment", "support")):
        world.spool.submissions.clear()
        visitor = Visitor(world)
        check = await visitor.write("It leaks", topic=topic)
        await visitor.submit(check.form(), op="send")
        assert world.spool.only.queue == queue
        world.spool.submissions.clear()
        reply = (await visitor.get("/en/ticket")).form("/en/ticket/reply").set(message="and more")
        await visitor.submit((await visitor.submit(reply)).form(), op="send")
        assert world.spool.only.queue == queue
        assert decode_portal_entry(world.spool.only.payload).topic == topic


async def test_what_is_typed_can_be_hidden(visitor: Visitor, world: World) -> None:
    words = await visitor.open_ticket("Nothing works")
    visitor = Visitor(world)
    page = await visitor.get("/en/track?hidden=1")
    assert page.tree.find(".//input[@id='words']").get("type") == "password"
    form = page.form("/en/track")
    typed = words.split()
    typed[2] = "qqqq"
    wrong = await visitor.submit(form.set(words=" ".join(typed)))
    assert "Word 3 is not on our list" in wrong.text
    assert wrong.tree.find(".//input[@id='words']").get("type") == "password"
    assert not wrong.tree.find(".//input[@id='words']").get("value")
    assert " ".join(typed[:2]) not in wrong.response.text
    assert (await visitor.submit(wrong.form("/en/track").set(words=words))).title == "Your ticket"
