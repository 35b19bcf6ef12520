"""Who a container runs as, by C9; hostile files and numbers (S10, S11)."""

from __future__ import annotations

import pytest

from tank.errors import Waiting
from tank.runtime.users import Identity, resolve

PASSWD = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n"
GROUP = b"root:x:0:\nstaff:x:50:app,other\nwheel:x:10:root,app\n"


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ("", Identity(uid=0, gid=0, groups=(10,), home="/root")),
        ("0", Identity(uid=0, gid=0, groups=(10,), home="/root")),
        ("app", Identity(uid=1000, gid=1001, groups=(50, 10), home="/home/app")),
        ("1000", Identity(uid=1000, gid=1001, groups=(50, 10), home="/home/app")),
        ("app:staff", Identity(uid=1000, gid=50, home="/home/app")),
        ("1000:7", Identity(uid=1000, gid=7, home="/home/app")),
        ("app:", Identity(uid=1000, gid=1001, groups=(50, 10), home="/home/app")),
        ("4242", Identity(uid=4242, gid=0, home="/")),
        ("4242:4243", Identity(uid=4242, gid=4243, home="/")),
    ],
)
def test_every_form_is_resolved_in_the_containers_files(spec: str, wanted: Identity) -> None:
    assert resolve(spec, PASSWD, GROUP) == wanted


@pytest.mark.parametrize(
    "spec", ["ghost", "app:ghost", "-1", "0x10", "4294967296", "2147483648", "app:2147483648", "1 ", ":"]
)
def test_what_names_nobody_is_refused(spec: str) -> None:
    with pytest.raises(Waiting):
        resolve(spec, PASSWD, GROUP)


def test_lines_that_are_no_entries_are_passed_over() -> None:
    noise = b"\n:::\nevil:x:-1:0::/:\nbig:x:99999999999:0::/:\n" + b"x" * 5000 + b":x:1:1::/:\n\xff\xfe:x:5:5::/:\n"
    assert resolve("app", noise + PASSWD, b"::\nstaff:x:boom:app\n" + GROUP).groups == (50, 10)
    for name in ("evil", "big", "x" * 5000):
        with pytest.raises(Waiting):
            resolve(name, noise, b"")


def test_a_million_groups_are_cut() -> None:
    many = b"".join(b"g%d:x:%d:app\n" % (number, number) for number in range(5000))
    assert len(resolve("app", PASSWD, many).groups) == 1024


def test_extra_groups_come_on_top_once() -> None:
    assert resolve("app", PASSWD, GROUP, (50, 99)).groups == (50, 10, 99)
