"""Programs that people really run, from their distribution's packages: PostgreSQL, Redis and nginx, with data that
outlives pods, users of their own, probes, secrets and configs.
"""

from __future__ import annotations

import os
import secrets
import signal
from typing import Any

import pytest

from tests.daemon import Daemon
from tests.waiting import wait_for

pytestmark = pytest.mark.system

BIN = "/usr/lib/postgresql/15/bin"
INITDB = f"test -s /data/main/PG_VERSION || exec {BIN}/initdb -D /data/main -A scram-sha-256 --pwfile=/secret/password"
ASK = ["sh", "-c", 'PGPASSWORD=$(cat /secret/password) exec psql -h 127.0.0.1 -U postgres -Atc "$0"']


def database(image: str, volume: str, secret: str) -> dict[str, Any]:
    """PostgreSQL as its package has it: made on first start by init containers, one of them as root."""
    data, run = f"{volume}:/data", "run:/run/postgresql"
    return {
        "name": "db",
        "grace": "20s",
        "volumes": [
            {"name": volume},
            {"name": "run", "source": {"tmpfs": {"size": "1MiB"}}},
            {"name": "password", "source": {"secret": secret, "keys": {secret: "password"}}},
        ],
        "init": [
            {
                "name": "own",
                "image": image,
                "command": ["sh", "-c", "mkdir -p /data/main && chown postgres: /data/main && chmod 700 /data/main"],
                "mounts": [data],
            },
            {
                "name": "initdb",
                "image": image,
                "user": "postgres",
                "command": ["sh", "-c", INITDB],
                "mounts": [data, "password:/secret:ro"],
            },
        ],
        "containers": [
            {
                "name": "postgres",
                "image": image,
                "user": "postgres",
                "command": [f"{BIN}/postgres", "-D", "/data/main", "-c", "listen_addresses=127.0.0.1"],
                "stop_signal": "INT",
                "mounts": [data, run, "password:/secret:ro"],
                "limits": {"memory": "512MiB", "pids": 200},
                "oom": "single",
                "probes": {
                    "startup": {"exec": ["pg_isready", "-q", "-h", "127.0.0.1"], "period": 1, "failures": 60},
                    "live": {"exec": ["pg_isready", "-q", "-h", "127.0.0.1"], "period": 2, "timeout": 5},
                    "ready": {"tcp": 5432, "period": 1},
                },
            }
        ],
    }


def ask(daemon: Daemon, query: str) -> str:
    """What the database answers."""
    done = daemon.client.exec("db", [*ASK, query])
    assert done.exit_code == 0, done.stderr.decode()
    return done.stdout.decode().strip()


@pytest.mark.timeout(180)
def test_postgresql_keeps_its_data_over_kills_and_pods(daemon: Daemon, services: str) -> None:
    volume, secret = f"pg-{secrets.token_hex(3)}", f"pg-{secrets.token_hex(3)}"
    assert daemon.tank("secret", "set", secret, stdin=b"a very secret word").returncode == 0
    client, spec = daemon.client, database(services, volume, secret)
    client.apply(spec)
    client.wait("db", "ready", timeout=90)
    ask(daemon, "create table t (n int); insert into t select generate_series(1, 1000)")
    before = client.status("db").containers[0]
    assert before.pid is not None
    os.kill(before.pid, signal.SIGKILL)
    wait_for(lambda: client.status("db").containers[0].restarts == before.restarts + 1, 30, "the restart")
    client.wait("db", "ready", timeout=60)
    assert ask(daemon, "select count(*) from t") == "1000"
    client.delete("db")
    client.wait("db", "gone", timeout=60)
    client.apply(spec)
    client.wait("db", "ready", timeout=60)
    assert ask(daemon, "select count(*) from t") == "1000"
    assert b"a very secret word" not in daemon.tank("status", "db", "-o", "json").stdout


@pytest.mark.timeout(120)
def test_redis_is_restarted_with_its_changed_config_and_keeps_what_it_holds(daemon: Daemon, services: str) -> None:
    config, volume = f"redis-{secrets.token_hex(3)}", f"redis-{secrets.token_hex(3)}"
    assert daemon.tank("config", "set", config, stdin=b"save 60 1\nmaxmemory 10mb\ndir /data\n").returncode == 0
    redis = {
        "name": "redis",
        "image": services,
        "command": ["redis-server", "/etc/redis-tank/redis.conf"],
        "mounts": [f"{volume}:/data", "config:/etc/redis-tank:ro"],
        "probes": {
            "live": {"exec": ["redis-cli", "ping"], "period": 1, "timeout": 5},
            "ready": {"tcp": 6379, "period": 1},
        },
    }
    source = {"config": config, "keys": {config: "redis.conf"}, "on_change": "restart"}
    spec = {
        "name": "cache",
        "grace": "10s",
        "volumes": [{"name": volume}, {"name": "config", "source": source}],
        "containers": [redis],
    }
    client = daemon.client
    client.apply(spec)
    client.wait("cache", "ready", timeout=60)
    assert client.exec("cache", ["redis-cli", "set", "k", "v"]).stdout == b"OK\n"
    before = client.status("cache").containers[0]
    assert daemon.tank("config", "set", config, stdin=b"save 60 1\nmaxmemory 20mb\ndir /data\n").returncode == 0
    wait_for(lambda: client.status("cache").containers[0].pid not in (None, before.pid), 30, "the restart")
    client.wait("cache", "ready", timeout=60)
    assert client.exec("cache", ["redis-cli", "config", "get", "maxmemory"]).stdout == b"maxmemory\n20971520\n"
    assert client.exec("cache", ["redis-cli", "get", "k"]).stdout == b"v\n"


@pytest.mark.timeout(120)
def test_nginx_reloads_a_changed_config_without_a_restart(daemon: Daemon, debian: str) -> None:
    config = f"nginx-{secrets.token_hex(3)}"
    text = b'server { listen 8080; location / { return 200 "%s\\n"; } }\n'
    assert daemon.tank("config", "set", config, stdin=text % b"one").returncode == 0
    source = {"config": config, "keys": {config: "site.conf"}, "on_change": {"signal": "HUP"}}
    nginx = {
        "name": "nginx",
        "image": debian,
        "mounts": ["site:/etc/nginx/conf.d:ro"],
        "probes": {"ready": {"http": {"port": 8080}, "period": 1}, "live": {"tcp": 8080, "period": 1}},
    }
    client = daemon.client
    client.apply({"name": "web", "volumes": [{"name": "site", "source": source}], "containers": [nginx]})
    client.wait("web", "ready", timeout=60)
    fetch = ["bash", "-c", r"exec 3<>/dev/tcp/127.0.0.1/8080; printf 'GET / HTTP/1.0\r\n\r\n' >&3; tail -n 1 <&3"]
    assert client.exec("web", fetch).stdout == b"one\n"
    before = client.status("web").containers[0].pid
    assert daemon.tank("config", "set", config, stdin=text % b"two").returncode == 0
    wait_for(lambda: client.exec("web", fetch).stdout == b"two\n", 30, "the new page")
    assert client.status("web").containers[0].pid == before
