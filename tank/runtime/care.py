"""The part of the runtime driver that asks a container how it is: probes (C2) and hooks (C3)."""

from __future__ import annotations

from tank.model.health import Hook, Probe
from tank.model.launch import Answer, Target
from tank.runtime.ground import Ground


class Care(Ground):
    """Probes and hooks."""

    async def probe(self, target: Target, probe: Probe) -> Answer:
        """Ask one question of the running container, within its timeout (C2)."""
        return Answer(good=None, message="probes are not supported yet")

    async def hook(self, target: Target, hook: Hook, limit: float) -> Answer:
        """Run one hook of the running container, for `limit` seconds at most (C3)."""
        return Answer(good=None, message="hooks are not supported yet")
