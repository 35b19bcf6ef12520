"""What a write means, apart from where it is kept: contents and a wish in, a delta and an answer out.

Pure. Every store asks these functions and then only records the delta, so the rules of C17 stand here once: what is
a revision, what a pin outlives, when a write is refused. Whatever is refused is refused before anything is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from tank.errors import Conflict, NotFound
from tank.model.desired import Desired, Event, Revision, Tombstone
from tank.model.pod import Pod
from tank.model.stored import StoredInput
from tank.model.uses import named
from tank.model.wanted import all_wanted, before_key, pins_kept, pins_settled, wanted_images
from tank.store.base import Change, Contents, Put

KEPT_REVISIONS = 100  # of one pod (C17)
KEPT_EVENTS = 10_000
KEPT_EVENTS_OF_POD = 1_000  # so that a pod that tells much displaces its own past and nobody else's
EVENT_AGE = 7 * 86_400.0  # seconds since it was last counted

V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """All that one accepted write changes. A None in a mapping removes the key. `revision`: the counter after it."""

    revision: int
    pods: Mapping[str, Desired | None] = field(default_factory=dict)
    tombstones: Mapping[str, Tombstone | None] = field(default_factory=dict)  # by uid
    history: tuple[Revision, ...] = ()
    pinned: tuple[str, int, str, str] | None = None  # name, revision, container, digest: for the history
    changes: tuple[Change, ...] = ()
    fresh: bool | None = None  # None: as it was
    inputs: Mapping[str, StoredInput | None] = field(default_factory=dict)
    bodies: Mapping[tuple[str, str], bytes | None] = field(default_factory=dict, repr=False)  # by key and version
    recorded: tuple[tuple[str, int, str, str], ...] = ()  # as `pinned`, where the history has no such pin yet


def after(contents: Contents, delta: Delta) -> Contents:
    """The contents once `delta` is recorded."""
    return Contents(
        revision=delta.revision,
        pods=_patched(contents.pods, delta.pods),
        tombstones=_patched(contents.tombstones, delta.tombstones),
        fresh=contents.fresh if delta.fresh is None else delta.fresh,
        inputs=_patched(contents.inputs, delta.inputs),
    )


def get(contents: Contents, name: str) -> Desired:
    """The pod `name`. Raises NotFound."""
    found = contents.pods.get(name)
    if found is None:
        raise NotFound(f"no pod {name!r}")
    return found


def put(contents: Contents, puts: Sequence[Put], at: float) -> tuple[Delta, tuple[Desired, ...]]:
    """Create or replace all of `puts`, in order. Raises Conflict."""
    pods: dict[str, Desired] = {}
    history: list[Revision] = []
    answers: list[Desired] = []
    revision = contents.revision
    for each in puts:
        name = each.spec.name
        old = pods.get(name) or contents.pods.get(name)
        _check(each, old, contents, pods)
        new = _revised(old, replace(each, pins=_held(each, contents)), revision + 1, at)
        if new is not old:
            revision += 1
            pods[name] = new
            history.append(_remembered(contents, new, each.origin, at))
        answers.append(new)
    changes = tuple(Change(revision=each.revision, name=name) for name, each in pods.items())
    return Delta(revision=revision, pods=pods, history=tuple(history), changes=changes), tuple(answers)


def delete(contents: Contents, name: str, grace: float | None, at: float, uid: str | None) -> tuple[Delta, Tombstone]:
    """Remove the pod, leave a tombstone. Raises NotFound, Conflict."""
    old = get(contents, name)
    if uid is not None and uid != old.uid:
        raise Conflict(f"cannot delete {name!r}: it is another pod now, with uid {old.uid} and not {uid}")
    stone = Tombstone(uid=old.uid, name=name, grace=grace, at=at)
    revision = contents.revision + 1
    change = Change(revision=revision, name=name, deleted=True)
    return Delta(revision=revision, pods={name: None}, tombstones={old.uid: stone}, changes=(change,)), stone


def shorten(contents: Contents, uid: str, grace: float) -> Delta | None:
    """The delta of a shorter grace; None when nothing changes."""
    old = contents.tombstones.get(uid)
    if old is None or (old.grace is not None and old.grace <= grace):
        return None
    return _tombstone(contents, old, replace(old, grace=grace))


def bury(contents: Contents, uid: str) -> Delta | None:
    """The delta of a forgotten tombstone; None when there is none."""
    old = contents.tombstones.get(uid)
    return None if old is None else _tombstone(contents, old, None)


def restart(contents: Contents, name: str, containers: Sequence[str], *, pull: bool) -> tuple[Delta | None, Desired]:
    """Raise counters. Raises NotFound, also for an unknown container."""
    old = get(contents, name)
    for each in containers:
        if old.spec.container(each) is None:
            raise NotFound(f"no container {each!r} in pod {name!r}")
    if not containers:
        return None, old
    new = replace(
        old,
        restarts=_raised(old.restarts, containers),
        pulls=_raised(old.pulls, containers) if pull else old.pulls,
        pins=_reopened(old, containers) if pull else old.pins,
    )
    return _same_spec(contents, new), new


def pin(contents: Contents, name: str, revision: int, container: str, digest: str) -> Delta | None:
    """The delta of a resolved image; None when the revision has passed or the pin stands already."""
    old = contents.pods.get(name)
    if old is None or old.revision != revision or all_wanted(old.spec).get(container) is None:
        return None
    if old.pins.get(container) == digest:
        return None
    others = {key: each for key, each in old.pins.items() if key != before_key(container)}
    delta = _same_spec(contents, replace(old, pins={**others, container: digest}))
    return replace(delta, pinned=(name, revision, container, digest))


def adopt(contents: Contents, pods: Iterable[Desired], at: float) -> Delta:
    """Take back what is not declared and not deleted; the store is fresh no longer."""
    wanted = {
        each.name: each for each in pods if each.name not in contents.pods and each.uid not in contents.tombstones
    }
    first = max([contents.revision, *(each.revision for each in wanted.values())]) + 1
    return Delta(
        revision=first + len(wanted) - 1,
        pods=wanted,
        history=tuple(_remembered(contents, each, "import", at) for each in wanted.values()),
        changes=tuple(Change(revision=first + n, name=name) for n, name in enumerate(wanted)),
        fresh=False,
    )


def same_event(one: Event) -> tuple[str, str, str, str, str, str]:
    """What makes two events one that is counted twice (C13)."""
    return one.pod, one.uid, one.container, one.type, one.reason, one.message


def counted(old: Event | None, event: Event, number: int) -> Event:
    """`event` under its new number, counted on `old` if there is one."""
    if old is None:
        return replace(event, id=number)
    return replace(event, id=number, count=old.count + event.count, first=old.first)


def _patched(old: Mapping[str, V], patch: Mapping[str, V | None]) -> Mapping[str, V]:
    if not patch:
        return old
    merged = {**old, **patch}
    return {key: value for key, value in merged.items() if value is not None}


def _check(put: Put, old: Desired | None, contents: Contents, pods: Mapping[str, Desired]) -> None:
    name, current = put.spec.name, old.revision if old else 0
    if put.expected is not None and put.expected != current:
        if put.expected == 0:
            raise Conflict(f"cannot create {name!r}: the name is in use")
        state = f"it is at revision {current}" if old else "it does not exist"
        raise Conflict(f"cannot replace revision {put.expected} of {name!r}: {state}")
    living = [*contents.pods.values(), *pods.values()]
    if old is None and (put.uid in contents.tombstones or any(put.uid == each.uid for each in living)):
        raise Conflict(f"cannot create {name!r}: uid {put.uid} is in use")


def _revised(old: Desired | None, put: Put, revision: int, at: float) -> Desired:
    """What is desired after `put`: `old` itself when nothing changes."""
    if old is None:
        pins = dict(put.pins or {})
        return Desired(name=put.spec.name, uid=put.uid, revision=revision, spec=put.spec, created_at=at, pins=pins)
    if old.spec == put.spec and (put.pins is None or dict(put.pins) == dict(old.pins)):
        return old
    pins = pins_kept(old.pins, old.spec, put.spec) if put.pins is None else dict(put.pins)
    return replace(old, revision=revision, spec=put.spec, pins=pins)


def _held(put: Put, contents: Contents) -> Mapping[str, str] | None:
    """The pins it asks for. A secret or config is only held at a version that is here and not the present one."""
    if put.pins is None:
        return None
    wanted = named(put.spec)
    kept = {key: version for key, version in put.pins.items() if "/" not in key}
    for key in put.pins.keys() & wanted & contents.inputs.keys():
        version, stored = put.pins[key], contents.inputs[key]
        if version in stored.versions and version != stored.version:
            kept[key] = version
    return kept


def in_force(contents: Contents, pod: Desired) -> dict[str, str]:
    """Which version of each secret and config that it names the pod is to run with, as far as there is one."""
    present = {key: contents.inputs[key].version for key in named(pod.spec) & contents.inputs.keys()}
    held = {key: version for key, version in pod.pins.items() if "/" in key}
    return {key: version for key, version in (present | held).items() if version}


def _reopened(old: Desired, containers: Iterable[str]) -> dict[str, str]:
    """The pins once the images of these containers are to be resolved anew. What they were stays beside."""
    anew = _images_of(old.spec, containers)
    return {before_key(key) if key in anew else key: pin for key, pin in old.pins.items()}


def _images_of(spec: Pod, containers: Iterable[str]) -> frozenset[str]:
    """The keys of all images that these containers use."""
    chosen = (spec.container(name) for name in containers)
    return frozenset(each.key for container in chosen if container for each in wanted_images(spec, container))


def _remembered(contents: Contents, pod: Desired, origin: str, at: float) -> Revision:
    return Revision(
        revision=pod.revision,
        name=pod.name,
        uid=pod.uid,
        spec=pod.spec,
        at=at,
        origin=origin,
        pins={**pins_settled(pod.pins), **in_force(contents, pod)},
    )


def _raised(counters: Mapping[str, int], names: Iterable[str]) -> dict[str, int]:
    return {**counters, **{name: counters.get(name, 0) + 1 for name in names}}


def _same_spec(contents: Contents, new: Desired) -> Delta:
    revision = contents.revision + 1
    change = Change(revision=revision, name=new.name)
    return Delta(revision=revision, pods={new.name: new}, changes=(change,))


def _tombstone(contents: Contents, old: Tombstone, new: Tombstone | None) -> Delta:
    revision = contents.revision + 1
    change = Change(revision=revision, name=old.name, deleted=old.name not in contents.pods)
    return Delta(revision=revision, tombstones={old.uid: new}, changes=(change,))
