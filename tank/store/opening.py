"""Opening the store's file: sound, fresh, set aside, or refused. Runs in the thread that will own the connection.

Three outcomes are kept apart by SQLite's codes, never by its words (R28). Damage, the file itself being wrong: it is
renamed with its log, whole, and a fresh one is made. Trouble, the machine or another process being in the way:
Unavailable, and the file is not touched. Sound: migrated forward if need be, after a copy (R21). Nothing is ever
deleted. The connection locks the file for its whole life (`locking_mode=EXCLUSIVE`): no second daemon, no curious
shell beside it, and so none of the faults that two connections to one log bring (R20, R26).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from tank.errors import Unavailable
from tank.store import input_tables, tables
from tank.store.base import Contents
from tank.store.rows import Malformed

PATIENCE = 1.0  # seconds to wait for the lock of a process that is just leaving
COMPANIONS = ("", "-wal", "-shm", "-journal")
DAMAGE = frozenset(
    {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_ERROR,  # our own fixed statements do not fit what the file says it holds
        sqlite3.SQLITE_TOOBIG,
    }
)
Migration = Callable[[sqlite3.Connection], None]  # within a transaction; rewrites the sums of rows it changes
MIGRATIONS: Mapping[int, Migration] = {1: input_tables.create}  # version -> the way to the next one


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An open store file. `damaged` is where an earlier file was put, while nobody has recovered from its loss."""

    connection: sqlite3.Connection
    contents: Contents
    damaged: Path | None


def open_file(
    path: Path, at: float, *, version: int = tables.VERSION, migrations: Mapping[int, Migration] = MIGRATIONS
) -> Opened:
    """Open or make the store at `path`; `at` (wall clock) names what is set aside. Raises Unavailable."""
    try:
        damaged = _set_aside(path, at) if _is_cut_off(path) else None
        try:
            return _open_sound(path, damaged, version, migrations)
        except _Damage as damage:
            # Renamed while it is still open: so it stays locked, and closing cannot remove its log.
            with closing(damage.connection):
                damaged = _set_aside(path, at)
            return _open_sound(path, damaged, version, migrations)
    except OSError as error:
        raise Unavailable(f"cannot open the store {path}: {error}") from error


class _Damage(Unavailable):
    """The file behind the still open `connection` is not what was written. It never leaves this module."""

    def __init__(self, message: str, connection: sqlite3.Connection) -> None:
        self.connection = connection
        super().__init__(message)


def _open_sound(path: Path, damaged: Path | None, version: int, migrations: Mapping[int, Migration]) -> Opened:
    """Raises _Damage with the connection still open; Unavailable for all else that is in the way."""
    made = _make_file(path)
    connection = _connect(path)
    try:
        _configure(connection)
        if _is_empty(connection):
            _fill(connection, damaged)
        _check(connection)
        _migrate(connection, path, version, migrations)
        contents = tables.load(connection)
        if made:
            sync_directory(path.parent)
        return Opened(connection=connection, contents=contents, damaged=_lost(connection, path, contents))
    except (sqlite3.Error, Malformed, UnicodeError) as error:  # the last: a message that quotes the file
        if _is_damage(error, path):
            raise _Damage(f"cannot open the store {path}: {error}", connection) from error
        connection.close()
        raise Unavailable(f"cannot open the store {path}: {error}") from error
    except BaseException:
        connection.close()
        raise


def _make_file(path: Path) -> bool:
    """The file exists afterwards, readable by its owner only (S19). Never opens one that is there (R26)."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if path.stat().st_mode & 0o777 != 0o600:
            path.chmod(0o600)
        return False
    return True


def _connect(path: Path) -> sqlite3.Connection:
    uri = f"file:{quote(str(path.absolute()))}?mode=rw"
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None)
    except sqlite3.Error as error:
        raise Unavailable(f"cannot open the store {path}: {error}") from error
    connection.text_factory = lambda text: text.decode(errors="replace")  # then the row's sum does not match
    return connection


def _configure(connection: sqlite3.Connection) -> None:
    """Lock, log and durability. Raises sqlite3.Error, Malformed."""
    for setting in ("locking_mode = EXCLUSIVE", "trusted_schema = OFF", "cell_size_check = ON"):
        connection.execute(f"PRAGMA {setting}")
    connection.execute("PRAGMA synchronous = FULL")
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
    if mode != "wal" or synchronous != 2:  # without both, an acknowledged write may be lost (R25)
        raise Unavailable(f"cannot open the store: journal mode {mode}, synchronous {synchronous}")
    connection.execute("BEGIN IMMEDIATE")  # takes the lock now, and fails on a read-only file
    connection.execute("COMMIT")


def _is_empty(connection: sqlite3.Connection) -> bool:
    """Nothing was ever written here: at most the page that the change to WAL leaves."""
    ask = ("SELECT count(*) FROM sqlite_master", "PRAGMA user_version", "PRAGMA page_count")
    named, version, pages = (connection.execute(query).fetchone()[0] for query in ask)
    return not named and not version and pages <= 1


def _fill(connection: sqlite3.Connection, damaged: Path | None) -> None:
    connection.execute("BEGIN IMMEDIATE")
    tables.create(connection)
    if damaged is not None:
        tables.set_meta(connection, "damaged", damaged.name)
    connection.execute("COMMIT")


def _check(connection: sqlite3.Connection) -> None:
    said = [row[0] for row in connection.execute("PRAGMA quick_check(1)")]
    if said != ["ok"]:
        raise Malformed(str(said[0]))


def _migrate(connection: sqlite3.Connection, path: Path, version: int, migrations: Mapping[int, Migration]) -> None:
    """Bring an older file to `version` in one transaction, after a copy of it beside it (R21)."""
    stored = connection.execute("PRAGMA user_version").fetchone()[0]
    if tables.meta(connection).get("schema") != str(stored):
        raise Malformed("the version of the schema is uncertain")
    if stored > version:
        raise Unavailable(f"cannot open the store {path}: a newer tank made it (schema {stored}, not {version})")
    if stored == version:
        return
    try:
        _back_up(connection, path.with_name(f"{path.name}.v{stored}"))
        connection.execute("BEGIN IMMEDIATE")
        for step in range(stored, version):
            migrations[step](connection)
        connection.execute(f"PRAGMA user_version = {version}")
        tables.set_meta(connection, "schema", str(version))
        connection.execute("COMMIT")
    except sqlite3.Error as error:  # a step that does not work is no damage of the file
        raise Unavailable(f"cannot migrate the store {path} from schema {stored}: {error}") from error


def _back_up(connection: sqlite3.Connection, copy: Path) -> None:
    """A durable copy; one that a crash left half made is made again under the same name."""
    draft = copy.with_name(f"{copy.name}.tmp")
    draft.unlink(missing_ok=True)
    connection.execute("VACUUM INTO ?", (str(draft),))
    draft.chmod(0o600)
    descriptor = os.open(draft, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.rename(copy)
    sync_directory(copy.parent)


def _lost(connection: sqlite3.Connection, path: Path, contents: Contents) -> Path | None:
    name = tables.meta(connection).get("damaged")
    return path.with_name(name) if name and contents.fresh else None


def _is_damage(error: Exception, path: Path) -> bool:
    if not isinstance(error, sqlite3.Error):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return False
    if code & 0xFF == sqlite3.SQLITE_READONLY:  # the machine lets us write: then the file's header forbids it
        return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    return code == sqlite3.SQLITE_IOERR_SHORT_READ or code & 0xFF in DAMAGE


def _is_cut_off(path: Path) -> bool:
    """What SQLite takes for an empty store and would write over: a file of one byte, a log without its file."""
    log = path.with_name(path.name + "-wal")
    size = path.stat().st_size if path.exists() else 0
    return size == 1 or (size == 0 and log.exists() and log.stat().st_size > 0)


def _set_aside(path: Path, at: float) -> Path:
    """Rename the file with all that belongs to it, the file first: a log left alone is recognised as such."""
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")
    target = path.with_name(f"{path.name}.damaged-{stamp}")
    number = 1
    while any(target.with_name(target.name + end).exists() for end in COMPANIONS):
        number += 1
        target = path.with_name(f"{path.name}.damaged-{stamp}-{number}")
    for end in COMPANIONS:
        part = path.with_name(path.name + end)
        if part.exists():
            part.rename(target.with_name(target.name + end))
    sync_directory(path.parent)
    return target


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
