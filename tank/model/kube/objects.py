"""ConfigMaps and Secrets: what pods take as variables and files (C7)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Any

from tank.model import input_words
from tank.model.faults import Refused
from tank.model.kube.nouns import FLAG, LABELS, TEXT, Fate, Lost, Noun, Passed, Used
from tank.model.kube.places import Place

TYPES = ("Opaque", "kubernetes.io/basic-auth", "kubernetes.io/ssh-auth", "kubernetes.io/tls")
_ENVELOPE: dict[str, Fate] = {
    "apiVersion": Passed(),
    "kind": Passed(),
    "metadata": Passed(),  # read before
    "immutable": Lost("it can be changed", FLAG, unless=(False,)),
}
CONFIG_MAP = Noun(
    "a ConfigMap", {**_ENVELOPE, "data": Used(LABELS, "its keys"), "binaryData": Used(LABELS, "its keys")}
)
SECRET = Noun(
    "a Secret",
    {
        **_ENVELOPE,
        "type": Used(TEXT, "Opaque and the types of logins, ssh and TLS"),
        "data": Used(LABELS, "its keys"),
        "stringData": Used(LABELS, "its keys"),
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A secret or config that a document states. `key`: secret/NAME or config/NAME; `values` are never shown."""

    key: str
    values: dict[str, bytes] = field(repr=False)


def config_map(value: Any, name: str, place: Place) -> Stored | None:
    """A config of that name; None when a fault was told."""
    found = CONFIG_MAP.read(value, place)
    return _stored("config", name, _texts(found, "data", place) | _decoded(found, "binaryData", place), place)


def secret(value: Any, name: str, place: Place) -> Stored | None:
    """A secret of that name; None when a fault was told. `stringData` wins over `data`, as there."""
    found = SECRET.read(value, place)
    kind = found.get("type") or "Opaque"
    if kind not in TYPES:
        hint = "see tank image login" if "docker" in kind else f"one of {', '.join(TYPES)}"
        place.at("type").refuse("no use is known for a secret of this type", hint)
    return _stored("secret", name, _decoded(found, "data", place) | _texts(found, "stringData", place), place)


def _texts(found: dict[str, Any], name: str, place: Place) -> dict[str, bytes]:
    return {key: each.encode() for key, each in found.get(name, {}).items() if isinstance(each, str)}


def _decoded(found: dict[str, Any], name: str, place: Place) -> dict[str, bytes]:
    decoded = {}
    for key, each in found.get(name, {}).items():
        try:
            decoded[key] = base64.b64decode("".join(str(each).split()), validate=True)
        except (binascii.Error, ValueError):
            place.at(name, key).spot.fault("it is not base64", "texts as they are stand in stringData")
    return decoded


def _stored(kind: str, name: str, values: dict[str, bytes], place: Place) -> Stored | None:
    _check(input_words.input_name, name, place.at("metadata", "name"))
    for key in values:
        _check(input_words.input_key, key, place.at("data"))
    return None if place.spot.faults.count else Stored(key=f"{kind}/{name}", values=values)


def _check(word: Any, value: str, place: Place) -> None:
    try:
        word(value)
    except Refused as refused:
        place.spot.fault(refused.message, refused.suggestion)
