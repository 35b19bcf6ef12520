"""Pods and what they take, stated together: secrets and configs are stored before the pods that name them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tank.errors import NotFound
from tank.model.parse import Stated
from tank.model.pod import Pod
from tank.model.status import Status
from tank.node.admission import PlanChanged

if TYPE_CHECKING:
    from tank.node.service import Node


async def apply_stated(
    node: Node, stated: Stated, *, token: str | None = None, prune: str | None = None
) -> list[Status]:
    """Store what is to be stored and apply the pods. Raises as `Node.apply`, and then nothing was stored.

    A failure between the two leaves the secrets and configs as they were stated; the next apply goes on from there.
    """
    if not stated.stored:
        return await node.apply(stated.pods, token=token, prune=prune)
    expected = await _revisions(node, stated.pods)
    preview = await node.plan(stated.pods, prune=prune)  # all that can be refused is refused here
    if token not in (None, preview.token):
        raise PlanChanged(preview)
    for each in stated.stored:
        kind, _, name = each.key.partition("/")
        await node.inputs.set(kind, name, each.values)
    return await node.apply(stated.pods, prune=prune, expected=expected if token else None)


async def _revisions(node: Node, pods: Sequence[Pod]) -> dict[str, int]:
    """What each pod is at, 0 for one that is not there."""
    found: dict[str, int] = {}
    for pod in pods:
        try:
            found[pod.name] = (await node.get(pod.name)).revision
        except NotFound:
            found[pod.name] = 0
    return found
