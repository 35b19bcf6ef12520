"""The values of the SQLite store as rows of its tables, and back.

Every row that something is run by ends with a checksum over its other columns: SQLite's own check sees a broken
tree, but not a flipped bit inside a value, and a spec that reads well and is not what was applied is the worst
damage of all (R28).

A spec is stored in the fields of the model, not in the words of its parser: what was accepted once is not judged
again by the rules of a later version. What equals its default is left out, so that the version before, which knows
no newer fields, can still read all specs that do not use them (R21). It follows that a default, once released, may
change only together with a migration; a test holds them still.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from tank.errors import Failed, Unavailable
from tank.model.desired import Desired, Event, Revision, Tombstone
from tank.model.pod import Pod

Row = tuple[Any, ...]


class Malformed(Failed):
    """What the database holds is not what was written to it. Never leaves the store."""


def summed(row: Row) -> Row:
    """The row with its sum behind it."""
    return (*row, _sum(row))


def whole(row: Row) -> bool:
    """Whether a row from the database is the one that was written."""
    return bool(_sum(row[:-1]) == row[-1])


def _sum(row: Iterable[Any]) -> int:
    return zlib.crc32(json.dumps(list(row), default=repr).encode())


def pod_row(pod: Desired) -> Row:
    """As `pods` holds it, without the sum."""
    wishes = (json.dumps(dict(each)) for each in (pod.restarts, pod.pulls, pod.pins))
    return (pod.name, pod.uid, pod.revision, _text(pod.spec), float(pod.created_at), *wishes)


def desired(row: Row) -> Desired:
    """Raises Unavailable for a spec that this version does not know."""
    name, uid, revision, spec, created_at, restarts, pulls, pins, _ = row
    return Desired(
        name=name,
        uid=uid,
        revision=revision,
        spec=_spec(name, spec),
        created_at=created_at,
        restarts=json.loads(restarts),
        pulls=json.loads(pulls),
        pins=json.loads(pins),
    )


def _text(spec: Pod) -> str:
    body = spec.model_dump(mode="json", exclude_defaults=True)
    for volume, written in zip(spec.volumes, body.get("volumes", ()), strict=False):
        if "source" in written:
            written["source"]["type"] = volume.source.type  # a default by its form, yet what the rest is read by
    text = json.dumps(body)
    try:
        same = Pod.model_validate_json(text) == spec
    except ValidationError:
        same = False
    return text if same else spec.model_dump_json()


def _spec(name: str, text: str) -> Pod:
    """The spec as it was stored. Raises Unavailable: it is sound, so a different version of Tank wrote it."""
    try:
        return Pod.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = f"cannot read the stored spec of {name!r}: {where}: {first['msg']}"
        raise Unavailable(f"{message} (written by another version of tank?)") from error


def tombstone_row(stone: Tombstone) -> Row:
    """As `tombstones` holds it, without the sum."""
    grace = None if stone.grace is None else float(stone.grace)
    return (stone.uid, stone.name, grace, float(stone.at))


def tombstone(row: Row) -> Tombstone:
    """The tombstone that the row was made from."""
    uid, name, grace, at, _ = row
    return Tombstone(uid=uid, name=name, grace=grace, at=at)


def revision_row(each: Revision) -> Row:
    """As `history` holds it, without the sum."""
    spec, pins = _text(each.spec), json.dumps(dict(each.pins))
    return (each.name, each.revision, each.uid, spec, float(each.at), each.origin, pins)


def revision(row: Row) -> Revision:
    """Raises Unavailable for a spec that this version does not know."""
    name, number, uid, spec, at, origin, pins, _ = row
    return Revision(
        revision=number,
        name=name,
        uid=uid,
        spec=_spec(name, spec),
        at=at,
        origin=origin,
        pins=json.loads(pins),
    )


def event(row: Row) -> Event:
    """The event under the number it has now."""
    number, pod, uid, container, kind, reason, message, count, first, last = row
    return Event(
        id=number,
        pod=pod,
        uid=uid,
        container=container,
        type=kind,
        reason=reason,
        message=message,
        count=count,
        first=first,
        last=last,
    )
