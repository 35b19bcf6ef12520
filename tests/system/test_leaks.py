"""The oracle sees what it is there to see: each kind of thing is made, found, and taken away again."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests import leaks, sweeping
from tests.leaks import Scope

pytestmark = pytest.mark.system
HERE = Path(__file__).parents[2]


def noted(directory: Path, file: str, name: str) -> str:
    """A name, written where the sweep of a killed run looks for it."""
    run = next(parent for parent in directory.parents if parent.parent == sweeping.ROOT)
    with (run / file).open("a") as notes:
        notes.write(f"{name}\n")
    return name


@contextmanager
def orphan(_: Path) -> Iterator[None]:
    """A process that has left us, with nothing but the run's mark upon it."""
    told = subprocess.run(["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"], capture_output=True, check=True)
    yield
    os.kill(int(told.stdout), 9)


@contextmanager
def control_group(directory: Path) -> Iterator[None]:
    name = noted(directory, "installations", secrets.token_hex(3))
    made = [hierarchy / f"tank-{name}" for hierarchy in leaks.hierarchies()[:1]]
    for group in made:
        group.mkdir()
    yield
    for group in made:
        group.rmdir()


@contextmanager
def mount(directory: Path) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "none", directory], check=True)
    yield
    subprocess.run(["umount", directory], check=True)


@contextmanager
def link_with_route(directory: Path) -> Iterator[None]:
    link = noted(directory, "links", f"tl{secrets.token_hex(3)}")
    subprocess.run(["ip", "link", "add", link, "type", "veth", "peer", "name", f"{link}p"], check=True)
    subprocess.run(["ip", "address", "add", "192.0.2.77/32", "dev", link], check=True)
    yield
    subprocess.run(["ip", "link", "delete", link], check=True)


@contextmanager
def table(directory: Path) -> Iterator[None]:
    name = f"tank_{noted(directory, 'installations', secrets.token_hex(3))}"
    subprocess.run(["nft", "add", "table", "inet", name], check=True)
    yield
    subprocess.run(["nft", "delete", "table", "inet", name], check=True)


@contextmanager
def descriptor(directory: Path) -> Iterator[None]:
    with (directory / "open").open("w"):
        yield


@contextmanager
def thread(_: Path) -> Iterator[None]:
    done = threading.Event()
    running = threading.Thread(target=done.wait, name="forgotten")
    running.start()
    yield
    done.set()
    running.join()


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (orphan, "processes"),
        (control_group, "groups"),
        (mount, "mounts"),
        (link_with_route, "links"),
        (link_with_route, "routes"),
        (table, "tables"),
        (descriptor, "descriptors"),
        (thread, "threads"),
    ],
)
def test_a_leak_is_seen(
    make: Callable[[Path], AbstractContextManager[None]], kind: str, leak_scope: Scope, tmp_path: Path
) -> None:
    before = leak_scope.look()

    with make(tmp_path):
        seen = leak_scope.look().since(before)

    assert [line for line in seen if line.startswith(f"{kind}: ")] != []
    assert leak_scope.look().since(before) == []


def test_what_a_killed_run_left_is_swept_and_a_living_run_is_not(run_dir_of_tests: Path) -> None:
    script = """
import os, subprocess
from tests import leaks, sweeping
run = sweeping.begin()
os.environ[leaks.MARK] = run.name
(run / "m").mkdir()
subprocess.run(["mount", "-t", "tmpfs", "none", run / "m"], check=True)
(run / "installations").write_text(run.name)
(run / "links").write_text("tl" + run.name)
subprocess.run(["nft", "add", "table", "inet", "tank_" + run.name], check=True)
subprocess.run(["ip", "link", "add", "tl" + run.name, "type", "veth"], check=True)
subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(run.name, flush=True)
"""
    told = subprocess.run([sys.executable, "-c", script], cwd=HERE, capture_output=True, text=True, check=True)
    dead = told.stdout.strip()

    swept = sweeping.sweep()

    assert dead in swept
    assert run_dir_of_tests.name not in swept
    assert list(sweeping.members(dead, frozenset())) == []
    assert not (sweeping.ROOT / dead).exists()
    assert not Path("/sys/class/net", f"tl{dead}").exists()
    assert [line for line in leaks.tables() if dead in line] == []
