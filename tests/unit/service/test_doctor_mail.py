"""Doctor asks whether mail to reply addresses would come in, over real listeners, and sends none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from testbed.recording_intake import RecordingIntake
from veildesk.core.limits import Limits
from veildesk.core.submission import Channel
from veildesk.core.ticket import CheckResult, Level
from veildesk.intake.recipients import Recipients
from veildesk.intake.smtp import Listener, ListenerSettings
from veildesk.service.config import Config, load_config
from veildesk.service.doctor_mail import check_mail

CONFIG = """
[gateway]
name = "Desk"
address = "{address}"
domain = "desk.example"
reply_delimiter = "{delimiter}"

[keys]
home = "home"
ring = "ring"
support = "{key}"
notice = "{key}"

[queues.support]
addresses = ["support@desk.example"]
backend = "desk"

[backends.desk]
kind = "memory"
{more}
"""


class Servers:
    """Listeners that stand for our own and for the outgoing server."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.intake = RecordingIntake()

    async def start(self, channel: Channel, delimiter: str = "+") -> int:
        known = Recipients({"support@desk.example": "support"}, delimiter=delimiter)
        settings = ListenerSettings(hostname="desk.example", channel=channel, port=0)
        listener = Listener(settings, self.intake, Limits(), known, b"secret")
        await listener.start()
        self._stack.push_async_callback(listener.close)
        return listener.port

    def config(self, more: str = "", *, local: str = "support", delimiter: str = "+") -> Config:
        path = self._folder / "veildesk.toml"
        path.write_text(
            CONFIG.format(address=f"{local}@desk.example", delimiter=delimiter, key="A" * 40, more=more)
        )
        return load_config(path, {})


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Servers]:
    async with AsyncExitStack() as stack:
        yield Servers(tmp_path, stack)


async def found(config: Config) -> dict[str, CheckResult]:
    return {one.id: one for one in await check_mail(config)}


def outgoing(port: int) -> str:
    return f'[outgoing]\nhost = "127.0.0.1"\nport = {port}\nsecurity = "plain"\n'


async def test_all_is_well(servers: Servers) -> None:
    inside, outside = await servers.start(Channel.LMTP), await servers.start(Channel.SMTP)
    more = f'[lmtp]\nlisten = "127.0.0.1:{inside}"\n{outgoing(outside)}'
    results = await found(servers.config(more))
    assert {one.level for one in results.values()} == {Level.OK}
    assert set(results) == {"mail.in", "mail.reply-address", "mail.lmtp", "mail.out", "mail.reply-server"}
    assert servers.intake.calls == 0


@pytest.mark.parametrize("place", ["listener", "server"])
async def test_a_server_that_knows_no_extensions_is_named(servers: Servers, place: str) -> None:
    inside = await servers.start(Channel.LMTP, "" if place == "listener" else "+")
    outside = await servers.start(Channel.SMTP, "" if place == "server" else "+")
    more = f'[lmtp]\nlisten = "127.0.0.1:{inside}"\n{outgoing(outside)}'
    results = await found(servers.config(more))
    wrong = {name: one.level for name, one in results.items() if one.level is not Level.OK}
    expected = {"listener": {"mail.lmtp": Level.FAIL}, "server": {"mail.reply-server": Level.WARN}}
    assert wrong == expected[place]
    assert "reply_delimiter" in results[next(iter(wrong))].fix
    # Without reply addresses the same servers will do.
    assert {one.level for one in (await found(servers.config(more, delimiter=""))).values()} == {Level.OK}


async def test_nothing_that_could_not_be_seen_is_called_well(servers: Servers) -> None:
    outside = await servers.start(Channel.SMTP)
    imap = '[imap]\nhost = "mail.example"\nuser = "u"\npassword_file = "p"\nqueue = "support"\n'
    results = await found(servers.config(f'[lmtp]\nlisten = "127.0.0.1:1"\n{imap}{outgoing(outside)}'))
    assert results["mail.lmtp"].level is Level.SKIP
    assert results["mail.reply-server"].level is Level.SKIP
    assert "support+" in results["mail.reply-server"].fix
    results = await found(servers.config(outgoing(1)))
    assert results["mail.in"].level is Level.WARN
    assert results["mail.out"].level is Level.FAIL


async def test_an_address_without_a_queue_is_named(servers: Servers) -> None:
    results = await found(servers.config(local="help"))
    assert results["mail.reply-address"].level is Level.FAIL
