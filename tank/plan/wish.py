"""What the spec asks of each container, and whether what it needs is at hand."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, TypeGuard

from tank.model.desired import Desired
from tank.model.digest import container_digest, sandbox_digest, tuning_digest
from tank.model.facts import ContainerFact, ImageState, Now, PodFacts
from tank.model.pod import Container, Pod
from tank.model.record import Stop, Trouble
from tank.model.wanted import wanted_images
from tank.plan.phase import MOVES, Move, Phase, Wish, phase

LIVING = (Phase.CREATED, Phase.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One container under consideration: wanted or seen, or both."""

    name: str
    wanted: Container | None
    fact: ContainerFact | None
    phase: Phase
    wish: Wish
    why: str

    @property
    def move(self) -> Move:
        """What the table says."""
        return MOVES[self.phase, self.wish]

    @property
    def trouble(self) -> Trouble | None:
        """What its last step met."""
        return self.fact.record.trouble if self.fact else None

    @property
    def stop(self) -> Stop | None:
        """The stop on record, whatever it was for."""
        attempt = self.fact.record.attempt if self.fact else None
        return attempt.stop if attempt else None

    @property
    def pid(self) -> int:
        """Its living first process, or 0."""
        seen = self.fact.runtime if self.fact else None
        return seen.pid if seen and seen.alive and seen.pid else 0


def attempt_digest(pod: Pod, container: Container) -> str:
    """What an attempt is made from: the container's own part and the sandbox it joins.

    One of a changed sandbox therefore is to be replaced like any other that changed.
    """
    return _attempt_digest(_Same(pod), _Same(container))


@dataclass(frozen=True, slots=True, eq=False)
class _Same:
    """A frozen value, compared by identity: cheap to look up, and kept alive so that its id is not used again."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


@functools.lru_cache(maxsize=4096)
def _attempt_digest(pod: _Same, container: _Same) -> str:
    return f"{sandbox_digest(pod.value)[:16]}{container_digest(pod.value, container.value)[:48]}"


def trouble_digest(desired: Desired, container: Container) -> str:
    """What a trouble is met with. Another spec makes it void, and so does `tank restart`, the "try it now" verb."""
    return f"{attempt_digest(desired.spec, container)}/{desired.restarts.get(container.name, 0)}"


def tuning_trouble_digest(desired: Desired, container: Container) -> str:
    """The same for what was met by changing its limits: other limits make it void, and it holds up nothing else."""
    return f"{trouble_digest(desired, container)}/{tuning_digest(container)}"


def pod_trouble_digest(desired: Desired) -> str:
    """The same for what concerns the whole pod."""
    return f"{desired.revision}/{sum(desired.restarts.values())}"


DROP, DRAIN = "drop", "drain"  # aims of a stop that no successor follows
WITHDRAWN = "withdrawn"  # of one that was taken back


def aim_of(desired: Desired | None, wanted: Container | None) -> str:
    """What a stop of the container would be for: its successor as wanted now, or none."""
    return DROP if desired is None or wanted is None else trouble_digest(desired, wanted)


def fits(stop: Stop | None, aim: str, now: Now) -> TypeGuard[Stop]:
    """Whether a stop for this aim is under way. One for good takes over any that was not taken back (C3.5)."""
    if stop is None or stop.boot_id != now.boot_id:
        return False
    return stop.aim in ("", aim) or (aim in (DROP, DRAIN) and stop.aim != WITHDRAWN)


def cases(desired: Desired | None, seen: PodFacts) -> tuple[Case, ...]:
    """Every container that is wanted or seen: the wanted ones in the spec's order, then the others."""
    wanted = {each.name: each for each in desired.spec.containers} if desired else {}
    names = [*wanted, *sorted(seen.containers.keys() - wanted.keys())]
    return tuple(_case(desired, name, wanted.get(name), seen.containers.get(name)) for name in names)


def _case(desired: Desired | None, name: str, wanted: Container | None, fact: ContainerFact | None) -> Case:
    now = phase(fact)
    wish, why = _wish(desired, wanted, fact, now)
    return Case(name=name, wanted=wanted, fact=fact, phase=now, wish=wish, why=why)


def _wish(
    desired: Desired | None, wanted: Container | None, fact: ContainerFact | None, now: Phase
) -> tuple[Wish, str]:
    if desired is None:
        return Wish.DROP, "the pod is to be deleted"
    if wanted is None:
        return Wish.DROP, "it is no longer in the spec"
    attempt = fact.record.attempt if fact else None
    if attempt is None or fact is None:
        return Wish.KEEP, "it has never run"
    if attempt.digest != attempt_digest(desired.spec, wanted):
        return Wish.REPLACE, "its spec changed"
    if attempt.restarts != desired.restarts.get(wanted.name, 0):
        return Wish.REPLACE, "a restart was asked for"
    if now is Phase.RUNNING and fact.runtime and not fact.runtime.monitored:
        return Wish.REPLACE, "its monitor died"  # R04: unwatched, neither its log nor its end would be known
    return Wish.KEEP, ""


def image_states(seen: PodFacts, pod: Pod, container: Container) -> frozenset[ImageState]:
    """How it stands with the container's own image and with those that it mounts."""
    keys = {container.name, *(each.key for each in wanted_images(pod, container))}
    facts = (seen.images.get(key) for key in keys)
    return frozenset(fact.state if fact is not None else ImageState.ABSENT for fact in facts)


def image_ready(seen: PodFacts, pod: Pod, container: Container) -> bool:
    """Whether every image that the spec of the container asks for is here, resolved."""
    return image_states(seen, pod, container) == {ImageState.READY}


def due(trouble: Trouble | None, digest: str, now: Now) -> float | None:
    """Boot time until which the trouble holds things up; None: it does not, or not any more.

    A trouble met with another spec is void. After a reboot the wait starts again from its full delay,
    which the loop has written down at first sight.
    """
    if trouble is None or trouble.digest != digest or trouble.boot_id != now.boot_id:
        return None
    return trouble.retry_at if trouble.retry_at > now.boot else None
