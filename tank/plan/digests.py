"""What things are made from and met with, as digests that are compared; and when a trouble is due again."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from tank.model.desired import Desired
from tank.model.digest import container_digest, sandbox_digest, tuning_digest
from tank.model.facts import Now
from tank.model.pod import Container, Pod
from tank.model.record import Trouble


def attempt_digest(pod: Pod, container: Container) -> str:
    """What an attempt is made from: the container's own part and the sandbox it joins.

    One of a changed sandbox therefore is to be replaced like any other that changed.
    """
    return _attempt_digest(_Same(pod), _Same(container))


@dataclass(frozen=True, slots=True, eq=False)
class _Same:
    """A frozen value, compared by identity: cheap to look up, and kept alive so that its id is not used again."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


@functools.lru_cache(maxsize=4096)
def _attempt_digest(pod: _Same, container: _Same) -> str:
    return f"{sandbox_of(pod.value)[:16]}{container_digest(pod.value, container.value)[:48]}"


def sandbox_of(pod: Pod) -> str:
    """`sandbox_digest`, reckoned once for a value."""
    return _sandbox_digest(_Same(pod))


@functools.lru_cache(maxsize=1024)
def _sandbox_digest(pod: _Same) -> str:
    return sandbox_digest(pod.value)


def tuning_of(container: Container) -> str:
    """`tuning_digest`, reckoned once for a value."""
    return _tuning_digest(_Same(container))


@functools.lru_cache(maxsize=4096)
def _tuning_digest(container: _Same) -> str:
    return tuning_digest(container.value)


def trouble_digest(desired: Desired, container: Container) -> str:
    """What a trouble is met with. Another spec makes it void, and so does `tank restart`, the "try it now" verb."""
    return f"{attempt_digest(desired.spec, container)}/{desired.restarts.get(container.name, 0)}"


def tuning_trouble_digest(desired: Desired, container: Container) -> str:
    """The same for what was met by changing its limits: other limits make it void, and it holds up nothing else."""
    return f"{trouble_digest(desired, container)}/{tuning_of(container)}"


def pod_trouble_digest(desired: Desired) -> str:
    """The same for what concerns the whole pod."""
    return f"{desired.revision}/{sum(desired.restarts.values())}"


def due(trouble: Trouble | None, digest: str, now: Now) -> float | None:
    """Boot time until which the trouble holds things up; None: it does not, or not any more.

    A trouble met with another spec is void. After a reboot the wait starts again from its full delay,
    which the loop has written down at first sight.
    """
    if trouble is None or trouble.digest != digest or trouble.boot_id != now.boot_id:
        return None
    return trouble.retry_at if trouble.retry_at > now.boot else None
