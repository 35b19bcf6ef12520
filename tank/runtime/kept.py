"""What the driver writes down of an attempt beside its bundle, to know it again after a restart of the daemon.

Only what differs from the usual is written: an attempt without limits whose program is killed whole has no file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from tank.host import files, limits
from tank.model.pod import Container
from tank.runtime.places import Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """`limits`: those that were asked for last, by the spec's names. `oom_group`: killed whole when out of memory."""

    limits: Mapping[str, int | str] = field(default_factory=dict)
    oom_group: bool = True


_USUAL = Kept()


def read(attempt: Attempt) -> Kept:
    """What was written down. Raises OSError, Failed."""
    found = files.read_json(attempt.kept)
    return _USUAL if found is None else Kept(limits=found["limits"], oom_group=found["oom_group"])


def write(attempt: Attempt, container: Container) -> None:
    """Write down what an attempt is made with. Raises OSError."""
    _save(attempt, Kept(limits=limits.wanted(container.limits), oom_group=container.oom == "group"))


def tuned(attempt: Attempt, wanted: Mapping[str, int | str]) -> None:
    """Its limits are others now. Raises OSError, Failed."""
    _save(attempt, Kept(limits=wanted, oom_group=read(attempt).oom_group))


def _save(attempt: Attempt, kept: Kept) -> None:
    if kept == _USUAL:
        files.remove(attempt.kept)
    else:
        said = {"limits": dict(kept.limits), "oom_group": kept.oom_group}
        files.write(attempt.kept, json.dumps(said).encode())
