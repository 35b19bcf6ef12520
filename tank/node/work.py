"""One pod in the hands of a pass, and what becomes of a step that failed: a value on the record, never an exit."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from tank.errors import StartFailed, Waiting
from tank.model.desired import Desired
from tank.model.pod import Backoff
from tank.model.record import ContainerRecord, Trouble
from tank.node.observe import Machine
from tank.node.report import Report
from tank.plan.digests import pod_trouble_digest, trouble_digest, tuning_trouble_digest
from tank.plan.restart import troubled
from tank.plan.steps import Action, Step

log = logging.getLogger("tank.node")


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One pod in the hands of the executor. `desired` None: it is being removed."""

    uid: str
    name: str
    desired: Desired | None

    @property
    def backoff(self) -> Backoff:
        """The restart curve that counts its crashes."""
        return self.desired.spec.backoff if self.desired else Backoff()


class Troubles:
    """Writes down why a step could not be done, and when it is tried again."""

    def __init__(self, machine: Machine, report: Report) -> None:
        self._machine, self._report = machine, report

    async def note(self, work: Work, step: Step, error: Exception) -> None:
        """One log line, one event, and a trouble on the record; a start that failed is an end on record already."""
        what = f"cannot {step.action.value}: {error}"
        reason = error.reason if isinstance(error, Waiting) else "Failed"
        log.warning("pod %s%s: %s", work.name, f"/{step.container}" if step.container else "", what)
        self._report.warning(work.name, work.uid, reason, what, step.container)
        if isinstance(error, StartFailed):
            return
        asked = (error.retry_after or 0.0) if isinstance(error, Waiting) else 0.0
        failed = Trouble(
            reason=reason,
            action=step.action.value,
            message=str(error).encode("utf-8", "replace").decode(),  # storable, whatever it quotes
            failures=1,
            retry_at=0.0,
            boot_id=self._machine.now().boot_id,
            delay=asked,
        )
        try:
            await self._write(work, step, failed)
        except OSError as second:  # a full disk: the trouble lives on in the event and in the loop's own wait
            log.warning("pod %s: cannot write its record: %s", work.name, second)

    async def _write(self, work: Work, step: Step, failed: Trouble) -> None:
        records, now = self._machine.records, self._machine.now()
        desired, record = work.desired, records.pod(work.uid)
        if desired is None or record is None:
            return
        if not step.container:
            trouble = troubled(record.trouble, replace(failed, digest=pod_trouble_digest(desired)), now, pull=False)
            await records.save_pod(replace(record, trouble=trouble))
            return
        wanted = desired.spec.container(step.container)
        if wanted is not None:
            before = records.containers(work.uid).get(step.container) or ContainerRecord(name=step.container)
            met = tuning_trouble_digest if step.action is Action.TUNE else trouble_digest
            trouble = troubled(before.trouble, replace(failed, digest=met(desired, wanted)), now, pull=False)
            await records.save_container(work.uid, replace(before, trouble=trouble))
