"""Around every system test: the leak check. It fails the test that leaves anything behind.

System tests of several runs on one machine take turns, test by test, so that one does not see the other's
marks.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tank.config import Settings
from tank.image.pull import ImageStore
from tank.model.pools import Naming
from tank.net.driver import NetDriver
from tests import leaks, sweeping
from tests import neighbour as neighbours
from tests import segment as segments
from tests.bridged import Lan
from tests.conftest import note_installation
from tests.daemon import Daemon
from tests.segment import ip
from tests.waiting import wait_for


@pytest.fixture(scope="session")
def leak_scope(run_dir_of_tests: Path) -> leaks.Scope:
    """What was here before this run is not looked at."""
    here = {leaks.installation(str(group)) for group in leaks.groups()}
    return leaks.Scope(
        mark=os.environ.get(leaks.MARK, "none"),
        directory=run_dir_of_tests,
        strangers=frozenset(name for name in here if name is not None),
    )


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(request: pytest.FixtureRequest, leak_scope: leaks.Scope) -> Iterator[None]:
    """The machine after the test is the machine before it. A dying process may take a moment."""
    with (sweeping.ROOT / "turn").open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        before = leak_scope.look()
        yield
        leaked: list[str] = []

        def nothing_left() -> bool:
            leaked[:] = leak_scope.look().since(before)
            return not leaked

        try:
            wait_for(nothing_left, seconds=3)
        except AssertionError:
            pytest.fail("left behind:\n  " + "\n  ".join(leaked), pytrace=False)


@pytest.fixture
def daemon(short_tmp: Path, installation: str) -> Iterator[Daemon]:
    """A running daemon. The test may kill and start it; afterwards every pod is deleted and nothing may be left."""
    made = Daemon(short_tmp, installation)
    yield from tended(made)


@pytest.fixture(scope="module")
def shared_daemon(run_dir_of_tests: Path) -> Iterator[Daemon]:
    """One for all tests of a file, which lend it to each by `emptied`: what it has pulled stays pulled."""
    yield from shared(run_dir_of_tests)


def shared(run_dir: Path, config: str = "") -> Iterator[Daemon]:
    """Such a daemon, of this configuration.

    Not for tests that end it: another process would be taken for a leak.
    """
    directory = run_dir / secrets.token_hex(2)
    directory.mkdir()
    yield from tended(Daemon(directory, note_installation(run_dir), config=config))
    shutil.rmtree(directory, ignore_errors=True)


def emptied(shared: Daemon) -> Iterator[Daemon]:
    """Lend it for one test, and see that nothing of any pod is left, on the machine or in its directories."""
    yield shared
    shared.delete_all()
    wait_for(lambda: not shared.leftovers(), what="the end of what pods left")
    wait_for(lambda: f"tank {shared.installation}/" not in aliases(), what="the end of the bridges")


def aliases() -> str:
    """The marks that links of the host bear."""
    return "\n".join(leaks.read(each).decode() for each in Path("/sys/class/net").glob("*/ifalias"))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ImageStore]:
    """An empty image store, without a daemon."""
    made = ImageStore(Settings(data_dir=tmp_path / "data", run_dir=tmp_path / "run", image_reserve=0))
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def neighbour(run_dir_of_tests: Path) -> Iterator[neighbours.Neighbour]:
    """A parent for macvlan, and a neighbour on the same network."""
    with neighbours.neighbour(run_dir_of_tests) as made:
        yield made


def tended(made: Daemon) -> Iterator[Daemon]:
    """Start, lend, and take back clean, whatever the test has done."""
    made.start()
    try:
        yield made
        if made.process is None or made.process.poll() is not None:
            made.start()
        made.delete_all()
        assert made.end() == 0
        assert made.leftovers() == []
    finally:
        made.kill()
        sweeping.kill("none", frozenset({made.installation}))
        sweeping.unmount(made.directory)
        sweeping.remove_groups(made.installation)


@pytest.fixture
def lan(neighbour: neighbours.Neighbour) -> Lan:
    """Another machine on a LAN of the host."""
    return Lan.of(neighbour)


@pytest.fixture
def port() -> int:
    """A port of the host that nobody has."""
    with socket.create_server(("", 0)) as found:
        return int(found.getsockname()[1])


@pytest.fixture
def bridge_goes(daemon: Daemon) -> Iterator[None]:
    """With the last pod after the test."""
    yield
    if daemon.process is None:
        daemon.start()
    daemon.delete_all()
    wait_for(lambda: daemon.installation not in ip("-d link"), 10, "the end of the bridge")


@pytest.fixture
async def segment(tmp_path: Path) -> AsyncIterator[segments.Lan]:
    """A LAN of the test's own."""
    async with segments.lan(tmp_path) as made:
        yield made


@pytest.fixture
async def net(segment: segments.Lan, installation: str) -> AsyncIterator[NetDriver]:
    """The driver alone, with that LAN as its uplink."""
    driver = NetDriver(Settings(uplink=segment.parent, naming=Naming(enabled=False)), installation)
    yield driver
    await driver.close()
