"""What secrets and configs ask for: a table over what a container was given and what there is now."""

from __future__ import annotations

from typing import Any

import pytest

from tank.model.facts import Input
from tank.model.inputs import Reaction
from tank.model.parse import parse_pod
from tank.model.pod import Pod
from tank.plan.inputs import changed, lacking, versions

V1, V2 = Input(version="v1", keys=frozenset({"k"})), Input(version="v2", keys=frozenset({"k"}))
OTHER = Input(version="v2", keys=frozenset({"other"}))
GONE = Input()


def env(on_change: str = "nothing", **more: Any) -> Pod:
    source = {"config": {"name": "app", "key": "k", **more}, "on_change": on_change}
    return of(env=[{"name": "A", "from": source}])


def shown(on_change: Any = "nothing", **more: Any) -> Pod:
    volume = {"name": "cfg", "source": {"config": "app", "on_change": on_change, **more}}
    return of(mounts=["cfg:/in"], volumes=[volume])


def of(volumes: list[Any] | None = None, **container: Any) -> Pod:
    return parse_pod(
        {"name": "web", "containers": [{"name": "app", "image": "x:1", **container}], "volumes": volumes or []}
    )


def facts(found: Input) -> dict[str, Input]:
    return {"config/app": found}


@pytest.mark.parametrize(
    ("pod", "found", "wanted"),
    [
        (env(), V1, ""),
        (env(), GONE, "there is no config app"),
        (env(), OTHER, "config app has no key 'k'"),
        (env(optional=True), GONE, ""),
        (env(optional=True), OTHER, ""),
        (shown(), V1, ""),
        (shown(), GONE, "there is no config app"),
        (shown(keys={"k": "p"}), OTHER, "config app has no key 'k'"),
        (shown(optional=True), GONE, ""),
        (of(env_from=[{"config": "app"}]), GONE, "there is no config app"),
        (of(env_from=[{"config": "app", "optional": True}]), GONE, ""),
        (of(), GONE, ""),
    ],
)
def test_what_a_container_lacks(pod: Pod, found: Input, wanted: str) -> None:
    assert lacking(pod, pod.containers[0], facts(found)) == wanted


def test_what_nobody_looked_for_is_lacking() -> None:
    assert lacking(env(), env().containers[0], {}) == "there is no config app"


HUP = {"signal": "HUP"}


@pytest.mark.parametrize(
    ("pod", "given", "found", "wanted"),
    [
        # pod, what it was given, what there is; then: restart, refill, reactions
        (env("restart"), "v1", V1, (False, False, ())),
        (env("restart"), "v1", V2, (True, False, ())),
        (env("nothing"), "v1", V2, (False, False, ())),
        (env("restart"), "v1", GONE, (False, False, ())),
        (env("restart"), "v1", OTHER, (False, False, ())),
        (env("restart", optional=True), "", V1, (True, False, ())),
        (env("restart", optional=True), "v1", OTHER, (True, False, ())),
        (shown(), "v1", V1, (False, False, ())),
        (shown(), "v1", V2, (False, True, ())),
        (shown(), "v1", GONE, (False, False, ())),
        (shown(keys={"k": "p"}), "v1", OTHER, (False, False, ())),
        (shown(optional=True), "", V1, (False, True, ())),
        (shown(HUP), "v1", V2, (False, True, (Reaction(signal="SIGHUP"),))),
        (shown({"exec": ["reload"]}), "v1", V2, (False, True, (Reaction(exec=("reload",)),))),
        (shown("restart"), "v1", V2, (True, True, ())),
    ],
)
def test_what_follows_a_change(pod: Pod, given: str, found: Input, wanted: tuple[bool, bool, tuple[Any, ...]]) -> None:
    change = changed(pod, pod.containers[0], {"config/app": given} if given else {}, facts(found))

    assert (bool(change.restart), bool(change.refill), change.reactions) == wanted
    assert bool(change) == (wanted[0] or wanted[1])


def test_once_it_is_written_down_nothing_is_left_to_do() -> None:
    pod = shown(HUP)
    change = changed(pod, pod.containers[0], {"config/app": "v1"}, facts(V2))

    assert change.refill == "config app changed"
    assert not changed(pod, pod.containers[0], change.versions, facts(V2))


def test_two_uses_of_one_change_react_once_each_and_a_restart_covers_all() -> None:
    source = {"config": {"name": "app", "key": "k"}, "on_change": "restart"}
    volumes = [
        {"name": name, "source": {"config": "app", "on_change": HUP if name != "c" else {"exec": ["x"]}}}
        for name in ("a", "b", "c")
    ]
    mounts = ["a:/a", "b:/b", "c:/c"]
    told = of(mounts=mounts, volumes=volumes)
    ended = of(mounts=mounts, volumes=volumes, env=[{"name": "A", "from": source}])

    calm = changed(told, told.containers[0], {"config/app": "v1"}, facts(V2))
    firm = changed(ended, ended.containers[0], {"config/app": "v1"}, facts(V2))

    assert calm.reactions == (Reaction(signal="SIGHUP"), Reaction(exec=("x",)))
    assert (firm.restart, firm.reactions) == ("config app changed", ())


def test_what_a_new_attempt_is_given() -> None:
    pod = of(env_from=[{"config": "app"}, {"secret": "none", "optional": True}])

    assert versions(pod, pod.containers[0], facts(V1)) == {"config/app": "v1"}
