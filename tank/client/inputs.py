"""`client.secrets` and `client.configs`, blocking and awaited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from tank.client import input_calls
from tank.client.calls import Call

if TYPE_CHECKING:
    from tank.client.input_calls import Values
    from tank.model.stored import InputStatus


class Secrets:
    """The secrets of one daemon. Their values go in; none ever comes out."""

    _kind = "secret"

    def __init__(self, do: Callable[[Call[Any]], Any]) -> None:
        """`do` sends a call and reads its answer."""
        self._do = do

    def set(self, name: str, data: Values) -> InputStatus:
        """It holds exactly these keys from now on; a text is its UTF-8. Pods that use it follow. Raises InvalidSpec."""
        found: InputStatus = self._do(input_calls.set_(self._kind, name, data))
        return found

    def list(self) -> list[InputStatus]:
        """All of them by name, without values."""
        found: list[InputStatus] = self._do(input_calls.list_(self._kind))
        return found

    def get(self, name: str) -> InputStatus:
        """One of them: its keys and sizes, and who uses it; of a config `data` as well. Raises NotFound."""
        found: InputStatus = self._do(input_calls.get(self._kind, name))
        return found

    def delete(self, name: str, *, force: bool = False) -> None:
        """It is no more; what runs keeps what it has. Raises NotFound; Conflict when a pod needs it."""
        self._do(input_calls.delete(self._kind, name, force=force))


class Configs(Secrets):
    """The configs of one daemon: as secrets, and `get` answers the values."""

    _kind = "config"


class AwaitedSecrets:
    """As `Secrets`, awaited."""

    _kind = "secret"

    def __init__(self, do: Callable[[Call[Any]], Awaitable[Any]]) -> None:
        """`do` sends a call and reads its answer."""
        self._do = do

    async def set(self, name: str, data: Values) -> InputStatus:
        """It holds exactly these keys from now on. Raises InvalidSpec."""
        found: InputStatus = await self._do(input_calls.set_(self._kind, name, data))
        return found

    async def list(self) -> list[InputStatus]:
        """All of them by name, without values."""
        found: list[InputStatus] = await self._do(input_calls.list_(self._kind))
        return found

    async def get(self, name: str) -> InputStatus:
        """One of them; of a config `data` as well. Raises NotFound."""
        found: InputStatus = await self._do(input_calls.get(self._kind, name))
        return found

    async def delete(self, name: str, *, force: bool = False) -> None:
        """It is no more. Raises NotFound; Conflict when a pod needs it."""
        await self._do(input_calls.delete(self._kind, name, force=force))


class AwaitedConfigs(AwaitedSecrets):
    """As `Configs`, awaited."""

    _kind = "config"
