"""A PostgreSQL that is away, refuses us, is full of clients, a replica or too old: named, with what helps."""

from __future__ import annotations

import pytest

from testbed.postgres import Cluster
from veildesk.core.errors import ConfigInvalid, SpoolUnavailable
from veildesk.spool import postgres_database
from veildesk.spool.postgres_database import _why_not, connect


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ('FATAL:  password authentication failed for user "veildesk"', "database-refused"),
        ("fe_sendauth: no password supplied", "database-refused"),
        ('FATAL:  database "nothere" does not exist', "database-refused"),
        ('FATAL:  no pg_hba.conf entry for host "192.0.2.1"', "database-refused"),
        ("FATAL:  sorry, too many clients already", "database-crowded"),
        ("FATAL:  remaining connection slots are reserved", "database-crowded"),
        ("connection to server failed: Connection refused", "database-unreachable"),
        ('could not translate host name "db" to address', "database-unreachable"),
    ],
)
def test_the_servers_words_become_a_code_with_a_next_step(said: str, code: str) -> None:
    assert _why_not(said) == code
    assert SpoolUnavailable(code).hint != SpoolUnavailable.hint


def test_a_database_that_is_not_there_is_refused(postgres: Cluster) -> None:
    with pytest.raises(SpoolUnavailable, match="database-refused"):
        connect(postgres.conninfo("nothere"))


def test_a_server_that_is_too_old_is_refused(postgres: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    conninfo = postgres.new_database()
    monkeypatch.setattr(postgres_database, "_OLDEST", 990000)
    with pytest.raises(ConfigInvalid, match="PostgreSQL 15 or later"):
        connect(conninfo)
