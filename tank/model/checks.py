"""What can only be judged by looking at several fields: names used twice, mounts of nothing, contradictions.

Works on the canonical plain values of `tank.model.pod_fields`, of which faulty parts are missing or BAD: one
fault never causes another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tank.model.faults import Spot, did_you_mean, quoted
from tank.model.network_checks import check_network

Draft = dict[str, Any]


def check_pod(pod: Draft, spot: Spot) -> None:
    """Report every fault that shows only between fields."""
    containers, volumes = list(entries(pod, "containers", spot)), list(entries(pod, "volumes", spot))
    known = _known_volumes(pod, volumes, spot)
    check_unique(containers, "container")
    check_unique(volumes, "volume")
    for container, here in containers:
        _check_mounts(container, here, known)
        _check_image(container, here)
        _check_capabilities(container.get("security", {}), here.at("security"))
        _check_command(container, here)
    for volume, here in volumes:
        _check_ownership(volume, here)
    _check_backoff(pod.get("backoff", {}), spot.at("backoff"))
    if isinstance(pod.get("network"), dict):
        check_network(pod["network"], spot.at("network"))


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


def _check_image(container: Draft, spot: Spot) -> None:
    if isinstance(container.get("image"), dict) and "pull" in container:
        spot.at("pull").fault("a rootfs is never pulled")


def _check_command(container: Draft, spot: Spot) -> None:
    command = container.get("command") or ["-"]
    if command[0] == "":
        spot.at("command", 0).fault("the name of a program cannot be empty")


def _check_capabilities(security: Draft, spot: Spot) -> None:
    both = [each for each in security.get("cap_add", []) if each in security.get("cap_drop", [])]
    for each in both:
        if isinstance(each, str):
            spot.at("cap_drop").fault(f"{each} is both added and dropped")


def _check_ownership(volume: Draft, spot: Spot) -> None:
    kind = volume.get("source", {"type": "managed"})["type"]
    if kind in ("managed", "empty"):
        return
    for field in ("owner", "group", "mode"):
        if field in volume:
            spot.at(field).fault(f"only a managed or empty volume has one, not {kind}")


def _check_backoff(backoff: Draft, spot: Spot) -> None:
    if any(spot.at(each).faulty for each in ("max", "initial")):
        return
    if backoff.get("max", 300.0) < backoff.get("initial", 10.0):
        spot.at("max").fault("cannot be shorter than initial")
