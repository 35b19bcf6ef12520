"""Secrets and configs, whole: a daemon, its command line, real containers. Nothing anywhere shows a secret (S37)."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tank.errors import Conflict, NotFound
from tests.daemon import Daemon
from tests.waiting import wait_for

pytestmark = pytest.mark.system
CANARY = "canary-5f21-Zq"
SIGHTS = (CANARY.encode(), base64.b64encode(CANARY.encode()).rstrip(b"="), CANARY.encode().hex().encode())
LOOP = "trap 'echo told $(cat /in/mode)' HUP; echo up; while :; do sleep 0.02; done"


@contextmanager
def argument_lists() -> Iterator[set[bytes]]:
    """Those of all processes of the machine, sampled all the time."""
    found, stop = set[bytes](), threading.Event()

    def sample() -> None:
        while not stop.is_set():
            for each in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    found.add(each.read_bytes())
                except OSError:
                    continue

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield found
    finally:
        stop.set()
        sampler.join()


def pod(busybox: str, containers: dict[str, dict[str, Any]], **volumes: dict[str, Any]) -> dict[str, Any]:
    made = [{"name": name, "image": busybox, "command": ["sleep", "1000"], **more} for name, more in containers.items()]
    shown = [{"name": name, "source": source} for name, source in volumes.items()]
    return {"name": "web", "grace": 0, "containers": made, "volumes": shown}


def variable(kind: str, name: str, key: str, on_change: str = "nothing") -> list[dict[str, Any]]:
    return [{"name": "VALUE", "from": {kind: {"name": name, "key": key}, "on_change": on_change}}]


def sh(daemon: Daemon, container: str, script: str) -> str:
    done = daemon.client.exec("web", ["/bin/sh", "-c", script], container=container)
    return (done.stdout + done.stderr).decode()


def lines(daemon: Daemon, container: str) -> list[str]:
    return [each.text for each in daemon.client.logs("web", container=container)]


def holding(top: Path) -> list[str]:
    """The files below a directory in which the secret can be read."""
    files = (each for each in top.rglob("*") if each.is_file() and not each.is_symlink())
    return [str(each.relative_to(top)) for each in files if any(sight in each.read_bytes() for sight in SIGHTS)]


def test_nothing_anywhere_shows_a_secret(daemon: Daemon, busybox: str) -> None:
    client = daemon.client
    said: list[bytes] = []
    with argument_lists() as lists:
        asked: list[tuple[str, ...]] = [
            ("set", "db"),
            ("list", "-o", "json"),
            ("inspect", "db"),
            ("list", "-o", "wide"),
        ]
        for words in asked:
            done = daemon.tank("secret", *words, stdin=CANARY.encode())
            assert done.returncode == 0, done.stderr
            said += [done.stdout, done.stderr]
        spec = pod(
            busybox, {"app": {"env": variable("secret", "db", "db"), "mounts": ["cfg:/in"]}}, cfg={"secret": "db"}
        )
        client.apply(spec, wait=True, timeout=60)
        assert sh(daemon, "app", "echo $VALUE; cat /in/db") == f"{CANARY}\n{CANARY}"
        asked = [("status", "web"), ("why", "web"), ("get", "web"), ("history", "web"), ("events",), ("info",)]
        for words in asked:
            done = daemon.tank(*words, "-o", "json")
            said += [done.stdout, done.stderr]
        said.append(daemon.tank("plan", "-f", "-", stdin=repr(spec).encode()).stdout)
        broken = {**spec, "containers": [{**spec["containers"][0], "command": ["/none"]}]}  # its start fails, in words
        client.apply(broken)
        wait_for(lambda: client.status("web").containers[0].exit_code == 127, what="the failed start")
        said += [daemon.tank("why", "web").stdout, daemon.tank("events", "web").stdout]
        client.delete("web", grace=0)
        client.wait("web", "gone", timeout=30)
    said += [daemon.log.encode(), *lists]

    assert [text for text in said if any(sight in text for sight in SIGHTS)] == []
    assert holding(daemon.data) == []
    assert holding(daemon.run) == []  # with the pod all of it is gone
    assert (daemon.data / "secret.key").stat().st_mode & 0o777 == 0o600


def test_a_change_does_what_each_use_asks_for(daemon: Daemon, busybox: str) -> None:
    client = daemon.client
    client.configs.set("app", {"mode": "one"})
    told = {"command": ["/bin/sh", "-c", LOOP], "mounts": ["told:/in"]}
    containers: dict[str, dict[str, Any]] = {
        "told": told,
        "again": {"env": variable("config", "app", "mode", "restart")},
        "calm": {"env": variable("config", "app", "mode"), "mounts": ["calm:/in"]},
        "runs": {"mounts": ["runs:/in"]},
    }
    reload = {"config": "app", "on_change": {"exec": ["/bin/sh", "-c", "cp /in/mode /tmp/reloaded"]}}
    hup = {"config": "app", "on_change": {"signal": "HUP"}}
    client.apply(pod(busybox, containers, told=hup, calm={"config": "app"}, runs=reload), wait=True, timeout=60)
    wait_for(lambda: "up" in lines(daemon, "told"), what="the program's first words")
    pids = {each.name: each.pid for each in client.status("web").containers}

    done = daemon.tank("config", "set", "app", "--from-file", "mode=-", stdin=b"two")
    assert (done.returncode, done.stderr) == (0, b"used by web\n")

    wait_for(lambda: "told two" in lines(daemon, "told"), what="the signal")
    wait_for(lambda: sh(daemon, "runs", "cat /tmp/reloaded") == "two", what="the program that was run")
    wait_for(lambda: restarted(daemon, "again", pids), what="the restart")
    assert sh(daemon, "again", "echo $VALUE") == "two\n"
    assert sh(daemon, "calm", "echo $VALUE; cat /in/mode") == "one\ntwo"
    after = {each.name: each.pid for each in client.status("web").containers}
    assert {name for name in pids if pids[name] != after[name]} == {"again"}


def restarted(daemon: Daemon, name: str, pids: dict[str, int | None]) -> bool:
    found = next(each for each in daemon.client.status("web").containers if each.name == name)
    return found.state == "running" and found.pid != pids[name]


def test_a_rollback_brings_spec_and_configs_back_over_a_restart_of_the_daemon(daemon: Daemon, busybox: str) -> None:
    client = daemon.client
    client.configs.set("app", {"mode": "one"})
    client.secrets.set("db", {"pw": "first"})
    uses = {"app": {"env": variable("secret", "db", "pw"), "mounts": ["cfg:/in"]}}
    client.apply(pod(busybox, uses, cfg={"config": "app"}), wait=True, timeout=60)
    client.configs.set("app", {"mode": "two"})
    client.secrets.set("db", {"pw": "second"})
    later = pod(busybox, uses, cfg={"config": "app"}) | {"hostname": "other"}
    client.apply(later, wait=True, timeout=60)
    look = "hostname; echo $VALUE; cat /in/mode"
    assert sh(daemon, "app", look) == "other\nsecond\ntwo"
    daemon.kill()
    daemon.start()

    client.rollback("web")
    client.wait("web", "ready", timeout=60)

    wait_for(lambda: sh(daemon, "app", look) == "web\nfirst\none", what="the earlier spec with its configs")
    assert client.configs.get("app").data == {"mode": b"two"}
    assert client.configs.get("app").held_by == ("web",)
    client.configs.set("app", {"mode": "three"})
    wait_for(lambda: sh(daemon, "app", "cat /in/mode") == "three", what="the config that was set anew")


def test_a_pod_waits_for_its_secret_and_keeps_it_from_being_deleted(daemon: Daemon, busybox: str) -> None:
    client = daemon.client
    client.apply(pod(busybox, {"app": {"env": variable("secret", "db", "pw")}}))
    wait_for(lambda: client.status("web").containers[0].reason == "CreateContainerConfigError", what="the reason")
    assert "there is no secret db" in client.why("web").summary + "".join(client.why("web").because)

    client.secrets.set("db", {"pw": "x"})

    client.wait("web", "ready", timeout=10)
    with pytest.raises(Conflict, match="needed by web"):
        client.secrets.delete("db")
    client.secrets.delete("db", force=True)
    with pytest.raises(NotFound):
        client.secrets.get("db")
    assert client.status("web").ready


def test_a_lost_database_is_told_and_what_runs_keeps_its_files(daemon: Daemon, busybox: str) -> None:
    client = daemon.client
    client.secrets.set("db", {"pw": "x"})
    client.apply(pod(busybox, {"app": {"mounts": ["cfg:/in"]}}, cfg={"secret": "db"}), wait=True, timeout=60)
    pid = client.status("web").containers[0].pid
    daemon.end()
    (daemon.data / "store.db").write_bytes(b"no database" * 1000)

    daemon.start()

    said = {each["type"]: each["message"] for each in client.info()["conditions"]}
    assert "secret db" in said["InputsLost"]
    assert (sh(daemon, "app", "cat /in/pw"), client.status("web").containers[0].pid) == ("x", pid)
    client.secrets.set("db", {"pw": "y"})
    wait_for(lambda: sh(daemon, "app", "cat /in/pw") == "y", what="the secret that was set anew")
    assert "InputsLost" not in {each["type"] for each in client.info()["conditions"]}
