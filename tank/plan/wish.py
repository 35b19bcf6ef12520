"""What the spec asks of each container, and whether what it needs is at hand."""

from __future__ import annotations

from dataclasses import dataclass

from tank.model.desired import Desired
from tank.model.facts import ContainerFact, ImageState, PodFacts
from tank.model.health import Hook
from tank.model.pod import Container, Pod
from tank.model.record import Attempt, Stop, Trouble
from tank.model.wanted import wanted_images
from tank.plan.digests import attempt_digest
from tank.plan.inputs import Change, changed
from tank.plan.order import Course, Role, course_of, role_of, succeeded
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
    role: Role = Role.APP

    @property
    def move(self) -> Move:
        """What the table says."""
        return MOVES[self.phase, self.wish]

    @property
    def attempt(self) -> Attempt | None:
        """The attempt on record."""
        return self.fact.record.attempt if self.fact else None

    @property
    def trouble(self) -> Trouble | None:
        """What its last step met."""
        return self.fact.record.trouble if self.fact else None

    @property
    def stop(self) -> Stop | None:
        """The stop on record, whatever it was for."""
        return self.attempt.stop if self.attempt else None

    @property
    def pid(self) -> int:
        """Its living first process, or 0."""
        seen = self.fact.runtime if self.fact else None
        return seen.pid if seen and seen.alive and seen.pid else 0

    @property
    def unhealthy(self) -> bool:
        """Whether it runs and is to be killed, for a probe or its post_start hook failed (C2, C3.7)."""
        return self.phase is Phase.RUNNING and bool(self.attempt and self.attempt.health.failed)

    @property
    def pre_stop(self) -> Hook | None:
        """The hook before its stop signal: by the spec wanted now, for it changes live, else by its own."""
        spec = self.wanted or (self.attempt.spec if self.attempt else None)
        return spec.hooks.pre_stop if spec and self.phase is Phase.RUNNING else None


def cases(desired: Desired | None, seen: PodFacts) -> tuple[Case, ...]:
    """Every container that is wanted or seen: the wanted ones in the order of their start, then the others."""
    if desired is None:
        pod = seen.record.spec if seen.record else None
        order = [each.name for each in pod.everyone if each.name in seen.containers] if pod else []
        names = [*order, *sorted(seen.containers.keys() - set(order))]
        return tuple(_going(name, seen.containers[name], role_of(pod, name)) for name in names)
    wanted = {each.name: each for each in desired.spec.everyone}
    course = course_of(desired, seen)
    names = [*wanted, *sorted(seen.containers.keys() - wanted.keys())]
    return tuple(_case(desired, seen, course, name) for name in names)


def _going(name: str, fact: ContainerFact, role: Role) -> Case:
    why = "the pod is to be deleted"
    return Case(name=name, wanted=None, fact=fact, phase=phase(fact), wish=Wish.DROP, why=why, role=role)


def _case(desired: Desired, seen: PodFacts, course: Course, name: str) -> Case:
    wanted, fact = desired.spec.container(name), seen.containers.get(name)
    role = role_of(desired.spec, name)
    if wanted is None:
        wish, why = Wish.DROP, "it is no longer in the spec"
    elif course.over:
        wish, why = Wish.END, course.over
    else:
        wish, why = _wish(desired, seen, course, wanted)
    return Case(name=name, wanted=wanted, fact=fact, phase=phase(fact), wish=wish, why=why, role=role)


def _wish(desired: Desired, seen: PodFacts, course: Course, wanted: Container) -> tuple[Wish, str]:
    fact = seen.containers.get(wanted.name)
    attempt, role = fact.record.attempt if fact else None, role_of(desired.spec, wanted.name)
    if attempt is None or fact is None:
        return Wish.KEEP, "it has never run"
    if role is Role.INIT and wanted.name in course.passed:
        return Wish.KEEP, ""  # it is done, whatever has changed in it since (C4)
    why = _running_faults(desired.spec, wanted, fact, seen) if phase(fact) is Phase.RUNNING else ""
    if attempt.health.failed and why:
        return Wish.REPLACE, why
    if attempt.digest != attempt_digest(desired.spec, wanted):
        return Wish.REPLACE, "its spec changed"
    if attempt.restarts != desired.restarts.get(wanted.name, 0):
        return Wish.REPLACE, "a restart was asked for"
    if role is Role.INIT and succeeded(fact):
        return Wish.REPLACE, "the sandbox is a new one"
    return (Wish.REPLACE, why) if why else (Wish.KEEP, "")


def _running_faults(pod: Pod, wanted: Container, fact: ContainerFact, seen: PodFacts) -> str:
    """Why what runs cannot go on though the spec is as it was."""
    attempt = fact.record.attempt
    if attempt is not None and attempt.health.failed:
        return attempt.health.failed
    if fact.runtime and not fact.runtime.monitored:
        return "its monitor died"  # R04: unwatched, neither its log nor its end would be known
    return change_of(pod, wanted, fact, seen).restart


def change_of(pod: Pod, wanted: Container, fact: ContainerFact, seen: PodFacts) -> Change:
    """What has changed of the secrets and configs that the container was given."""
    given = fact.record.attempt.inputs if fact.record.attempt else {}
    return changed(pod, wanted, given, seen.inputs)


def image_states(seen: PodFacts, pod: Pod, container: Container) -> frozenset[ImageState]:
    """How it stands with the container's own image and with those that it mounts."""
    keys = {container.name, *(each.key for each in wanted_images(pod, container))}
    facts = (seen.images.get(key) for key in keys)
    return frozenset(fact.state if fact is not None else ImageState.ABSENT for fact in facts)


def image_ready(seen: PodFacts, pod: Pod, container: Container) -> bool:
    """Whether every image that the spec of the container asks for is here, resolved."""
    return image_states(seen, pod, container) == {ImageState.READY}
