"""Which device nodes a container gets."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tank.errors import Waiting
from tank.model.pod import Container, Device, Security
from tank.runtime import devices


def container(*wanted: Device, privileged: bool = False) -> Container:
    return Container(name="app", image="x", devices=wanted, security=Security(privileged=privileged))


def test_a_node_is_the_hosts_at_another_place_with_the_access_that_was_asked_for() -> None:
    given = devices.give(container(Device(path="/dev/null", target="/dev/nothing", access="r")))
    (found,) = given.devices
    assert (found.path, found.kind, found.major, found.minor, found.access) == ("/dev/nothing", "c", 1, 3, "r")
    assert found.mode == os.stat("/dev/null").st_mode & 0o7777


@pytest.mark.parametrize(("path", "why"), [("/dev/missing", "no such file"), ("/dev/shm", "no device node")])
def test_what_is_no_device_is_waited_for(path: str, why: str) -> None:
    with pytest.raises(Waiting, match=why):
        devices.give(container(Device(path=path)))


def test_a_privileged_container_gets_all_and_what_it_names() -> None:
    given = devices.give(container(Device(path="/dev/null", target="/dev/nothing"), privileged=True))
    found = {each.path for each in given.devices}
    assert "/dev/nothing" in found
    assert "/dev/full" not in found  # each container has its own
    assert all(each.access == "rwm" for each in given.devices)


def test_a_device_by_name_comes_with_all_that_it_needs(tmp_path: Path) -> None:
    node = {"path": "/dev/zilch", "hostPath": "/dev/null", "uid": 7}
    said = {
        "cdiVersion": "0.6.0",
        "kind": "acme.org/thing",
        "devices": [{"name": "a", "containerEdits": {"deviceNodes": [node], "env": ["A=1"]}}],
    }
    (tmp_path / "acme.json").write_text(json.dumps(said))
    given = devices.give(container(Device(name="acme.org/thing=a")), (tmp_path,))
    (found,) = given.devices
    assert (found.path, found.major, found.minor, found.uid, found.access) == ("/dev/zilch", 1, 3, 7, "rwm")
    assert given.environment == {"A": "1"}
