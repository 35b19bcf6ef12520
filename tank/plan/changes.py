"""What an apply changes in a spec, field by field, and what each field costs a pod that runs ("What a change costs").

The steps of a plan say what will be done to this machine now; this says why, in the words of the spec. Costs are
read off the same digests that the planner compares, so that the two cannot disagree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tank.model.differences import Difference, differences
from tank.model.digest import NAMESPACES, NIC_FIXED, fixed_container, fixed_volume, sandbox_digest
from tank.model.dump import dump_pod
from tank.model.pod import Container, Network, Nic, Pod
from tank.plan.steps import Impact

NAMED = ("containers", "init", "volumes")
_PART = re.compile(r"(containers|init|volumes)\[([a-z0-9-]+)\](?:\.(\w+))?")


_LIVE = re.compile(r"network\.(?:dns|search|ports|allow)\b")
_NIC = re.compile(r"network\.nics\[([^\]]+)\]\.(\w+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One field: `before` and `after` in canonical form, None where there is nothing. `impact` as of a step."""

    pod: str
    path: str  # containers[app].image
    before: Any
    after: Any
    impact: str


def changes(before: Pod, after: Pod) -> tuple[Change, ...]:
    """Every field that differs, in the order of the specs. What comes or goes whole is one change."""
    old, new = dump_pod(before), dump_pod(after)
    whole = [each for field in NAMED for each in _come_and_gone(field, old, new)]
    found = [*whole, *differences(_common(old, new), _common(new, old))]
    return tuple(
        Change(pod=after.name, path=path, before=was, after=will, impact=_impact(path, before, after).value)
        for path, was, will in found
    )


def _come_and_gone(field: str, old: dict[str, Any], new: dict[str, Any]) -> list[Difference]:
    was, will = _by_name(old.get(field, [])), _by_name(new.get(field, []))
    gone = [(f"{field}[{name}]", each, None) for name, each in was.items() if name not in will]
    return gone + [(f"{field}[{name}]", None, each) for name, each in will.items() if name not in was]


def _common(spec: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The spec without what the other has nothing of."""
    kept = {
        field: [each for each in spec.get(field, []) if each["name"] in _by_name(other.get(field, []))]
        for field in NAMED
    }
    return {**spec, **kept}


def _by_name(entries: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in entries}


def _impact(path: str, before: Pod, after: Pod) -> Impact:
    match = _PART.match(path)
    if match is None:
        return _of_pod(path, before, after)
    group, name, field = match.groups()
    if group == "volumes":
        return _of_volume(name, before, after)
    if group == "init":
        return _of_init(name, field or "", before, after)
    return _of_container(field or "", before.container(name), after.container(name))


def _of_pod(path: str, before: Pod, after: Pod) -> Impact:
    """A field of the pod itself, or the order of its containers."""
    field = path.partition(".")[0]
    if field in ("containers", "volumes"):
        return Impact.NONE
    if field in ("hostname", "init", "network", *NAMESPACES) and not _is_live_part(path, before, after):
        return Impact.NONE if sandbox_digest(before) == sandbox_digest(after) else Impact.POD_RESTART
    return Impact.LIVE


def _is_live_part(path: str, before: Pod, after: Pod) -> bool:
    """Whether it is of the network and changes under a running program."""
    if _LIVE.match(path):
        return True
    nic = _NIC.match(path)
    was, will = (_nic(pod, nic[1]) if nic else None for pod in (before, after))
    if nic is None or was is None or will is None or nic[2] in NIC_FIXED:
        return False
    return nic[2] != "ip" or was.pool == will.pool  # the pool stands for mode and parent


def _nic(pod: Pod, name: str) -> Nic | None:
    nics = pod.network.nics if isinstance(pod.network, Network) else ()
    return next((each for each in nics if each.name == name), None)


def _of_container(field: str, old: Container | None, new: Container | None) -> Impact:
    if old is None:
        return Impact.NONE
    if new is not None and fixed_container(old).get(field) == fixed_container(new).get(field):
        return Impact.LIVE
    return Impact.CONTAINER_RESTART


def _of_init(name: str, field: str, before: Pod, after: Pod) -> Impact:
    """A plain init container that has run does not run again for its own sake (C4)."""
    was, will = before.is_init(name), after.is_init(name)
    if not (was and will) or before.is_sidecar(name) != after.is_sidecar(name):
        return Impact.POD_RESTART
    return (
        _of_container(field, before.container(name), after.container(name)) if after.is_sidecar(name) else Impact.NONE
    )


def _of_volume(name: str, before: Pod, after: Pod) -> Impact:
    """It costs those that mount it before and after."""
    old, new = before.volume(name), after.volume(name)
    mounting = [each.name for each in before.everyone if any(mount.volume == name for mount in each.mounts)]
    if old is None or new is None or not any(after.container(each) for each in mounting):
        return Impact.NONE
    return Impact.LIVE if fixed_volume(old) == fixed_volume(new) else Impact.CONTAINER_RESTART
