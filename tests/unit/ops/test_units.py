"""The unit files: what they promise (R08), and that systemd takes them."""

from __future__ import annotations

import configparser
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tank.ops import units


def parsed(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser


def test_stopping_the_daemon_kills_nobody_but_the_daemon() -> None:
    daemon = parsed(units.systemd("/opt/tank/bin/tank serve")[units.DAEMON])

    assert daemon["Service"]["KillMode"] == "process"
    assert "Delegate" not in daemon["Service"]


def test_the_pods_have_a_delegated_group_of_their_own_that_outlives_the_daemon() -> None:
    pods = parsed(units.systemd("/opt/tank/bin/tank serve")[units.PODS])

    assert dict(pods["Service"]) | {"TasksMax": "", "ExecStart": ""} == {
        "Type": "oneshot",
        "RemainAfterExit": "yes",
        "ExecStart": "",
        "Delegate": "yes",
        "TasksMax": "",
    }


def test_a_sleeper_below_the_delegated_group_keeps_systemd_from_dropping_it() -> None:
    command = parsed(units.systemd("/opt/tank/bin/tank serve")[units.PODS])["Service"]["ExecStart"]

    shell, option, script = shlex.split(command.replace("$$", "$").replace("%%", "%"))
    assert (shell, option) == ("/bin/sh", "-c")
    assert subprocess.run([shell, "-n", option, script], check=False).returncode == 0
    assert "/holder; sleep infinity &" in script


def test_the_daemon_starts_after_and_so_stops_before_the_pods_unit() -> None:
    daemon = parsed(units.systemd("/opt/tank/bin/tank serve")[units.DAEMON])

    assert units.PODS in daemon["Unit"]["After"].split()
    assert units.PODS in daemon["Unit"]["Wants"].split()
    assert "Requires" not in daemon["Unit"]


def test_systemd_takes_both_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    paths = [tmp_path / name for name in (units.DAEMON, units.PODS)]
    for path, text in zip(paths, units.systemd("/bin/true serve").values(), strict=True):
        path.write_text(text)

    told = subprocess.run(["systemd-analyze", "verify", *paths], capture_output=True, text=True, check=False)

    ours = [line for line in told.stderr.splitlines() if "tank" in line]
    assert (told.returncode, ours) == (0, [])


@pytest.mark.parametrize("command", ["/opt/tank/bin/tank serve", "/opt/tank/bin/python -m tank serve"])
def test_the_init_script_is_a_shell_script(command: str, tmp_path: Path) -> None:
    path = tmp_path / "tank"
    path.write_text(units.script(command))

    assert subprocess.run(["sh", "-n", path], check=False).returncode == 0
    assert command.replace(" ", " -- ", 1) in path.read_text()
