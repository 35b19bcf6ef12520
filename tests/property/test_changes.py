"""What a plan says of fields agrees with what the planner compares."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tank.model.digest import container_digest, sandbox_digest
from tank.model.dump import dump_pod
from tank.model.pod import Pod
from tank.plan.changes import changes
from tests.property.strategies import pods


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Pod, Pod]:
    """Two pods that have some of their fields in common."""
    before, other = draw(pods()), draw(pods())
    kept = draw(st.sets(st.sampled_from([name for name in Pod.model_fields if name != "name"])))
    together = {
        "containers",
        "volumes",
        "init",
        "network",
        "sysctls",
        "users",
        "share_pid",
    }  # sound with one another only
    taken = {name: getattr(other, name) for name in (kept | together if draw(st.booleans()) else kept - together)}
    return before, before.model_copy(update=taken)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(pairs())
def test_a_pod_differs_in_some_field_or_is_the_same(pair: tuple[Pod, Pod]) -> None:
    before, after = pair

    assert (changes(before, after) == ()) == (dump_pod(before) == dump_pod(after))


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(pairs())
def test_a_pod_restarts_for_a_field_exactly_when_its_sandbox_does(pair: tuple[Pod, Pod]) -> None:
    before, after = pair

    told = any(each.impact == "pod_restart" for each in changes(before, after))

    assert told == (sandbox_digest(before) != sandbox_digest(after))


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(pairs())
def test_a_container_restarts_for_a_field_exactly_when_its_digest_says_so(pair: tuple[Pod, Pod]) -> None:
    before, after = pair
    costly = {each.path for each in changes(before, after) if each.impact == "container_restart"}

    for old in before.containers:
        new = after.container(old.name)
        if new is None or after.is_init(old.name):
            continue
        mounted = {mount.volume for mount in (*old.mounts, *new.mounts)}
        own = [path for path in costly if path.startswith(f"containers[{old.name}]")]
        volumes = [path for path in costly if path.startswith(tuple(f"volumes[{name}]" for name in mounted))]

        assert bool(own or volumes) or container_digest(before, old) == container_digest(after, new)
