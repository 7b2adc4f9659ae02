"""The conformance suite and the special traps of django-helpdesk, against a real one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from testbed.helpdesks.django_helpdesk import (
    DjangoHelpdeskDesk,
    DjangoHelpdeskServer,
    django_helpdesk_desk,
    django_helpdesk_server,
)
from veildesk.conformance.suite import *  # noqa: F403
from veildesk.conformance.suite import PICTURE, collected, content, entry, fresh, position
from veildesk.core.ticket import File, Level

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("django-helpdesk")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DjangoHelpdeskServer]:
    with django_helpdesk_server(tmp_path_factory.mktemp("django-helpdesk")) as started:
        yield started


@pytest_asyncio.fixture
async def desk(server: DjangoHelpdeskServer) -> AsyncIterator[DjangoHelpdeskDesk]:
    async with django_helpdesk_desk(server) as made:
        yield made


async def test_check_names_what_is_wrong(server: DjangoHelpdeskServer) -> None:
    for name, key in (("wrong", "0" * 40), ("outsider", server.keys["outsider"])):
        (server.home / name).write_text(key)
        async with django_helpdesk_desk(server, token_file=name) as desk:
            (result,) = await desk.backend.check()
            assert (result.level, result.found) == (Level.FAIL, "wrong token, or no staff user")
    async with django_helpdesk_desk(server, queue=99) as desk:
        assert [r.title for r in await desk.backend.check() if r.level is Level.FAIL] == [
            "queue 99 is there for us"
        ]


async def test_words_of_a_person_are_no_template_and_load_no_image(desk: DjangoHelpdeskDesk) -> None:
    """Comments are templates there: a variable in one would be filled in, an unclosed tag refused."""
    thread = fresh()
    hostile = "{{ ticket.title }} {% if %} {# gone #} {{ ![x](https://evil.test/a.png) <img src='b'>"
    hostile += " {%endverbatim%}"
    await desk.backend.deliver(entry(thread, hostile))
    (text,) = await desk.texts(thread)
    assert hostile in text.replace("\u200b", "")
    for live in ("{{", "{%", "{#", "![", "<img"):
        assert live not in text


async def test_a_file_of_a_kind_that_it_refuses_arrives_under_a_plain_name(desk: DjangoHelpdeskDesk) -> None:
    thread = fresh()
    files = (File("core.dmp", "application/octet-stream", PICTURE), File("a.txt", "text/plain", b"text\n"))
    await desk.backend.deliver(entry(thread, files=files))
    assert await desk.files(thread) == [PICTURE, b"text\n"]
    assert len(await desk.texts(thread)) == 1


async def test_what_came_by_mail_is_no_answer_whoever_it_says_it_is_from(desk: DjangoHelpdeskDesk) -> None:
    """A mail into a ticket, from an address that a stranger wrote down, becomes a comment of that agent."""
    thread = fresh()
    start = await position(desk.backend)
    delivered = await desk.backend.deliver(entry(thread))
    desk.server.run(
        "import django; django.setup()\n"
        "from django.contrib.auth.models import User; from django.utils import timezone\n"
        "from helpdesk.models import FollowUp\n"
        f"FollowUp.objects.create(ticket_id={delivered.ref}, user=User.objects.get(username='agent'),\n"
        "  public=True, comment='I am the support.', title='x', date=timezone.now(), message_id='<a@b>')\n"
    )
    await desk.answer(thread, "A real answer.")
    replies = await collected(desk.backend, start, thread)
    assert [reply.text.strip() for reply in replies] == ["A real answer."]


async def test_a_new_process_finds_its_ticket_among_many(desk: DjangoHelpdeskDesk) -> None:
    """Nothing can be searched there; the index is made anew from the lists."""
    threads = [fresh() for _ in range(3)]
    made = [entry(thread) for thread in threads]
    refs = [(await desk.backend.deliver(one)).ref for one in made]
    desk.server.run(
        "import django; django.setup()\n"
        "from helpdesk.models import Queue, Ticket; queue = Queue.objects.first()\n"
        "Ticket.objects.bulk_create([Ticket(queue=queue, title='x') for _ in range(130)])\n"
    )
    async with django_helpdesk_desk(desk.server) as again:
        for one, ref in zip(made, refs, strict=True):
            delivered = await again.backend.deliver(one)
            assert (delivered.ref, delivered.fresh) == (ref, False)
    desk.server.run(
        "import django; django.setup()\n"
        "from helpdesk.models import Ticket; Ticket.objects.filter(title='x').delete()\n"
    )


async def test_a_ticket_merged_into_anothers_gets_no_more_of_its_messages(desk: DjangoHelpdeskDesk) -> None:
    mine, theirs = fresh(), fresh()
    first = await desk.backend.deliver(entry(mine, "Mine."))
    other = await desk.backend.deliver(entry(theirs, "Theirs."))
    await desk.patch(mine, merged_to=int(other.ref))
    after = await desk.backend.deliver(entry(mine, "More of mine.", ref=first.ref))
    assert after.ref not in (first.ref, other.ref)


async def test_no_mail_leaves_it_for_a_person(desk: DjangoHelpdeskDesk) -> None:
    thread = fresh()
    await desk.backend.deliver(entry(thread, files=(File("a.png", "image/png", PICTURE),)))
    await desk.answer(thread, "An answer.", files=(File("b.png", "image/png", PICTURE),))
    await desk.close_ticket(thread)
    assert list((desk.server.home / "mail").glob("*")) == []
    (reply,) = await collected(desk.backend, None, thread)
    assert await content(desk, reply) == [("b.png", PICTURE)]
