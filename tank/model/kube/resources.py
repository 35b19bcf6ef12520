"""What a container may use (C14)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tank.model.faults import BAD
from tank.model.grammar import MapOf
from tank.model.kube.nouns import ANYTHING, Kept, Lost, Never, Noun, Used
from tank.model.kube.places import Draft, Place
from tank.model.kube.quantities import CORES, QUANTITY, SIZE

_AMOUNTS = MapOf(str, ANYTHING)
_RESERVED = "nothing is reserved: a request is for a scheduler of several machines"
RESOURCES = Noun(
    "the resources",
    {
        "limits": Used(_AMOUNTS, "`limits`"),
        "requests": Used(_AMOUNTS, "lost; told to variables"),
        "claims": Never("devices by claim are not supported", suggestion="see devices in the spec's reference"),
    },
)
LIMITS = Noun(
    "the limits",
    {
        "cpu": Used(CORES, "`limits.cpu`"),
        "memory": Kept("memory", SIZE, "`limits.memory`"),
        "ephemeral-storage": Lost("nobody is evicted for what it writes; see `size`", QUANTITY),
    },
)


def resources(value: Any, place: Place, draft: Draft) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Write the container's limits; answers the requests and limits as they stand."""
    found = RESOURCES.read(value, place)
    requests, limits = found.get("requests", {}), found.get("limits", {})
    _limits(limits, place.at("limits"), draft)
    for name, each in requests.items():
        here = place.at("requests", name)
        if _is_ordinary(name) and QUANTITY.read(each, here.spot) is not BAD:
            here.lose(_RESERVED)
        elif not _is_ordinary(name):
            _unknown(name, here)
    return requests, limits


def _limits(value: Mapping[str, Any], place: Place, draft: Draft) -> None:
    known = {name: each for name, each in value.items() if _is_ordinary(name)}
    for name in value.keys() - known.keys():
        _unknown(name, place.at(name))
    if not known:
        return
    limits = draft.below("limits", place)
    found = LIMITS.read(known, place, limits)
    if "cpu" in found:
        limits.put("cpu", f"{int(found['cpu'] * 1000)}m", place.at("cpu"))


def _is_ordinary(name: str) -> bool:
    return name in LIMITS.fields


def _unknown(name: str, place: Place) -> None:
    near = "see devices in the spec's reference" if "/" in name else ""
    place.refuse(f"no machine of Tank's has '{name}' to give", near)
