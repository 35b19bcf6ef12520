"""The fake of a pod's network: interfaces are words in a World."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tank.model.pod import Network, Pod
from tank.model.pools import Wired, Wiring
from tank.model.record import Address
from tank.model.stats import NicStats
from tank.testing.world import World


class FakeNet:
    """Interfaces in a World."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def configure(self, uid: str, pod: Pod, namespace: Path) -> tuple[Address, ...]:
        """The interfaces are there."""
        self._world.spark(f"network {uid}")
        wanted = nics(pod)
        self._world.sandboxes[uid].nics = wanted
        self._world.did(f"network {uid}")
        return tuple(Address(nic=each.partition(" ")[0], ip=each.partition(" ")[2], mac="") for each in wanted)

    async def observe(self, uid: str, pod: Pod, namespace: Path) -> Sequence[str]:
        """Each process of the pod."""
        sandbox = self._world.sandboxes.get(uid)
        held = set(sandbox.nics or ()) if sandbox else set()
        return tuple(f"{each} is missing" for each in nics(pod) if each not in held)

    async def counters(self, uid: str, pod: Pod, namespace: Path) -> Sequence[NicStats]:
        """Nothing is ever carried."""
        return ()

    async def release(self, uid: str, pod: Pod, namespace: Path) -> None:
        """Noted, nothing else."""
        self._world.spark(f"release {uid}")
        self._world.did(f"release {uid}")

    async def vacate(self, uid: str, pod: Pod | None, namespace: Path) -> None:
        """Nothing is held."""

    async def refusal(self, pod: Pod) -> str:
        """Every pool can do everything."""
        return ""

    def wired(self, uid: str, pod: Pod, addresses: tuple[Address, ...], *, ready: bool) -> Wired:
        """The pod, on no bridge."""
        return Wired(name=pod.name, uid=uid, addresses=addresses, ready=ready)

    async def wire(self, wiring: Wiring) -> Sequence[str]:
        """There is nothing beside the pods."""
        return ()

    def suspect(self, *, fences: bool = False) -> None:
        """Nothing is ever changed by others."""

    def watch_wiring(self, nudge: Callable[[], None]) -> None:
        """Nothing is told: tests nudge."""

    def watch(self, uid: str, namespace: Path, nudge: Callable[[], None]) -> None:
        """Nothing is told: tests nudge."""

    def unwatch(self, uid: str) -> None:
        """Nothing to let go of."""

    async def close(self) -> None:
        """Nothing to let go of."""


def nics(pod: Pod) -> tuple[str, ...]:
    """What of the pod's interfaces the fake tells apart: name and static address of each."""
    if not isinstance(pod.network, Network):
        return ()
    return tuple(f"{nic.name} {ip}" for nic in pod.network.nics for ip in nic.static)
