"""What holds for every test: a directory of the run's own, the sweep at its start, and no skipping in CI."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests import images, leaks, sweeping
from tests import registry as registries

RUN = pytest.StashKey[Path]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Sweep, then put all temporary directories of this run below its own."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Started in the background of a script: children would inherit it, and tests of Ctrl-C press it in vain.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.register_profile("ci", derandomize=True)
    settings.load_profile("ci" if os.environ.get("CI") == "true" else "default")
    if os.geteuid() == 0:
        sweeping.sweep()
        run = sweeping.begin()
        config.stash[RUN] = run
        if hasattr(config, "workerinput") or not config.option.basetemp:
            config.option.basetemp = run / "t"  # each worker of a parallel run is a run of its own
        os.environ[leaks.MARK] = run.name


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what is left and remove the directory; TANK_TESTS_KEEP=1 leaves the files for a look."""
    run = config.stash.get(RUN, None)
    if run is not None and "TANK_TESTS_KEEP" not in os.environ:
        os.environ.pop(leaks.MARK, None)
        sweeping.clear(run)


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """In a parallel run what works on the machine itself stays together with one worker, and is begun first."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "machine" if file.startswith(("tests/system/", "tests/contract/")) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling:
    """Who gives the tests to workers."""
    return Scheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Pure tests beside those that keep deadlines on the same processors step back."""
    if os.geteuid() == 0 and hasattr(item.config, "workerinput"):
        os.setpriority(os.PRIO_PROCESS, 0, 0 if item.get_closest_marker("system") else 15)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a test that did not prove what it is there for."""
    report = yield
    # A worker can send no lone surrogate to the one who prints, and hostile names in captured logs have them.
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def run_dir_of_tests(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of this run."""
    return pytestconfig.stash.get(RUN, tmp_path_factory.getbasetemp())


@pytest.fixture
def installation(run_dir_of_tests: Path) -> str:
    """A fresh installation id, noted before use so that the next run can sweep what it marks."""
    return note_installation(run_dir_of_tests)


@pytest.fixture
def new_installation(run_dir_of_tests: Path) -> Callable[[], str]:
    """The same for tests that need several."""
    return lambda: note_installation(run_dir_of_tests)


def note_installation(directory: Path) -> str:
    """Make an id and write it down."""
    name = secrets.token_hex(3)
    with (directory / "installations").open("a") as notes:
        notes.write(f"{name}\n")
    return name


@pytest.fixture
def short_tmp(run_dir_of_tests: Path) -> Iterator[Path]:
    """A directory with a short path, for what holds unix sockets (their paths end at 107 bytes)."""
    directory = run_dir_of_tests / secrets.token_hex(2)
    directory.mkdir()
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def registry(run_dir_of_tests: Path) -> Iterator[registries.Registry]:
    """Plain HTTP on loopback."""
    with registries.plain(run_dir_of_tests / "registry") as running:
        yield running


@pytest.fixture(scope="session")
def private_registry(run_dir_of_tests: Path) -> Iterator[registries.Registry]:
    """TLS with its own authority, and a password."""
    with registries.private(run_dir_of_tests / "private-registry") as running:
        yield running


@pytest.fixture(scope="session")
def busybox(registry: registries.Registry, run_dir_of_tests: Path) -> str:
    """A reference to busybox in the plain registry: `sh` by default, a page under /www."""
    return registry.push(images.busybox(run_dir_of_tests / "busybox"), "busybox:1")


@pytest.fixture(scope="session")
def debian(registry: registries.Registry) -> str:
    """A reference to a real Debian with nginx and python3 in the plain registry."""
    return registry.push(images.debian(), "nginx:1")


@pytest.fixture(scope="session")
def services(registry: registries.Registry) -> str:
    """A reference to a real Debian with PostgreSQL and Redis, neither of them set up."""
    return registry.push(images.services(), "services:1")
