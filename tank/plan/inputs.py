"""What a container's secrets and configs ask for now: whether they are there, and what follows when they changed.

Pure. A level, not an edge: a container's record says which versions it was given, the facts say which there are. What
is missing is never a change: a lost database, or a deletion, leaves what runs as it is (decision 2, R12).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tank.model.facts import Input
from tank.model.inputs import Reaction
from tank.model.pod import Container, Pod
from tank.model.uses import Use, uses, words

MISSING = "CreateContainerConfigError"
_NONE = Input()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What has changed below a container since its record was written.

    `restart`: why it has to start anew; empty: it has not. `refill`: why files have to be written anew. `reactions`:
    what its program is to be told once they are; empty when it starts anew anyway. `versions`: what its record says
    when all that is done.
    """

    restart: str = ""
    refill: str = ""
    reactions: tuple[Reaction, ...] = ()
    versions: Mapping[str, str]

    def __bool__(self) -> bool:
        return bool(self.restart or self.refill)


def lacking(pod: Pod, container: Container, inputs: Mapping[str, Input]) -> str:
    """Which secret or config, or which key of one, keeps the container from being made; empty: none does (C7)."""
    for use in uses(pod, container):
        found = inputs.get(use.key, _NONE)
        if use.optional:
            continue
        if not found.version:
            return f"there is no {words(use.key)}"
        if absent := sorted(use.needs - found.keys):
            return f"{words(use.key)} has no key {absent[0]!r}"
    return ""


def changed(pod: Pod, container: Container, given: Mapping[str, str], inputs: Mapping[str, Input]) -> Change:
    """What follows from the versions that there are now, for a container that runs with those in `given`."""
    fresh = [use for use in uses(pod, container) if _differs(use, given, inputs)]
    restarts = sorted({words(use.key) for use in fresh if use.reaction.restart})
    refills = sorted({words(use.key) for use in fresh if use.files})
    told = [use.reaction for use in fresh if use.files and use.reaction != Reaction()]
    return Change(
        restart=f"{', '.join(restarts)} changed" if restarts else "",
        refill=f"{', '.join(refills)} changed" if refills else "",
        reactions=() if restarts else tuple(dict.fromkeys(told)),
        versions={**given, **{use.key: inputs[use.key].version for use in fresh}},
    )


def versions(pod: Pod, container: Container, inputs: Mapping[str, Input]) -> dict[str, str]:
    """What an attempt made now is given, for its record."""
    found = {use.key: inputs.get(use.key, _NONE).version for use in uses(pod, container)}
    return {key: version for key, version in found.items() if version}


def _differs(use: Use, given: Mapping[str, str], inputs: Mapping[str, Input]) -> bool:
    now = inputs.get(use.key, _NONE)
    if not now.version or now.version == given.get(use.key, ""):
        return False
    # A change that takes away what the container cannot start with is no reason to end it.
    return use.optional or not use.needs - now.keys
