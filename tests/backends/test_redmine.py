"""The conformance suite against a real Redmine. Run by `make test-backends`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from testbed.helpdesks.redmine import RedmineDesk, RedmineServer, redmine_desk, redmine_server
from veildesk.conformance.suite import *  # noqa: F403
from veildesk.conformance.suite import entry, fresh
from veildesk.core.errors import BackendRefused
from veildesk.core.ticket import Level

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("redmine"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedmineServer]:
    with redmine_server(tmp_path_factory.mktemp("redmine")) as started:
        yield started


@pytest_asyncio.fixture
async def desk(server: RedmineServer) -> AsyncIterator[RedmineDesk]:
    async with redmine_desk(server) as made:
        yield made


async def test_check_names_what_is_wrong(server: RedmineServer) -> None:
    (server.home / "wrong").write_text("0" * 40)
    async with redmine_desk(server, token_file="wrong") as desk:
        (result,) = await desk.backend.check()
        assert (result.level, result.found) == (Level.FAIL, "wrong key, or the REST interface is off")
    async with redmine_desk(server, project="nowhere") as desk:
        (failed,) = [r for r in await desk.backend.check() if r.level is Level.FAIL]
        assert (failed.found, "role in nowhere" in failed.fix) == ("status-404", True)


async def test_the_field_can_be_named_by_its_number_and_a_wrong_one_is_found_out(
    server: RedmineServer,
) -> None:
    async with redmine_desk(server, field=server.field) as desk:
        assert [r for r in await desk.backend.check() if r.level is Level.FAIL] == []
        thread = fresh()
        assert (await desk.backend.deliver(entry(thread))).fresh
    async with redmine_desk(server, field=99) as desk:
        (failed,) = [r for r in await desk.backend.check() if r.level is Level.FAIL]
        assert failed.found == "no such field"
        lost = fresh()
        with pytest.raises(BackendRefused, match="field-missing"):
            await desk.backend.deliver(entry(lost, f"canary{lost}"))
        assert desk.leftovers(f"canary{lost}".encode()) == 0


async def test_no_image_of_a_stranger_is_loaded_by_who_reads(desk: RedmineDesk) -> None:
    thread = fresh()
    hostile = "!http://evil.test/a.png! ![x](http://evil.test/b.png) <img src='http://evil.test/c.png'>"
    await desk.backend.deliver(entry(thread, hostile))
    (text,) = await desk.texts(thread)
    assert "!http" not in text
    assert "![" not in text
    assert "<img" not in text
