"""Looking into a root that nobody trusts."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tank.errors import StartFailed, Waiting
from tank.runtime import executable
from tank.runtime.rootfs import Root, working_directory


@pytest.fixture
def top(tmp_path: Path) -> Path:
    for name in ("bin", "etc", "usr/bin", "dev"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "bin/tool").write_text("#!/bin/sh\n")
    (tmp_path / "bin/sh").write_bytes(b"\x7fELF")
    (tmp_path / "bin/plain").touch()
    for name in ("tool", "sh"):
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


def test_a_program_is_found_along_the_path_or_by_its_own(top: Path) -> None:
    with Root(top) as root:
        assert root.program("tool", {"PATH": "/nowhere:/bin"}, "/") == "/bin/tool"
        assert root.program("/bin/tool", {}, "/") == "/bin/tool"
        assert root.program("./tool", {}, "/bin") == "/bin/./tool"


@pytest.mark.parametrize(
    ("name", "code"), [("nope", 127), ("", 127), ("plain", 126), ("/bin", 126), ("/bin/none", 127)]
)
def test_what_cannot_run_has_its_code(top: Path, name: str, code: int) -> None:
    with Root(top) as root, pytest.raises(StartFailed) as caught:
        root.program(name, {"PATH": "/bin"}, "/")
    assert caught.value.code == code


def test_links_end_inside_the_root(top: Path) -> None:
    (top / "bin/outside").symlink_to("../../../../../../bin/sh")
    (top / "bin/hosts").symlink_to("/usr/bin/env")
    with Root(top) as root:
        assert root.program("outside", {"PATH": "/bin"}, "/") == "/bin/outside"  # it is the root's own /bin/sh
        with pytest.raises(StartFailed):
            root.program("hosts", {"PATH": "/bin"}, "/")


def test_users_are_read_from_regular_files_inside_only(top: Path, tmp_path: Path) -> None:
    (top / "etc/passwd").symlink_to("/../../../../../../../../etc/passwd")
    os.mkfifo(top / "etc/group")
    with Root(top) as root:
        assert root.identity("0", ()).home == "/"
        with pytest.raises(Waiting):
            root.identity("root", ())


@pytest.mark.parametrize("name", ["dev", "proc", "sys", "etc"])
def test_a_link_where_the_runtime_mounts_is_refused(top: Path, name: str) -> None:
    path = top / name
    if path.exists():
        path.rmdir()
    path.symlink_to("bin")
    with Root(top) as root, pytest.raises(StartFailed):
        root.check()


@pytest.mark.parametrize(
    ("wanted", "clean"), [("/", "/"), ("srv", "/srv"), ("/a/../b", "/b"), ("/../..", "/"), ("//x/", "/x")]
)
def test_a_working_directory_is_clean_and_absolute(wanted: str, clean: str) -> None:
    assert working_directory(wanted) == clean


@pytest.mark.parametrize("wanted", ["/proc/self/fd/7", "/proc", "/x/../proc/1/cwd", "proc/self/fd/3"])
def test_a_working_directory_in_proc_is_refused(wanted: str) -> None:
    with pytest.raises(Waiting):
        working_directory(wanted)


def test_what_the_kernel_would_not_know_what_to_do_with_is_not_executable(top: Path) -> None:
    (top / "bin/text").write_text("echo hi")
    (top / "bin/text").chmod(0o755)
    with Root(top) as root, pytest.raises(StartFailed) as caught:
        root.program("text", {"PATH": "/bin"}, "/")
    assert caught.value.code == 126


def test_a_program_without_its_loader_is_not_found(top: Path) -> None:
    shutil.copy(sys.executable, top / "bin/dynamic")
    needed = executable.interpreter(Path(sys.executable).read_bytes()[: executable.HEAD])
    assert needed is not None
    with Root(top) as root:
        with pytest.raises(StartFailed, match="missing") as caught:
            root.program("dynamic", {"PATH": "/bin"}, "/")
        assert caught.value.code == 127
        (top / needed[1:]).parent.mkdir(parents=True)
        (top / needed[1:]).touch()
        assert root.program("dynamic", {"PATH": "/bin"}, "/") == "/bin/dynamic"


@pytest.mark.parametrize(
    "head", [b"", b"\x7fELF", b"\x7fELF\x02\x01" + b"\xff" * 100, b"#!", b"#!\n/bin/sh", b"#! relative"]
)
def test_a_head_that_names_nobody_names_nobody(head: bytes) -> None:
    assert executable.interpreter(head) is None


@pytest.mark.parametrize("line", [b"#!/\xff\xfe", b"#!/opt/\xed\xa0\x80 -x", b"#!/\x1b[2J\x07"])
def test_a_message_never_carries_the_bytes_of_an_image(top: Path, line: bytes) -> None:
    (top / "bin/odd").write_bytes(line + b"\n")
    (top / "bin/odd").chmod(0o755)
    with Root(top) as root, pytest.raises(StartFailed, match="missing") as caught:
        root.program("odd", {"PATH": "/bin"}, "/")
    assert caught.value.code == 127
    assert str(caught.value).isprintable()
    str(caught.value).encode()


def test_nor_do_those_of_a_search_path_from_an_image(top: Path) -> None:
    (top / "bin/text").write_text("echo hi")
    (top / "bin/text").chmod(0o755)
    os.mkdir(os.fsencode(top) + b"/\xff")
    os.rename(top / "bin/text", os.fsencode(top) + b"/\xff/text")
    with Root(top) as root, pytest.raises(StartFailed) as caught:
        root.program("text", {"PATH": "/\udcff"}, "/")
    assert caught.value.code == 126
    str(caught.value).encode()
