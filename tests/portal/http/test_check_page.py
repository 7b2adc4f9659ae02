"""Choices on the check page: agents get what the visitor saw and chose; secrets only if chosen twice."""

from __future__ import annotations

import re
from dataclasses import replace

from portal.fakes import World
from portal.visitor import Page, Visitor
from veildesk.core.portal_entry import decode_portal_entry
from veildesk.redact.rules import OperatorRule, RuleSet

MESSAGE = "Mail alice@posteo.net and bob@posteo.net, server 84.17.52.9, Karlotta was here"
SECRET = MESSAGE + "\npassword: hunter2hunter2"


def sent_text(world: World) -> str:
    return decode_portal_entry(world.spool.only.payload).text


def keys(page: Page) -> dict[str, str]:
    """Form key of each value by its label."""
    labels = {node.get("for"): " ".join(node.itertext()) for node in page.tree.iter("label")}
    boxes = [node for node in page.tree.iter("input") if node.get("name") == "hide"]
    return {labels[box.get("id")].split()[1]: box.get("value") for box in boxes}


async def test_unticked_value_is_shown_and_stays_shown_after_change(visitor: Visitor, world: World) -> None:
    check = await visitor.write(MESSAGE)
    bob = keys(check)["bob@posteo.net"]
    check = await visitor.submit(check.form().drop("hide", bob), op="update")
    assert "bob@posteo.net" in "".join(check.tree.find(".//div[@id='as-agents-get-it']").itertext())

    compose = await visitor.submit(check.form(), op="change")
    form = compose.form()
    assert form.get("message") == MESSAGE
    check = await visitor.submit(form.set(message=MESSAGE + "\nagain bob@posteo.net, new eve@posteo.net"))
    await visitor.submit(check.form(), op="send")
    assert sent_text(world) == (
        "Mail [email-1] and bob@posteo.net, server [ip-1], Karlotta was here\n"
        "again bob@posteo.net, new [email-2]"
    )
    assert decode_portal_entry(world.spool.only.payload).kept == ("bob@posteo.net",)


async def test_hide_all_of_a_kind(visitor: Visitor) -> None:
    check = await visitor.write(MESSAGE)
    check = await visitor.submit(check.form().drop("hide"), op="update")
    assert [mark.text for mark in check.tree.iter("mark")] == []
    check = await visitor.submit(check.form(), op="hide:EMAIL")
    assert [mark.text for mark in check.tree.iter("mark")] == ["[email-1]", "[email-2]"]


async def test_own_words_are_hidden_at_once(visitor: Visitor, world: World) -> None:
    check = await visitor.write(MESSAGE)
    await visitor.submit(check.form().set(own_words="karlotta\n\nKarlotta \n"), op="send")
    assert "Karlotta" not in sent_text(world)
    assert "[private-1] was here" in sent_text(world)


async def test_a_finding_that_was_not_on_the_page_cannot_have_been_unticked(
    visitor: Visitor, world: World
) -> None:
    check = await visitor.write(MESSAGE)
    await visitor.submit(check.form().drop("hide").drop("seen"), op="send")
    assert "alice" not in sent_text(world)


async def test_a_secret_is_never_shown(visitor: Visitor, world: World) -> None:
    check = await visitor.write(SECRET)
    confirm = await visitor.submit(check.form().drop("hide"), op="send")
    assert confirm.title == "Secrets stay hidden"
    assert world.spool.attempts == 0
    receipt = await visitor.submit(confirm.form(), op="send-hidden")
    assert receipt.words == check.words
    text = sent_text(world)
    assert "hunter2" not in text
    assert "alice@posteo.net" in text
    assert "hunter2hunter2" not in decode_portal_entry(world.spool.only.payload).kept


async def test_a_secret_is_shown_only_when_it_was_chosen_twice(visitor: Visitor, world: World) -> None:
    message = "password: hunter2hunter2\napi key: sk_live_4eC39HqLyjWDarjtT1zdp7dc"
    check = await visitor.write(message)
    keys = [value for name, value in check.form().fields if name == "hide"]
    assert len(keys) == 2
    confirm = await visitor.submit(check.form().drop("hide"), op="send")
    form = confirm.form()
    assert "show" not in dict(form.fields)
    assert "hunter2" not in sent_or_shown(confirm)
    form.fields.append(("show", keys[0]))
    await visitor.submit(form, op="send-shown")
    entry = decode_portal_entry(world.spool.only.payload)
    assert len(entry.confirmed) == 1
    assert entry.confirmed[0] in entry.text
    shown = [secret for secret in ("hunter2hunter2", "4eC39HqLyjWDarjtT1zdp7dc") if secret in entry.text]
    assert len(shown) == 1


async def test_a_secret_that_was_not_unticked_first_cannot_be_chosen(visitor: Visitor, world: World) -> None:
    check = await visitor.write(SECRET)
    form = check.form()
    form.fields += [("show", value) for name, value in form.fields if name == "hide"]
    await visitor.submit(form, op="send-shown")
    assert "hunter2" not in sent_text(world)
    assert decode_portal_entry(world.spool.only.payload).confirmed == ()


async def test_what_was_chosen_twice_counts_for_this_sending_only(visitor: Visitor, world: World) -> None:
    check = await visitor.write(SECRET)
    confirm = await visitor.submit(check.form().drop("hide"), op="send")
    back = await visitor.submit(confirm.form(), op="update")
    assert "hunter2" not in sent_or_shown(back)
    await visitor.submit(back.form(), op="send")
    assert "hunter2" not in sent_text(world)


def sent_or_shown(page: object) -> str:
    """The text as agents would get it."""
    return "".join(page.tree.find(".//div[@id='as-agents-get-it']").itertext())


async def test_the_operators_own_rules_are_part_of_the_preview(world: World) -> None:
    world.settings = replace(
        world.settings, rules=RuleSet(own=(OperatorRule("CUSTOMER", re.compile(r"KD-\d{6}")),))
    )
    visitor = Visitor(world)
    check = await visitor.write("My number is KD-123456")
    assert "KD-123456" not in sent_or_shown(check)
    await visitor.submit(check.form(), op="send")
    assert "KD-123456" not in sent_text(world)


async def test_a_secret_with_its_tick_needs_no_second_page(visitor: Visitor, world: World) -> None:
    check = await visitor.write(SECRET)
    assert (await visitor.submit(check.form(), op="send")).words == check.words
    assert "hunter2" not in sent_text(world)


async def test_secrets_are_not_written_out_on_the_check_page(visitor: Visitor) -> None:
    check = await visitor.write(SECRET)
    shown = "".join(
        "".join(node.itertext()) for node in check.tree.iter() if node.tag in ("label", "div", "li")
    )
    assert "hunter2hunter2" not in shown


async def test_discarding_sends_nothing(visitor: Visitor, world: World) -> None:
    check = await visitor.write(MESSAGE)
    await visitor.submit(check.form(), op="discard")
    assert (await visitor.get("/en/new/check")).status == 410
    assert world.spool.attempts == 0


async def test_an_unknown_operation_only_updates(visitor: Visitor, world: World) -> None:
    check = await visitor.write(MESSAGE)
    page = await visitor.submit(check.form(), op="whatever")
    assert page.title == "Check before you send"
    assert world.spool.attempts == 0


async def test_a_program_that_names_no_button_sends(visitor: Visitor, world: World) -> None:
    check = await visitor.write(MESSAGE)
    assert (await visitor.submit(check.form())).words == check.words
    assert world.spool.attempts == 1


async def test_details_are_part_of_the_text_and_masked_too(visitor: Visitor, world: World) -> None:
    check = await visitor.write(
        "Broken", steps="open, log in as carol@posteo.net", version="2.3", build="a1b2c3"
    )
    await visitor.submit(check.form(), op="send")
    assert sent_text(world) == ("Broken\n\nSteps: open, log in as [email-1]\n\nVersion: 2.3\n\nBuild: a1b2c3")


async def test_problems_are_told_beside_the_kept_text(visitor: Visitor) -> None:
    for values, problem in (
        ({"message": "   "}, "The message is empty."),
        ({"message": "x" * 32_001}, "The message is too long."),
        ({"message": "hello", "topic": "weapons"}, "Choose a topic."),
        ({"message": "hello", "website": "http"}, "that must stay empty"),
        ({"message": "hello", "own_words": "a"}, "shorter than two letters"),
    ):
        page = await visitor.write(**values)
        assert page.title == "Write to us"
        assert problem in page.text
        assert page.form().get("message").strip() == values["message"].strip()
        await visitor.client.post("/en/leave")


async def test_ticket_words_in_the_message_are_refused(visitor: Visitor, world: World) -> None:
    check = await visitor.write(MESSAGE)
    compose = await visitor.submit(check.form(), op="change")
    page = await visitor.submit(compose.form().set(message="my words: " + ", ".join(check.words).upper()))
    assert "contains your ticket words" in page.text
    assert world.spool.attempts == 0


async def test_a_full_store_keeps_the_draft(visitor: Visitor, world: World) -> None:
    check = await visitor.write(MESSAGE)
    world.spool.full = True
    response = await visitor.post(check.form(), op="send")
    assert response.headers["location"] == "/en/new/check#problems"
    world.spool.full = False
    again = await visitor.get("/en/new/check")
    assert again.words == check.words
    assert (await visitor.submit(again.form(), op="send")).words == check.words
    assert len(world.spool.submissions) == 1


async def test_markup_in_a_message_is_text(visitor: Visitor) -> None:
    check = await visitor.write("<script>alert(1)</script><b style='x'>&amp;")
    assert "<script" not in check.response.text
    assert "<script>alert(1)</script><b style='x'>&amp;" in check.text


async def test_a_closed_portal_takes_nothing_but_opens_tickets(world: World) -> None:
    from dataclasses import replace

    world.settings = replace(world.settings, open=False)
    visitor = Visitor(world)
    assert (await visitor.get("/en/new")).status == 503
    assert (await visitor.get("/en/track")).status == 200


async def test_another_tab_cannot_change_what_is_sent_behind_this_one(visitor: Visitor, world: World) -> None:
    here = await visitor.write("what I saw")
    there = await visitor.get("/en/new")
    await visitor.submit(there.form().set(message="something else"))
    page = await visitor.submit(here.form(), op="send")
    assert world.spool.attempts == 0
    assert "was changed in another tab" in page.text
    assert "something else" in page.text
    await visitor.submit(page.form(), op="send")
    assert sent_text(world) == "something else"


async def test_a_faulty_message_cannot_be_sent_by_going_straight_to_the_check_page(
    visitor: Visitor, world: World
) -> None:
    check = await visitor.write("fine")
    await visitor.submit((await visitor.get("/en/new")).form().set(message="x" * 32_001))
    assert (await visitor.client.get("/en/new/check")).headers["location"] == "/en/new#problems"
    response = await visitor.post(check.form(), op="send")
    assert response.headers["location"] == "/en/new#problems"
    assert world.spool.attempts == 0


async def test_too_many_own_words_are_told_not_dropped(visitor: Visitor, world: World) -> None:
    check = await visitor.write(MESSAGE)
    many = "\n".join(f"word{number}" for number in range(51))
    page = await visitor.submit(check.form().set(own_words=many), op="send")
    assert "too many own words" in page.text
    assert "word50" in page.form().get("own_words")
    assert world.spool.attempts == 0


async def test_a_text_beyond_all_measure_is_413(visitor: Visitor) -> None:
    form = (await visitor.get("/en/new")).form().set(message="x" * 70_000)
    assert (await visitor.post(form)).status_code == 413
