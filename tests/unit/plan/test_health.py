"""C2 and C3.7 as tables: every gate, every count, every transition, every time."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from tank.model.health import Hook, Hooks, Probe, Probes
from tank.model.launch import Answer
from tank.model.pod import Container
from tank.model.record import Health
from tank.plan.health import (
    Kind,
    Tally,
    after_hook,
    begun,
    counted,
    first_due,
    gates,
    is_cared_for,
    next_due,
    says_nothing,
    told,
    verdict,
)

GOOD, BAD, UNKNOWN = Answer(good=True), Answer(good=False, message="no"), Answer(good=None)
S, L, R = Kind.STARTUP, Kind.LIVE, Kind.READY
BEGUN, STARTED = Health(), Health(started=True)


def container(*kinds: Kind, hook: bool = False, **fields: Any) -> Container:
    probe = Probe(tcp=80, **fields)
    hooks = Hooks(post_start=Hook(sleep=1.0)) if hook else Hooks()
    return Container(name="app", image="app", probes=Probes(**{each.value: probe for each in kinds}), hooks=hooks)


@pytest.mark.parametrize(
    ("present", "health", "ending", "asked"),
    [
        ((), BEGUN, False, ()),
        ((S, L, R), BEGUN, False, (S,)),  # startup holds back both others
        ((S, L, R), STARTED, False, (L, R)),  # and is never asked again
        ((S,), STARTED, False, ()),
        ((L, R), STARTED, False, (L, R)),  # live does not wait for ready
        ((S, L, R), BEGUN, True, ()),  # a stop ends startup and live
        ((S, L, R), STARTED, True, (R,)),  # readiness is looked at to the end
        ((S, L, R), replace(BEGUN, failed="x"), False, ()),
        ((S, L, R), replace(STARTED, failed="x"), False, (R,)),
        ((S, L, R), replace(STARTED, failed="x"), True, (R,)),
    ],
)
def test_gates(present: tuple[Kind, ...], health: Health, ending: bool, asked: tuple[Kind, ...]) -> None:
    app = container(*present)
    assert gates(app, begun(app, health), ending=ending) == asked


def test_a_post_start_hook_holds_back_every_probe_until_it_is_done() -> None:
    app = container(S, L, R, hook=True)
    assert (gates(app, STARTED, ending=False), gates(app, replace(STARTED, hooked=True), ending=False)) == ((), (L, R))


@pytest.mark.parametrize(("present", "health"), list(itertools.product([(), (S,), (R,), (S, L, R)], [BEGUN, STARTED])))
def test_what_has_no_probe_is_a_success_from_the_start(present: tuple[Kind, ...], health: Health) -> None:
    found = begun(container(*present), health)
    assert (found.started, found.ready) == (health.started or S not in present, R not in present)


def test_who_has_no_probe_is_not_cared_for() -> None:
    assert [is_cared_for(container(*each)) for each in ((), (S,), (L,), (R,))] == [False, True, True, True]


@pytest.mark.parametrize(
    ("answer", "nothing"),
    [
        (GOOD, False),
        (BAD, False),
        (UNKNOWN, True),
        (replace(GOOD, lag=100.0), False),  # good is good, however late
        (replace(BAD, lag=1.0), False),  # of a timeout of 2
        (replace(BAD, lag=1.01), True),  # R56
        (replace(UNKNOWN, lag=100.0), True),
    ],
)
def test_a_late_answer_is_not_a_bad_one(answer: Answer, nothing: bool) -> None:
    probe = Probe(tcp=80, timeout=2.0)
    assert says_nothing(answer, probe) is nothing
    assert (counted(Tally(bad=1), answer, probe) == Tally(bad=1)) is nothing


@pytest.mark.parametrize(
    ("before", "answer", "after"),
    [
        (Tally(), GOOD, Tally(good=1)),
        (Tally(), BAD, Tally(bad=1)),
        (Tally(good=4), GOOD, Tally(good=5)),
        (Tally(bad=4), BAD, Tally(bad=5)),
        (Tally(bad=4), GOOD, Tally(good=1)),
        (Tally(good=4), BAD, Tally(bad=1)),
        (Tally(good=4), UNKNOWN, Tally(good=4)),
        (Tally(bad=4), UNKNOWN, Tally(bad=4)),
    ],
)
def test_only_a_row_counts(before: Tally, answer: Answer, after: Tally) -> None:
    assert counted(before, answer, Probe(tcp=80)) == after


@pytest.mark.parametrize(
    ("tally", "said"),
    [
        (Tally(), None),
        (Tally(good=1), None),
        (Tally(good=2), True),
        (Tally(good=3), True),
        (Tally(bad=2), None),
        (Tally(bad=3), False),
        (Tally(bad=4), False),
    ],
)
def test_a_verdict_takes_as_many_as_the_thresholds_say(tally: Tally, said: bool | None) -> None:
    assert verdict(tally, Probe(tcp=80, successes=2, failures=3)) is said


PROBE = Probe(tcp=80, failures=1, grace=7.0)


@pytest.mark.parametrize(
    ("kind", "before", "tally", "after"),
    [
        (S, BEGUN, Tally(good=1), Health(started=True)),
        (S, STARTED, Tally(good=1), STARTED),
        (S, BEGUN, Tally(bad=1), Health(failed="its startup probe failed once: no", grace=7.0)),
        (L, STARTED, Tally(good=1), STARTED),
        (L, STARTED, Tally(bad=1), replace(STARTED, failed="its live probe failed once: no", grace=7.0)),
        (L, replace(STARTED, failed="x"), Tally(bad=1), replace(STARTED, failed="x")),  # the first cause stands
        (R, STARTED, Tally(good=1), Health(started=True, ready=True)),
        (R, Health(started=True, ready=True), Tally(good=9), Health(started=True, ready=True)),
        (R, Health(started=True, ready=True), Tally(bad=1), STARTED),
        (R, STARTED, Tally(bad=9), STARTED),
        (S, BEGUN, Tally(), BEGUN),
        (L, STARTED, Tally(), STARTED),
        (R, STARTED, Tally(), STARTED),
    ],
)
def test_transitions(kind: Kind, before: Health, tally: Tally, after: Health) -> None:
    assert told(before, kind, tally, PROBE, "no") == after


def test_a_failure_says_how_often() -> None:
    assert told(STARTED, L, Tally(bad=3), Probe(tcp=80), "no").failed == "its live probe failed 3 times in a row: no"


@pytest.mark.parametrize(
    ("before", "answer", "after"),
    [
        (BEGUN, None, BEGUN),
        (BEGUN, GOOD, Health(hooked=True)),
        (BEGUN, BAD, Health(failed="its post_start hook failed: no")),
        (BEGUN, UNKNOWN, Health(failed="its post_start hook failed: ")),
        (Health(hooked=True), BAD, Health(hooked=True)),  # done is done
        (Health(failed="x"), BAD, Health(failed="x")),
    ],
)
def test_a_post_start_hook_is_done_or_ends_its_container(before: Health, answer: Answer | None, after: Health) -> None:
    assert after_hook(before, answer) == after


@pytest.mark.parametrize(
    ("now", "chance", "due"),
    [
        (100.0, None, 105.0),  # the delay counts from the start
        (103.0, None, 105.0),
        (200.0, None, 200.0),  # it is over: at once
        (200.0, 0.0, 200.0),
        (200.0, 0.5, 205.0),  # a new daemon: somewhere within a period
        (101.0, 0.1, 105.0),  # but not before the delay
    ],
)
def test_the_first_question(now: float, chance: float | None, due: float) -> None:
    assert first_due(Probe(tcp=80, delay=5.0, period=10.0), 100.0, now, chance) == due


@pytest.mark.parametrize(("asked", "now", "due"), [(100.0, 100.1, 110.0), (100.0, 110.0, 110.0), (100.0, 135.0, 135.0)])
def test_the_next_question_makes_up_for_nothing(asked: float, now: float, due: float) -> None:
    assert next_due(Probe(tcp=80, period=10.0), asked, now) == due
