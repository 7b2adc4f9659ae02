"""Fixture `mail_servers`: one Postfix and one Dovecot for all tests of a session that import it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from testbed.mail_servers import MailServers

__all__ = ["mail_servers"]


@pytest.fixture(scope="session")
def mail_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServers]:
    """Running servers with several accounts, so that tests do not share a mailbox."""
    users = ["user@users.test", "bridge@users.test", *(f"box{number}@users.test" for number in range(12))]
    with MailServers(tmp_path_factory.mktemp("mail"), users=users) as servers:
        yield servers
