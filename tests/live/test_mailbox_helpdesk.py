"""The conformance suite over a helpdesk that reads mail, with a real Postfix and Dovecot."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
import pytest_asyncio

from testbed.helpdesks.mailbox import ANSWERS, DESK, RESULTS, MailboxDesk, mailbox_desk
from testbed.mail_servers import MailServers
from veildesk.conformance.suite import *  # noqa: F403
from veildesk.conformance.suite import collected, entry, fresh

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("mailbox"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServers]:
    with MailServers(tmp_path_factory.mktemp("mailbox"), users=[DESK, ANSWERS]) as running:
        yield running


@pytest_asyncio.fixture
async def desk(servers: MailServers, tmp_path: Path) -> AsyncIterator[MailboxDesk]:
    async with mailbox_desk(servers, tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("sender", "results", "more"),
    [
        ("agent@users.test", "", {}),
        ("agent@users.test", "mx.evil.test; dkim=pass header.d=users.test", {}),
        ("agent@users.test", "mx.users.test; dkim=fail header.d=users.test", {}),
        ("agent@users.test", "mx.users.test; dkim=pass header.d=evil.test", {}),
        ("agent@users.test", "mx.users.test; dkim=none (dkim=pass header.d=users.test)", {}),
        ("agent@evil.test", "mx.users.test; dkim=pass header.d=evil.test", {}),
        ("agent@users.test", RESULTS, {"Auto-Submitted": "auto-replied"}),
        ("agent@users.test", RESULTS, {"Precedence": "bulk"}),
    ],
    ids=["unproven", "foreign-server", "failed", "other-domain", "in-comment", "stranger", "auto", "bulk"],
)
async def test_what_no_agent_wrote_is_put_aside(
    desk: MailboxDesk, servers: MailServers, sender: str, results: str, more: dict[str, str]
) -> None:
    thread = fresh()
    await desk.backend.deliver(entry(thread))
    assert await desk.texts(thread)
    mail = EmailMessage()
    if results:
        mail["Authentication-Results"] = results
    mail["From"], mail["To"], mail["Subject"] = sender, f"answers+{thread}@users.test", "Re: it"
    for name, value in more.items():
        mail[name] = value
    mail.set_content("I am the support.")
    await desk.send(mail)
    before = len(servers.messages(ANSWERS, "Veildesk-refused"))
    assert await collected(desk.backend, None, thread) == []
    assert len(servers.messages(ANSWERS, "Veildesk-refused")) == before + 1


async def test_marks_of_what_was_sent_hold_no_content(desk: MailboxDesk, servers: MailServers) -> None:
    await desk.backend.deliver(entry(fresh(), "the text", subject="the subject"))
    for raw in servers.messages(ANSWERS, "Veildesk-sent"):
        assert b"the text" not in raw
        assert b"the subject" not in raw
