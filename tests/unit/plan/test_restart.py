"""Restart and back-off at their edges (C1, C6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tank.model.pod import Backoff
from tank.model.record import Trouble
from tank.plan import marks, settling
from tank.plan.restart import REBOOTED, counted, delay, retry_at, troubled
from tank.plan.steps import Action, Step
from tests.unit.plan.situations import NOW, ended, running, wanted

CURVE = Backoff()


@pytest.mark.parametrize(
    ("crashes", "seconds"),
    [(0, 0), (1, 0), (2, 10), (3, 20), (4, 40), (5, 80), (6, 160), (7, 300), (8, 300), (10_000, 300)],
)
def test_c1_the_first_restart_is_immediate_then_the_curve(crashes: int, seconds: float) -> None:
    assert delay(CURVE, crashes) == seconds


def test_c1_the_delay_counts_from_the_finish() -> None:
    record = ended(wanted(), crashes=2, ago=4.0).record
    assert retry_at("always", CURVE, record) == NOW.boot - 4.0 + 10.0


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [
        ("always", 0, True),
        ("always", 1, True),
        ("always", None, True),
        ("on_failure", 0, False),
        ("on_failure", 1, True),
        ("on_failure", None, True),
        ("never", 0, False),
        ("never", 1, False),
        ("never", None, False),
    ],
)
def test_c1_the_policy_decides_by_exit_code(policy: str, code: int | None, again: bool) -> None:
    record = ended(wanted(), code=code).record
    assert (retry_at(policy, CURVE, record) is not None) is again  # type: ignore[arg-type]


def test_c1_a_run_of_ten_minutes_starts_the_curve_over() -> None:
    record = replace(running(wanted(), since=600.0).record, failures=5)
    record = replace(record, failures_digest=record.attempt.digest if record.attempt else "")
    after = counted(record, settling.ended(record, 1, "Error", NOW, finished=NOW.boot), CURVE)
    assert after.failures == 1


def test_c1_a_run_a_moment_shorter_goes_on_with_it() -> None:
    record = replace(running(wanted(), since=599.9).record, failures=5)
    record = replace(record, failures_digest=record.attempt.digest if record.attempt else "")
    after = counted(record, settling.ended(record, 1, "Error", NOW, finished=NOW.boot), CURVE)
    assert after.failures == 6


def test_c1_a_changed_spec_starts_fresh() -> None:
    record = replace(running(wanted()).record, failures=5, failures_digest="of another spec")
    after = counted(record, settling.ended(record, 1, "Error", NOW, finished=NOW.boot), CURVE)
    assert after.failures == 1


def test_c1_a_reboot_neither_forgets_a_crash_loop_nor_punishes() -> None:
    record = replace(running(wanted()).record, failures=3)
    record = replace(record, failures_digest=record.attempt.digest if record.attempt else "")
    after = counted(record, settling.ended(record, None, REBOOTED, NOW, finished=NOW.boot), CURVE)
    assert after.failures == 3


def test_a_stop_by_tank_is_no_crash() -> None:
    record = marks.stop_mark(
        running(wanted()).record, Step(action=Action.STOP, why="", grace=30.0), NOW, signalled=True
    )
    after = counted(record, settling.ended(record, 143, "Error", NOW, finished=NOW.boot), CURVE)
    assert after.failures == 0
    assert after.exits[-1].stopped


def test_the_last_twenty_ends_are_kept() -> None:
    record = running(wanted()).record
    for _ in range(30):
        record = counted(record, settling.ended(record, 1, "Error", NOW, finished=NOW.boot), CURVE)
    assert len(record.exits) == 20


def trouble(**more: object) -> Trouble:
    fields = {"reason": "ErrImagePull", "message": "", "failures": 1, "retry_at": 0.0, "boot_id": "", "delay": 0.0}
    return Trouble(**fields | {"digest": "d"} | more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("failures", "seconds"), [(0, 10), (1, 20), (2, 40), (5, 300), (50, 300)])
def test_c6_pulls_have_a_curve_of_their_own(failures: int, seconds: float) -> None:
    before = trouble(failures=failures) if failures else None
    assert troubled(before, trouble(), NOW, pull=True).retry_at == NOW.boot + seconds


def test_c6_a_registry_that_asks_for_patience_gets_it() -> None:
    assert troubled(None, trouble(delay=77.0), NOW, pull=True).retry_at == NOW.boot + 77.0


def test_c6_another_spec_starts_fresh() -> None:
    before = trouble(failures=6, digest="of another spec")
    assert troubled(before, trouble(), NOW, pull=True).failures == 1
