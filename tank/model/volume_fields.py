"""What a volume may say: the table of its fields and of its sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tank.model.container_fields import NAME, PATH, PULL, REFERENCE
from tank.model.faults import BAD, Spot, did_you_mean
from tank.model.grammar import Field, Record, Schema, choice, flag, wrong_type
from tank.model.input_fields import ID, MODE, files_source
from tank.model.quantities import size

PAGE = 4096
HOST_KINDS = ("directory", "file", "socket", "directory_or_create", "file_or_create")

SOURCES: Mapping[str, Record] = {
    "managed": Record(
        "a managed source",
        {
            "managed": Field(
                Record(
                    "a managed source",
                    {"shared": Field(flag(), "Several pods may use it; each of them must say so.", default=False)},
                ),
                "A directory of Tank's own, keyed by the volume's name alone. It outlives pods.",
                required=True,
            )
        },
    ),
    "host": Record(
        "a host source",
        {
            "host": Field(PATH, "A path of the host.", required=True),
            "kind": Field(choice(*HOST_KINDS), "What it must be. Made only if the kind says so."),
        },
        foreign={"type": "kind", "path": "host"},
    ),
    "tmpfs": Record(
        "a tmpfs source",
        {
            "tmpfs": Field(
                Record("a tmpfs source", {"size": Field(size(PAGE), "The most it holds. Default: half of memory.")}),
                "Memory, gone with the pod.",
                required=True,
            )
        },
    ),
    "image": Record(
        "an image source",
        {
            "image": Field(REFERENCE, "An OCI reference. Its files are seen, and never written.", required=True),
            "pull": PULL,
        },
        foreign={"reference": "image", "pullPolicy": "pull"},
    ),
    "empty": Record(
        "an empty source",
        {"empty": Field(Record("an empty source", {}), "A directory that lives as long as the pod.", required=True)},
    ),
    "secret": files_source("secret"),
    "config": files_source("config", "configMap"),
}

NAMED = {"host": "path", "image": "image", "secret": "name", "config": "name"}  # what a bare string states


@dataclass(frozen=True, slots=True)
class SourceKind:
    """`managed`, or a mapping whose first field says which source it is; canonical: {type, …}."""

    takes: tuple[type, ...] = (str, dict)

    def read(self, value: Any, spot: Spot) -> Any:
        """The fields of one source, with its `type`."""
        if type(value) is str:
            return self._word(value, spot)
        if type(value) is not dict:
            return wrong_type(spot, "managed or a mapping such as {host: /path}", value)
        named = [each for each in value if each in SOURCES]
        if len(named) > 1:
            return spot.fault(f"has more than one source: {', '.join(named)}")
        return self._mapping(named[0], value, spot) if named else self._unnamed(value, spot)

    def _word(self, value: str, spot: Spot) -> Any:
        if value == "managed":
            return {"type": "managed"}
        hint = f"write {{{value}: {{}}}}" if value in ("tmpfs", "empty") else did_you_mean(value, SOURCES)
        return spot.fault("must be managed or a mapping such as {host: /path}", hint)

    def _mapping(self, kind: str, value: dict[str, Any], spot: Spot) -> Any:
        found = SOURCES[kind].read(value, spot)
        inner = found.pop(kind, BAD)
        if inner is BAD:
            return BAD
        if type(inner) is dict:
            return self._nested(kind, found, inner, spot)
        return {"type": kind, **found, NAMED[kind]: inner}

    def _nested(self, kind: str, outer: dict[str, Any], inner: dict[str, Any], spot: Spot) -> Any:
        for name in outer:
            if name in inner:
                spot.at(name).fault(f"is given twice: here and below {kind}", key=True)
        return {"type": kind, **outer, **inner}

    def _unnamed(self, value: dict[str, Any], spot: Spot) -> Any:
        hint = next((found for name in value if (found := did_you_mean(name, SOURCES))), "")
        return spot.fault(f"needs one of {', '.join(SOURCES)}", hint)

    def schema(self) -> Schema:
        return {"anyOf": [{"const": "managed"}, *(each.schema() for each in SOURCES.values())]}


VOLUME = Record(
    "a volume",
    {
        "name": Field(NAME, "Unique in the pod; of a managed volume: on the machine.", required=True),
        "source": Field(
            SourceKind(),
            "managed, {managed: {shared: true}}, {host: /path}, {tmpfs: {}}, {empty: {}}, "
            "{image: REFERENCE}, {secret: NAME} or {config: NAME}.",
            default="managed",
        ),
        "owner": Field(ID, "User id of its root, applied when it is made. Managed and empty volumes only."),
        "group": Field(ID, "Group id of its root, applied when it is made."),
        "mode": Field(MODE, "Mode of its root, a string of octal digits: '0750'."),
    },
    foreign={"type": "source", "uid": "owner", "gid": "group", "driver": "source"},
)
