"""A program run from a sealed copy of it in memory."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tank.host.sealed import Sealed


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return Path(shutil.copy(shutil.which("true") or "/bin/true", tmp_path / "program"))


def test_the_copy_runs_and_nobody_can_write_to_it(program: Path) -> None:
    sealed = Sealed(program)
    assert str(sealed.path()).startswith(f"/proc/{os.getpid()}/fd/")
    assert subprocess.run([sealed.path()], check=False).returncode == 0
    assert fcntl.fcntl(sealed._fd, fcntl.F_GET_SEALS) == 0b1111
    sealed.close()


def test_it_is_copied_once_and_anew_when_the_program_has_changed(program: Path) -> None:
    sealed = Sealed(program)
    sealed.path()
    first = os.fstat(sealed._fd).st_ino
    sealed.path()
    assert os.fstat(sealed._fd).st_ino == first
    shutil.copy(shutil.which("false") or "/bin/false", program)
    assert subprocess.run([sealed.path()], check=False).returncode == 1
    sealed.close()


def test_a_script_and_what_is_not_there_stand_for_themselves(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    assert (Sealed(script).path(), Sealed(tmp_path / "no").path()) == (script, tmp_path / "no")


def test_a_closed_copy_leaves_no_descriptor(program: Path) -> None:
    before = os.listdir("/proc/self/fd")
    sealed = Sealed(program)
    sealed.path()
    sealed.close()
    assert os.listdir("/proc/self/fd") == before
