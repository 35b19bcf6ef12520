"""A pod as the plain mapping that a person would write: canonical, complete, and read back as the same pod.

What is None or empty is left out: it means "the image's", "the pod's" or "nothing". Everything else is written,
defaults included, so that a stored pod keeps its meaning when a default changes one day.
"""

from __future__ import annotations

from typing import Any

from tank.model.inputs import ConfigFiles, Reaction, SecretFiles
from tank.model.network import Allow, Rate
from tank.model.pod import (
    Container,
    Cpu,
    Device,
    Empty,
    EnvVar,
    HostPath,
    ImageVolume,
    Managed,
    Nic,
    Pod,
    Rootfs,
    Source,
    Tmpfs,
)
from tank.model.value import Value
from tank.model.words import UNLIMITED

_WRITTEN = {"peer": "from", "incoming": "in", "outgoing": "out"}


def dump_pod(pod: Pod) -> dict[str, Any]:
    """The canonical mapping of `pod`, in the types of JSON. `parse_pod(dump_pod(pod)) == pod`."""
    return dump(pod)


def dump(value: Value, *, sparse: bool = False) -> dict[str, Any]:
    """The canonical mapping of a part of a pod. `sparse` leaves out what equals its default."""
    written: dict[str, Any] = {}
    for name, field in type(value).model_fields.items():
        each = getattr(value, name)
        default = not field.is_required() and each == field.get_default(call_default_factory=True)
        plain = _plain(each, sparse=sparse)
        if not (default and (sparse or plain in (None, {}, []))):
            written[name] = plain
    return _natural(value, written)


def _natural(value: Value, written: dict[str, Any]) -> dict[str, Any]:
    """The few places where the form that people write is not that of the fields."""
    if isinstance(value, Container) and isinstance(value.image, Rootfs):
        written.pop("pull", None)
    if isinstance(value, Container) and value.ulimits:
        written["ulimits"] = {name: [_limit(each) for each in pair] for name, pair in value.ulimits.items()}
    if isinstance(value, Nic) and len(value.gateway) == 1:
        written["gateway"] = value.gateway[0]
    if isinstance(value, (Allow, Rate)):
        written = {_WRITTEN.get(name, name): each for name, each in written.items()}
    if isinstance(value, Device) and value.name is not None:
        written.pop("access", None)
    return written


def _limit(value: int) -> int | str:
    return "unlimited" if value == UNLIMITED else value


def _plain(value: Any, *, sparse: bool) -> Any:
    if isinstance(value, (Managed, HostPath, Tmpfs, Empty, ImageVolume, SecretFiles, ConfigFiles)):
        return dump_source(value)
    if isinstance(value, Cpu):
        return [value.quota, value.period]
    if isinstance(value, EnvVar):
        return _variable(value, sparse=sparse)
    if isinstance(value, Reaction):
        return _reaction(value)
    if isinstance(value, Value):
        return dump(value, sparse=sparse)
    if isinstance(value, tuple):
        return [_plain(each, sparse=sparse) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each, sparse=sparse) for key, each in value.items()}
    return value


def _variable(variable: EnvVar, *, sparse: bool) -> dict[str, Any]:
    if variable.source is None:
        return {"name": variable.name, "value": variable.value}
    return {"name": variable.name, "from": dump(variable.source, sparse=sparse)}


def _reaction(reaction: Reaction) -> Any:
    """`nothing`, `restart`, {signal: SIGHUP} or {exec: [..]}."""
    if reaction.restart:
        return "restart"
    return dump(reaction, sparse=True) or "nothing"


def dump_source(source: Source) -> Any:
    """A volume's source: `managed`, or a mapping such as {tmpfs: {size: 67108864}}."""
    match source:
        case Managed(shared=shared):
            return {"managed": {"shared": True}} if shared else "managed"
        case HostPath(path=path, kind=kind):
            return {"host": path, "kind": kind} if kind else {"host": path}
        case Tmpfs(size=size):
            return {"tmpfs": {} if size is None else {"size": size}}
        case ImageVolume(image=image, pull=pull):
            return {"image": image, "pull": pull}
        case SecretFiles() | ConfigFiles():
            written = dump(source)
            return {written.pop("type"): written.pop("name"), **written}
        case Empty():  # pragma: no branch (there is no other)
            return {"empty": {}}
