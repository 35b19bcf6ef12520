"""The order in which a pod's containers begin, and when the pod has run its course (C4, C13).

The entries of `init` come one by one in their order; the containers begin together after the last.

    init       has to end with exit code 0 in the present sandbox; then the next entry's turn has come
    sidecar    has to be *started*: it runs, its post_start hook is done, its startup probe has passed
    app        one of `containers`; with the first of them made in a sandbox, every entry of `init` has had its turn

An entry behind which another was made already has had its turn, whatever became of it since: a sidecar that
crashes later holds up nobody, and a finished init never runs again while its sandbox lives. A new sandbox begins
from the first entry.

A pod has run its course when nothing of it is to run again: every app has ended for good, an init has failed for
good, or its deadline has passed. Then what still runs, sidecars above all, is stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from tank.model.desired import Desired
from tank.model.facts import ContainerFact, PodFacts
from tank.model.pod import Container, Pod, RestartPolicy
from tank.model.record import PodRecord
from tank.plan.digests import attempt_digest, sandbox_of
from tank.plan.phase import Phase, phase
from tank.plan.restart import retry_at


class Role(Enum):
    """What a container is to its pod."""

    APP = "app"
    INIT = "init"
    SIDECAR = "sidecar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How far a pod has come.

    `turn`: the entry of `init` that all others wait for; empty: the pod is initialized. `passed`: the entries that
    have had their turn. `over`: why nothing of the pod is to run (again), in words; empty: it is not over.
    """

    turn: str = ""
    passed: frozenset[str] = frozenset()
    over: str = ""

    def may_begin(self, name: str, role: Role) -> bool:
        """Whether an attempt of the container may be made now."""
        if role is Role.APP:
            return not self.turn
        return name == self.turn or (role is Role.SIDECAR and name in self.passed)


DONE = "its containers have ended"


def role_of(pod: Pod | None, name: str) -> Role:
    """The container's part in the pod; one that the pod does not know is an app."""
    if pod is None or not pod.is_init(name):
        return Role.APP
    return Role.SIDECAR if pod.is_sidecar(name) else Role.INIT


def policy_of(pod: Pod, container: Container) -> RestartPolicy:
    """When it runs again after its end. An init that has succeeded never does (C4)."""
    policy = pod.restart_of(container)
    return "on_failure" if policy == "always" and role_of(pod, container.name) is Role.INIT else policy


def is_started(container: Container, fact: ContainerFact | None) -> bool:
    """Whether it runs, its post_start hook is done, and its startup probe has passed."""
    if fact is None or fact.record.attempt is None or phase(fact) is not Phase.RUNNING:
        return False
    health = fact.record.attempt.health
    hooked = container.hooks.post_start is None or health.hooked
    return hooked and (container.probes.startup is None or health.started)


def is_ready(container: Container, fact: ContainerFact | None) -> bool:
    """Whether it is started, and its ready probe has said so where there is one."""
    if fact is None or fact.record.attempt is None or not is_started(container, fact):
        return False
    health = fact.record.attempt.health
    return not health.failed and (container.probes.ready is None or health.ready)


def runs_again(record: PodRecord, desired: Desired) -> bool:
    """Whether what is desired now asks for a run that is not on record: a restart, or more than a live change (C17)."""
    if _asked(record.restarts) != _asked(desired.restarts):
        return True
    if record.spec is desired.spec or record.spec == desired.spec:
        return False
    return _made_from(record.spec) != _made_from(desired.spec)


def _asked(restarts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in restarts.items() if count}


def _made_from(pod: Pod) -> dict[str, str]:
    return {each.name: attempt_digest(pod, each) for each in pod.everyone}


def course_of(desired: Desired, seen: PodFacts) -> Course:
    """How far the pod has come."""
    init = desired.spec.init
    passed = _passed(desired.spec, seen) if init and _stands(desired, seen) else frozenset()
    turn = next((each.name for each in init if each.name not in passed), "")
    return Course(turn=turn, passed=passed, over=_over(desired, seen, passed))


def _stands(desired: Desired, seen: PodFacts) -> bool:
    """Whether the sandbox on record goes on: all its pins stand, or something lives from which they are mended."""
    record, sandbox = seen.record, seen.sandbox
    if record is None or (record.sandbox_digest and record.sandbox_digest != sandbox_of(desired.spec)):
        return False
    living = any(phase(fact) in (Phase.CREATED, Phase.RUNNING) for fact in seen.containers.values())
    return living or (sandbox is not None and sandbox.whole)


def _passed(pod: Pod, seen: PodFacts) -> frozenset[str]:
    """The entries of `init` that have had their turn in this sandbox."""
    begun = [index for index, each in enumerate(pod.everyone) if _is_of_this_sandbox(seen, each.name)]
    behind = max(begun, default=-1)
    passed = []
    for index, each in enumerate(pod.init):
        if index >= behind and not _had_its_turn(pod, seen, each):
            break
        passed.append(each.name)
    return frozenset(passed)


def _is_of_this_sandbox(seen: PodFacts, name: str) -> bool:
    fact = seen.containers.get(name)
    attempt = fact.record.attempt if fact else None
    return attempt is not None and seen.record is not None and attempt.sandbox == seen.record.sandbox


def _had_its_turn(pod: Pod, seen: PodFacts, entry: Container) -> bool:
    fact = seen.containers.get(entry.name)
    if role_of(pod, entry.name) is Role.SIDECAR:
        return is_started(entry, fact)
    return succeeded(fact) and _is_of_this_sandbox(seen, entry.name)


def succeeded(fact: ContainerFact | None) -> bool:
    """Whether its last attempt ended with exit code 0, and by itself."""
    if fact is None or phase(fact) is not Phase.EXITED:
        return False
    end = fact.record.exits[-1]
    return end.code == 0 and not end.stopped


def _over(desired: Desired, seen: PodFacts, passed: frozenset[str]) -> str:
    record = seen.record
    if record is not None and record.failed and not runs_again(record, desired):
        return f"{record.failed}: it was active for longer than its deadline allows"
    for each in desired.spec.init:
        fact = seen.containers.get(each.name)
        if each.name not in passed and not succeeded(fact) and _has_ended_for_good(desired, each, fact):
            return f"init container {each.name} failed"
    apps = desired.spec.containers
    ended = all(_has_ended_for_good(desired, each, seen.containers.get(each.name)) for each in apps)
    return DONE if ended else ""


def _has_ended_for_good(desired: Desired, container: Container, fact: ContainerFact | None) -> bool:
    """Whether it has ended, was made from the present spec, and is not to run again."""
    attempt = fact.record.attempt if fact else None
    if fact is None or attempt is None or phase(fact) is not Phase.EXITED:
        return False
    present = attempt.digest == attempt_digest(desired.spec, container)
    asked = attempt.restarts != desired.restarts.get(container.name, 0)
    policy = policy_of(desired.spec, container)
    return present and not asked and retry_at(policy, desired.spec.backoff, fact.record) is None
