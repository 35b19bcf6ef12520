"""Any row of answers: what C2 promises holds after each of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tank.model.health import Probe, Probes
from tank.model.launch import Answer
from tank.model.pod import Container
from tank.model.record import Health
from tank.plan.health import Kind, Tally, begun, counted, first_due, gates, next_due, probe_of, says_nothing, told

answers = st.builds(Answer, good=st.sampled_from([True, False, None]), lag=st.sampled_from([0.0, 0.4, 2.0]))
probes = st.builds(Probe, tcp=st.just(80), successes=st.integers(1, 3), failures=st.integers(1, 4))
optional = st.none() | probes
containers = st.builds(
    lambda startup, live, ready: Container(
        name="app", image="app", probes=Probes(startup=startup, live=live, ready=ready)
    ),
    optional,
    optional,
    optional,
)
seconds = st.floats(0, 1e6)


@given(probes, st.lists(answers))
def test_the_verdict_is_that_of_the_last_unbroken_row(probe: Probe, said: list[Answer]) -> None:
    tally = Tally()
    for answer in said:
        tally = counted(tally, answer, probe)
    heard = [bool(each.good) for each in said if not says_nothing(each, probe)]
    row = next((len(heard) - at for at in range(len(heard)) if len(set(heard[at:])) == 1), 0)
    assert tally == (Tally() if not heard else Tally(good=row) if heard[-1] else Tally(bad=row))


@given(containers, st.lists(st.tuples(st.sampled_from(Kind), answers)))
def test_nothing_is_asked_out_of_turn_and_nothing_is_taken_back(
    container: Container, said: list[tuple[Kind, Answer]]
) -> None:
    health, tallies = begun(container, Health()), dict.fromkeys(Kind, Tally())
    for kind, answer in said:
        asked = gates(container, health, ending=False)
        assert Kind.STARTUP not in asked or asked == (Kind.STARTUP,)
        probe = probe_of(container, kind)
        if kind not in asked or probe is None:
            continue
        tallies[kind] = counted(tallies[kind], answer, probe)
        after = told(health, kind, tallies[kind], probe, "no")
        assert (after.started, bool(after.failed)) >= (health.started, bool(health.failed))
        assert not (after.failed and not health.failed) or tallies[kind].bad == probe.failures
        health = after


@given(containers, st.lists(st.tuples(st.sampled_from(Kind), st.sampled_from([None, False]))))
def test_late_and_unknown_answers_never_end_a_container(
    container: Container, said: list[tuple[Kind, bool | None]]
) -> None:
    health, tallies = begun(container, Health()), dict.fromkeys(Kind, Tally())
    for kind, good in said:
        probe = probe_of(container, kind)
        if probe is not None:
            tallies[kind] = counted(tallies[kind], Answer(good=good, lag=probe.timeout), probe)
            health = told(health, kind, tallies[kind], probe, "late")
    assert health == begun(container, Health())


@given(probes, seconds, seconds, st.none() | st.floats(0, 1))
def test_no_question_comes_before_its_time_or_in_the_past(
    probe: Probe, started: float, ran: float, chance: float | None
) -> None:
    now = started + ran
    first = first_due(probe, started, now, chance)
    assert first >= now
    assert first >= started + probe.delay
    assert first <= max(now + probe.period, started + probe.delay)
    assert next_due(probe, started, now) >= now
