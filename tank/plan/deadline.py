"""How long a pod has been active, and when that is too long: `deadline` of its spec (C16).

A pod is active from its first mark on, pulls and back-off included. The time is on record, in the boot clock: after
a reboot it goes on from what was written down last, which a pod with a deadline does every minute. A pod that has
failed for it stays failed until a restart or a changed spec runs it again; that starts the time anew.
"""

from __future__ import annotations

from tank.model.desired import Desired
from tank.plan.activity import active
from tank.plan.draft import Draft
from tank.plan.order import course_of, runs_again
from tank.plan.steps import Action

EXCEEDED = "DeadlineExceeded"
MINUTE = 60.0  # seconds between two marks of how long it has been active


def plan_deadline(draft: Draft, desired: Desired) -> bool:
    """Whether the pod may go on. Over its time: a mark that it has failed, and nothing else in this pass."""
    record, limit = draft.seen.record, desired.spec.deadline
    if record is None or limit is None or runs_again(record, desired) or course_of(desired, draft.seen).over:
        return True
    left = limit - active(record, draft.now)
    if left <= 0:
        draft.add(Action.MARK, "it was active for longer than its deadline allows", failed=EXCEEDED)
        return False
    since = record.active_since if record.boot_id == draft.now.boot_id else None
    if since is None or draft.now.boot - since >= MINUTE:
        draft.add(Action.MARK, "how long it has been active")
        since = draft.now.boot
    draft.wakes.append(min(draft.now.boot + left, since + MINUTE))
    return True
