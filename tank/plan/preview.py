"""What `tank plan` shows: what changes in the specs, the steps until rest, and a token that says if both still hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass

from tank.plan.changes import Change
from tank.plan.steps import Action, Impact, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewStep:
    """One step for a person: `impact` is none, live, container_restart, pod_restart or data."""

    pod: str
    container: str
    action: str
    why: str
    impact: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A plan of one or several pods. Equal tokens mean equal changes and steps for equal revisions."""

    token: str
    steps: tuple[PreviewStep, ...] = ()
    changes: tuple[Change, ...] = ()


def shown(pod: str, steps: Collection[Step]) -> tuple[PreviewStep, ...]:
    """The steps of one pod, each once: the record's own mark is no business of the reader's."""
    found: dict[tuple[str, str], PreviewStep] = {}
    restart = {step.container: step.impact for step in steps if step.action is Action.STOP}
    alone = all(step.action is Action.MARK for step in steps)
    for step in steps:
        if step.action is Action.MARK and (step.container or not alone):
            continue
        impact = step.impact if step.impact is not Impact.NONE else restart.get(step.container, Impact.NONE)
        found.setdefault(
            (step.container, step.action.value),
            PreviewStep(
                pod=pod,
                container=step.container,
                action=step.action.value,
                why=step.why,
                impact=(impact if step.container else step.impact).value,
            ),
        )
    return tuple(found.values())


def preview(
    revisions: Iterable[tuple[str, int]], steps: Iterable[PreviewStep], changed: Iterable[Change] = ()
) -> Preview:
    """The preview of these steps against these stored revisions (name, revision; 0 for none)."""
    taken, differing = tuple(steps), tuple(changed)
    facts = {
        "revisions": sorted(revisions),
        "steps": [asdict(step) for step in taken],
        "changes": [asdict(each) for each in differing],
    }
    token = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    return Preview(token=token, steps=taken, changes=differing)
