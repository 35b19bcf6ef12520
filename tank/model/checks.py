"""What can only be judged by looking at several fields: names used twice, mounts of nothing, contradictions.

Works on the canonical plain values of `tank.model.pod_fields`, of which faulty parts are missing or BAD: one
fault never causes another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tank.model import kernel_words
from tank.model.container_checks import check_container, check_init
from tank.model.faults import BAD, Spot, did_you_mean, quoted
from tank.model.network_checks import check_network, check_port_names
from tank.model.pod import Container

Draft = dict[str, Any]


def check_pod(pod: Draft, spot: Spot) -> None:
    """Report every fault that shows only between fields."""
    init, containers = list(entries(pod, "init", spot)), list(entries(pod, "containers", spot))
    volumes = list(entries(pod, "volumes", spot))
    known = _known_volumes(pod, volumes, spot)
    check_unique(init + containers, "container")
    check_unique(volumes, "volume")
    for container, here in init + containers:
        _check_mounts(container, here, known)
        check_container(container, here)
    for container, here in init:
        check_init(container, here)
    for volume, here in volumes:
        _check_ownership(volume, here)
    _check_backoff(pod.get("backoff", {}), spot.at("backoff"))
    if isinstance(pod.get("network"), dict):
        check_network(pod["network"], spot.at("network"))
    check_port_names(pod, init + containers)
    _check_host_network(pod, spot)
    _check_shared_processes(pod, init + containers)
    _check_own_users(pod, init + containers)
    _check_grace(pod, init + containers)


def entries(draft: Draft, field: str, spot: Spot) -> Iterator[tuple[Draft, Spot]]:
    """The sound mappings of a list field, each with its place."""
    for index, each in enumerate(draft.get(field, [])):
        if isinstance(each, dict):
            yield each, spot.at(field, index)


def check_unique(found: list[tuple[Draft, Spot]], noun: str) -> None:
    """Report each name that an earlier entry has already."""
    seen: set[str] = set()
    for each, here in found:
        name = each.get("name")
        if name in seen:
            here.at("name").fault(f"another {noun} is called {quoted(name)} already")
        elif name is not None:
            seen.add(name)


def _known_volumes(pod: Draft, volumes: list[tuple[Draft, Spot]], spot: Spot) -> list[str] | None:
    """The names of the pod's volumes; None when some could not be read, so that a mount may be of one of those."""
    names = [each["name"] for each, _ in volumes if "name" in each]
    unread = spot.at("volumes").faulty or len(names) < len(pod.get("volumes", []))
    return None if unread else names


def _check_mounts(container: Draft, spot: Spot, known: list[str] | None) -> None:
    paths: set[str] = set()
    for mount, here in entries(container, "mounts", spot):
        volume, path = mount.get("volume"), mount.get("path")
        if volume is not None and known is not None and volume not in known:
            hint = did_you_mean(volume, known) if known else "the pod has no volumes"
            here.at("volume").fault(f"the pod has no volume {quoted(volume)}", hint)
        if path is not None and path in paths:
            here.at("path").fault(f"something is mounted at {quoted(path)} already")
        paths.add(path or "")
    message = container.get("termination_message", Container.model_fields["termination_message"].default)
    if message in paths:
        spot.at("termination_message").fault(f"a volume is mounted at {quoted(message)}")


def _check_ownership(volume: Draft, spot: Spot) -> None:
    kind = volume.get("source", {"type": "managed"})["type"]
    if kind in ("managed", "empty"):
        return
    for field in ("owner", "group", "mode"):
        if field in volume:
            hint = f"write it beside {kind}" if kind in ("secret", "config") else ""
            spot.at(field).fault(f"only a managed or empty volume has one, not {kind}", hint)


def _check_backoff(backoff: Draft, spot: Spot) -> None:
    if any(spot.at(each).faulty for each in ("max", "initial")):
        return
    if backoff.get("max", 300.0) < backoff.get("initial", 10.0):
        spot.at("max").fault("cannot be shorter than initial")


def _check_host_network(pod: Draft, spot: Spot) -> None:
    """What belongs to a network of the pod's own."""
    if pod.get("network") != "host":
        return
    for name in pod.get("sysctls", {}):
        if kernel_words.is_of_network(name):
            spot.at("sysctls", name).fault("a pod on the host's network has no network settings of its own")
    if pod.get("users") == "auto":
        spot.at("users").fault("ids of its own have no power over the host's network", "write users: host")


def _check_shared_processes(pod: Draft, containers: list[tuple[Draft, Spot]]) -> None:
    for container, here in containers if pod.get("share_pid") else ():
        if container.get("reaper"):
            here.at("reaper").fault("with share_pid the pod's own first process reaps for all")


def _check_own_users(pod: Draft, containers: list[tuple[Draft, Spot]]) -> None:
    for container, here in containers if pod.get("users") == "auto" else ():
        for index, mount in enumerate(container.get("mounts", [])):
            if mount is not BAD and mount.get("propagation") == "shared":
                fault = here.at("mounts", index, "propagation").fault
                fault("with users: auto no mount made inside appears on the host")


def _check_grace(pod: Draft, containers: list[tuple[Draft, Spot]]) -> None:
    """The clock runs while a hook does (C3.2)."""
    for container, here in containers if "grace" in pod else ():
        wait = container.get("hooks", {}).get("pre_stop", {}).get("sleep")
        if wait is not None and wait > pod["grace"]:
            here.at("hooks", "pre_stop", "sleep").fault("cannot be longer than the pod's grace, which it is part of")
