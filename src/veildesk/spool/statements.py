"""Statements of SQLAlchemy Core, compiled once for each database and run on the driver's cursor.

The same Core construct serves both databases. What is saved is what `Connection.execute` does around a
cached statement each time: for the short statements of the store it costs several times the statement.
Values and rows pass as the drivers give them; every column here is text, a whole number or bytes, for which
neither driver needs a conversion. Errors are SQLAlchemy's, without values, as from `Connection.execute`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.compiler import SQLCompiler

__all__ = ["ListStatement", "Statement"]

_Given = Mapping[str, Any]
_Clause = sa.Select[Any] | sa.sql.dml.UpdateBase
_NOTHING: _Given = {}
_LONGEST = 256
_ROWS = 16


class Statement:
    """One statement; its named parameters are given at each call. `columns` are those an insert sets."""

    def __init__(self, clause: _Clause, *columns: str) -> None:
        self._clause = clause
        self._columns = list(columns) or None
        self._made: dict[str, tuple[str, Callable[[_Given], Any]]] = {}
        self._rows: dict[int, Statement] = {}

    def all(self, connection: sa.Connection, given: _Given) -> list[tuple[Any, ...]]:
        """All rows."""
        cursor = self._run(connection, given)
        try:
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        except connection.dialect.loaded_dbapi.Error as error:
            raise _wrapped(connection, error) from None
        return rows

    def one(self, connection: sa.Connection, given: _Given) -> tuple[Any, ...] | None:
        """The only row, None without one; by a key there can be no more."""
        # Fetching all ends the statement, so that it holds nothing any more.
        rows = self.all(connection, given)
        return rows[0] if rows else None

    def value(self, connection: sa.Connection, given: _Given) -> Any:
        """The first column of the only row, None without one."""
        row = self.one(connection, given)
        return None if row is None else row[0]

    def run(self, connection: sa.Connection, given: _Given) -> None:
        """For what gives no rows."""
        self._run(connection, given)

    def many(self, connection: sa.Connection, given: Sequence[_Given]) -> None:
        """Insert each of `given`, several rows by one statement: each step of a statement costs the driver's
        thread the interpreter twice."""
        begin = 0
        while begin < len(given):
            count = min(_ROWS, 1 << (len(given) - begin).bit_length() - 1)
            rows = given[begin : begin + count]
            if count == 1:
                self._run(connection, rows[0])
            else:
                named = {f"{name}_{at}": value for at, row in enumerate(rows) for name, value in row.items()}
                self._of_rows(count)._run(connection, named)
            begin += count

    def _of_rows(self, count: int) -> Statement:
        found = self._rows.get(count)
        if found is None:
            assert isinstance(self._clause, sa.Insert)
            assert self._columns is not None
            columns = [self._clause.table.c[name] for name in self._columns]
            rows = [
                {one.name: sa.bindparam(f"{one.name}_{at}", type_=one.type) for one in columns}
                for at in range(count)
            ]
            found = self._rows[count] = Statement(self._clause.values(rows))
        return found

    def _run(self, connection: sa.Connection, given: _Given) -> Any:
        text, values = self._compiled(connection)
        row = values(given)
        try:
            cursor = connection.connection.cursor()
            cursor.execute(text, row)
        except connection.dialect.loaded_dbapi.Error as error:
            raise _wrapped(connection, error) from None
        return cursor

    def _compiled(self, connection: sa.Connection) -> tuple[str, Callable[[_Given], Any]]:
        dialect = connection.dialect
        made = self._made.get(dialect.name)
        if made is None:
            compiled = self._clause.compile(dialect=dialect, column_keys=self._columns)
            assert isinstance(compiled, SQLCompiler)
            made = self._made[dialect.name] = str(compiled), _values_of(compiled)
        return made


def _wrapped(connection: sa.Connection, error: Any) -> BaseException:
    dialect = connection.dialect
    wrapped: BaseException = sa.exc.DBAPIError.instance(
        *(None, None, error, dialect.loaded_dbapi.Error),
        hide_parameters=True,
        connection_invalidated=dialect.is_disconnect(error, connection.connection.dbapi_connection, None),
        dialect=dialect,
    )
    return wrapped


def _values_of(compiled: SQLCompiler) -> Callable[[_Given], Any]:
    """How the driver wants values: in a row for SQLite, by name for PostgreSQL. A missing one is an error."""
    binds = {name: bind for bind, name in compiled.bind_names.items()}
    fixed = {name: bind.effective_value for name, bind in binds.items() if not bind.required}
    if compiled.positiontup is None:
        names = tuple(binds)
        return lambda given: {name: fixed[name] if name in fixed else given[name] for name in names}
    order = tuple(compiled.positiontup)
    if not fixed:
        return lambda given: tuple([given[name] for name in order])
    return lambda given: tuple([fixed[name] if name in fixed else given[name] for name in order])


class ListStatement:
    """A statement with an IN list; `build` gets the list's parameters.

    A list is lengthened to a power of two by its last value, which changes nothing, so that there are few
    statements, and cut where it is long.
    """

    def __init__(self, build: Callable[[Sequence[sa.BindParameter[Any]]], _Clause]) -> None:
        self._build = build
        self._of: dict[int, Statement] = {}

    def all(
        self, connection: sa.Connection, values: Sequence[Any], given: _Given = _NOTHING
    ) -> list[tuple[Any, ...]]:
        """All rows for the values of the list."""
        rows: list[tuple[Any, ...]] = []
        for begin in range(0, len(values), _LONGEST):
            chosen = values[begin : begin + _LONGEST]
            length = 1 << (len(chosen) - 1).bit_length()
            listed = {f"in_{number}": chosen[min(number, len(chosen) - 1)] for number in range(length)}
            rows += self._for(length).all(connection, {**given, **listed})
        return rows

    def _for(self, length: int) -> Statement:
        found = self._of.get(length)
        if found is None:
            names: list[sa.BindParameter[Any]] = [sa.bindparam(f"in_{number}") for number in range(length)]
            found = self._of[length] = Statement(self._build(names))
        return found
