"""Tank: declare which pods run on this machine, and a control loop keeps it so.

    import tank
    tank.apply({"name": "web", "containers": [{"name": "app", "image": "nginx:1.27"}]})
    tank.list()
    tank.exec("web", ["/bin/sh"])
    tank.delete("web")

The functions speak to the default daemon (`TANK_HOST`, else `unix:///run/tank/tank.sock`); `tank.Client(url)` to
another, `tank.aio.Client` asynchronously, and `tank.Engine(settings)` is a whole daemon inside your own program.
Everything is loaded on first use (PEP 562), so that the command line, which imports this package, starts at once.
"""

from __future__ import annotations

import sys
from types import ModuleType

TYPE_CHECKING = False  # true for a type checker; `typing` costs the command line 4 ms
if TYPE_CHECKING:
    from typing import Any

    from tank import aio as aio
    from tank.client.blocking import Client as Client
    from tank.client.default import apply as apply
    from tank.client.default import attach as attach
    from tank.client.default import configs as configs
    from tank.client.default import delete as delete
    from tank.client.default import events as events
    from tank.client.default import exec as exec  # noqa: A004
    from tank.client.default import get as get
    from tank.client.default import history as history
    from tank.client.default import list as list  # noqa: A004
    from tank.client.default import logs as logs
    from tank.client.default import plan as plan
    from tank.client.default import restart as restart
    from tank.client.default import rollback as rollback
    from tank.client.default import secrets as secrets
    from tank.client.default import stats as stats
    from tank.client.default import status as status
    from tank.client.default import wait as wait
    from tank.client.default import why as why
    from tank.client.values import Change as Change
    from tank.client.values import Event as Event
    from tank.client.values import ExecResult as ExecResult
    from tank.client.values import LogLine as LogLine
    from tank.client.values import Plan as Plan
    from tank.client.values import Revision as Revision
    from tank.client.values import Step as Step
    from tank.client.values import Why as Why
    from tank.config import Settings as Settings
    from tank.daemon import Engine as Engine
    from tank.errors import Conflict as Conflict
    from tank.errors import Denied as Denied
    from tank.errors import Failed as Failed
    from tank.errors import InvalidSpec as InvalidSpec
    from tank.errors import NotFound as NotFound
    from tank.errors import Problem as Problem
    from tank.errors import TankError as TankError
    from tank.errors import Timeout as Timeout
    from tank.errors import Unavailable as Unavailable
    from tank.errors import Unsupported as Unsupported
    from tank.model.health import GrpcAction as GrpcAction
    from tank.model.health import Hook as Hook
    from tank.model.health import Hooks as Hooks
    from tank.model.health import HttpAction as HttpAction
    from tank.model.health import Probe as Probe
    from tank.model.health import Probes as Probes
    from tank.model.inputs import ConfigFiles as ConfigFiles
    from tank.model.inputs import EnvFrom as EnvFrom
    from tank.model.inputs import EnvSource as EnvSource
    from tank.model.inputs import KeyOf as KeyOf
    from tank.model.inputs import Reaction as Reaction
    from tank.model.inputs import SecretFiles as SecretFiles
    from tank.model.pod import Backoff as Backoff
    from tank.model.pod import Container as Container
    from tank.model.pod import Cpu as Cpu
    from tank.model.pod import Device as Device
    from tank.model.pod import Empty as Empty
    from tank.model.pod import EnvVar as EnvVar
    from tank.model.pod import HostPath as HostPath
    from tank.model.pod import ImageVolume as ImageVolume
    from tank.model.pod import Limits as Limits
    from tank.model.pod import Managed as Managed
    from tank.model.pod import Mount as Mount
    from tank.model.pod import Network as Network
    from tank.model.pod import Nic as Nic
    from tank.model.pod import Pod as Pod
    from tank.model.pod import Rootfs as Rootfs
    from tank.model.pod import Route as Route
    from tank.model.pod import Security as Security
    from tank.model.pod import Tmpfs as Tmpfs
    from tank.model.pod import Volume as Volume
    from tank.model.stats import NicStats as NicStats
    from tank.model.stats import PodStats as PodStats
    from tank.model.status import AddressStatus as AddressStatus
    from tank.model.status import Condition as Condition
    from tank.model.status import ContainerStatus as ContainerStatus
    from tank.model.status import Status as Status
    from tank.model.status import Termination as Termination
    from tank.model.stored import InputStatus as InputStatus

__version__ = "0.1.0"

_HOMES = {  # where each public name really lives
    "Client": "tank.client.blocking",
    "Engine": "tank.daemon",
    "Settings": "tank.config",
}


def _live(home: str, names: str) -> None:
    _HOMES.update(dict.fromkeys(names.split(), home))


_live("tank.client.default", "apply attach delete events exec get history list logs plan restart rollback")
_live("tank.client.default", "configs secrets stats status wait why")
_live("tank.client.values", "Change Event ExecResult LogLine Plan Revision Step Why")
_live("tank.errors", "Conflict Denied Failed InvalidSpec NotFound Problem TankError Timeout Unavailable")
_live("tank.errors", "Unsupported")
_live("tank.model.health", "GrpcAction Hook Hooks HttpAction Probe Probes")
_live("tank.model.inputs", "ConfigFiles EnvFrom EnvSource KeyOf Reaction SecretFiles")
_live("tank.model.pod", "Backoff Container Cpu Device Empty EnvVar HostPath Limits Managed Mount Network Nic Pod")
_live("tank.model.pod", "ImageVolume Rootfs Route Security Tmpfs Volume")
_live("tank.model.status", "AddressStatus Condition ContainerStatus Status Termination")
_live("tank.model.stored", "InputStatus")
__all__ = ["aio", *sorted(_HOMES)]


class _Callable(ModuleType):
    """`tank.plan` is a package of the engine and a function of the client: loaded, it is both."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from tank.client.default import plan

        return plan(*args, **kwargs)


class _Package(ModuleType):
    def __setattr__(self, name: str, value: Any) -> None:
        if name == "plan" and isinstance(value, ModuleType):
            value.__class__ = _Callable
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


if not TYPE_CHECKING:  # a checker reads the imports above

    def __getattr__(name):
        from importlib import import_module

        if name == "aio":
            return import_module("tank.aio")
        if name not in _HOMES:
            raise AttributeError(f"module 'tank' has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        globals().setdefault(name, value)
        return value

    def __dir__():
        return sorted({*globals(), *__all__})
