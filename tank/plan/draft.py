"""A plan in the making, and what holds its steps up: troubles that are not due yet."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from tank.model.desired import Desired
from tank.model.facts import Now, PodFacts
from tank.plan.digests import due, pod_trouble_digest, sandbox_of, trouble_digest, tuning_trouble_digest
from tank.plan.marks import has_nics
from tank.plan.repair import to_repair
from tank.plan.steps import Action, Plan, Step
from tank.plan.wish import Case

# Troubles that keep a container from being made: one met by changing or stopping the old one does not (C1).
MAKING = frozenset({"", Action.RESOLVE.value, Action.CREATE.value, Action.START.value})
STOPPING = frozenset({"", Action.STOP.value, Action.CREATE.value, Action.START.value})  # that keep the old one running


@dataclass(slots=True)
class Draft:
    """A plan in the making."""

    seen: PodFacts
    now: Now
    steps: list[Step] = field(default_factory=list)
    wakes: list[float] = field(default_factory=list)

    def add(self, action: Action, why: str, **more: object) -> None:
        """One more step."""
        self.steps.append(Step(action=action, why=why, **more))  # type: ignore[arg-type]

    def done(self, waiting: str = "") -> Plan:
        """The plan."""
        ordered = sorted(self.steps, key=lambda step: step.stage)
        return Plan(steps=tuple(ordered), wake_at=min(self.wakes, default=None), waiting=waiting)

    def held(self, desired: Desired, case: Case, actions: Collection[str]) -> float | None:
        """Until when a trouble that one of these actions met holds up the container's next step."""
        if case.wanted is None or (case.trouble and case.trouble.action not in actions):
            return None
        return due(case.trouble, trouble_digest(desired, case.wanted), self.now)

    def tuning_held(self, desired: Desired, case: Case) -> float | None:
        """Until when its limits are not tried again."""
        return due(case.trouble, tuning_trouble_digest(desired, case.wanted), self.now) if case.wanted else None

    def pod_held(self, desired: Desired) -> bool:
        """Whether a trouble of the pod holds up its sandbox and network; then the plan looks again when it is due."""
        record = self.seen.record
        until = due(record.trouble if record else None, pod_trouble_digest(desired), self.now)
        if until is not None:
            self.wakes.append(until)
        return until is not None


def stale(draft: Draft, desired: Desired) -> bool:
    """Whether the sandbox was made for a spec that needs another one."""
    record = draft.seen.record
    return bool(record and record.sandbox_digest and record.sandbox_digest != sandbox_of(desired.spec))


def unconfigured(draft: Draft, desired: Desired) -> bool:
    """Whether the sandbox that stands waits for addresses of the spec."""
    record = draft.seen.record
    waits = record is not None and not record.network_ready and has_nics(desired.spec)
    return waits or bool(to_repair(draft.seen, desired.spec))
