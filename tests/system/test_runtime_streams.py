"""exec, attach and logs against real containers: bytes, terminals, ends, and what is left behind."""

from __future__ import annotations

import asyncio
import os
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tank.errors import Failed, StartFailed
from tank.model.pod import EnvVar, Mount, Volume
from tank.runtime.session import Session
from tests.runtime_rig import Rig, everything, opened, until
from tests.waiting import wait_until

pytestmark = pytest.mark.system


@pytest.fixture
async def rig(short_tmp: Path, installation: str) -> AsyncIterator[Rig]:
    async with opened(short_tmp, installation) as made:
        yield made


async def finished(session: Session) -> tuple[int, bytes, bytes]:
    """Exit code, output and errors."""
    try:
        out, err = await everything(session)
        return await session.wait(), out, err
    finally:
        await session.close()


async def test_exec_tells_output_from_errors_and_gives_the_exit_code(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    session = await rig.exec("sh", "-c", "echo out; echo err >&2; exit 3")
    assert await finished(session) == (3, b"out\n", b"err\n")
    assert not os.listdir(rig.attempt().bundle / "exec")


async def test_exec_is_binary_safe_both_ways(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    data = random.Random(7).randbytes(3_000_000)
    session = await rig.exec("cat", stdin=True)

    async def feed() -> None:
        await session.write(data)
        await session.write_eof()

    feeding = asyncio.create_task(feed())
    code, out, _ = await finished(session)
    await feeding
    assert (code, out == data) == (0, True)


async def test_exec_is_as_the_container_is_unless_asked_otherwise(rig: Rig) -> None:
    await rig.run_one("sleep", "1000", user="app", working_dir="/tmp", env=(EnvVar(name="A", value="1"),))
    script = "id -u; pwd; echo $A $B $HOME; grep -E 'CapInh|CapAmb|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status"
    _, plain, _ = await finished(await rig.exec("sh", "-c", script))
    _, other, _ = await finished(await rig.exec("sh", "-c", script, user="0", cwd="/", env=(("B", "2"),)))
    rights = (
        "CapInh:\t0000000000000000\nCapBnd:\t00000000000005fb\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n"
    )
    assert plain.decode() == f"1000\n/tmp\n1 /home/app\n{rights}"
    assert other.decode() == f"0\n/\n1 2 /root\n{rights}"


async def test_exec_runs_in_the_containers_control_group(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    before = rig.runtime._groups.processes(f"{rig.uid}/app")
    session = await rig.exec("sleep", "1000")
    await wait_until(lambda: len(rig.runtime._groups.processes(f"{rig.uid}/app")) == len(before) + 1)
    await session.close()
    await wait_until(lambda: rig.runtime._groups.processes(f"{rig.uid}/app") == before)


@pytest.mark.parametrize(("argv", "code"), [("/missing", 127), ("missing", 127), ("/etc/passwd", 126)])
async def test_exec_of_what_cannot_run_says_why(rig: Rig, argv: str, code: int) -> None:
    await rig.run_one("sleep", "1000")
    with pytest.raises(StartFailed) as caught:
        await rig.exec(argv)
    assert caught.value.code == code


async def test_exec_finds_a_program_that_lies_in_a_volume(rig: Rig) -> None:
    mounts = (Mount(volume="v", path="/data"),)
    await rig.run_one("sleep", "1000", mounts=mounts, pod_volumes=(Volume(name="v"),))
    (rig.settings.data_dir / "volumes/v/tool").write_text("#!/bin/sh\necho found\n")
    (rig.settings.data_dir / "volumes/v/tool").chmod(0o755)
    assert (await finished(await rig.exec("/data/tool")))[1] == b"found\n"


@pytest.mark.parametrize("cwd", ["/proc/self/fd/7", "/missing"])
async def test_exec_refuses_a_directory_that_could_be_the_hosts_or_is_none(rig: Rig, cwd: str) -> None:
    await rig.run_one("sleep", "1000")
    with pytest.raises(StartFailed):
        await rig.exec("pwd", cwd=cwd)


async def test_exec_brings_no_descriptor_of_ours_along(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    _, out, _ = await finished(await rig.exec("sh", "-c", "ls /proc/$$/fd; true"))
    assert out.split() == [b"0", b"1", b"2"]


async def test_exec_with_a_terminal_has_a_size_that_changes_and_echoes(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    session = await rig.exec("sh", tty=True, stdin=True, size=(31, 101))
    try:
        await session.write(b"stty size; tty; echo $TERM\n")
        said = await until(session, b"xterm\r\n")
        assert b"31 101\r\n" in said
        assert b"/dev/pts/" in said
        await session.resize(43, 17)
        await session.write(b"stty size\n")
        await until(session, b"43 17\r\n")
        await session.write(b"exit 9\n")
        await everything(session)
        assert await session.wait() == 9
    finally:
        await session.close()


async def test_closing_an_exec_ends_its_whole_session_and_not_the_container(rig: Rig) -> None:
    created = await rig.run_one("sleep", "1000")
    for tty in (False, True):
        session = await rig.exec("sh", "-c", "sleep 777 & sleep 778 & echo up; wait", tty=tty)
        await until(session, b"up")
        await session.close()
        await wait_until(lambda: rig.runtime._groups.processes(f"{rig.uid}/app") == {created.pid})


async def test_a_background_child_that_holds_the_output_does_not_hold_up_the_end(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    session = await rig.exec("sh", "-c", "sleep 1000 & echo done; exit 6")
    assert await asyncio.wait_for(finished(session), 8) == (6, b"done\n", b"")


async def test_an_exec_that_floods_is_held_up_not_kept(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    session = await rig.exec("yes")
    try:
        for _ in range(100):
            assert await session.read() is not None
    finally:
        await session.close()


async def test_many_execs_leave_no_descriptor(rig: Rig) -> None:
    await rig.run_one("sleep", "1000")
    await finished(await rig.exec("true"))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        await finished(await rig.exec("true"))
        session = await rig.exec("cat", tty=True, stdin=True)
        await session.close()
    assert len(os.listdir("/proc/self/fd")) == before


async def test_exec_in_what_does_not_run_is_refused(rig: Rig) -> None:
    await rig.sandbox(rig.container("true"))
    await rig.create()
    with pytest.raises(Failed):
        await rig.exec("true")
    await rig.runtime.start(rig.uid, "app", 1)
    await rig.ended()
    with pytest.raises(Failed):
        await rig.exec("true")


async def test_attach_talks_to_a_terminal_and_detaches_without_a_trace(rig: Rig) -> None:
    await rig.run_one("sh", tty=True, stdin=True)
    session = await rig.attach()
    await session.resize(20, 60)
    await session.write(b"stty size\n")
    await until(session, b"20 60\r\n")
    await session.close()
    assert await session.wait() == 0
    assert (await rig.fact()).alive
    again = await rig.attach()
    await again.write(b"exit 12\n")
    assert (await finished(again))[0] == 12


async def test_attach_without_a_terminal_tells_the_streams_apart_and_the_exit_code(rig: Rig) -> None:
    await rig.run_one("sh", "-c", "read line; echo got $line; echo bad >&2; exit 3", stdin=True)
    session = await rig.attach()
    await session.write(b"hello\n")
    assert await finished(session) == (3, b"got hello\n", b"bad\n")


async def test_an_attached_client_that_does_not_read_never_stops_the_container(rig: Rig) -> None:
    await rig.run_one(
        "sh", "-c", "read line; yes 0123456789 | head -c 8000000; echo end >/dev/shm/end; sleep 1000", stdin=True
    )
    session = await rig.attach()
    try:
        await session.write(b"go\n")
        await wait_until(lambda: (rig.settings.pod_run_dir(rig.uid) / "shm/end").exists())
        with pytest.raises(Failed):
            await everything(session)
    finally:
        await session.close()


async def test_attach_after_the_end_is_refused(rig: Rig) -> None:
    await rig.run_one("true")
    await rig.ended()
    with pytest.raises(Failed):
        await rig.attach()


async def test_logs_join_long_lines_and_keep_the_streams_and_attempts_apart(rig: Rig) -> None:
    await rig.sandbox(rig.container("sh", "-c", "yes x | tr -d '\\n' | head -c 30000; echo; echo e >&2; printf tail"))
    for attempt in (1, 2):
        await rig.run(attempt=attempt)
        await rig.ended()
        await rig.runtime.discard(rig.uid, "app", attempt)
    lines = [
        line async for line in rig.runtime.logs(rig.uid, "app", tail=None, since=None, previous=False, follow=False)
    ]
    said = [(line.attempt, line.stream, len(line.text), line.partial) for line in lines]
    assert sorted(said) == sorted(
        (attempt, *rest)
        for attempt in (1, 2)
        for rest in (("stdout", 30000, False), ("stderr", 1, False), ("stdout", 4, True))
    )
    assert (await rig.output(previous=True)).count("e\n") == 1


async def test_rotation_loses_nothing_and_a_follower_reads_through_it_and_through_a_restart(rig: Rig) -> None:
    script = "i=0; while [ $i -lt 4000 ]; do i=$((i+1)); echo line $i; [ $((i%100)) = 0 ] && sleep 0.02; done"
    await rig.sandbox(rig.container("sh", "-c", script))
    seen: list[tuple[int, int]] = []

    async def follow() -> None:
        async for line in rig.runtime.logs(rig.uid, "app", tail=None, since=None, previous=False, follow=True):
            if match := re.fullmatch(rb"line (\d+)", line.text):
                seen.append((line.attempt, int(match[1])))

    following = asyncio.create_task(follow())
    for attempt in (1, 2):
        await rig.run(attempt=attempt)
        monitor = int(rig.attempt(number=attempt).monitor_pidfile.read_text())
        while not (await rig.fact()).exited:
            await rig.runtime.rotate_logs()
            await wait_until(lambda: True)
            await asyncio.sleep(0)
        assert int(rig.attempt(number=attempt).monitor_pidfile.read_text()) == monitor
        await rig.ended()
        await rig.runtime.discard(rig.uid, "app", attempt)
    wanted = [(attempt, number) for attempt in (1, 2) for number in range(1, 4001)]
    await wait_until(lambda: len(seen) >= len(wanted))
    assert seen == wanted
    files = os.listdir(rig.attempt().log.parent)
    assert {f"{attempt}.log.{number}" for attempt in (1, 2) for number in (1, 2, 3, 4)} <= set(files)
    assert "1.log.5" not in files
    await rig.runtime.remove_sandbox(rig.uid)
    await rig.runtime.forget(rig.uid)
    await asyncio.wait_for(following, 8)


async def test_the_tail_is_the_last_lines_over_rotated_files(rig: Rig) -> None:
    await rig.run_one("sh", "-c", "seq 1 3000; sleep 0.1; seq 3001 3010")
    await wait_until(lambda: rig.attempt().log.exists() and rig.attempt().log.stat().st_size > 20_000)
    await rig.runtime.rotate_logs()
    await rig.ended()
    for tail in (1, 5, 25):
        assert (await rig.output(tail=tail)).split() == [str(number) for number in range(3011 - tail, 3011)]


async def test_a_link_in_place_of_the_log_is_not_followed(rig: Rig) -> None:
    await rig.run_one("true")
    await rig.ended()
    rig.attempt().log.unlink()
    rig.attempt().log.symlink_to("/etc/passwd")
    assert await rig.output() == ""
