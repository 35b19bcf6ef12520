"""Secrets, configs and facts of the pod as a container's input: variables and files (C7, C10)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tank.model.value import Many, Value


class KeyOf(Value):
    """One key of a secret or config. `optional`: the variable is left out when there is no such thing."""

    name: str
    key: str
    optional: bool = False


class EnvSource(Value):
    """Where a variable's value comes from. Exactly one of `secret`, `config` and `field` is set.

    `field`: name, uid, labels['KEY'], annotations['KEY'], node, ip, ips, host_ip, or limits.memory, limits.cpu and
    the other limits, in units of `divisor` (sizes in bytes, cpu in cores).
    """

    secret: KeyOf | None = None
    config: KeyOf | None = None
    field: str | None = None
    divisor: float | None = None
    on_change: Literal["nothing", "restart"] = "nothing"


class EnvFrom(Value):
    """Every key of a secret or config as a variable. Exactly one of `secret` and `config` is set."""

    secret: str | None = None
    config: str | None = None
    prefix: str = ""
    optional: bool = False
    on_change: Literal["nothing", "restart"] = "nothing"


class Reaction(Value):
    """What follows, in each container that mounts it, when files have changed. At most one is set; none: nothing."""

    signal: str | None = None  # canonical: SIGHUP
    exec: Many[str] = ()
    restart: bool = False


class _Files(Value):
    """`keys` maps a key to its path below the volume; empty: each key under its own name. `mode` octal digits.

    `owner` and `group` of every file. `optional`: no such thing is an empty volume.
    """

    name: str
    keys: dict[str, str] = Field(default_factory=dict)
    optional: bool = False
    mode: str = "0644"
    owner: int | None = None
    group: int | None = None
    on_change: Reaction = Reaction()


class SecretFiles(_Files):
    """A secret's keys as files in memory."""

    type: Literal["secret"] = "secret"


class ConfigFiles(_Files):
    """A config's keys as files in memory."""

    type: Literal["config"] = "config"


Files = Annotated[SecretFiles | ConfigFiles, Field(discriminator="type")]
