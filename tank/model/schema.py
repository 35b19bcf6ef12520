"""The JSON Schema of what the parser accepts, shorthands included, from the parser's own tables.

Editors complete and check pod files with it. It accepts every document that the parser accepts; the parser refuses
more, since much of what makes a pod sound lies between its fields.
"""

from __future__ import annotations

from typing import Any

from tank.model.container_fields import CONTAINER
from tank.model.pod_fields import POD

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema of a document, draft 2020-12: one pod, a list of pods, or `pods`."""
    pod = {"$ref": "#/$defs/pod"}
    several = {"type": "array", "items": pod, "minItems": 1}
    wrapped = {
        "type": "object",
        "properties": {"pods": {**several, "description": "Several pods in one document."}},
        "required": ["pods"],
        "additionalProperties": False,
    }
    return {
        "$schema": DIALECT,
        "title": "Tank pod",
        "description": "What Tank should run: one pod, or several.",
        "anyOf": [pod, several, wrapped],
        "$defs": {
            "pod": {"description": "Containers that live together in one sandbox.", **_pod()},
            "container": {"description": "A program of the pod, with its root and limits.", **CONTAINER.schema()},
        },
    }


def _pod() -> dict[str, Any]:
    """Containers are described once, for both lists that hold them."""
    found = POD.schema()
    for name in ("init", "containers"):
        found["properties"][name]["items"] = {"$ref": "#/$defs/container"}
    return found
