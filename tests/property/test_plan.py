"""Whatever is wanted and whatever is seen: plans converge, rest, and never let two copies run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tank.model.desired import Desired
from tank.model.facts import ContainerFact, ImageFact, ImageState, Input, Now, PodFacts, RuntimeFact, SandboxFact
from tank.model.parse import parse_pod
from tank.model.pod import Pod
from tank.model.record import ContainerRecord, Health, Stop, Trouble
from tank.plan import marks, settling
from tank.plan.aims import DRAIN, DROP, WITHDRAWN
from tank.plan.claims import held_words, words
from tank.plan.digests import attempt_digest, pod_trouble_digest, trouble_digest, tuning_trouble_digest
from tank.plan.foresee import after, foresee, passes
from tank.plan.inputs import lacking
from tank.plan.order import course_of
from tank.plan.phase import Phase, Wish, phase
from tank.plan.pod import plan_pod
from tank.plan.restart import counted
from tank.plan.steps import Action
from tank.plan.wish import cases

NOW = Now(boot=5000.0, boot_id="boot-1", wall=1_800_000_000.0)
NAMES = ("a", "b", "c")
INIT = ("i", "j", "s")
EVERY = (*INIT, *NAMES)
CODES = st.sampled_from([0, 1, 137, 143, None])


HOOKS = st.fixed_dictionaries({}, optional={"post_start": st.just({"exec": ["x"]}), "pre_stop": st.just({"sleep": 1})})
PROBES = st.fixed_dictionaries({}, optional={"startup": st.just({"tcp": 80}), "ready": st.just({"exec": ["x"]})})


@st.composite
def containers_of(draw: st.DrawFn, name: str, restarts: list[str]) -> dict[str, Any]:
    restart = draw(st.sampled_from(restarts))
    careful = {} if restart == "init" else {"hooks": draw(HOOKS), "probes": draw(PROBES)}
    own = {} if restart == "init" else {"restart": restart}
    return {
        "name": name,
        "image": draw(st.sampled_from(["x:1", "x:2"])),
        "limits": {"pids": draw(st.sampled_from([10, 20]))},
        "env": draw(st.sampled_from([{}, [VARIABLE]])),
        "mounts": draw(st.sampled_from([[], ["files:/etc/files"]])),
        **careful,
        **own,
    }


VARIABLE = {"name": "A", "from": {"secret": {"name": "s", "key": "k"}, "on_change": "restart"}}
FILES = {"name": "files", "source": {"config": "c", "on_change": {"signal": "HUP"}}}


@st.composite
def specs(draw: st.DrawFn) -> Pod:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    first = draw(st.lists(st.sampled_from(INIT), max_size=3, unique=True))
    nic = {"name": "eth0", "parent": "lan0", "ip": "10.0.0.5/24"}
    return parse_pod(
        {
            "name": "web",
            "hostname": draw(st.sampled_from(["web", "other"])),
            "restart": draw(st.sampled_from(["always", "on_failure", "never"])),
            "init": [draw(containers_of(name, ["init", "always"])) for name in first],
            "containers": [draw(containers_of(name, ["always", "on_failure", "never"])) for name in names],
            "network": draw(st.sampled_from(["none", "host", {"nics": [nic]}])),
            "volumes": [FILES],
            **draw(st.sampled_from([{}, {}, {"deadline": 100}, {"deadline": 10}])),
        }
    )


@st.composite
def desires(draw: st.DrawFn) -> Desired:
    spec = draw(specs())
    pins = {each.name: f"sha256:{'1' * 64}" for each in spec.everyone if draw(st.booleans())}
    restarts = {each.name: draw(st.integers(0, 1)) for each in spec.everyone}
    revision = draw(st.integers(5, 6))
    return Desired(
        name="web", uid="0123456789ab", revision=revision, spec=spec, created_at=0.0, pins=pins, restarts=restarts
    )


@st.composite
def facts(draw: st.DrawFn, made_for: Desired, name: str) -> ContainerFact | None:
    """One container in any state that a life with crashes can leave it in."""
    container = made_for.spec.container(name)
    state = draw(st.sampled_from(["nothing", "unstarted", "created", "running", "ended", "lost", "stopping"]))
    if container is None or state == "nothing":
        return None
    sandbox, version = draw(st.sampled_from([0, 1, 1, 1])), draw(st.sampled_from(["", "v1", "v2"]))
    given = {"secret/s": version, "config/c": version}
    record = marks.attempt_mark(None, made_for, container, "", NOW, sandbox=sandbox, inputs=given)
    seen = RuntimeFact(attempt=1, pid=7, start_time=8, alive=True, monitored=draw(st.booleans()))
    if state == "unstarted":
        return ContainerFact(record=marks.unstarted_mark(record))
    if state == "created":
        return ContainerFact(record=record, runtime=seen)
    record = marks.started_mark(record, NOW.boot - 50, NOW.wall - 50)
    if state == "lost":
        return ContainerFact(record=record)
    if state == "ended":
        return ContainerFact(record=draw(ends(record)), runtime=draw(st.none() | st.just(replace(seen, alive=False))))
    if state == "stopping" and record.attempt is not None:
        left = draw(st.sampled_from([-1.0, 0.0, 5.0]))
        aim = draw(
            st.sampled_from(["", DROP, DRAIN, WITHDRAWN, "of another spec", trouble_digest(made_for, container)])
        )
        stop = Stop(
            deadline=NOW.boot + left, boot_id=NOW.boot_id, grace=30.0, signalled=draw(st.booleans()), aim=aim,
            until=draw(st.sampled_from(["", "hook", "turn"])), hooked=draw(st.booleans()),
        )  # fmt: skip
        record = replace(record, attempt=replace(record.attempt, stop=stop))
    failed = draw(st.sampled_from(["", "", "", "its live probe failed"]))
    health = Health(started=draw(st.booleans()), ready=draw(st.booleans()), hooked=draw(st.booleans()), failed=failed)
    assert record.attempt is not None
    record = replace(record, attempt=replace(record.attempt, health=health))
    return ContainerFact(record=record, runtime=replace(seen, started=True), hooking=draw(st.booleans()))


@st.composite
def ends(draw: st.DrawFn, record: ContainerRecord) -> ContainerRecord:
    ago = draw(st.sampled_from([0.0, 5.0, 500.0]))
    end = settling.ended(record, draw(CODES), "Error", NOW, finished=NOW.boot - ago)
    done = counted(record, end, parse_pod({"name": "x", "containers": [{"name": "a", "image": "x"}]}).backoff)
    return replace(done, failures=draw(st.integers(1, 9)))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Desired | None, PodFacts]:
    """A desired pod (or none), beside what was made for the same or an earlier one."""
    desired = draw(desires())
    before = draw(st.just(desired) | desires())
    record = marks.sandbox_mark(marks.pod_mark(None, before, "abcdef", NOW), before, NOW)
    record = replace(record, network_ready=draw(st.booleans()), deleting=False)
    record = replace(record, active=draw(st.sampled_from([0.0, 5.0, 50.0, 500.0])))
    record = replace(record, failed=draw(st.sampled_from(["", "", "", "DeadlineExceeded"])))
    each = {name: draw(facts(before, name)) for name in EVERY}
    pins = {"net": draw(st.booleans()), "ipc": True}
    drift = draw(st.sampled_from([(), ("eth0 is missing",)]))
    made = SandboxFact(pins=pins, network_ready=True, drift=drift, repairs=draw(st.booleans()))
    sandbox: Any = draw(st.none() | st.just(made))
    images = {name: ImageFact(state=draw(st.sampled_from([ImageState.READY, ImageState.ABSENT]))) for name in EVERY}
    versions = st.sampled_from([Input(version="v2", keys=frozenset({"k"})), Input(version="v1", keys=frozenset("k"))])
    inputs = {"secret/s": draw(versions | st.just(Input())), "config/c": draw(versions)}
    containers = {name: fact for name, fact in each.items() if fact is not None}
    if draw(st.booleans()):
        action, held = draw(st.sampled_from(MET)), draw(st.booleans())
        containers = {name: _troubled(fact, desired, action, held) for name, fact in containers.items()}
    met = Trouble(
        reason="Failed", message="", failures=1, retry_at=NOW.boot + 10, boot_id=NOW.boot_id, delay=10.0,
        digest=pod_trouble_digest(desired), action=draw(st.sampled_from(["configure network", "repin sandbox"])),
    )  # fmt: skip
    older = draw(st.sampled_from([None, (), ("address 10.0.0.9", "volume data"), ("volume data (shared)",)]))
    held_too = None if older is None else tuple(sorted({*words(before.spec), *older}))
    record = replace(record, trouble=draw(st.sampled_from([None, None, met])), held=held_too)
    seen = PodFacts(
        uid=desired.uid,
        record=draw(st.sampled_from([record, record, record, None])) if not containers else record,
        sandbox=sandbox,
        containers=containers,
        images=images,
        inputs=inputs,
        blocked=draw(st.sampled_from(["", "", "", "volume data is still held by pod old"])),
    )
    seen = replace(seen, entangled=bool(seen.blocked) and draw(st.booleans()))
    return draw(st.sampled_from([desired, desired, None])), seen


def _troubled(fact: ContainerFact, desired: Desired, action: str, held: bool) -> ContainerFact:
    container = desired.spec.container(fact.record.name)
    met = tuning_trouble_digest if action == Action.TUNE.value else trouble_digest
    trouble = Trouble(
        reason="ErrImagePull", message="", failures=1, retry_at=NOW.boot + (10 if held else -1), boot_id=NOW.boot_id,
        delay=10.0, digest=met(desired, container) if container else "", action=action,
    )  # fmt: skip
    return replace(fact, record=replace(fact.record, trouble=trouble))


MET = ["", "pull", "create", "start", "stop", "tune"]
MANY = settings(max_examples=150, deadline=None)


@MANY
@given(worlds())
def test_every_plan_comes_to_rest(world: tuple[Desired | None, PodFacts]) -> None:
    desired, seen = world
    _, rest = foresee(desired, seen, NOW)
    assert plan_pod(desired, rest, NOW).steps == ()


@MANY
@given(worlds())
def test_at_rest_what_is_wanted_runs_or_has_a_reason_not_to(world: tuple[Desired | None, PodFacts]) -> None:
    desired, seen = world
    _, rest = foresee(desired, seen, NOW)
    if desired is None:
        gone = rest.record is None and not rest.containers and rest.sandbox is None
        assert gone or plan_pod(None, rest, NOW).wake_at is not None
        return
    running = {name for name, fact in rest.containers.items() if phase(fact) is Phase.RUNNING}
    ended = {name for name, fact in rest.containers.items() if phase(fact) is Phase.EXITED}
    lacks = any(lacking(desired.spec, each, rest.inputs) for each in desired.spec.everyone)
    later = plan_pod(desired, rest, NOW).wake_at is not None or seen.blocked or course_of(desired, rest).over or lacks
    assert {each.name for each in desired.spec.containers} <= running | ended or later


@MANY
@given(worlds())
def test_no_second_copy_is_started_of_one_not_known_dead(world: tuple[Desired | None, PodFacts]) -> None:
    desired, seen = world
    for _ in range(passes(desired, seen)):
        plan = plan_pod(desired, seen, NOW)
        for step in plan.steps:
            if step.action is Action.CREATE:
                assert phase(seen.containers.get(step.container)) in (Phase.ABSENT, Phase.EXITED)
            seen = after(step, desired, seen, NOW)


@MANY
@given(worlds())
def test_a_pass_cut_short_anywhere_is_finished_by_the_next(world: tuple[Desired | None, PodFacts]) -> None:
    desired, seen = world
    steps = plan_pod(desired, seen, NOW).steps
    for cut in range(len(steps)):
        partial = seen
        for step in steps[:cut]:
            partial = after(step, desired, partial, NOW)
        _, rest = foresee(desired, partial, NOW)
        assert plan_pod(desired, rest, NOW).steps == ()


@MANY
@given(worlds())
def test_nothing_starts_before_its_network_is_configured(world: tuple[Desired | None, PodFacts]) -> None:
    desired, seen = world
    for _ in range(passes(desired, seen)):
        plan = plan_pod(desired, seen, NOW)
        for step in plan.steps:
            if step.action is Action.START:
                assert seen.record is not None
                assert seen.record.network_ready or desired is None or not marks.has_nics(desired.spec)
            seen = after(step, desired, seen, NOW)


@MANY
@given(worlds())
def test_what_may_still_be_in_use_is_on_record_as_held(world: tuple[Desired | None, PodFacts]) -> None:
    desired, seen = world
    for _ in range(passes(desired, seen)):
        plan = plan_pod(desired, seen, NOW)
        for step in plan.steps:
            before, seen = seen, after(step, desired, seen, NOW)
            if desired is None or before.record is None or seen.record is None:
                continue
            assert set(words(desired.spec)) <= set(held_words(seen.record)) or seen.record.spec != desired.spec
            if set(held_words(seen.record)) < set(held_words(before.record)):
                assert all(made_for(desired, fact) for fact in seen.containers.values() if phase(fact) in MAY_LIVE)


MAY_LIVE = (Phase.CREATED, Phase.RUNNING, Phase.LOST)


def made_for(desired: Desired, fact: ContainerFact) -> bool:
    container = desired.spec.container(fact.record.name)
    attempt = fact.record.attempt
    return bool(container and attempt and attempt.digest == attempt_digest(desired.spec, container))


@MANY
@given(worlds())
def test_a_blocked_pod_takes_nothing(world: tuple[Desired | None, PodFacts]) -> None:
    desired, seen = world
    if desired is not None and seen.blocked:
        steps, _ = foresee(desired, seen, NOW)
        assert not {step.action for step in steps} & {Action.CREATE, Action.NETWORK, Action.SANDBOX}


@MANY
@given(worlds())
def test_nothing_that_is_wanted_as_it_is_gets_stopped(world: tuple[Desired | None, PodFacts]) -> None:
    desired, seen = world
    wishes = {case.name: case.wish for case in cases(desired, seen)}
    for step in plan_pod(desired, seen, NOW).steps:
        assert step.action is not Action.STOP or wishes[step.container] is not Wish.KEEP or seen.entangled
        alive = phase(seen.containers.get(step.container)) is Phase.RUNNING
        assert step.action is not Action.KILL or not alive or wishes[step.container] is not Wish.KEEP or seen.entangled
