"""The reference pages tell of every command, flag, route and method that there is."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import tank
from tank.api.app import routes
from tank.cli.completion import flags

PAGES = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize(("verb", "actions"), flags().items(), ids=flags())
def test_every_command_and_its_flags_are_in_the_reference(verb: str, actions: list[object]) -> None:
    page = (PAGES / "commands.md").read_text()
    named = [text for action in actions for text in action.option_strings if text.startswith("--")]  # type: ignore[attr-defined]
    missing = [text for text in named if text != "--help" and text not in page]

    assert f"tank {verb}" in page
    assert verb in ("install", "uninstall", "doctor") or missing == []


def test_every_route_is_in_the_reference() -> None:
    page = (PAGES / "http.md").read_text()

    assert [f"{each.method} {each.path}" for each in routes() if f"`{each.method} {each.path}" not in page] == []


def test_every_method_and_its_parameters_are_in_the_reference() -> None:
    page = (PAGES / "python.md").read_text()
    for name, method in inspect.getmembers(tank.Client, inspect.isfunction):
        if not name.startswith("_"):
            row = next(line for line in page.splitlines() if line.startswith(f"| `{name}("))
            parameters = set(inspect.signature(method).parameters) - {"self", "surroundings"}
            assert {each for each in parameters if each not in row} == set(), name
