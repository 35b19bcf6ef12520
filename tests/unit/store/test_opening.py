"""Opening a file that is sound, new, damaged, older, newer, or in the way of somebody (R20, R21, R25, R28)."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tank.errors import Unavailable
from tank.model.desired import Event
from tank.model.pod import Container, Pod
from tank.model.stored import InputVersion
from tank.store import rows, tables
from tank.store.base import Contents, Put
from tank.store.opening import open_file
from tank.store.sqlite import SqliteStore

FLIPS = int(os.environ.get("TANK_FLIPS", "120"))  # offsets tried in one run; a sweep takes thousands
NOON = 1_800_000_000.0

# A daemon that is killed: it leaves the file and its log as a crash does.
CRASH = """
import asyncio, os, sys
from pathlib import Path
from tank.model.pod import Container, Pod
from tank.store.base import Put
from tank.store.sqlite import SqliteStore

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]))
    for number in range(int(sys.argv[2])):
        spec = Pod(name=f"pod-{number}", containers=(Container(name="main", image="docker.io/library/x:1"),))
        await store.put([Put(spec=spec, uid=f"{number:012x}")], 1.0)
    print("ready", flush=True)
    if sys.argv[3:]:
        sys.stdin.read()
    os._exit(9)

asyncio.run(main())
"""


def pod(name: str, **labels: str) -> Pod:
    return Pod(name=name, containers=(Container(name="main", image="docker.io/library/x:1"),), labels=labels)


async def opened(path: Path) -> tuple[Contents, Path | None]:
    """What an opening finds, and where it put a damaged file."""
    store = await SqliteStore.open(path, clock=lambda: NOON)
    try:
        return await store.read(), store.damaged
    finally:
        await store.close()


async def filled(path: Path, count: int = 12) -> Contents:
    """A closed store that has something in each table."""
    store = await SqliteStore.open(path)
    await store.adopt([], 1.0)
    for number in range(count):
        (each,) = await store.put([Put(spec=pod(f"pod-{number}", n="x" * 400), uid=f"{number:012x}")], 1.0)
        await store.pin(each.name, each.revision, "main", "sha256:" + "a" * 64)
    await store.restart("pod-0", ["main"], pull=True)
    await store.delete("pod-1", 5.0, 2.0)
    event = Event(id=0, pod="pod-0", uid="", container="", type="", reason="", message="", count=1, first=1, last=1)
    await store.add_event(event)
    await store.mark_seeded("pod-0", "sha256:s")
    await store.set_input("config/app", InputVersion(version="v1", sizes={"a": 1}, at=1.0), b"a")
    contents = await store.read()
    await store.close()
    return contents


def crashed(path: Path, count: int = 5) -> None:
    subprocess.run([sys.executable, "-c", CRASH, str(path), str(count)], check=False, stdout=subprocess.DEVNULL)
    assert path.with_name("store.db-wal").stat().st_size > 0


def everything(directory: Path) -> set[str]:
    return {each.name for each in directory.iterdir()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


async def test_a_new_file_is_private_logged_ahead_and_flushed(path: Path) -> None:
    made = open_file(path, NOON)

    ask = ("journal_mode", "synchronous", "locking_mode", "user_version")
    said = [made.connection.execute(f"PRAGMA {each}").fetchone()[0] for each in ask]
    made.connection.close()
    assert (said, path.stat().st_mode & 0o777) == (["wal", 2, "exclusive", tables.VERSION], 0o600)


async def test_a_file_that_others_may_read_is_made_private(path: Path) -> None:
    await filled(path)
    path.chmod(0o644)

    await opened(path)

    assert path.stat().st_mode & 0o777 == 0o600


async def test_all_is_there_again_after_closing_and_opening(path: Path) -> None:
    contents = await filled(path)

    store = await SqliteStore.open(path)
    found = await store.read(), await store.seeded("pod-0", "sha256:s"), len(await store.events())
    history = await store.history("pod-1")
    await store.close()

    assert found == (contents, True, 1)
    assert [(each.name, each.pins) for each in history] == [("pod-1", {"main": "sha256:" + "a" * 64})]


async def test_numbers_go_on_where_they_were(path: Path) -> None:
    contents = await filled(path)

    store = await SqliteStore.open(path)
    (new,) = await store.put([Put(spec=pod("new"), uid="f" * 12)], 1.0)
    await store.close()

    assert new.revision == contents.revision + 1


async def test_a_watch_over_a_restart_is_told_of_deletions_too(path: Path) -> None:
    await filled(path, count=2)

    store = await SqliteStore.open(path)
    watch = store.watch(1)
    told = [await anext(watch), await anext(watch)]
    await store.close()

    assert [(each.name, each.deleted) for each in told] == [("pod-0", False), ("pod-1", True)]


async def test_a_store_stays_fresh_until_somebody_adopts(path: Path) -> None:
    first, _ = await opened(path)
    second, _ = await opened(path)
    store = await SqliteStore.open(path)
    await store.adopt([], 1.0)
    await store.close()
    third, _ = await opened(path)

    assert (first.fresh, second.fresh, third.fresh) == (True, True, False)


async def test_what_was_acknowledged_before_a_kill_is_there(path: Path) -> None:
    crashed(path, 5)

    contents, damaged = await opened(path)

    assert (len(contents.pods), contents.revision, damaged) == (5, 5, None)


# Damage


async def test_a_file_that_is_no_database_is_set_aside_whole(path: Path) -> None:
    path.write_bytes(b"this was never a database\n" * 300)

    contents, damaged = await opened(path)

    assert damaged == path.with_name("store.db.damaged-20270115T080000Z")
    assert damaged.read_bytes() == b"this was never a database\n" * 300
    assert (contents.fresh, contents.pods) == (True, {})


async def test_somebody_elses_database_is_set_aside(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE music (title)")
    other.close()

    contents, damaged = await opened(path)

    assert damaged is not None
    assert contents.fresh


async def test_several_damaged_files_of_one_second_are_all_kept(path: Path) -> None:
    for text in (b"one" * 99, b"two" * 99, b"three" * 99):
        path.write_bytes(text)
        await opened(path)

    kept = sorted(path.parent.glob("store.db.damaged-*"))
    assert {each.read_bytes() for each in kept} == {b"one" * 99, b"two" * 99, b"three" * 99}


async def test_the_loss_is_told_until_it_was_recovered_from(path: Path) -> None:
    path.write_bytes(b"damaged" * 99)
    _, first = await opened(path)
    _, again = await opened(path)
    store = await SqliteStore.open(path)
    await store.adopt([], 1.0)
    await store.close()
    _, after = await opened(path)

    assert first is not None
    assert (again, after) == (first, None)


async def test_an_empty_file_is_a_fresh_store(path: Path) -> None:
    path.touch()

    contents, damaged = await opened(path)

    assert (contents.fresh, damaged) == (True, None)


@pytest.mark.parametrize("cut", ["missing", "empty"])
async def test_a_log_without_its_file_is_kept(path: Path, cut: str) -> None:
    crashed(path)
    log = path.with_name("store.db-wal").read_bytes()
    path.unlink()
    if cut == "empty":
        path.touch()

    contents, damaged = await opened(path)

    assert contents.fresh
    assert damaged is not None
    assert damaged.with_name(damaged.name + "-wal").read_bytes() == log


async def test_the_log_goes_aside_with_the_file(path: Path) -> None:
    await filled(path)
    crashed(path, 1)
    log = path.with_name("store.db-wal").read_bytes()
    path.write_bytes(path.read_bytes().replace(b"xxxx", b"yyyy"))

    contents, damaged = await opened(path)

    assert contents.fresh
    assert damaged is not None
    assert damaged.with_name(damaged.name + "-wal").read_bytes() == log


async def test_a_changed_letter_inside_a_value_is_damage(path: Path) -> None:
    await filled(path)
    path.write_bytes(path.read_bytes().replace(b"docker.io/library/x:1", b"docker.io/library/y:1", 1))

    contents, damaged = await opened(path)

    assert damaged is not None
    assert contents.fresh


def flip(data: bytes, offset: int, bit: int) -> bytes:
    return data[:offset] + bytes([data[offset] ^ (1 << bit)]) + data[offset + 1 :]


def spread(size: int, count: int) -> list[int]:
    """The header in full, then offsets all over the file that no page size divides."""
    return [*range(0, min(108, size), max(1, 108 * 4 // count)), *range(108, size, max(1, size // count | 1))]


async def check_opening(directory: Path, sound: Contents, broken: bytes) -> str:
    """Whatever the file holds, opening gives all of it or a fresh store, and loses no byte."""
    directory.mkdir()
    path = directory / "store.db"
    path.write_bytes(broken)

    contents, damaged = await opened(path)

    if damaged is None:
        assert contents == sound or (contents.fresh and not broken)
        verdict = "whole"
    else:
        assert (contents.fresh, contents.pods) == (True, {})
        assert damaged.read_bytes() == broken
        verdict = "fresh"
    shutil.rmtree(directory)
    return verdict


async def test_a_flipped_bit_anywhere_leaves_the_whole_store_or_a_fresh_one(tmp_path: Path) -> None:
    sound = await filled(tmp_path / "store.db")
    data = (tmp_path / "store.db").read_bytes()

    verdicts = {
        await check_opening(tmp_path / f"at-{offset}", sound, flip(data, offset, offset % 8))
        for offset in spread(len(data), FLIPS)
    }

    assert verdicts == {"whole", "fresh"}


async def test_a_file_cut_off_anywhere_leaves_the_whole_store_or_a_fresh_one(tmp_path: Path) -> None:
    sound = await filled(tmp_path / "store.db")
    data = (tmp_path / "store.db").read_bytes()

    verdicts = [
        await check_opening(tmp_path / f"at-{offset}", sound, data[:offset]) for offset in spread(len(data), FLIPS)
    ]

    assert verdicts[0] == "whole"  # nothing is left, nothing is lost: as new
    assert set(verdicts[1:]) <= {"fresh", "whole"}  # whole where only unused zeros were cut off
    assert verdicts.count("fresh") > len(verdicts) // 2


async def test_a_damaged_log_leaves_what_was_written_before_the_damage(tmp_path: Path) -> None:
    crashed(tmp_path / "store.db", 5)
    data, log = ((tmp_path / name).read_bytes() for name in ("store.db", "store.db-wal"))

    found = set()
    for offset in spread(len(log), FLIPS // 3):
        directory = tmp_path / f"at-{offset}"
        directory.mkdir()
        (directory / "store.db").write_bytes(data)
        (directory / "store.db-wal").write_bytes(flip(log, offset, offset % 8))
        contents, damaged = await opened(directory / "store.db")
        assert damaged is None or contents.fresh
        assert set(contents.pods) == {f"pod-{number}" for number in range(len(contents.pods))}
        found.add(len(contents.pods))

    assert found >= {0, 4}


# In the way


async def test_a_file_that_another_process_holds_is_unavailable_and_untouched(path: Path) -> None:
    argv = [sys.executable, "-c", CRASH, str(path), "1", "stay"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        before = everything(path.parent)

        with pytest.raises(Unavailable, match="locked"):
            await SqliteStore.open(path)

        assert everything(path.parent) == before
        other.kill()
    assert len((await opened(path))[0].pods) == 1


async def test_a_second_store_of_one_process_is_unavailable(path: Path) -> None:
    store = await SqliteStore.open(path)

    with pytest.raises(Unavailable, match="locked"):
        await SqliteStore.open(path)

    await store.put([Put(spec=pod("web"), uid="a" * 12)], 1.0)
    await store.close()


async def test_a_missing_directory_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot open the store"):
        await SqliteStore.open(tmp_path / "none" / "store.db")


async def test_a_directory_in_place_of_the_file_is_unavailable(path: Path) -> None:
    path.mkdir(mode=0o600)

    with pytest.raises(Unavailable, match="cannot open the store"):
        await SqliteStore.open(path)

    assert everything(path.parent) == {"store.db"}


# Versions


def patched(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


async def test_a_newer_file_is_refused_and_untouched(path: Path) -> None:
    await filled(path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA user_version = 7")
    tables.set_meta(connection, "schema", "7")
    connection.close()

    with pytest.raises(Unavailable, match="newer"):
        await SqliteStore.open(path)

    assert everything(path.parent) == {"store.db"}


async def test_a_version_that_contradicts_itself_is_damage(path: Path) -> None:
    await filled(path)
    patched(path, "PRAGMA user_version = 7")

    _, damaged = await opened(path)

    assert damaged is not None


async def test_a_spec_of_another_version_is_refused_and_not_lost(path: Path) -> None:
    await filled(path)
    connection = sqlite3.connect(path, isolation_level=None)
    row = connection.execute("SELECT * FROM pods").fetchone()
    spec = json.dumps({**json.loads(row[3]), "teleport": True})
    changed = rows.summed((*row[:3], spec, *row[4:-1]))
    connection.execute("INSERT OR REPLACE INTO pods VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", changed)
    connection.close()

    with pytest.raises(Unavailable, match="teleport"):
        await SqliteStore.open(path)

    assert everything(path.parent) == {"store.db"}


def add_moods(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE moods (name TEXT)")
    connection.execute("INSERT INTO moods SELECT name FROM pods")


def add_moods_and_fail(connection: sqlite3.Connection) -> None:
    add_moods(connection)
    connection.execute("UPDATE nothing SET value = 1")


async def test_an_older_file_is_migrated_after_a_copy(path: Path) -> None:
    contents = await filled(path)

    now = tables.VERSION
    migrated = open_file(path, NOON, version=now + 1, migrations={now: add_moods})
    version = migrated.connection.execute("PRAGMA user_version").fetchone()
    migrated.connection.close()

    copy = path.with_name(f"store.db.v{now}")
    assert (version, migrated.contents) == ((now + 1,), contents)
    with pytest.raises(Unavailable, match="newer"):
        await SqliteStore.open(path)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert (await opened(copy))[0] == contents


async def test_a_migration_that_fails_leaves_the_old_file_as_it_was(path: Path) -> None:
    contents = await filled(path)

    with pytest.raises(Unavailable, match="migrate"):
        open_file(path, NOON, version=tables.VERSION + 1, migrations={tables.VERSION: add_moods_and_fail})

    assert (await opened(path)) == (contents, None)
