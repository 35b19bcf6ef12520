"""`tank secret` and `tank config`, and the same in Python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tank as python
from tank.errors import InvalidSpec, NotFound
from tests.cli.conftest import Daemon, Tank

CANARY = "canary-91ab"


def test_standard_input_is_the_one_key_called_by_the_name(tank: Tank, daemon: Daemon) -> None:
    code, out, err = tank.says("config", "set", "motd", stdin=b"hello\x00\xff")

    assert (code, out, err) == (0, "motd\n", "")
    assert tank("config", "get", "motd", "motd").stdout == b"hello\x00\xff"
    assert python.Client(daemon.url).configs.get("motd").data == {"motd": b"hello\x00\xff"}


def test_several_keys_come_from_files(tank: Tank, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"1\n")

    code, _, err = tank.says("config", "set", "app", "--from-file", "a=one", "--from-file", "b=-", stdin=b"2")

    assert (code, err) == (0, "")
    assert tank.says("config", "get", "app")[1] == 'a: "1\\n"\nb: "2"\n'
    assert json.loads(tank("config", "get", "app", "-o", "json").stdout)["data"] == {"a": "MQo=", "b": "Mg=="}


def test_a_line_end_is_kept_and_said(tank: Tank) -> None:
    code, _, err = tank.says("config", "set", "motd", stdin=b"hello\n")

    assert (code, "line end" in err) == (0, True)
    assert tank("config", "get", "motd", "motd").stdout == b"hello\n"


def test_no_way_leads_to_the_value_of_a_secret(tank: Tank) -> None:
    told = tank("secret", "set", "db", stdin=CANARY.encode())
    ways = [("list",), ("list", "-o", "json"), ("list", "-o", "wide"), ("inspect", "db")]
    ways += [("inspect", "db", "-o", "json"), ("get", "db"), ("delete", "db")]
    said = [tank("secret", *words) for words in ways]

    assert [each.returncode for each in said] == [0, 0, 0, 0, 0, 2, 0]
    assert CANARY.encode() not in b"".join(each.stdout + each.stderr for each in [told, *said])


def test_the_list_tells_sizes_and_versions(tank: Tank) -> None:
    tank("secret", "set", "db", stdin=CANARY.encode())

    head, row = tank.says("secret", "list", "-o", "wide")[1].splitlines()

    assert head.split() == ["NAME", "KEYS", "SIZE", "CHANGED", "USED", "BY", "VERSION"]
    assert row.split()[:4] == ["db", "1", "11", "B"]
    assert tank.says("secret", "list", "-o", "name")[1] == "db\n"
    assert tank.says("config", "list")[1].splitlines()[1:] == []


def test_what_is_wrong_is_said_and_not_quoted(tank: Tank, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(CANARY.encode() * 100_000)
    wrong = {
        ("secret", "set"): 2,
        ("secret", "set", "Db"): 2,
        ("secret", "set", "db", "--from-file", "a"): 2,
        ("secret", "set", "db", "--from-file", "a=none"): 3,
        ("secret", "set", "db", "--from-file", "a=big"): 2,
        ("secret", "set", "db", "--from-file", "a=-", "--from-file", "a=-"): 2,
        ("secret", "inspect", "db"): 3,
        ("config", "get", "db"): 3,
        ("config", "get", "db", "a", "b"): 2,
        ("config", "delete"): 2,
    }
    said = {words: tank(*words, stdin=CANARY.encode()) for words in wrong}

    assert {words: each.returncode for words, each in said.items()} == wrong
    assert CANARY.encode() not in b"".join(each.stderr for each in said.values())


def test_a_key_that_is_not_there(tank: Tank) -> None:
    tank("config", "set", "app", stdin=b"1")

    assert tank.says("config", "get", "app", "x")[::2] == (3, "tank: config app has no key 'x'\n")


def test_they_are_deleted(tank: Tank) -> None:
    for name in ("a", "b"):
        tank("secret", "set", name, stdin=b"1")

    assert tank.says("secret", "delete", "a", "b") == (0, "a\nb\n", "")
    assert tank("secret", "delete", "a").returncode == 3


def test_in_python(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANK_HOST", daemon.url)

    made = python.secrets.set("db", {"password": CANARY, "salt": b"\x00"})

    assert dict(made.keys) == {"password": 11, "salt": 1}
    assert python.secrets.get("db").data is None
    assert CANARY not in repr(python.secrets.list())
    python.configs.set("app", {"mode": "fast"})
    assert python.configs.get("app").data == {"mode": b"fast"}
    python.secrets.delete("db")
    with pytest.raises(NotFound):
        python.secrets.get("db")
    with pytest.raises(InvalidSpec, match="expected bytes or text, found int"):
        python.secrets.set("db", {"a": 1})  # type: ignore[dict-item]


async def test_in_python_awaited(daemon: Daemon) -> None:
    async with python.aio.Client(daemon.url) as client:
        made = await client.configs.set("app", {"mode": "fast"})
        assert (await client.configs.get("app")).data == {"mode": b"fast"}
        assert [each.version for each in await client.configs.list()] == [made.version]
        await client.configs.delete("app")
        assert await client.secrets.list() == []
