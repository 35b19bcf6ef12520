"""What has to hold before a change is accepted, and what it would lead to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tank.errors import Conflict, InvalidSpec, Problem, Unsupported
from tank.model.desired import Desired
from tank.model.pod import Pod
from tank.model.record import PodRecord
from tank.model.wanted import pins_kept
from tank.node.observe import Machine, observe
from tank.plan.changes import Change, changes
from tank.plan.claims import clashes, leased, leased_clashes
from tank.plan.foresee import foresee
from tank.plan.preview import Preview, PreviewStep, preview, shown
from tank.plan.selector import matches
from tank.store.base import Contents


class PlanChanged(Conflict):
    """The plan is no longer the one that was shown; `preview` is the present one."""

    def __init__(self, now: Preview) -> None:
        self.preview = now
        super().__init__(f"the plan changed since it was shown; it is now {now.token}")


def check_claims(pods: Sequence[Pod], contents: Contents, prune: str | None, records: Iterable[PodRecord]) -> None:
    """Raises Conflict when a pod wants an address or a volume that another one holds, or has of a pool."""
    going = set(pruned(pods, contents, prune)) | {pod.name for pod in pods}
    staying = [desired.spec for name, desired in contents.pods.items() if name not in going]
    given = leased([*staying, *pods], records)
    problems = [
        f"pod {pod.name}: {what} belongs to pod {holder}"
        for index, pod in enumerate(pods)
        for what, holder in (*clashes(pod, [*staying, *pods[:index]]), *leased_clashes(pod, given))
    ]
    if problems:
        raise Conflict("; ".join(problems))


async def check_machine(machine: Machine, pods: Sequence[Pod]) -> None:
    """Raises Unsupported when this machine cannot do what a pod asks for."""
    told = [(pod.name, await machine.runtime.unsupported(pod) or await machine.net.refusal(pod)) for pod in pods]
    if lacks := [f"pod {name}: {why}" for name, why in told if why]:
        raise Unsupported("; ".join(lacks))


def pruned(pods: Sequence[Pod], contents: Contents, prune: str | None) -> list[str]:
    """The declared pods that the selector matches and the documents do not name. Raises InvalidSpec."""
    if prune is None:
        return []
    if not prune.strip():
        raise InvalidSpec([Problem("", "prune needs a selector", "say -l app=web")])
    kept = {pod.name for pod in pods}
    return [name for name, each in contents.pods.items() if name not in kept and matches(prune, each.spec.labels)]


async def foresee_apply(machine: Machine, pods: Sequence[Pod], contents: Contents, prune: str | None) -> Preview:
    """What applying these documents to this machine would do, until rest."""
    steps: list[PreviewStep] = []
    changed: list[Change] = []
    names = [pod.name for pod in pods] + pruned(pods, contents, prune)
    for pod in pods:
        held = contents.pods.get(pod.name)
        if held is None or held.spec != pod:
            changed += changes(held.spec, pod) if held is not None else ()
            steps += await _foreseen(machine, pod.name, proposed(pod, held, contents.revision + 1, machine.now().wall))
        else:
            steps += await _foreseen(machine, pod.name, held)
    for name in names[len(pods) :]:
        steps += await _foreseen_removal(machine, contents.pods[name])
    revisions = [(name, contents.pods[name].revision if name in contents.pods else 0) for name in names]
    return preview(revisions, steps, changed)


async def _foreseen(machine: Machine, name: str, desired: Desired) -> tuple[PreviewStep, ...]:
    now = machine.now()
    seen = await observe(machine, desired.uid, desired, now)
    steps, _ = foresee(desired, seen, now)
    return shown(name, steps)


async def _foreseen_removal(machine: Machine, desired: Desired) -> tuple[PreviewStep, ...]:
    now = machine.now()
    seen = await observe(machine, desired.uid, None, now)
    steps, _ = foresee(None, seen, now)
    return shown(desired.name, steps)


def proposed(pod: Pod, held: Desired | None, revision: int, at: float) -> Desired:
    """What would be desired after the apply: pins stay for what is asked for as before."""
    if held is None:
        return Desired(name=pod.name, uid="0" * 12, revision=revision, spec=pod, created_at=at)
    return replace(held, spec=pod, revision=revision, pins=pins_kept(held.pins, held.spec, pod))
