"""What this machine cannot do of all that a pod asks for, told when it is applied and not when it is due to start.

Only what no plugging in and no installing of a file will change: a missing device or profile makes a pod wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tank.host import limits, sysctl
from tank.host.cgroup import Groups
from tank.model.pod import Container, Pod


def unsupported(pod: Pod, groups: Groups, capabilities: Sequence[str]) -> str:
    """Why limits, capabilities or kernel settings of the pod cannot be had here; empty when all can. Raises OSError."""
    told = [f"container {each.name}: {why}" for each in pod.everyone for why in _of(each, groups, capabilities)]
    if missing := [name for name in pod.sysctls if not sysctl.is_known(name)]:
        told.append(f"sysctls: this kernel has no {', '.join(missing)}")
    return "; ".join(told)


def _of(container: Container, groups: Groups, capabilities: Sequence[str]) -> Iterator[str]:
    yield from (f"limits.{why}" for why in limits.refusals(groups, container.limits))
    if lacking := sorted(set(container.security.cap_add) - {"ALL", *capabilities}):
        yield f"security.cap_add: this machine has no {', '.join(lacking)} to give"
