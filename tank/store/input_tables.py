"""The tables of secrets and configs, on the connection of the SQLite store.

What is known of them is small and read whole at opening; the values lie in a table of their own and are read when a
container needs them. They carry no sum of the row: a version is made from its content, or sealed with it, and whoever
opens a body sees whether it is the one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

from tank.errors import NotFound
from tank.model.stored import InputVersion, StoredInput
from tank.model.uses import words
from tank.store import rows
from tank.store.rows import Malformed, Row

SCHEMA = """
CREATE TABLE inputs (key TEXT PRIMARY KEY, version TEXT, created_at REAL, sum INTEGER) STRICT, WITHOUT ROWID;
CREATE TABLE versions (
    key TEXT, version TEXT, at REAL, sealed TEXT, sizes TEXT, sum INTEGER, PRIMARY KEY (key, version)
) STRICT, WITHOUT ROWID;
CREATE TABLE bodies (key TEXT, version TEXT, body BLOB, PRIMARY KEY (key, version)) STRICT
"""


def create(connection: sqlite3.Connection) -> None:
    """Make the tables, inside the caller's transaction: in a new store, and in one of schema 1."""
    for statement in SCHEMA.split(";"):
        connection.execute(statement)


def load(connection: sqlite3.Connection) -> Mapping[str, StoredInput]:
    """All secrets and configs, without values. Raises Malformed."""
    versions: dict[str, dict[str, InputVersion]] = {}
    for key, version, at, sealed, sizes, _ in _whole(connection, "SELECT * FROM versions"):
        found = InputVersion(version=version, sizes=json.loads(sizes), at=at, sealed=sealed)
        versions.setdefault(key, {})[version] = found
    return {
        key: StoredInput(key=key, version=version, versions=versions.get(key, {}), created_at=created_at)
        for key, version, created_at, _ in _whole(connection, "SELECT * FROM inputs")
    }


def write(
    connection: sqlite3.Connection,
    inputs: Mapping[str, StoredInput | None],
    bodies: Mapping[tuple[str, str], bytes | None],
) -> None:
    """Record an accepted change, inside the caller's transaction."""
    for key, stored in inputs.items():
        connection.execute("DELETE FROM inputs WHERE key = ?", (key,))
        connection.execute("DELETE FROM versions WHERE key = ?", (key,))
        if stored is not None:
            row = rows.summed((key, stored.version, float(stored.created_at)))
            connection.execute("INSERT INTO inputs VALUES (?, ?, ?, ?)", row)
            connection.executemany("INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?)", _version_rows(stored))
    for place, body in bodies.items():
        connection.execute("DELETE FROM bodies WHERE key = ? AND version = ?", place)
        if body is not None:
            connection.execute("INSERT INTO bodies VALUES (?, ?, ?)", (*place, body))


def body(connection: sqlite3.Connection, key: str, version: str) -> bytes:
    """What was stored. Raises NotFound."""
    query = "SELECT body FROM bodies WHERE key = ? AND version = ?"
    found = connection.execute(query, (key, version)).fetchone()
    if found is None or not isinstance(found[0], bytes):
        raise NotFound(f"there is no version {version} of {words(key)}")
    return found[0]


def remembered(connection: sqlite3.Connection, key: str) -> frozenset[str]:
    """The versions of `key` that kept revisions of pods name. A damaged revision names nothing."""
    pins = "json_each(CASE WHEN json_valid(history.pins) THEN history.pins ELSE '{}' END)"
    query = f"SELECT DISTINCT pin.value FROM history, {pins} AS pin WHERE pin.key = ?"  # noqa: S608
    return frozenset(str(row[0]) for row in connection.execute(query, (key,)))


def _version_rows(stored: StoredInput) -> list[Row]:
    return [
        rows.summed((stored.key, each.version, float(each.at), each.sealed, json.dumps(dict(each.sizes))))
        for each in stored.versions.values()
    ]


def _whole(connection: sqlite3.Connection, query: str) -> list[Row]:
    found: list[Row] = connection.execute(query).fetchall()
    if not all(rows.whole(row) for row in found):
        raise Malformed("a row of a secret or config is not what was written")
    return found
