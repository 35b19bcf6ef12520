"""The tables of the SQLite store, on its one connection: what is stored, and the statements. Decides nothing.

The trees are WITHOUT ROWID where anything is run by them, so that no key is written twice and none can disagree
with its index.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

from tank.model.desired import Event, Revision
from tank.store import decide, input_tables, rows
from tank.store.base import Change, Contents
from tank.store.decide import Delta
from tank.store.rows import Malformed, Row

VERSION = 2  # of what follows; PRAGMA user_version and meta('schema') both hold it
SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT, sum INTEGER) STRICT, WITHOUT ROWID;
CREATE TABLE pods (
    name TEXT PRIMARY KEY, uid TEXT, revision INTEGER, spec TEXT, created_at REAL,
    restarts TEXT, pulls TEXT, pins TEXT, sum INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE tombstones (uid TEXT PRIMARY KEY, name TEXT, grace REAL, at REAL, sum INTEGER) STRICT, WITHOUT ROWID;
CREATE TABLE history (
    name TEXT, revision INTEGER, uid TEXT, spec TEXT, at REAL, origin TEXT, pins TEXT, sum INTEGER,
    PRIMARY KEY (name, revision)
) STRICT, WITHOUT ROWID;
CREATE TABLE changes (name TEXT PRIMARY KEY, revision INTEGER, deleted INTEGER) STRICT, WITHOUT ROWID;
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, pod TEXT, uid TEXT, container TEXT, type TEXT, reason TEXT,
    message TEXT, count INTEGER, first REAL, last REAL
) STRICT;
CREATE INDEX events_same ON events (pod, uid, container, type, reason, message);
CREATE TABLE seeds (name TEXT, digest TEXT, PRIMARY KEY (name, digest)) STRICT, WITHOUT ROWID
"""


def create(connection: sqlite3.Connection) -> None:
    """Make the tables of an empty store, inside the caller's transaction."""
    for statement in SCHEMA.split(";"):
        connection.execute(statement)
    input_tables.create(connection)
    connection.execute(f"PRAGMA user_version = {VERSION}")
    for key, value in (("schema", str(VERSION)), ("revision", "0"), ("fresh", "1")):
        set_meta(connection, key, value)


def set_meta(connection: sqlite3.Connection, key: str, value: str) -> None:
    """Remember a word about the whole store."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", rows.summed((key, value)))


def meta(connection: sqlite3.Connection) -> Mapping[str, str]:
    """All that is remembered of the whole store. Raises Malformed."""
    return {row[0]: row[1] for row in _whole(connection, "SELECT * FROM meta")}


def load(connection: sqlite3.Connection) -> Contents:
    """The whole desired state. Raises Malformed; Unavailable when it is sound but not understood."""
    about = meta(connection)
    pods = {row[0]: rows.desired(row) for row in _whole(connection, "SELECT * FROM pods")}
    stones = {row[0]: rows.tombstone(row) for row in _whole(connection, "SELECT * FROM tombstones")}
    query = "SELECT max(revision) FROM changes WHERE typeof(revision) = 'integer'"
    highest = connection.execute(query).fetchone()[0] or 0
    counter = int(about.get("revision", -1))
    if counter < max([highest, *(each.revision for each in pods.values())]):
        raise Malformed("the counter of revisions went back")
    inputs = input_tables.load(connection)
    return Contents(revision=counter, pods=pods, tombstones=stones, fresh=about.get("fresh") == "1", inputs=inputs)


class Tables:
    """Reads and writes of an open store."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._events: int | None = None  # how many there are; None: to be counted

    def write(self, delta: Delta) -> None:
        """Record an accepted write, inside the caller's transaction."""
        for name, pod in delta.pods.items():
            self._replace("pods", "name", name, None if pod is None else rows.pod_row(pod))
        for uid, stone in delta.tombstones.items():
            self._replace("tombstones", "uid", uid, None if stone is None else rows.tombstone_row(stone))
        for each in delta.history:
            self._insert("history", rows.revision_row(each))
            self._prune_history(each.name)
        if delta.pinned:
            self._pin(*delta.pinned)
        for pin in delta.recorded:
            self._pin(*pin, over=False)
        input_tables.write(self._connection, delta.inputs, delta.bodies)
        for change in delta.changes:
            row = (change.name, change.revision, int(change.deleted))
            self._connection.execute("INSERT OR REPLACE INTO changes VALUES (?, ?, ?)", row)
        set_meta(self._connection, "revision", str(delta.revision))
        if delta.fresh is not None:
            set_meta(self._connection, "fresh", str(int(delta.fresh)))

    def rolled_back(self) -> None:
        """The transaction did not happen: trust no number kept beside the tables."""
        self._events = None

    def remembered(self, key: str) -> frozenset[str]:
        """The versions of a secret or config that kept revisions name."""
        return input_tables.remembered(self._connection, key)

    def input_body(self, key: str, version: str) -> bytes:
        """The stored bytes. Raises NotFound."""
        return input_tables.body(self._connection, key, version)

    def history(self, name: str) -> tuple[Revision, ...]:
        """Newest first. A damaged row is left out: it could not be applied again anyway."""
        query = "SELECT * FROM history WHERE name = ? ORDER BY revision DESC"
        found = self._connection.execute(query, (name,)).fetchall()
        return tuple(rows.revision(row) for row in found if rows.whole(row))

    def changes(self, since: int) -> list[Change]:
        """The last change of each name that changed after `since`."""
        found = self._connection.execute("SELECT * FROM changes WHERE revision > ?", (since,))
        return [Change(name=name, revision=number, deleted=bool(gone)) for name, number, gone in found]

    def add_event(self, event: Event) -> None:
        """Add or count, then forget what is too old or too much, a few at a time."""
        old = self._same_event(event)
        if old is not None:
            self._connection.execute("DELETE FROM events WHERE id = ?", (old.id,))
        new = decide.counted(old, event, 0)
        values = (*decide.same_event(new), new.count, new.first, new.last)
        columns = "pod, uid, container, type, reason, message, count, first, last"
        self._connection.execute(f"INSERT INTO events ({columns}) VALUES ({_marks(values)})", values)  # noqa: S608
        self._count_events(0 if old else 1)
        self._forget_surplus_of(event.pod)
        self._forget_events(event.last - decide.EVENT_AGE)

    def events(self, pod: str | None, after: int, limit: int) -> tuple[Event, ...]:
        """The newest `limit`, oldest first."""
        found = self._connection.execute(
            "SELECT * FROM events WHERE id > ?1 AND (?2 IS NULL OR pod = ?2) ORDER BY id DESC LIMIT ?3",
            (after, pod, limit),
        ).fetchall()
        return tuple(rows.event(row) for row in reversed(found))

    def seeded(self, name: str, digest: str) -> bool:
        query = "SELECT 1 FROM seeds WHERE name = ? AND digest = ?"
        return self._connection.execute(query, (name, digest)).fetchone() is not None

    def mark_seeded(self, name: str, digest: str) -> None:
        self._connection.execute("INSERT OR IGNORE INTO seeds VALUES (?, ?)", (name, digest))

    def fault(self) -> str | None:
        """What SQLite finds wrong with the file; None when nothing is."""
        said = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        return None if said == "ok" else str(said)

    def _replace(self, table: str, key: str, value: str, row: Row | None) -> None:
        if row is None:
            self._connection.execute(f"DELETE FROM {table} WHERE {key} = ?", (value,))  # noqa: S608
        else:
            self._insert(table, row)

    def _insert(self, table: str, row: Row) -> None:
        whole = rows.summed(row)
        self._connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({_marks(whole)})", whole)  # noqa: S608

    def _prune_history(self, name: str) -> None:
        self._connection.execute(
            "DELETE FROM history WHERE name = ?1 AND revision <= (SELECT revision FROM history WHERE name = ?1"
            " ORDER BY revision DESC LIMIT 1 OFFSET ?2)",
            (name, decide.KEPT_REVISIONS),
        )

    def _pin(self, name: str, revision: int, container: str, digest: str, *, over: bool = True) -> None:
        query = "SELECT * FROM history WHERE name = ? AND revision = ?"
        row = self._connection.execute(query, (name, revision)).fetchone()
        if row is not None and rows.whole(row):
            held = json.loads(row[6])
            pins = {**held, container: digest} if over else {container: digest, **held}
            self._insert("history", (*row[:6], json.dumps(pins)))

    def _same_event(self, event: Event) -> Event | None:
        row = self._connection.execute(
            "SELECT * FROM events WHERE (pod, uid, container, type, reason, message) = (?, ?, ?, ?, ?, ?)"
            " ORDER BY id DESC LIMIT 1",
            decide.same_event(event),
        ).fetchone()
        return None if row is None else rows.event(row)

    def _count_events(self, more: int) -> None:
        if self._events is None:
            self._events = self._connection.execute("SELECT count(*) FROM events").fetchone()[0]
        else:
            self._events += more

    def _forget_surplus_of(self, pod: str) -> None:
        query = (
            "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE pod = ? ORDER BY id DESC LIMIT -1 OFFSET ?)"
        )
        gone = self._connection.execute(query, (pod, decide.KEPT_EVENTS_OF_POD)).rowcount
        self._count_events(-gone)

    def _forget_events(self, before: float) -> None:
        surplus = max(0, (self._events or 0) - decide.KEPT_EVENTS)
        query = "SELECT id, last FROM events ORDER BY id LIMIT ?"
        oldest = self._connection.execute(query, (surplus + 8,)).fetchall()
        gone = [(each,) for n, (each, last) in enumerate(oldest) if n < surplus or last < before]
        self._connection.executemany("DELETE FROM events WHERE id = ?", gone)
        self._count_events(-len(gone))


def _marks(row: Row) -> str:
    return ", ".join("?" * len(row))


def _whole(connection: sqlite3.Connection, query: str) -> list[Row]:
    """The rows of a table, each the one that was written. Raises Malformed."""
    found: list[Row] = connection.execute(query).fetchall()
    if not all(rows.whole(row) for row in found):
        raise Malformed("a row is not what was written")
    return found
