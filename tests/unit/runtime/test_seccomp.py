"""The default filter and the store of compiled ones."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from tank.runtime import seccomp
from tank.runtime.capabilities import ALL, DEFAULT


def allowed(profile: dict[str, Any]) -> set[str]:
    return {
        name
        for rule in profile["syscalls"]
        if "args" not in rule and "ALLOW" in rule["action"]
        for name in rule["names"]
    }


CLOSED = [
    "mount",
    "umount2",
    "setns",
    "unshare",
    "bpf",
    "kexec_load",
    "init_module",
    "keyctl",
    "add_key",
    "io_uring_setup",
    "userfaultfd",
    "perf_event_open",
    "open_by_handle_at",
    "reboot",
    "swapon",
    "pivot_root",
    "clone3",
    "clone",
    "chroot",
    "personality",
    "socket",
    "ioctl",
]


@pytest.mark.parametrize("name", CLOSED)
def test_what_a_container_has_no_business_with_is_not_allowed_by_default(name: str) -> None:
    assert name not in allowed(seccomp.profile(DEFAULT, "x86_64"))


@pytest.mark.parametrize("name", ["read", "openat", "execve", "futex", "epoll_wait", "statx", "clock_gettime", "wait4"])
def test_what_everybody_needs_is(name: str) -> None:
    assert name in allowed(seccomp.profile((), "x86_64"))


@pytest.mark.parametrize(
    ("capability", "name"),
    [("CAP_SYS_ADMIN", "mount"), ("CAP_SYS_MODULE", "init_module"), ("CAP_SYS_CHROOT", "chroot")],
)
def test_a_capability_opens_its_calls(capability: str, name: str) -> None:
    assert name in allowed(seccomp.profile([*DEFAULT, capability]))


def test_some_calls_no_capability_opens() -> None:
    assert not {"kexec_load", "keyctl", "userfaultfd", "pivot_root", "io_uring_setup"} & allowed(seccomp.profile(ALL))


def test_clone_is_for_threads_and_processes_and_not_for_namespaces() -> None:
    rules = seccomp.profile(DEFAULT)["syscalls"]
    assert {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38} in rules
    (clone,) = (rule for rule in rules if rule["names"] == ["clone"])
    assert clone["args"] == [{"index": 0, "op": "SCMP_CMP_MASKED_EQ", "value": 0x7E020000, "valueTwo": 0}]


@pytest.mark.parametrize(
    ("number", "passes"), [(0x5412, False), (0x1_0000_5412, False), (0x5413, True), (0x5401, True), (0, True)]
)
def test_every_ioctl_but_tiocsti_passes_whatever_the_high_bits(number: int, passes: bool) -> None:
    rules = [rule["args"][0] for rule in seccomp.profile(DEFAULT)["syscalls"] if rule["names"] == ["ioctl"]]
    assert any(number & rule["value"] == rule["valueTwo"] for rule in rules) is passes


def test_what_was_learned_is_found_and_nothing_else(tmp_path: Path) -> None:
    compiled = seccomp.Compiled(tmp_path / "cache", "crun 1.8.1")
    profile = seccomp.default(DEFAULT)
    made = tmp_path / "seccomp.bpf"
    assert compiled.find(profile) is None
    compiled.learn(profile, made)
    assert compiled.find(profile) is None
    made.write_bytes(b"12345678" * 3)
    compiled.learn(profile, made)
    assert compiled.find(profile) == base64.b64encode(b"12345678" * 3).decode()
    assert compiled.find(seccomp.default(ALL)) is None
    assert seccomp.Compiled(tmp_path / "cache", "crun 1.9").find(profile) is None


def test_what_is_no_program_is_not_learned(tmp_path: Path) -> None:
    compiled = seccomp.Compiled(tmp_path / "cache", "crun 1.8.1")
    (tmp_path / "seccomp.bpf").write_bytes(b"123")
    compiled.learn(seccomp.default(()), tmp_path / "seccomp.bpf")
    assert compiled.find(seccomp.default(())) is None
