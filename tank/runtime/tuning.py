"""The part of the runtime driver that changes limits while a container runs (C12)."""

from __future__ import annotations

from tank.host import limits
from tank.host.threads import in_thread
from tank.model.pod import Limits
from tank.runtime import kept
from tank.runtime.ground import Ground
from tank.runtime.places import Attempt


class Tuning(Ground):
    """Limits."""

    async def tune(self, uid: str, container: str, attempt: int, limits_: Limits) -> None:
        """Change the limits of the running container. Raises Failed when it cannot be (C12)."""
        await in_thread(self._tune, self._attempt(uid, container, attempt), limits_)

    def _tune(self, attempt: Attempt, wanted: Limits) -> None:
        """What is asked for is read back from now on, be it refused: what holds and what should is told."""
        said = limits.wanted(wanted)
        kept.tuned(attempt, {**kept.read(attempt).limits, **said})
        limits.apply(self._groups, attempt.group, wanted)
        kept.tuned(attempt, said)

    def _weigh(self, attempt: Attempt) -> None:
        """The one limit that the runtime did not set when it made the group. Raises Failed."""
        weight = kept.read(attempt).limits.get("io_weight")
        if isinstance(weight, int):
            limits.apply_io_weight(self._groups, attempt.group, weight)
