"""The functions of `import tank`: the methods of `Client` on the default daemon, looked up at each call."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from tank.client.blocking import Client
from tank.client.calls import Call
from tank.client.inputs import Configs, Secrets

P = ParamSpec("P")
R = TypeVar("R")


def _on_default(method: Callable[Concatenate[Client, P], R]) -> Callable[P, R]:
    @wraps(method)
    def function(*args: P.args, **kwargs: P.kwargs) -> R:
        return method(Client(), *args, **kwargs)

    return function


apply = _on_default(Client.apply)
attach = _on_default(Client.attach)
delete = _on_default(Client.delete)
events = _on_default(Client.events)
exec = _on_default(Client.exec)  # noqa: A001
get = _on_default(Client.get)
history = _on_default(Client.history)
list = _on_default(Client.list)  # noqa: A001
logs = _on_default(Client.logs)
plan = _on_default(Client.plan)
restart = _on_default(Client.restart)
rollback = _on_default(Client.rollback)
stats = _on_default(Client.stats)
status = _on_default(Client.status)
wait = _on_default(Client.wait)
why = _on_default(Client.why)


def _sent(call: Call[Any]) -> Any:
    """To the default daemon of the moment."""
    return Client()._typed(call)


secrets = Secrets(_sent)
configs = Configs(_sent)
