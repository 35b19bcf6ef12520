"""Which secrets and configs a pod names, needs and shows."""

from __future__ import annotations

from typing import Any

from tank.model.inputs import Reaction
from tank.model.parse import parse_pod
from tank.model.pod import Pod
from tank.model.uses import Use, named, needed, uses


def pod(*, volumes: list[Any] | None = None, init: list[Any] | None = None, **container: Any) -> Pod:
    app = {"name": "app", "image": "x:1", **container}
    return parse_pod({"name": "web", "containers": [app], "init": init or [], "volumes": volumes or []})


def test_variables_and_files_are_uses() -> None:
    env = [
        {"name": "A", "from": {"secret": {"name": "db", "key": "pw"}, "on_change": "restart"}},
        {"name": "B", "from": {"config": {"name": "app", "key": "k", "optional": True}}},
        {"name": "C", "from": {"field": "name"}},
        {"name": "D", "value": "x"},
    ]
    volume = {"name": "cfg", "source": {"config": "app", "keys": {"k": "p"}, "on_change": {"signal": "HUP"}}}
    made = pod(env=env, env_from=[{"secret": "all"}], mounts=["cfg:/a", "cfg:/b"], volumes=[volume])

    assert uses(made, made.containers[0]) == (
        Use(key="secret/all"),
        Use(key="secret/db", needs=frozenset({"pw"}), reaction=Reaction(restart=True)),
        Use(key="config/app", needs=frozenset({"k"}), optional=True),
        Use(key="config/app", needs=frozenset({"k"}), files="cfg", reaction=Reaction(signal="SIGHUP")),
    )
    assert named(made) == {"secret/all", "secret/db", "config/app"}
    assert needed(made) == {"secret/all", "secret/db", "config/app"}


def test_init_containers_and_volumes_that_nobody_mounts_are_named() -> None:
    init = {"name": "first", "image": "x:1", "env_from": [{"config": "boot", "optional": True}]}
    made = pod(init=[init], volumes=[{"name": "spare", "source": {"secret": "key"}}])

    assert (named(made), needed(made)) == (frozenset({"config/boot", "secret/key"}), frozenset())
