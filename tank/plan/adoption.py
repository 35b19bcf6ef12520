"""The pod's record keeps up with what is desired: spec, counters, pins, and what the pod holds.

What an earlier spec claimed is held until nothing made from it can live any more, so that no other pod gets it
too early; the record is the only place from which others learn of it.
"""

from __future__ import annotations

from tank.model.desired import Desired
from tank.model.pod import Network, Pod
from tank.model.record import PodRecord
from tank.plan.claims import held_words, words
from tank.plan.digests import attempt_digest
from tank.plan.draft import Draft, stale
from tank.plan.phase import Phase, Wish
from tank.plan.repair import to_repair
from tank.plan.steps import Action, Impact
from tank.plan.wish import LIVING, Case


def plan_adoption(draft: Draft, desired: Desired, each_case: tuple[Case, ...]) -> bool:
    """A new revision: what is live in it, then the mark that it was adopted. False: it has to wait for that."""
    record = draft.seen.record
    if record is None or record.revision == desired.revision:
        return True
    if draft.seen.sandbox is not None and _files(record.spec) != _files(desired.spec):
        if draft.pod_held(desired):
            return False
        draft.add(Action.REFRESH, "hosts or resolver changed", impact=Impact.LIVE)
    live = record.spec != desired.spec and not any(_restarts(case) for case in each_case)
    draft.add(Action.MARK, "the record takes over the new spec", impact=Impact.LIVE if live else Impact.NONE)
    return True


def _restarts(case: Case) -> bool:
    """Whether the spec makes the container begin, begin anew or end."""
    return case.wish in (Wish.REPLACE, Wish.DROP) or case.phase is Phase.ABSENT


def _files(pod: Pod) -> object:
    network = pod.network if isinstance(pod.network, Network) else None
    nics = [nic.ip for nic in network.nics] if network else []
    return pod.hosts, (network.dns, network.search) if network else None, nics


def plan_catching_up(draft: Draft, desired: Desired, each_case: tuple[Case, ...]) -> None:
    """A further mark for counters and pins, and to give up what is held no more; none where a step writes them."""
    record = draft.seen.record
    if record is None or any(
        step.action in (Action.MARK, Action.SANDBOX) and not step.container for step in draft.steps
    ):
        return
    mine = words(desired.spec)
    surplus = held_words(record) != mine
    free = surplus and _nothing_older(draft, desired, record, each_case)
    if _counters(record) != (dict(desired.restarts), dict(desired.pulls), dict(desired.pins)):
        draft.add(Action.MARK, "the record takes over counters and digests", held=mine if free else None)
    elif free:
        draft.add(Action.MARK, "what an earlier spec claimed is free", held=mine)


def _counters(record: PodRecord) -> object:
    return dict(record.restarts), dict(record.pulls), dict(record.pins)


def _nothing_older(draft: Draft, desired: Desired, record: PodRecord, each_case: tuple[Case, ...]) -> bool:
    """Whether nothing that was made from an earlier spec can live: no container, no address."""
    if any(case.phase in (*LIVING, Phase.LOST) and not _present(desired, case) for case in each_case):
        return False
    sandbox = draft.seen.sandbox
    if sandbox is None or _addresses(held_words(record)) <= _addresses(words(desired.spec)):
        return True
    repaired = not to_repair(draft.seen, desired.spec)
    return sandbox.whole and repaired and record.network_ready and not stale(draft, desired)


def _present(desired: Desired, case: Case) -> bool:
    attempt = case.fact.record.attempt if case.fact else None
    return bool(case.wanted and attempt and attempt.digest == attempt_digest(desired.spec, case.wanted))


def _addresses(held: tuple[str, ...]) -> set[str]:
    return {each for each in held if not each.startswith("volume ")}


def holds_old_addresses(draft: Draft, desired: Desired) -> bool:
    """Whether a sandbox in which nothing lives keeps addresses that the spec no longer has."""
    record, sandbox = draft.seen.record, draft.seen.sandbox
    if record is None or sandbox is None or record.revision != desired.revision:
        return False
    older = _addresses(held_words(record)) - _addresses(words(desired.spec))
    drifts = bool(to_repair(draft.seen, desired.spec))
    return bool(older) and (drifts or not sandbox.whole or not record.network_ready or stale(draft, desired))
