"""Whether a pull fits on the disk beside those under way, before it begins (R29, R30).

Nobody declares what a layer unpacks to, so this is an estimate, which spares a download in vain; that the floor holds
is seen to by whoever writes (`tank.image.headroom`). First all that may be removed for it goes, but what an earlier
try has brought of it only if it would not fit otherwise. Then a pull is let in if it fits without the copies of its
layers as they came: those are kept where there is room for them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

from tank.errors import TankError
from tank.image.layers import Layer, Layers
from tank.image.refusal import no_room
from tank.image.room import Room


class Fitting:
    """The layers of all pulls under way, by the pull's key.

    `short`: bytes and inodes to spare when a pull was let in or refused, the last time. What is refused later on is
    worth another try when there is more than then.
    """

    def __init__(self, room: Room, layers: Layers) -> None:
        self._room, self._layers = room, layers
        self._under_way: dict[str, tuple[Layer, ...]] = {}
        self.short: tuple[int, int] | None = None
        self.make_room: Callable[[int], Awaitable[None]] = _nothing  # called when that many bytes do not fit

    def layers(self, key: str) -> tuple[Layer, ...]:
        """Those of one pull; none before they are known."""
        return self._under_way.get(key, ())

    async def admit(self, key: str, layers: tuple[Layer, ...]) -> None:
        """Let a pull begin. Raises PullFailed when it would not fit, once collecting has not helped; OSError."""
        self._under_way[key] = layers
        self.short = self._room.spare(self._room.space())
        if self._fault(copies=True):
            with self._layers.resuming(layers):
                await self.make_room(self._takes(copies=True))
            if self._fault(copies=False):  # what it would go on with is itself in the way, perhaps
                await self.make_room(self._takes(copies=False))
        fault = self._fault(copies=False)
        if fault:
            raise no_room(f"cannot pull image: {fault}")

    async def outgrown(self) -> None:
        """A pull that was let in has not fitted: what may go for one twice as large goes, for the next try."""
        if self.short is not None:
            with suppress(TankError, OSError):
                await self.make_room(2 * max(0, self.short[0]))

    def end(self, key: str) -> None:
        """The pull is over. Repeatable."""
        self._under_way.pop(key, None)

    def _fault(self, *, copies: bool) -> str:
        return self._room.fault(self._room.space(), self._takes(copies=copies))

    def _takes(self, *, copies: bool) -> int:
        return self._layers.takes((layer for each in self._under_way.values() for layer in each), copies=copies)


async def _nothing(_size: int) -> None:
    """Who pulls without a node has nothing collected."""
