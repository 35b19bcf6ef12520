"""What is counted of a running pod."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NicStats:
    """What one interface has carried since it was made, as the kernel counts it: bytes and packets.

    `rx` is into the pod, `tx` out of it. `dropped` counts what a `rate` had no more room for as well.
    """

    name: str
    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PodStats:
    """One pod at one moment. `nics`: in the order of its spec; none, where the pod has no network of its own."""

    pod: str
    uid: str = ""
    nics: tuple[NicStats, ...] = ()
