"""The whole way of a visitor: write, check, send, come back, read, write again, delete."""

from __future__ import annotations

from portal.fakes import World
from portal.visitor import Visitor
from veildesk.core.portal_entry import decode_portal_entry
from veildesk.core.submission import Channel

MESSAGE = "Login fails since Monday.\nMail me at alice@example.com from 84.17.52.9.\nBye"


async def test_new_ticket_reaches_the_spool_masked(visitor: Visitor, world: World) -> None:
    check = await visitor.write(MESSAGE)
    assert "alice@example.com" not in "".join(check.tree.find(".//div[@id='as-agents-get-it']").itertext())
    assert [mark.text for mark in check.tree.iter("mark")] == ["[email-1]", "[ip-1]"]
    assert len(check.words) == 8
    assert world.spool.attempts == 0

    receipt = await visitor.submit(check.form("/en/new/check"), op="send")
    assert receipt.words == check.words

    submission = world.spool.only
    assert submission.channel is Channel.PORTAL
    entry = decode_portal_entry(submission.payload)
    assert "alice" not in entry.text
    assert "[email-1]" in entry.text
    assert entry.counts == {"EMAIL": 1, "IPV4": 1}
    assert entry.topic == "function"
    assert world.cipher.derivations == [" ".join(check.words)]


async def test_coming_back_reading_and_answering(visitor: Visitor, world: World) -> None:
    words = await visitor.open_ticket(MESSAGE)
    signed = (
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nTry again — now.\n-----END PGP SIGNATURE-----\n"
    )
    await world.answer(words, "Try again — now.", signed)

    later = Visitor(world)
    track = await later.get("/en/track")
    abbreviated = " ".join(word[:3].upper() for word in words.split())
    ticket = await later.submit(track.form().set(words=abbreviated))
    assert "Try again — now." in ticket.text
    assert "[email-1]" in ticket.text
    download = await later.client.get("/en/ticket/message/2.asc")
    assert download.text == signed
    assert download.headers["content-disposition"] == 'attachment; filename="answer-2.asc"'

    check = await later.submit(
        ticket.form("/en/ticket/reply").set(message="Still broken for bob@example.com and alice@example.com")
    )
    assert [mark.text for mark in check.tree.iter("mark")] == ["[email-2]", "[email-1]"]
    assert check.words == []
    ticket = await later.submit(check.form("/en/new/check"), op="send")
    assert "Your message was sent." in ticket.text
    assert len(world.spool.submissions) == 2
    assert len({submission.anchor for submission in world.spool.submissions.values()}) == 1


async def test_sending_twice_is_sending_once(visitor: Visitor, world: World) -> None:
    check = await visitor.write(MESSAGE)
    form = check.form("/en/new/check")
    first = await visitor.submit(form, op="send")
    second = await visitor.submit(form, op="send")
    assert first.words == second.words
    assert len(world.spool.submissions) == 1


async def test_sending_again_after_a_restart_finds_the_ticket(visitor: Visitor, world: World) -> None:
    check = await visitor.write(MESSAGE)
    form = check.form("/en/new/check")
    await visitor.submit(form, op="send")
    visitor.restart()
    receipt = await visitor.submit(form, op="send")
    assert receipt.words == check.words
    assert len(world.spool.submissions) == 1


async def test_a_draft_lost_by_a_restart_gives_the_text_back(visitor: Visitor, world: World) -> None:
    check = await visitor.write(MESSAGE)
    visitor.restart()
    told = await visitor.submit(check.form("/en/new/check"), op="send")
    assert "Your draft was lost and nothing was sent." in told.text
    assert "alice@example.com" in told.response.text
    assert world.spool.attempts == 0
