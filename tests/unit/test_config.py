"""Settings: where each comes from, what wins, and every fault of the file at once."""

# ruff: noqa: E501 (tables: one row a line)

from __future__ import annotations

from pathlib import Path

import pytest

from tank.config import Settings, load, read_settings
from tank.errors import InvalidSpec
from tank.model.registry_fields import Registry

WHOLE = """
data_dir = "/srv/tank/"
run_dir = "/run/other"

[host]
uplink = "eth0"
dns = ["10.0.0.1", "FD00::1"]

[api]
group = "wheel"

[defaults]
grace = "1m30s"
users = "auto"

[logs]
max_size = "20MiB"
max_files = 9

[registries."Registry.example.org:5000"]
ca = "/etc/tank/ca.pem"
username = "me"
password_file = "/etc/tank/registry.pw"

[registries."plain.lan"]

[[pods]]
name = "web"
[[pods.containers]]
name = "app"
image = "nginx:1.27"
"""


def told(text: str | bytes) -> list[str]:
    """Every fault of a file, as people see it."""
    with pytest.raises(InvalidSpec) as error:
        read_settings(text, "tank.toml")
    return [str(problem) for problem in error.value.problems]


def test_every_line_of_the_file_counts(tmp_path: Path) -> None:
    file = tmp_path / "tank.toml"
    file.write_text(WHOLE)

    assert load(file, {}) == Settings(
        data_dir=Path("/srv/tank"),
        run_dir=Path("/run/other"),
        seeds_dir=tmp_path / "pods.d",
        group="wheel",
        uplink="eth0",
        dns=("10.0.0.1", "fd00::1"),
        default_grace=90.0,
        default_users="auto",
        log_max_size=20 * 2**20,
        log_max_files=9,
        registries={
            "registry.example.org:5000": Registry(
                ca=Path("/etc/tank/ca.pem"), username="me", password_file=Path("/etc/tank/registry.pw")
            ),
            "plain.lan": Registry(),
        },
        seeds=({"name": "web", "containers": [{"name": "app", "image": "nginx:1.27"}]},),
    )


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "tank.toml"
    file.write_text("")

    assert load(file, {}, seeds_dir=Path("/etc/tank/pods.d")) == Settings()


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tank.toml"
    file.write_text('data_dir = "/file"\nrun_dir = "/file"\n')
    environ = {"TANK_CONFIG": str(file), "TANK_DATA_DIR": "/environ", "TANK_RUN_DIR": "/environ/run/"}

    found = [
        load(None, environ | {"TANK_DATA_DIR": "", "TANK_RUN_DIR": ""}),
        load(None, environ),
        load(None, environ, data_dir=Path("/flag"), run_dir=Path("/flag/run")),
    ]

    assert [(str(each.data_dir), str(each.run_dir)) for each in found] == [
        ("/file", "/file"),
        ("/environ", "/environ/run"),
        ("/flag", "/flag/run"),
    ]


def test_the_path_of_a_flag_wins_over_that_of_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "tank.toml"
    file.write_text('[api]\ngroup = "mine"\n')

    assert load(file, {"TANK_CONFIG": "/nowhere"}).group == "mine"


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match="there is no such file"):
        load(tmp_path / "tank.toml", {})


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match="cannot be read: Is a directory"):
        load(tmp_path, {})


def test_the_default_file_may_be_missing(tmp_path: Path) -> None:
    settings = load(None, {}, default=tmp_path / "tank.toml")

    assert settings == Settings(seeds_dir=tmp_path / "pods.d")


def test_a_relative_path_in_the_environment_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="TANK_DATA_DIR: 'x' must be an absolute path"):
        load(None, {"TANK_DATA_DIR": "x"})


def test_paths_follow_from_the_settings() -> None:
    settings = Settings(data_dir=Path("/d"), run_dir=Path("/r"))

    assert [settings.socket, settings.store, settings.pod_dir("ab"), settings.pod_run_dir("ab")] == [
        Path("/r/tank.sock"),
        Path("/d/store.db"),
        Path("/d/pods/ab"),
        Path("/r/pods/ab"),
    ]


def test_all_faults_of_the_file_are_told_at_once() -> None:
    text = """
    dta_dir = "/x"
    run_dir = "x"
    [host]
    dns = ["here"]
    [api]
    group = "a b"
    [logs]
    max_size = 5
    max_files = 0
    pods = 5
    """

    assert told(text) == [
        "tank.toml:dta_dir: unknown field of the configuration (did you mean 'data_dir'?)",
        "tank.toml:run_dir: 'x' must be an absolute path (did you mean '/x'?)",
        "tank.toml:host.dns[0]: 'here' is not an IP address",
        "tank.toml:api.group: 'a b' is not the name of a group",
        "tank.toml:logs.max_size: must be at least 4KiB",
        "tank.toml:logs.max_files: must lie between 1 and 1000",
        "tank.toml:logs.pods: unknown field of [logs]",
    ]


LATER = [
    ('[store]\nurl = "sqlite:///x"', "store"),
    ("[api]\nlisten = []", "api.listen"),
    ("[api.tls]\ncert = 'x'", "api.tls"),
    ("[logs]\nmax_total = 1", "logs.max_total"),
]


@pytest.mark.parametrize(("text", "path"), LATER)
def test_a_key_that_is_not_built_yet_says_so(text: str, path: str) -> None:
    assert told(text) == [f"tank.toml:{path}: not supported yet"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[registries.x]\npassword = 'p'", "registries.x.password: unknown field of a registry (did you mean 'password_file'?)"),
        ("[registries.x]\nusername = 'p'", "registries.x: username and password_file belong together"),
        (
            "[registries.x]\nmirrors = ['m/Up']",
            "registries.x.mirrors[0]: 'Up' cannot stand in front of a repository's name",
        ),
        (
            "[registries.x]\nmirrors = ['http://127.0.0.1:5000']",
            "registries.x.mirrors[0]: 'http://127.0.0.1:5000': plain HTTP is spoken to this machine alone (write a loopback host without its scheme: that it has no TLS is found out)",
        ),
        (
            "[registries.x]\nmirrors = ['ftp://m']",
            "registries.x.mirrors[0]: '/m' cannot stand in front of a repository's name",
        ),
        (
            "[registries.'docker.io']\n[registries.'index.docker.io']",
            "registries[\"index.docker.io\"]: 'docker.io' is given twice",
        ),
        ("[registries]\nx = 5", "registries.x: expected a mapping (a registry), found a whole number"),
        ("[registries.'a/b']", "registries[\"a/b\"]: 'a/b' is not a registry host such as 'registry.example.org:5000'"),
        ("pods = [5]", "pods[0]: expected a mapping (a pod), found a whole number"),
        ("pods = 5", "pods: expected a list, found a whole number"),
        ("host = 5", "host: expected a mapping ([host]), found a whole number"),
        ("a = ", "not TOML: invalid value (at end of document)"),
        (b"\xff", "not UTF-8"),
    ],
)  # fmt: skip
def test_a_fault_of_the_file(text: str | bytes, fault: str) -> None:
    assert told(text) == [f"tank.toml:{fault}"]


def test_whether_networks_are_repaired() -> None:
    assert read_settings("[net]\nrepair = false")["repair"] is False
    assert Settings().repair is True


@pytest.mark.parametrize(
    ("written", "mirror"),
    [
        ("https://mirror.lan", "mirror.lan"),
        ("https://mirror.lan/", "mirror.lan"),
        ("https://Mirror.lan:0443/hub", "mirror.lan/hub"),
        ("mirror.lan:5000/hub", "mirror.lan:5000/hub"),
    ],
)
def test_a_mirror_may_be_written_as_a_url(written: str, mirror: str) -> None:
    found = read_settings(f'[registries."docker.io"]\nmirrors = ["{written}"]')["registries"]

    assert found["docker.io"].mirrors == (mirror,)


@pytest.mark.parametrize(
    ("written", "host"),
    [("index.docker.io", "docker.io"), ("registry.lan:05000", "registry.lan:5000"), ("GHCR.io:443", "ghcr.io")],
)
def test_a_registry_is_found_however_its_host_is_written(written: str, host: str) -> None:
    found = read_settings(f'[registries."{written}"]\nca = "/ca"')["registries"]

    assert found == {host: Registry(ca=Path("/ca"))}
