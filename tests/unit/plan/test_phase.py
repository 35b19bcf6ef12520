"""The state machine: its table is total, and each phase follows from evidence alone."""

from __future__ import annotations

import itertools
from dataclasses import replace

from tank.model.facts import ContainerFact
from tank.model.record import ContainerRecord
from tank.plan.phase import MOVES, Move, Phase, Wish, phase
from tests.unit.plan.situations import created, ended, lost, running, wanted


def test_every_phase_under_every_wish_has_a_move() -> None:
    assert set(MOVES) == set(itertools.product(Phase, Wish))


def test_nothing_on_record_is_absent() -> None:
    assert phase(None) is Phase.ABSENT
    assert phase(ContainerFact(record=ContainerRecord(name="app"))) is Phase.ABSENT


def test_a_parked_process_is_created() -> None:
    assert phase(created(wanted())) is Phase.CREATED


def test_a_process_that_was_let_go_is_running() -> None:
    assert phase(running(wanted())) is Phase.RUNNING


def test_an_end_on_record_outranks_a_process_that_looks_alive() -> None:
    desired = wanted()
    assert phase(replace(ended(desired), runtime=running(desired).runtime)) is Phase.EXITED


def test_death_without_evidence_is_lost() -> None:
    assert phase(lost(wanted())) is Phase.LOST


def test_a_live_process_of_another_attempt_is_not_this_one() -> None:
    fact = running(wanted())
    assert fact.runtime is not None
    assert phase(replace(fact, runtime=replace(fact.runtime, attempt=9))) is Phase.LOST


def test_what_ended_before_its_start_is_lost_and_not_an_end() -> None:
    fact = created(wanted())
    assert fact.runtime is not None
    assert phase(replace(fact, runtime=replace(fact.runtime, alive=False, exited=True, exit_code=137))) is Phase.LOST


def test_no_lost_container_is_ever_started_again_before_a_kill() -> None:
    assert {MOVES[Phase.LOST, wish] for wish in Wish} == {Move.KILL}


def test_no_living_container_is_ever_created_again() -> None:
    assert Move.CREATE not in {MOVES[each, wish] for each in (Phase.CREATED, Phase.RUNNING) for wish in Wish}
