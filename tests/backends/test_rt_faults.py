"""Calls to Request Tracker that break in the middle: nothing is lost and nothing doubled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testbed.helpdesks.fault_proxy import FAULTS, fault_proxy
from testbed.helpdesks.rt import RTServer, rt_desk, rt_server
from veildesk.conformance.suite import PICTURE, collected, entry, fresh, position
from veildesk.core.errors import BackendUnavailable
from veildesk.core.ticket import File

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("rt")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RTServer]:
    with rt_server(tmp_path_factory.mktemp("rt")) as started:
        yield started


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", ["/REST/2.0/ticket HTTP", "/correspond"], ids=["create", "correspond"])
async def test_after_a_fault_in_the_middle_nothing_is_lost_or_doubled(
    server: RTServer, fault: str, call: str
) -> None:
    """The call is broken before or after RT did it; delivering again leaves one ticket with one message."""
    made = entry(fresh(), files=(File("a.png", "image/png", PICTURE),))
    async with fault_proxy(server.url) as proxy:
        # Only who waits for silence needs to be impatient.
        async with rt_desk(server, url=proxy.url, timeout=3 if fault == "silent" else 30) as broken:
            await broken.backend.check()
            proxy.break_next(call, fault)
            with pytest.raises(BackendUnavailable):
                await broken.backend.deliver(made)
        assert len(proxy.broken) == 1
    async with rt_desk(server) as desk:
        again = await desk.backend.deliver(made)
        assert again.ref == await desk.ref(made.thread)
        query = {"query": f"'CF.{{veildesk-thread}}'='{made.thread}'"}
        assert len((await desk._post("/tickets", data=query)).json()["items"]) == 1
        assert len(await desk.texts(made.thread)) == 1
        assert await desk.files(made.thread) == [PICTURE]


@pytest.mark.parametrize("fault", ["cut-after", "half", "corrupt", "login-page"])
async def test_an_answer_that_breaks_on_its_way_comes_whole_the_next_time(
    server: RTServer, fault: str
) -> None:
    async with fault_proxy(server.url) as proxy, rt_desk(server, url=proxy.url) as desk:
        thread = fresh()
        start = await position(desk.backend)
        await desk.backend.deliver(entry(thread))
        await desk.answer(thread, "An answer.")
        proxy.break_next("/attachments", fault)
        with pytest.raises(BackendUnavailable):
            await collected(desk.backend, start, thread)
        (reply,) = await collected(desk.backend, start, thread)
        assert reply.text.strip() == "An answer."
