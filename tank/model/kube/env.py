"""Variables: their values, and where else these come from (C7)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tank.model.faults import Refused
from tank.model.kube.nouns import FLAG, MAPPING, TEXT, Kept, Lost, Never, Noun, Used, chosen, items
from tank.model.kube.places import Draft, Place
from tank.model.kube.quantities import QUANTITY, parse_quantity

VARIABLE = Noun(
    "a variable",
    {
        "name": Used(TEXT, "`env[].name`", required=True),
        "value": Used(TEXT, "`env[].value`"),
        "valueFrom": Used(MAPPING, "`env[].from`"),
    },
)
VALUE_FROM = Noun(
    "a variable's source",
    {
        "configMapKeyRef": Used(MAPPING, "`from.config`"),
        "secretKeyRef": Used(MAPPING, "`from.secret`"),
        "fieldRef": Used(MAPPING, "`from.field`; namespace and service account as they stand"),
        "resourceFieldRef": Used(MAPPING, "`from.field` with `divisor`; requests as numbers"),
        "fileKeyRef": Never("variables from a file of a volume are not supported"),
    },
)
KEY_REF = Noun(
    "a key",
    {
        "name": Kept("name", doc="the config's or secret's name"),
        "key": Kept("key", doc="its key"),
        "optional": Kept("optional", FLAG, "`optional`"),
    },
)
FIELD_REF = Noun(
    "a field", {"fieldPath": Used(TEXT, "`from.field`", required=True), "apiVersion": Lost("", unless=("v1",))}
)
RESOURCE_REF = Noun(
    "a resource",
    {
        "resource": Used(TEXT, "`limits.memory`, `limits.cpu`", required=True),
        "divisor": Used(QUANTITY, "`divisor`"),
        "containerName": Used(TEXT, "this container only"),
    },
)
ENV_FROM = Noun(
    "a source of variables",
    {
        "prefix": Kept("prefix", doc="`prefix`"),
        "configMapRef": Used(MAPPING, "`env_from[].config`"),
        "secretRef": Used(MAPPING, "`env_from[].secret`"),
    },
)
_FACTS = {
    "metadata.name": "name",
    "metadata.uid": "uid",
    "spec.nodeName": "node",
    "status.podIP": "ip",
    "status.podIPs": "ips",
    "status.hostIP": "host_ip",
    "status.hostIPs": "host_ip",
}
_KEYED = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The container whose variables these are, as far as they can ask for it."""

    name: str
    namespace: str
    account: str
    requests: Mapping[str, Any]
    limits: Mapping[str, Any]


def variables(value: Any, place: Place, draft: Draft, owner: Owner) -> None:
    """`env`."""
    for each, here in items(value, place):
        found, one = VARIABLE.read(each, here), draft.append("env", here)
        if "name" in found:
            one.put("name", found["name"], here.at("name"))
        if "value" in found and found.get("valueFrom"):
            here.spot.fault("a variable has either value or valueFrom")
        elif found.get("valueFrom"):
            _source(found["valueFrom"], here.at("valueFrom"), one, owner)
        else:
            one.put("value", found.get("value", ""), here.at("value"))


def _source(value: Any, place: Place, one: Draft, owner: Owner) -> None:
    found = VALUE_FROM.read(value, place)
    name = chosen(found, tuple(VALUE_FROM.fields), place, "valueFrom")
    here = place.at(name) if name else place
    if name == "configMapKeyRef":
        KEY_REF.read(found[name], here, one.below("from", here).below("config", here))
    elif name == "secretKeyRef":
        KEY_REF.read(found[name], here, one.below("from", here).below("secret", here))
    elif name == "fieldRef":
        _field(FIELD_REF.read(found[name], here).get("fieldPath", ""), here.at("fieldPath"), one, owner)
    elif name == "resourceFieldRef":
        _resource(RESOURCE_REF.read(found[name], here), here, one, owner)


def _field(path: str, place: Place, one: Draft, owner: Owner) -> None:
    keyed = _KEYED.fullmatch(path)
    literal = {"metadata.namespace": owner.namespace, "spec.serviceAccountName": owner.account}.get(path)
    if literal is not None:
        one.put("value", literal.replace("$", "$$"), place)
    elif keyed:
        one.below("from", place).put("field", f"{keyed[1]}['{keyed[2]}']", place)
    elif path in _FACTS:
        one.below("from", place).put("field", _FACTS[path], place)
    elif path:
        place.refuse(f"no variable can be had from '{path}'")


def _resource(found: Mapping[str, Any], place: Place, one: Draft, owner: Owner) -> None:
    """A limit is asked of the pod when it starts; a request, which Tank does not keep, is the number it is here."""
    kind, _, what = found.get("resource", "").partition(".")
    here = place.at("resource")
    if found.get("containerName", owner.name) != owner.name:
        place.at("containerName").refuse("a container can only be told of its own resources")
    elif what not in ("cpu", "memory") or kind not in ("limits", "requests"):
        here.refuse(f"no variable can be had from '{found.get('resource', '')}'")
    elif kind == "requests" and what in owner.requests:
        unit = found.get("divisor") or Fraction(1)
        one.put("value", _told(owner.requests[what], unit), here)
    else:
        source = one.below("from", here)
        source.put("field", f"limits.{what}", here)
        if found.get("divisor"):
            source.put("divisor", float(found["divisor"]), place.at("divisor"))


def _told(amount: Any, unit: Fraction) -> str:
    try:
        return str(math.ceil(parse_quantity(amount) / unit))
    except Refused:  # told where the request stands
        return ""


def whole_sources(value: Any, place: Place, draft: Draft) -> None:
    """`envFrom`."""
    for each, here in items(value, place):
        one = draft.append("env_from", here)
        found = ENV_FROM.read(each, here, one)
        name = chosen(found, ("configMapRef", "secretRef"), here, "a source of variables")
        if name:
            below = here.at(name)
            ours = "config" if name == "configMapRef" else "secret"
            reference = Noun("a reference", {"name": Kept(ours), "optional": Kept("optional", FLAG)})
            reference.read(found[name], below, one)
