"""`client.networks`: the pools of a daemon and who reaches whom, blocking, and for `tank.aio.Client` awaited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from tank.client import network_calls
from tank.client.calls import Call

if TYPE_CHECKING:
    from tank.model.networks import NetworkStatus, Reach


class Networks:
    """The networks of one daemon."""

    def __init__(self, do: Callable[[Any], Any]) -> None:
        """`do` sends a call and reads its answer."""
        self._do = do

    def list(self) -> list[NetworkStatus]:
        """Every pool, without its leases."""
        found: list[NetworkStatus] = self._do(network_calls.list_())
        return found

    def inspect(self, name: str) -> NetworkStatus:
        """One pool, with its leases. Raises NotFound."""
        found: NetworkStatus = self._do(network_calls.inspect(name))
        return found

    def check(self, pod: str | None = None) -> Sequence[Reach]:
        """Really try who reaches whom, for one pod or all. Raises NotFound; Conflict when it has no network."""
        found: Sequence[Reach] = self._do(network_calls.check(pod))
        return found


class AwaitedNetworks:
    """The same, awaited."""

    def __init__(self, do: Callable[[Call[Any]], Awaitable[Any]]) -> None:
        """`do` sends a call and reads its answer."""
        self._do = do

    async def list(self) -> list[NetworkStatus]:
        """Every pool, without its leases."""
        found: list[NetworkStatus] = await self._do(network_calls.list_())
        return found

    async def inspect(self, name: str) -> NetworkStatus:
        """One pool, with its leases. Raises NotFound."""
        found: NetworkStatus = await self._do(network_calls.inspect(name))
        return found

    async def check(self, pod: str | None = None) -> Sequence[Reach]:
        """Really try who reaches whom, for one pod or all. Raises NotFound, Conflict."""
        found: Sequence[Reach] = await self._do(network_calls.check(pod))
        return found
