"""Statements on the driver's cursor: lists of any length, missing parameters, errors without values."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from veildesk.core.errors import SpoolUnavailable
from veildesk.ops.clock import SystemClock
from veildesk.spool import KeyRing, SqlSpool
from veildesk.spool.schema import metadata, ticket
from veildesk.spool.sqlite_database import open_engine
from veildesk.spool.statements import ListStatement, Statement

INSERT = Statement(sa.insert(ticket), "id", "expires_day")
OF = ListStatement(lambda names: sa.select(ticket.c.id).where(ticket.c.id.in_(names)))


@pytest.fixture(params=["sqlite", "postgresql"])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Connection]:
    if request.param == "sqlite":
        engine = open_engine(tmp_path / "spool.db")
    else:
        from veildesk.spool.postgres_database import connect_engine

        engine = connect_engine(request.getfixturevalue("postgres").new_database())
    with engine.begin() as made:
        metadata.create_all(made)
        yield made
    engine.dispose()


@pytest.mark.parametrize("count", [1, 2, 3, 5, 256, 257, 700])
def test_a_list_of_any_length_finds_each_once(connection: sa.Connection, count: int) -> None:
    names = [f"{number:032x}" for number in range(count)]
    INSERT.many(connection, [{"id": name, "expires_day": 1} for name in names])
    INSERT.run(connection, {"id": "f" * 32, "expires_day": 1})
    assert sorted(OF.all(connection, names)) == [(name,) for name in names]


def test_an_empty_list_finds_nothing(connection: sa.Connection) -> None:
    INSERT.run(connection, {"id": "a" * 32, "expires_day": 1})
    INSERT.many(connection, [])
    assert OF.all(connection, []) == []


def test_a_missing_parameter_is_an_error(connection: sa.Connection) -> None:
    with pytest.raises(KeyError):
        INSERT.run(connection, {"id": "a" * 32})


def test_errors_are_those_of_sqlalchemy_and_hold_no_values(connection: sa.Connection) -> None:
    secret = "b" * 32
    with pytest.raises(sa.exc.IntegrityError) as caught, connection.begin_nested():
        INSERT.many(connection, [{"id": secret, "expires_day": 1}] * 2)
    assert caught.value.params is None
    assert caught.value.statement is None


async def test_one_spoilt_operation_fails_no_other_of_its_group(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "ring")
    spool = await SqlSpool.open(tmp_path / "state", ring, SystemClock(), 14, min_free=0)

    def spoilt(connection: sa.Connection) -> None:
        connection.execute(sa.text("SELECT * FROM nowhere"))

    results = await asyncio.gather(
        spool._writer.do("read", spoilt),
        spool.counts(),
        spool._writer.do("advance", spoilt),
        spool.set_cursor("desk", "7"),
        return_exceptions=True,
    )
    assert [isinstance(one, SpoolUnavailable) for one in results] == [True, False, True, False]
    assert await spool.cursor("desk") == "7"
    await spool.close()


async def test_an_operation_that_is_refused_is_undone_alone(tmp_path: Path) -> None:
    ring = KeyRing.create(tmp_path / "ring")
    spool = await SqlSpool.open(tmp_path / "state", ring, SystemClock(), 14, min_free=0)

    def refused(connection: sa.Connection) -> None:
        INSERT.run(connection, {"id": "a" * 32, "expires_day": 1})
        raise ValueError("refused")

    def counted(connection: sa.Connection) -> int:
        return int(connection.execute(sa.select(sa.func.count()).select_from(ticket)).scalar_one())

    results = await asyncio.gather(
        spool.set_cursor("desk", "7"),
        spool._writer.do("advance", refused),
        spool.set_cursor("other", "8"),
        spool._writer.do("read", counted),
        return_exceptions=True,
    )
    assert [isinstance(one, ValueError) for one in results] == [False, True, False, False]
    assert results[3] == 0
    assert (await spool.cursor("desk"), await spool.cursor("other")) == ("7", "8")
    await spool.close()
