"""What others have changed in the network and nobody puts right (`[net] repair = false`): told once, until it is right.

An event when it differs, another when it is as it should be again, and in between a condition of the machine that
holds all of it.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from functools import partial

from tank.model.facts import PodFacts
from tank.model.pod import Pod
from tank.node.observe import Machine
from tank.node.report import Report
from tank.node.work import Work
from tank.plan.marks import has_nics
from tank.plan.repair import astray

CONDITION = "NetworkChangedByOthers"


class Astray:
    """Remembers what was told, by pod; the host has neither uid nor name."""

    def __init__(self, machine: Machine, report: Report, nudge: Callable[[str], None]) -> None:
        self._machine, self._report, self._nudge = machine, report, nudge
        self._told: dict[str, tuple[str, str]] = {}  # by uid: the pod's name, and what was told
        self.conditions: MutableMapping[str, str] = {}  # of the machine

    def attend(self, work: Work, seen: PodFacts, spec: Pod) -> None:
        """Changes in a network that stands are heard, also by a daemon that did not make it.

        What differs from `spec` and is left so is told.
        """
        if (
            seen.sandbox is None
            or not seen.sandbox.network_ready
            or seen.record is None
            or not has_nics(seen.record.spec)
        ):
            return
        namespace = self._machine.namespace(work.uid)
        self._machine.net.watch(work.uid, namespace, partial(self._nudge, work.name))
        if not self._machine.settings.repair:
            self.tell(work.name, work.uid, astray(seen, spec))

    def tell(self, name: str, uid: str, words: Sequence[str]) -> None:
        """All that differs now, of one pod or of the host; nothing, when it is right."""
        text, before = "; ".join(words), self._told.get(uid)
        if text and (before is None or before[1] != text):
            self._told[uid] = name, text
            self._report.warning(name, uid, CONDITION, f"{text}; it is left so ([net] repair = false)")
        elif before is not None and not text:
            del self._told[uid]
            self._report.normal(name, uid, "NetworkInOrder", "the network is as it should be again")
        self._condition()

    def forget(self, uid: str) -> None:
        """The pod is no more."""
        self._told.pop(uid, None)
        self._condition()

    def _condition(self) -> None:
        told = [f"pod {name}: {text}" if name else text for name, text in sorted(self._told.values())]
        if told:
            self.conditions[CONDITION] = "; ".join(told)
        else:
            self.conditions.pop(CONDITION, None)
