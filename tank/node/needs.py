"""Which images are needed, and by whom: read from rows, never from memory (R38).

A declared pod needs what its revision resolved to, or what its references mean here; its previous revision needs the
same, so that a rollback asks no registry (C6); a container that is on record needs the image it was made from, also
while its pod ends. What cannot be read is not "needed by nobody": it raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tank.errors import Unavailable
from tank.image import shelf
from tank.model import reference as references
from tank.model.pod import Pod
from tank.model.reference import DIGEST
from tank.model.wanted import all_wanted
from tank.node.records import Records
from tank.store.base import Store


@dataclass(slots=True)
class Needs:
    """By digest, or by key of a reference that is not resolved yet: the names of pods."""

    pods: dict[str, set[str]] = field(default_factory=dict)
    previous: dict[str, set[str]] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)  # digests of images that containers were made from
    remembered: set[str] = field(default_factory=set)  # digests that any revision resolved to, for a rollback to it

    def digests(self, named: Mapping[str, str]) -> frozenset[str]:
        """Everything that is needed, as digests; `named` says what each key means here."""
        keys = self.pods.keys() | self.previous.keys()
        found = {named.get(key) or key.rpartition("@")[2] for key in keys} | self.running
        return frozenset(each for each in found if DIGEST.fullmatch(each))

    def users(self, digest: str, keys: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The pods that need the image now, and those whose previous revision does; it goes by these keys."""
        names = (digest, *keys)
        return (_of(self.pods, names), _of(self.previous, names))


def _of(users: Mapping[str, set[str]], names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set().union(*(users.get(name, set()) for name in names))))


async def gather(store: Store, records: Records) -> Needs:
    """Every need. Raises Unavailable when one cannot be told: then nothing may be collected."""
    if records.damaged:
        raise Unavailable("a record of a pod is damaged: nobody knows which image it needs")
    found = Needs()
    contents = await store.read()
    while True:
        for desired in contents.pods.values():
            _add(found.pods, desired.name, desired.spec, desired.pins)
            history = await store.history(desired.name)
            found.remembered.update(digest for each in history for digest in each.pins.values())
            earlier = [each for each in history if each.revision < desired.revision]
            if earlier:
                _add(found.previous, desired.name, earlier[0].spec, earlier[0].pins)
        again = await store.read()
        if again.revision == contents.revision:
            break
        contents = again  # somebody applied meanwhile; what they replaced is needed a little longer
    _add_records(found, records)
    return found


def _add_records(found: Needs, records: Records) -> None:
    for uid, record in list(records.pods().items()):
        for digest in record.pins.values():
            found.pods.setdefault(digest, set()).add(record.name)
        for container in records.containers(uid).values():
            if container.attempt is not None and container.attempt.image:
                found.running.add(container.attempt.image)
                found.pods.setdefault(container.attempt.image, set()).add(record.name)


def _add(users: dict[str, set[str]], pod: str, spec: Pod, pins: Mapping[str, str]) -> None:
    for digest in pins.values():
        users.setdefault(digest, set()).add(pod)
    for key, wanted in all_wanted(spec).items():
        if key not in pins:
            users.setdefault(shelf.key(references.parse(wanted.reference)), set()).add(pod)
