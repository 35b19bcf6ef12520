"""The command line stays light: what `tank list` may import, and what a verb may."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.conftest import Tank

HEAVY = ["aiohttp", "asyncio", "dataclasses", "http.client", "importlib.metadata", "inspect", "pydantic", "rich"]
HEAVY += ["datetime", "shutil", "typing"]
HEAVY += ["tank.model", "tank.node", "tank.plan", "tank.store", "tomllib", "urllib.request", "yaml"]


def imported(program: str, tank: Tank) -> set[str]:
    """The modules that a program of Python has loaded at its end."""
    program += "; import sys; print(*sys.modules, sep='\\n', file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], env=tank.env, capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines())


def command(words: str) -> str:
    return f"from tank.cli.main import main; main({words.split()})"


@pytest.mark.parametrize("verb", ["list", "status", "--help", "version"])
def test_a_quick_command_imports_nothing_heavy(tank: Tank, verb: str) -> None:
    assert imported(command(verb), tank).isdisjoint(HEAVY)


@pytest.mark.parametrize("verb", ["exec web -- true", "logs web", "apply -f -", "attach web"])
def test_no_command_of_the_client_imports_the_engine(tank: Tank, verb: str) -> None:
    heavy = {"aiohttp", "asyncio", "pydantic", "yaml", "rich", "tank.node", "tank.plan", "tank.api"}

    assert imported(command(verb), tank).isdisjoint(heavy)


def test_only_the_file_of_the_verb_is_imported(tank: Tank) -> None:
    verbs = {name for name in imported(command("list"), tank) if name.startswith("tank.cli.")}

    assert verbs == {"tank.cli.main", "tank.cli.list", "tank.cli.text"}


def test_importing_tank_imports_nothing_of_it(tank: Tank) -> None:
    names = imported("import tank", tank)

    assert {name for name in names if name.startswith("tank.")} == set()
