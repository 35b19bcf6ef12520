"""What a change of a secret or config means, apart from where it is kept: as `tank.store.decide`, and as pure.

A version outlives its successor while somebody may want it again: a pod that a rollback holds at it, or a kept
revision that it was in force for. `remembered` are the versions that the history names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tank.errors import Conflict, NotFound
from tank.model.desired import Desired
from tank.model.stored import InputVersion, StoredInput
from tank.model.uses import named, needed, words
from tank.store.base import Change, Contents
from tank.store.decide import Delta


def set_input(
    contents: Contents, key: str, version: InputVersion, body: bytes, remembered: frozenset[str]
) -> tuple[Delta | None, StoredInput]:
    """The present version is `version` from now on, for everyone: what held a pod at another ends."""
    old = contents.inputs.get(key)
    freed = {name: _freed(pod, key) for name, pod in contents.pods.items() if key in pod.pins}
    if old is not None and old.version == version.version and not freed:
        return None, old
    at = old.created_at if old is not None and old.version else version.at
    before = old.versions if old is not None else {}
    kept = {**_kept(before, remembered), version.version: version}
    if old is not None and old.version == version.version:
        kept[version.version] = old.versions[old.version]
    new = StoredInput(key=key, version=version.version, versions=kept, created_at=at)
    changes = _changes(contents, key)
    delta = Delta(
        revision=contents.revision + max(1, len(changes)),
        pods=freed,
        inputs={key: new},
        bodies={(key, version.version): body, **_dropped(key, before, kept)},
        changes=changes,
        recorded=() if old is not None and old.version else _first(contents, key, version.version),
    )
    return delta, new


def delete_input(contents: Contents, key: str, remembered: frozenset[str], *, force: bool) -> Delta:
    """It is no more. Raises NotFound; Conflict when pods need it, unless forced."""
    old = contents.inputs.get(key)
    if old is None or not old.version:
        raise NotFound(f"there is no {words(key)}")
    users = sorted(name for name, pod in contents.pods.items() if key in needed(pod.spec))
    if users and not force:
        raise Conflict(f"cannot delete {words(key)}: needed by {', '.join(users)}")
    held = {pod.pins[key] for pod in contents.pods.values() if key in pod.pins}
    kept = _kept(old.versions, remembered | held)
    changes = _changes(contents, key)
    return Delta(
        revision=contents.revision + max(1, len(changes)),
        inputs={key: replace(old, version="", versions=kept) if kept else None},
        bodies=_dropped(key, old.versions, kept),
        changes=changes,
    )


def _freed(pod: Desired, key: str) -> Desired:
    return replace(pod, pins={each: pin for each, pin in pod.pins.items() if each != key})


def _kept(versions: Mapping[str, InputVersion], wanted: Iterable[str]) -> dict[str, InputVersion]:
    chosen = frozenset(wanted)
    return {name: each for name, each in versions.items() if name in chosen}


def _dropped(
    key: str, before: Mapping[str, InputVersion], after: Mapping[str, InputVersion]
) -> dict[tuple[str, str], bytes | None]:
    return {(key, version): None for version in before.keys() - after.keys()}


def _changes(contents: Contents, key: str) -> tuple[Change, ...]:
    """Every pod that names it is to be looked at."""
    users = sorted(name for name, pod in contents.pods.items() if key in named(pod.spec))
    return tuple(Change(revision=contents.revision + n, name=name) for n, name in enumerate(users, 1))


def _first(contents: Contents, key: str, version: str) -> tuple[tuple[str, int, str, str], ...]:
    """It came after the pods that name it: their revisions have waited for this version."""
    users = sorted((name, pod.revision) for name, pod in contents.pods.items() if key in named(pod.spec))
    return tuple((name, revision, key, version) for name, revision in users)
