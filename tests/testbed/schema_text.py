"""The names of our own schema as they lie in a SQLite file, to be set aside when it is searched.

Some table names are ticket words. Only whole rows of `sqlite_master` are set aside, so that the same word
is found anywhere else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

__all__ = ["schema_text"]


def schema_text(database: Path) -> Iterator[bytes]:
    """Each row of `sqlite_master` as it lies in the file: type, name and table as one, and the statement."""
    connection = sqlite3.connect(database)
    try:
        query = "SELECT type || name || tbl_name, sql FROM sqlite_master"
        for row in connection.execute(query):
            yield from (text.encode() for text in row if text)
    finally:
        connection.close()
