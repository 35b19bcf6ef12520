"""Seccomp profiles of the user's own: both forms, the conditions of Docker's, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tank.errors import Waiting
from tank.runtime import profile

DOCKER = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 1,
    "archMap": [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
    ],
    "syscalls": [
        {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "comment": "of course"},
        {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
        {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["arch_prctl"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64", "x32"]}},
        {"names": ["s390_x"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["amd64"]}},
    ],
}


def names(said: dict[str, Any], *held: str, machine: str = "x86_64", kernel: str = "6.1.0-9-amd64") -> set[str]:
    made = profile.profile(said, held, machine, kernel)
    return {name for rule in made["syscalls"] for name in rule["names"]}


def test_the_conditions_are_decided_for_this_container_and_machine() -> None:
    assert names(DOCKER) == {"read", "write", "ptrace", "clone", "arch_prctl"}
    assert names(DOCKER, "CAP_SYS_ADMIN") == {"read", "write", "ptrace", "mount", "arch_prctl"}
    assert names(DOCKER, kernel="4.4.1") == {"read", "write", "clone", "arch_prctl"}
    assert names(DOCKER, machine="aarch64") == {"read", "write", "ptrace", "clone", "s390_x"}


def test_nothing_of_dockers_form_reaches_the_runtime() -> None:
    made = profile.profile(DOCKER, (), "x86_64", "6.1")
    assert set(made) == {"defaultAction", "defaultErrnoRet", "architectures", "syscalls"}
    assert made["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    assert all(set(rule) <= {"names", "action", "errnoRet", "args"} for rule in made["syscalls"])


def test_the_runtimes_own_form_stays_as_it_is() -> None:
    argument = {"index": 0, "op": "SCMP_CMP_EQ", "value": 8, "valueTwo": 0}
    said = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "flags": ["SECCOMP_FILTER_FLAG_LOG"],
        "syscalls": [{"names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5, "args": [argument]}],
    }
    assert profile.profile(said, (), "x86_64", "6.1") == said


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"defaultAction": "SCMP_ACT_NOTIFY"}, "the action SCMP_ACT_NOTIFY is not supported"),
        ({"defaultAction": None}, "the action None is not supported"),
        ({"listenerPath": "/run/x.sock"}, "listenerPath is not supported"),
        ({"flags": ["SECCOMP_FILTER_FLAG_NEW"]}, "the flag SECCOMP_FILTER_FLAG_NEW is not supported"),
        ({"architectures": ["x86"]}, "x86 is not an architecture"),
        ({"syscalls": [{"names": ["rm -rf"], "action": "SCMP_ACT_ALLOW"}]}, "rm -rf is not a system call"),
        ({"syscalls": [{"action": "SCMP_ACT_ALLOW"}]}, "'name' is missing"),
        ({"syscalls": [{"names": ["a"], "action": "SCMP_ACT_ALLOW", "x": 1}]}, "x is not supported"),
        (
            {"syscalls": [{"names": ["a"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 6, "op": "SCMP_CMP_EQ"}]}]},
            "6",
        ),
        ({"syscalls": [{"names": ["a"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "op": "EQ"}]}]}, "operator"),
        ({"syscalls": [{"names": ["a"], "action": "SCMP_ACT_ALLOW", "includes": {"user": 1}}]}, "user is not"),
        ({"syscalls": ["read"]}, "a rule is not a mapping"),
    ],
)
def test_what_cannot_be_honoured_is_refused(tmp_path: Path, changed: dict[str, Any], why: str) -> None:
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(DOCKER | changed))
    with pytest.raises(Waiting) as caught:
        profile.load(str(path), ())
    assert caught.value.reason == "CreateContainerConfigError"
    assert str(path) in str(caught.value)
    assert why in str(caught.value)


@pytest.mark.parametrize("what", ["missing", "directory", "fifo", "text", "list", "deep"])
def test_a_file_that_is_no_profile_is_waited_for(tmp_path: Path, what: str) -> None:
    path = tmp_path / "profile.json"
    match what:
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "text":
            path.write_text("{")
        case "list":
            path.write_text("[]")
        case "deep":
            path.write_text("[" * 200_000)
    with pytest.raises(Waiting):
        profile.load(str(path), ())


def test_the_digest_tells_profiles_apart_and_only_them(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(DOCKER))
    first = profile.load(str(path), ())
    assert profile.load(str(path), ()).digest == first.digest
    assert profile.load(str(path), ("CAP_SYS_ADMIN",)).digest != first.digest
