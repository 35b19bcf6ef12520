"""Devices by name: what the files of CDI say, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tank.errors import Waiting
from tank.runtime import cdi
from tank.runtime.cdi import Node
from tank.runtime.ocispec import Bind

WHOLE = {
    "cdiVersion": "0.7.0",
    "kind": "vendor.com/gpu",
    "annotations": {"a": "b"},
    "containerEdits": {"env": ["ALL=1", "WHICH=none"], "additionalGids": [44, 0]},
    "devices": [
        {
            "name": "0",
            "containerEdits": {
                "env": ["WHICH=0"],
                "deviceNodes": [
                    {"path": "/dev/gpu0", "hostPath": "/vendor/dev/gpu0", "permissions": "rw"},
                    {"path": "/dev/gpuctl", "type": "c", "major": 195, "minor": 255, "fileMode": 432, "gid": 44},
                ],
                "mounts": [
                    {"hostPath": "/usr/lib/gpu.so", "containerPath": "/usr/lib/gpu.so", "options": ["ro", "nosuid"]}
                ],
            },
        },
        {"name": "1", "containerEdits": {"env": ["WHICH=1"]}},
    ],
}
YAML = """
cdiVersion: "0.5.0"
kind: vendor.com/gpu
devices:
- name: 7
  containerEdits: {env: [WHICH=7]}
"""


def edits(name: str, *directories: Path) -> cdi.Edits:
    return cdi.edits(name, directories)


def refusal(tmp_path: Path, **changed: Any) -> str:
    (tmp_path / "a.json").write_text(json.dumps(WHOLE | changed))
    with pytest.raises(Waiting) as caught:
        edits("vendor.com/gpu=0", tmp_path)
    assert caught.value.reason == "CreateContainerConfigError"
    return str(caught.value)


def with_edits(**said: Any) -> list[dict[str, Any]]:
    return [{"name": "0", "containerEdits": said}]


def test_a_device_is_its_own_edits_after_those_of_all(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(WHOLE))
    found = edits("vendor.com/gpu=0", tmp_path)
    assert found.environment == {"ALL": "1", "WHICH": "0"}
    assert found.groups == (44,)
    assert found.nodes == (
        Node(path="/dev/gpu0", source="/vendor/dev/gpu0", access="rw"),
        Node(path="/dev/gpuctl", source="/dev/gpuctl", kind="c", major=195, minor=255, mode=0o660, gid=44),
    )
    assert found.binds == (Bind(source="/usr/lib/gpu.so", path="/usr/lib/gpu.so", read_only=True, options=("nosuid",)),)
    assert edits("vendor.com/gpu=1", tmp_path).environment == {"ALL": "1", "WHICH": "1"}


def test_yaml_is_read_too_and_a_number_is_a_name(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(YAML)
    assert edits("vendor.com/gpu=7", tmp_path).environment == {"WHICH": "7"}


def test_the_later_directory_wins(tmp_path: Path) -> None:
    for name, which in (("etc", "old"), ("run", "new")):
        (tmp_path / name).mkdir()
        said = WHOLE | {"containerEdits": {}, "devices": with_edits(env=[f"WHICH={which}"])}
        (tmp_path / name / "x.json").write_text(json.dumps(said))
    assert edits("vendor.com/gpu=0", tmp_path / "etc", tmp_path / "run").environment == {"WHICH": "new"}


def test_two_of_one_name_are_a_fault_that_names_both(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(json.dumps(WHOLE))
    assert f"it is defined in {tmp_path}/a.json and {tmp_path}/b.json" in refusal(tmp_path)


def test_a_broken_file_harms_only_those_whom_no_other_serves(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(WHOLE))
    (tmp_path / "broken.yaml").write_text("a: [")
    assert edits("vendor.com/gpu=0", tmp_path).groups == (44,)
    with pytest.raises(Waiting, match=r"broken\.yaml: not YAML"):
        edits("vendor.com/gpu=none", tmp_path)


def test_what_nobody_defines_is_waited_for(tmp_path: Path) -> None:
    with pytest.raises(Waiting, match=r"no file in .* defines it"):
        edits("vendor.com/gpu=0", tmp_path, tmp_path / "missing")


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"cdiVersion": "2.0.0"}, "its version 2.0.0 is not known"),
        ({"cdiVersion": None}, "its version None is not known"),
        ({"future": 1}, "future is not supported"),
        ({"devices": with_edits(hooks=[{"hookName": "createContainer", "path": "/bin/x"}])}, "hooks run on the host"),
        ({"containerEdits": {"hooks": [{"hookName": "poststop", "path": "/x"}]}}, "hooks run on the host"),
        ({"devices": with_edits(intelRdt={"closID": "x"})}, "intelRdt is not supported"),
        ({"devices": with_edits(env=["NOVALUE"])}, "NOVALUE is not a variable"),
        ({"devices": with_edits(deviceNodes=[{"hostPath": "/dev/x"}])}, "'path' is missing"),
        ({"devices": with_edits(deviceNodes=[{"path": "../x"}])}, "../x is not an absolute path"),
        ({"devices": with_edits(deviceNodes=[{"path": "/dev/../x"}])}, "is not an absolute path"),
        ({"devices": with_edits(deviceNodes=[{"path": "/dev/x", "type": "p"}])}, "unknown type p"),
        ({"devices": with_edits(deviceNodes=[{"path": "/dev/x", "permissions": "z"}])}, "unknown permissions z"),
        ({"devices": with_edits(deviceNodes=[{"path": "/dev/x", "major": -1}])}, "-1 is not a number"),
        ({"devices": with_edits(mounts=[{"hostPath": "/a", "containerPath": "/b", "type": "tmpfs"}])}, "type tmpfs"),
        (
            {"devices": with_edits(mounts=[{"hostPath": "/a", "containerPath": "/b", "options": ["rshared"]}])},
            "option rshared",
        ),
        ({"devices": with_edits(additionalGids=["x"])}, "additionalGids are not numbers"),
        ({"devices": with_edits(deviceNodes={})}, ""),
    ],
)
def test_what_cannot_be_honoured_is_refused(tmp_path: Path, changed: dict[str, Any], why: str) -> None:
    if not why:
        (tmp_path / "a.json").write_text(json.dumps(WHOLE | changed))
        assert edits("vendor.com/gpu=0", tmp_path).nodes == ()
    else:
        assert why in refusal(tmp_path, **changed)
