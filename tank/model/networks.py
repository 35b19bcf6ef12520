"""What is told of networks: pools with what is handed out of them, and what came of trying to connect."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseStatus:
    """One address that a pod's interface holds."""

    address: str
    pod: str
    nic: str
    uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkStatus:
    """One pool. `parent`: its bridge, or the host's interface below its pods.

    `free` addresses of its first network; None where there are more than anybody uses up. `state` is up, missing,
    down or unused; `faults` what is not as it should be, in words. `shim`: the host's own address among macvlan pods.
    `leases` only when one pool is asked for.
    """

    name: str
    mode: str
    parent: str
    subnets: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    used: int = 0
    free: int | None = None
    pods: tuple[str, ...] = ()
    state: str = "unused"
    faults: tuple[str, ...] = ()
    shim: str = ""
    leases: tuple[LeaseStatus, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What came of one try. `source` is pod, host or outside: a namespace made for it, as a neighbour on the LAN is.

    `state` is open, refused (something answered that nobody listens), silent (nothing answered) or failed (it could
    not be tried). `wanted`: whether it should get through; None: nothing is said about it. `seconds` it took.
    """

    pod: str
    source: str
    target: str
    what: str
    state: str
    wanted: bool | None = None
    good: bool = True
    message: str = ""
    seconds: float = 0.0
