"""Devices by name: the files of the Container Device Interface, versions 0.3.0 to 1.1.0.

A file in /etc/cdi or /var/run/cdi says what a device such as `vendor.com/gpu=0` needs in a container: nodes, mounts,
variables, groups. A device in the second directory replaces one of the same name in the first; two in one directory
are a fault. Hooks, programs that the runtime would run on the host, are refused, and so is every field that is not
known: half a device is worse than none. A file that cannot be read is passed over unless the device is in no other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tank.errors import Waiting
from tank.host import files
from tank.model.document import Malformed, decoded
from tank.model.yaml_text import read_yaml
from tank.runtime.ocispec import Bind

DIRECTORIES = (Path("/etc/cdi"), Path("/var/run/cdi"))
_REASON = "CreateContainerConfigError"
_VERSIONS = frozenset({"0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0", "1.1.0"})
_TAKEN = frozenset({"ro", "rw", "bind", "rbind", "rprivate"})
_MOUNT_OPTIONS = _TAKEN | {"nosuid", "suid", "nodev", "dev", "noexec", "exec"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A device node; what is None is as on the host. `source` is its path there."""

    path: str
    source: str
    kind: str = ""  # b, c
    major: int | None = None
    minor: int | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    access: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """What devices change of a container."""

    nodes: tuple[Node, ...] = ()
    binds: tuple[Bind, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[int, ...] = ()

    def joined(self, other: Edits) -> Edits:
        """These, then those."""
        binds = {each.path: each for each in (*self.binds, *other.binds)}
        return Edits(
            nodes=self.nodes + other.nodes,
            binds=tuple(binds.values()),
            environment={**self.environment, **other.environment},
            groups=tuple(dict.fromkeys(self.groups + other.groups)),
        )


class _FaultError(ValueError):
    """A file says something that cannot be done."""


def edits(name: str, directories: Sequence[Path] = DIRECTORIES) -> Edits:
    """What the device `vendor.com/class=device` needs. Raises Waiting."""
    kind, _, device = name.partition("=")
    faults: list[str] = []
    for directory in reversed(directories):  # the later directory wins
        found = []
        for path in _files(directory):
            try:
                found += [(path, each) for each in _devices(_document(path), kind, device)]
            except (OSError, ValueError) as error:
                faults.append(f"{path}: {error}")
        if len(found) > 1:
            both = " and ".join(str(path) for path, _ in found)
            raise Waiting(_REASON, f"cannot give the device {name}: it is defined in {both}")
        if found:
            return _understood(name, *found[0])
    why = "; ".join(faults) or f"no file in {' or '.join(map(str, directories))} defines it"
    raise Waiting(_REASON, f"cannot give the device {name}: {why}")


def _files(directory: Path) -> Iterator[Path]:
    for name in files.names(directory):
        if name.endswith((".json", ".yaml", ".yml")) and (directory / name).is_file():
            yield directory / name


def _document(path: Path) -> dict[str, Any]:
    text = decoded(path.read_bytes())
    if path.suffix == ".json":
        found = json.loads(text)
    else:
        trees = read_yaml(text)
        found = trees[0].value if len(trees) == 1 else None
    if not isinstance(found, dict):
        raise Malformed("not a mapping")
    return found


def _devices(document: dict[str, Any], kind: str, name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The file and the device in it, where it defines that device."""
    if document.get("kind") == kind:
        for each in _mappings(document.get("devices")):
            if str(each.get("name")) == name:
                yield document, each


def _understood(name: str, path: Path, found: tuple[dict[str, Any], dict[str, Any]]) -> Edits:
    document, device = found
    try:
        if document.get("cdiVersion") not in _VERSIONS:
            raise _FaultError(f"its version {document.get('cdiVersion')} is not known")
        _known(document, {"cdiVersion", "kind", "annotations", "devices", "containerEdits"})
        _known(device, {"name", "annotations", "containerEdits"})
        common = _edits(document.get("containerEdits") or {})
        return common.joined(_edits(device.get("containerEdits") or {}))
    except (ValueError, TypeError, KeyError) as error:
        why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise Waiting(_REASON, f"cannot give the device {name}: {path}: {why}") from error


def _edits(said: dict[str, Any]) -> Edits:
    if said.get("hooks"):
        raise _FaultError("it wants hooks run on the host, which is not supported")
    _known(said, {"env", "deviceNodes", "mounts", "hooks", "additionalGids"})
    groups = said.get("additionalGids") or ()
    if not all(type(each) is int and each >= 0 for each in groups):
        raise _FaultError("additionalGids are not numbers")
    return Edits(
        nodes=tuple(_node(each) for each in _mappings(said.get("deviceNodes"))),
        binds=tuple(_bind(each) for each in _mappings(said.get("mounts"))),
        environment=dict(_variable(each) for each in said.get("env") or ()),
        groups=tuple(each for each in groups if each),
    )


def _node(said: dict[str, Any]) -> Node:
    _known(said, {"path", "hostPath", "type", "major", "minor", "fileMode", "permissions", "uid", "gid"})
    path = _absolute(said["path"])
    if said.get("type") not in (None, "", "b", "c", "u"):
        raise _FaultError(f"{path} is of the unknown type {said['type']}")
    access = said.get("permissions")
    if access is not None and (not isinstance(access, str) or set(access) - set("rwm")):
        raise _FaultError(f"{path} has the unknown permissions {access}")
    numbers = {name: _number(said.get(key)) for name, key in _NUMBERS.items()}
    kind = {"b": "b", "c": "c", "u": "c"}.get(said.get("type") or "", "")
    return Node(path=path, source=_absolute(said.get("hostPath") or path), kind=kind, access=access or None, **numbers)


_NUMBERS = {"major": "major", "minor": "minor", "mode": "fileMode", "uid": "uid", "gid": "gid"}


def _bind(said: dict[str, Any]) -> Bind:
    _known(said, {"hostPath", "containerPath", "options", "type"})
    options = tuple(said.get("options") or ())
    if said.get("type") not in (None, "", "bind", "none"):
        raise _FaultError(f"a mount of the type {said['type']} is not supported")
    if unknown := [each for each in options if each not in _MOUNT_OPTIONS]:
        raise _FaultError(f"the mount option {unknown[0]} is not supported")
    own = tuple(each for each in options if each not in _TAKEN)
    return Bind(
        source=_absolute(said["hostPath"]),
        path=_absolute(said["containerPath"]),
        read_only="rw" not in options,
        options=own,
        recursive="rbind" in options,
    )


def _variable(said: object) -> tuple[str, str]:
    name, equals, value = str(said).partition("=")
    if not name or not equals:
        raise _FaultError(f"{said} is not a variable")
    return name, value


def _absolute(path: object) -> str:
    if not isinstance(path, str) or not path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise _FaultError(f"{path} is not an absolute path")
    return path


def _number(value: object) -> int | None:
    if value is not None and (type(value) is not int or value < 0):
        raise _FaultError(f"{value} is not a number")
    return value


def _known(said: Mapping[str, Any], names: set[str]) -> None:
    if unknown := sorted(set(said) - names):
        raise _FaultError(f"{', '.join(unknown)} is not supported")


def _mappings(value: object) -> list[dict[str, Any]]:
    found = value or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise _FaultError("a list of mappings was expected")
    return found
