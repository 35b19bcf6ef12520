"""A seccomp profile of the user's own: the JSON of the runtime specification, or Docker's form of it.

Docker's form has conditions, by capability, machine and kernel, that are decided here, for this container. What a
profile says and cannot be done (asking a program by notification, a flag nobody knows) is a fault: a filter that is
not the one that was written protects nobody.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from tank.errors import Waiting
from tank.host import files
from tank.runtime.seccomp import Filter

_REASON = "CreateContainerConfigError"
_LARGEST = 2**20
_ACTIONS = {
    f"SCMP_ACT_{each}" for each in ("ALLOW", "ERRNO", "KILL", "KILL_PROCESS", "KILL_THREAD", "LOG", "TRACE", "TRAP")
}
_OPERATORS = {f"SCMP_CMP_{name}" for name in ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]}
_FLAGS = {f"SECCOMP_FILTER_FLAG_{name}" for name in ["TSYNC", "LOG", "SPEC_ALLOW"]}
_TOP = {"defaultAction", "defaultErrnoRet", "architectures", "archMap", "flags", "syscalls"}
_RULE = {"name", "names", "action", "errnoRet", "args", "comment", "includes", "excludes"}
_ARGUMENT = {"index", "value", "valueTwo", "op"}
_WHEN = {"caps", "arches", "minKernel"}
_NAME = re.compile(r"[a-z0-9_]{1,64}")
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "x86"}  # as Go and Docker call them
_OWN = {
    "x86_64": "SCMP_ARCH_X86_64",
    "aarch64": "SCMP_ARCH_AARCH64",
    "riscv64": "SCMP_ARCH_RISCV64",
    "ppc64le": "SCMP_ARCH_PPC64LE",
    "s390x": "SCMP_ARCH_S390X",
}


class _FaultError(ValueError):
    """The profile is wrong."""


def load(path: str, capabilities: Collection[str]) -> Filter:
    """The filter of the file for a container that holds `capabilities`. Raises Waiting with what is wrong."""
    try:
        made = profile(json.loads(_read(Path(path))), capabilities, platform.machine(), platform.release())
    except OSError as error:
        raise _refused(path, (error.strerror or "it cannot be read").lower()) from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise _refused(path, why) from error
    return Filter(made, hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest())


def _refused(path: str, why: str) -> Waiting:
    return Waiting(_REASON, f"cannot use the seccomp profile {path}: {why}")


def _read(path: Path) -> bytes:
    with files.opened(path, os.O_RDONLY | os.O_NONBLOCK) as fd:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise _FaultError("it is no regular file")
        if status.st_size > _LARGEST:
            raise _FaultError(f"it is longer than {_LARGEST} bytes")
        with open(fd, "rb", closefd=False) as file:
            return file.read(_LARGEST)


def profile(said: Any, capabilities: Collection[str], machine: str, kernel: str) -> dict[str, Any]:
    """`linux.seccomp` of the OCI configuration from what a file says. Raises ValueError, KeyError, TypeError."""
    _known(said, _TOP, "the profile")
    flags = said.get("flags") or []
    if unknown := [each for each in flags if each not in _FLAGS]:
        raise _FaultError(f"the flag {unknown[0]} is not supported")
    made: dict[str, Any] = {
        "defaultAction": _action(said["defaultAction"]),
        "architectures": _architectures(said, machine),
        "syscalls": list(_rules(said.get("syscalls") or [], capabilities, machine, kernel)),
    }
    if said.get("defaultErrnoRet") is not None:
        made["defaultErrnoRet"] = _number(said["defaultErrnoRet"])
    return made | ({"flags": list(flags)} if flags else {})


def _architectures(said: Mapping[str, Any], machine: str) -> list[str]:
    """Those named, and of a map the one of this machine with what runs on it."""
    named = list(said.get("architectures") or [])
    for each in said.get("archMap") or []:
        if each["architecture"] == _OWN.get(machine):
            named += [each["architecture"], *(each.get("subArchitectures") or [])]
    if wrong := [each for each in named if not re.fullmatch(r"SCMP_ARCH_[A-Z0-9_]{1,20}", str(each))]:
        raise _FaultError(f"{wrong[0]} is not an architecture")
    return named


def _rules(rules: Any, capabilities: Collection[str], machine: str, kernel: str) -> Iterator[dict[str, Any]]:
    for rule in rules:
        _known(rule, _RULE, "a rule")
        includes, excludes = (rule.get(each) or {} for each in ("includes", "excludes"))
        wanted = _holds(includes, capabilities, machine, kernel, every=True)
        if wanted and not _holds(excludes, capabilities, machine, kernel, every=False):
            yield _rule(rule)


def _holds(when: Mapping[str, Any], capabilities: Collection[str], machine: str, kernel: str, *, every: bool) -> bool:
    """Whether a condition is met: with `every`, all its parts; without, any of them."""
    _known(when, _WHEN, "a condition")
    parts = []
    if caps := when.get("caps"):
        parts.append((all if every else any)(each in capabilities for each in caps))
    if arches := when.get("arches"):
        parts.append(_MACHINES.get(machine, machine) in arches)
    if least := when.get("minKernel"):
        parts.append(_version(kernel) >= _version(least))
    return all(parts) if every else any(parts)


def _version(text: str) -> tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", text)
    if found is None:
        raise _FaultError(f"{text} is not a kernel version")
    return int(found[1]), int(found[2])


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    names = list(rule.get("names") or [rule["name"]])
    if wrong := [each for each in names if not isinstance(each, str) or not _NAME.fullmatch(each)]:
        raise _FaultError(f"{wrong[0]} is not a system call")
    made: dict[str, Any] = {"names": names, "action": _action(rule["action"])}
    if rule.get("errnoRet") is not None:
        made["errnoRet"] = _number(rule["errnoRet"])
    if rule.get("args"):
        made["args"] = [_argument(each) for each in rule["args"]]
    return made


def _argument(said: Mapping[str, Any]) -> dict[str, Any]:
    _known(said, _ARGUMENT, "an argument")
    if said["op"] not in _OPERATORS:
        raise _FaultError(f"{said['op']} is not an operator")
    index = _number(said["index"])
    if index > 5:
        raise _FaultError(f"a system call has no argument {index}")
    return {
        "index": index,
        "op": said["op"],
        "value": _number(said.get("value", 0)),
        "valueTwo": _number(said.get("valueTwo", 0)),
    }


def _action(word: Any) -> str:
    if word not in _ACTIONS:
        raise _FaultError(f"the action {word} is not supported")
    return str(word)


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**64:
        raise _FaultError(f"{value} is not a number")
    return value


def _known(said: Any, names: set[str], what: str) -> None:
    if not isinstance(said, Mapping):
        raise _FaultError(f"{what} is not a mapping")
    if unknown := sorted(set(said) - names):
        raise _FaultError(f"{', '.join(unknown)} is not supported")
