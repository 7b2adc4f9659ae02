"""Calls to Znuny that break in the middle: nothing is lost and nothing doubled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testbed.helpdesks.fault_proxy import FAULTS, fault_proxy
from testbed.helpdesks.znuny import SERVICE, ZnunyServer, znuny_desk, znuny_server
from veildesk.conformance.suite import PICTURE, collected, entry, fresh, position
from veildesk.core.errors import BackendUnavailable
from veildesk.core.ticket import File

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("znuny")]


@pytest.fixture(scope="module")
def server() -> Iterator[ZnunyServer]:
    with znuny_server() as started:
        yield started


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", ["/Veildesk/Ticket HTTP", "/Ticket/Update"], ids=["create", "append"])
async def test_after_a_fault_in_the_middle_nothing_is_lost_or_doubled(
    server: ZnunyServer, fault: str, call: str
) -> None:
    thread = fresh()
    made = entry(thread, "The message.", files=(File("a.png", "image/png", PICTURE),))
    async with znuny_desk(server) as desk:
        if call == "/Ticket/Update":
            await desk.backend.deliver(entry(thread, "The first."))
    async with fault_proxy(server.url.removesuffix(SERVICE)) as proxy:
        # Only who waits for silence needs to be impatient.
        timeout = 3 if fault == "silent" else 30
        async with znuny_desk(server, url=proxy.url + SERVICE, timeout=timeout) as broken:
            await broken.backend._find(thread)
            proxy.break_next(call, fault)
            with pytest.raises(BackendUnavailable):
                await broken.backend.deliver(made)
        assert len(proxy.broken) == 1
    async with znuny_desk(server) as desk:
        again = await desk.backend.deliver(made)
        assert again.ref == await desk.ref(thread)
        texts = await desk.texts(thread)
        assert [text for text in texts if "The message." in text] == texts[-1:]
        assert len(texts) == (2 if call == "/Ticket/Update" else 1)
        assert await desk.files(thread) == [PICTURE]


@pytest.mark.parametrize("fault", ["cut-after", "half", "corrupt", "login-page", "inside"])
async def test_an_answer_that_breaks_on_its_way_comes_whole_the_next_time(
    server: ZnunyServer, fault: str
) -> None:
    thread = fresh()
    async with fault_proxy(server.url.removesuffix(SERVICE)) as proxy, znuny_desk(server) as straight:
        start = await position(straight.backend)
        await straight.backend.deliver(entry(thread))
        await straight.answer(thread, "An answer.")
        async with znuny_desk(server, url=proxy.url + SERVICE) as desk:
            await desk.backend._find(thread)
            proxy.break_next("/Ticket/Get", fault)
            with pytest.raises(BackendUnavailable):
                await collected(desk.backend, start, thread)
            (reply,) = await collected(desk.backend, start, thread)
            assert reply.text.strip() == "An answer."
