"""What the loop hands to a runtime to make one attempt of a container, and what it gets back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tank.model.image import Image
from tank.model.pod import Container, Pod
from tank.model.record import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """All that is needed to create one attempt. `image` None: the container has a rootfs.

    `volumes`: the images that are volumes, by the volume's name.
    """

    uid: str
    pod: Pod
    container: Container
    attempt: int
    image: Image | None
    addresses: tuple[Address, ...] = ()
    volumes: Mapping[str, Image] = field(default_factory=dict)
    inputs: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict, repr=False)  # "secret/NAME" -> key -> value
    versions: Mapping[str, str] = field(default_factory=dict)  # of what is in `inputs`
    node: str = ""  # the machine's own name and address, for downward fields (C7)
    host_ip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Secrets and configs with their values, by `secret/NAME`, and which version of each that is."""

    values: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict, repr=False)
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """A container parked before its first instruction."""

    pid: int
    start_time: int  # clock ticks since boot


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The running container that a probe or hook is for."""

    uid: str
    pod: Pod
    container: Container
    attempt: int
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a probe or hook. `good` None: it could not be asked, which says nothing of the container (C2).

    `lag`: seconds by which the asker himself was late meanwhile; a late answer is not a bad one (R56).
    """

    good: bool | None
    message: str = ""
    lag: float = 0.0
