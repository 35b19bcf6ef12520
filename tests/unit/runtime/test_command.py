"""What a container runs, by C7 and C8."""

from __future__ import annotations

import pytest

from tank.model.downward import Capacity
from tank.model.image import ImageConfig
from tank.model.launch import Launch
from tank.model.pod import Container, EnvVar, Pod
from tank.runtime import command

IMAGE = ImageConfig(entrypoint=("/entry",), cmd=("a", "b"), env=(("PATH", "/opt"), ("LANG", "C")))


def container(**fields: object) -> Container:
    return Container.model_validate({"name": "app", "image": "x", **fields})


def own_environment(own: Container) -> dict[str, str]:
    launch = Launch(uid="", pod=Pod(name="web", containers=(own,)), container=own, attempt=1, image=None)
    return command.own_environment(launch, Capacity())


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, ("/entry", "a", "b")),
        ({"args": ("c",)}, ("/entry", "c")),
        ({"command": ("run",)}, ("run",)),
        ({"command": ("run",), "args": ("c",)}, ("run", "c")),
        ({"command": (), "args": ()}, ("/entry", "a", "b")),
    ],
)
def test_command_and_args_override_entrypoint_and_cmd_as_in_c8(fields: dict[str, object], wanted: tuple[str]) -> None:
    assert command.arguments(container(**fields), IMAGE, {}) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)", "x1y$(B)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$", "$"),
        ("$A ${A}", "$A ${A}"),
        ("$(A", "$(A"),
        ("$()", "$()"),
    ],
)
def test_references_expand_as_in_c7(text: str, wanted: str) -> None:
    assert command.expand(text, {"A": "1"}) == wanted


def test_a_variable_may_use_those_before_it_and_never_the_images() -> None:
    env = [("A", "1"), ("B", "$(A)2"), ("C", "$(D) $(LANG)"), ("D", "x"), ("A", "last")]
    own = container(env=tuple(EnvVar(name=name, value=value) for name, value in env))
    assert own_environment(own) == {"A": "last", "B": "12", "C": "$(D) $(LANG)", "D": "x"}


def test_the_environment_is_tanks_then_the_images_then_the_specs() -> None:
    own = container(env=(EnvVar(name="LANG", value="de"),), tty=True)
    assert command.environment(own, IMAGE, own_environment(own), hostname="web", home="/root") == {
        "PATH": "/opt",
        "HOSTNAME": "web",
        "TERM": "xterm",
        "LANG": "de",
        "HOME": "/root",
    }


def test_a_home_that_was_stated_stays() -> None:
    own = container(env=(EnvVar(name="HOME", value="/h"),))
    assert command.environment(own, ImageConfig(), own_environment(own), hostname="web", home="/root")["HOME"] == "/h"
