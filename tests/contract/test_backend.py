"""What every connector must do, over the helpdesks that need no server; and what is special about each."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from testbed.helpdesks.local import MaildirDesk, maildir_desk, memory_desk
from veildesk.conformance.desk import Desk
from veildesk.conformance.suite import *  # noqa: F403
from veildesk.conformance.suite import entry as any_entry
from veildesk.core.errors import BackendUnavailable, ConfigInvalid
from veildesk.core.ports import Backend
from veildesk.core.ticket import AgentReply, TicketEntry
from veildesk.deliver.registry import backend_names, load_backend

THREAD = "a1" * 16
KEYS = [f"{n:032x}" for n in range(1, 9)]


@pytest_asyncio.fixture(params=[memory_desk, maildir_desk], ids=["memory", "maildir"])
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    async with request.param(tmp_path) as made:
        yield made


def entry(key: str = KEYS[0], thread: str = THREAD) -> TicketEntry:
    return any_entry(thread, key=key)


async def collected(backend: Backend, cursor: str | None = None) -> list[AgentReply]:
    return [reply async for reply in backend.replies(cursor)]


async def test_maildir_that_cannot_be_written_is_a_passing_fault(tmp_path: Path) -> None:
    (tmp_path / "box").write_text("in the way")
    desk = MaildirDesk(tmp_path)
    with pytest.raises(BackendUnavailable):
        await desk.backend.deliver(entry())


async def test_maildir_entry_moved_by_a_mail_program_is_still_found(tmp_path: Path) -> None:
    desk = MaildirDesk(tmp_path)
    await desk.backend.deliver(entry())
    (seen,) = (tmp_path / "box" / "new").iterdir()
    seen.rename(tmp_path / "box" / "cur" / f"{seen.name}:2,S")
    assert not (await desk.backend.deliver(entry())).fresh


async def test_maildir_entry_of_another_process_is_found(tmp_path: Path) -> None:
    desk, other = MaildirDesk(tmp_path), MaildirDesk(tmp_path)
    for number, key in enumerate(KEYS):
        first, second = (desk, other) if number % 2 else (other, desk)
        ref = (await first.backend.deliver(entry(key, f"{number:032x}"))).ref
        again = await second.backend.deliver(entry(key, f"{number:032x}"))
        assert (again.ref, again.fresh) == (ref, False)
    assert len(list((tmp_path / "box" / "new").iterdir())) == len(KEYS)


async def test_maildir_follow_up_without_a_reference_joins_what_another_process_wrote(tmp_path: Path) -> None:
    desk, other = MaildirDesk(tmp_path), MaildirDesk(tmp_path)
    await desk.backend.deliver(entry(KEYS[0], "0" * 32))
    first = await other.backend.deliver(entry(KEYS[1]))
    (seen,) = (tmp_path / "box" / "new").glob(f"{THREAD}.*")
    seen.rename(tmp_path / "box" / "cur" / f"{seen.name}:2,S")
    assert (await desk.backend.deliver(entry(KEYS[2]))).ref == first.ref


async def test_maildir_that_was_emptied_or_removed_takes_entries_again(tmp_path: Path) -> None:
    desk = MaildirDesk(tmp_path)
    await desk.backend.deliver(entry())
    (tmp_path / "box" / "new").rename(tmp_path / "elsewhere")
    assert (await desk.backend.deliver(entry())).fresh
    assert len(list((tmp_path / "box" / "new").iterdir())) == 1


async def test_maildir_keeps_an_answer_to_nothing_aside(tmp_path: Path) -> None:
    desk = MaildirDesk(tmp_path)
    await desk.backend.deliver(entry())
    (tmp_path / "answers" / "stray.eml").write_bytes(b"Subject: hello\n\nwho are you?\n")
    assert await collected(desk.backend) == []
    assert (tmp_path / "answers" / "refused" / "stray.eml").exists()


async def test_maildir_ignores_files_that_are_still_written(tmp_path: Path) -> None:
    desk = MaildirDesk(tmp_path)
    await desk.backend.deliver(entry())
    for name in (".hidden", "half.tmp", "half.part"):
        (tmp_path / "answers" / name).write_bytes(b"In-Reply-To: <x>\n\nhalf")
    assert await collected(desk.backend) == []
    assert (tmp_path / "answers" / ".hidden").exists()


def test_message_ids_fit_a_header_line(tmp_path: Path) -> None:
    """Longer ids are folded or encoded by some programs and the thread is lost."""
    domain = "veildesk.invalid"
    assert len(f"In-Reply-To: <{THREAD}.{KEYS[0][:8]}@{domain}>") <= 78


def test_connectors_are_found_by_name() -> None:
    assert {"maildir", "memory"} <= set(backend_names())
    assert load_backend("memory", "desk", {}).name == "desk"
    with pytest.raises(ConfigInvalid):
        load_backend("telepathy", "desk", {})
    with pytest.raises(ConfigInvalid):
        load_backend("maildir", "desk", {"path": "x", "replies": "y", "colour": "blue"})


async def test_maildir_answer_that_cannot_be_read_holds_up_no_other(tmp_path: Path) -> None:
    desk = MaildirDesk(tmp_path)
    await desk.backend.deliver(entry())
    poison = b"In-Reply-To: <x@x.invalid>\n" + b"A: b\n" * 5000 + b"\nx"
    (tmp_path / "answers" / "a.eml").write_bytes(poison)
    await desk.answer(THREAD, "A good answer.")
    assert [r.text.strip() for r in await collected(desk.backend)] == ["A good answer."]
    assert (tmp_path / "answers" / "refused" / "a.eml").exists()


async def test_maildir_takes_no_answer_while_it_is_written(tmp_path: Path) -> None:
    desk = MaildirDesk(tmp_path)
    await desk.backend.deliver(entry())
    await desk.answer(THREAD, "First half")
    (path,) = (tmp_path / "answers").glob("*.eml")
    reading = asyncio.create_task(collected(desk.backend))
    await asyncio.sleep(0)
    with path.open("ab") as file:
        file.write(b" and second half.\n")
    os.utime(path, ns=(1, 1))
    first = await reading
    whole = first or await collected(desk.backend)
    assert "second half" in whole[0].text
