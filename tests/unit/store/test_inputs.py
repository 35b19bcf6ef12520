"""Secrets and configs in the SQLite file: an older file gets their tables, and a newer daemon loses nothing (R21)."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tank.model.pod import Container, Pod
from tank.model.stored import InputVersion
from tank.store import rows
from tank.store.base import Put
from tank.store.sqlite import SqliteStore

SPEC = Pod(name="web", containers=(Container(name="main", image="docker.io/library/x:1"),))


def as_schema_1(path: Path) -> None:
    """The file as the version before secrets and configs left it."""
    connection = sqlite3.connect(path, isolation_level=None)
    for table in ("inputs", "versions", "bodies"):
        connection.execute(f"DROP TABLE {table}")
    connection.execute("PRAGMA user_version = 1")
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", rows.summed(("schema", "1")))
    connection.close()


async def test_a_file_of_schema_1_is_taken_over_whole(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = await SqliteStore.open(path)
    await store.put([Put(spec=SPEC, uid="a" * 12)], 1.0)
    before, history = await store.read(), await store.history("web")
    await store.close()
    as_schema_1(path)

    store = await SqliteStore.open(path)
    after = await store.read()
    await store.set_input("config/app", InputVersion(version="v1", sizes={"k": 1}, at=2.0), b"x")
    kept = (await store.read()).inputs, await store.history("web"), store.damaged
    await store.close()

    assert after == before
    assert (kept[0]["config/app"].version, kept[1], kept[2]) == ("v1", history, None)
    assert path.with_name("store.db.v1").exists()


async def test_they_outlive_the_daemon(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = await SqliteStore.open(path)
    await store.set_input("secret/db", InputVersion(version="v1", sizes={"k": 3}, at=2.0, sealed="key"), b"\x00\xff1")
    before = (await store.read()).inputs
    await store.close()

    store = await SqliteStore.open(path)

    assert (await store.read()).inputs == before
    assert await store.input_body("secret/db", "v1") == b"\x00\xff1"
    await store.close()


async def test_a_damaged_row_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = await SqliteStore.open(path)
    await store.set_input("config/app", InputVersion(version="v1", sizes={"k": 3}, at=2.0), b"abc")
    await store.close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE inputs SET version = 'v2'")
    connection.close()

    store = await SqliteStore.open(path)

    assert store.damaged is not None
    await store.close()


@pytest.mark.parametrize("pins", ["{", "[1", ""])
async def test_a_damaged_revision_stands_in_nobodys_way(tmp_path: Path, pins: str) -> None:
    path = tmp_path / "store.db"
    store = await SqliteStore.open(path)
    await store.put([Put(spec=SPEC, uid="a" * 12)], 1.0)
    await store.close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE history SET pins = ?", (pins,))
    connection.close()

    store = await SqliteStore.open(path)

    assert (await store.set_input("config/app", InputVersion(version="v1", sizes={}, at=1.0), b"")).version == "v1"
    await store.close()
