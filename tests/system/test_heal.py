"""What goes wrong under a running pod is put right by the next pass, and the pass comes at once."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import Daemon
from tests.neighbour import Neighbour
from tests.waiting import wait_for

pytestmark = pytest.mark.system


def apply(daemon: Daemon, image: str, **more: Any) -> int:
    spec = {"name": "web", "grace": 1, "containers": [{"name": "app", "image": image, "command": ["sleep", "999"]}]}
    daemon.client.apply(spec | more)
    daemon.client.wait("web", "ready", timeout=60)
    return pid(daemon)


def pid(daemon: Daemon, name: str = "app") -> int:
    found = {each.name: each.pid for each in daemon.client.status("web").containers}
    return found[name] or 0


def restarts(daemon: Daemon) -> int:
    return daemon.client.status("web").containers[0].restarts


def uid(daemon: Daemon) -> str:
    return daemon.client.status("web").uid


def test_a_killed_container_runs_again_at_once(daemon: Daemon, busybox: str) -> None:
    before = apply(daemon, busybox)
    began = time.monotonic()
    os.kill(before, signal.SIGKILL)
    after = wait_for(lambda: now if (now := pid(daemon)) and now != before else None)
    took = time.monotonic() - began
    assert os.path.exists(f"/proc/{after}")
    assert took < 5.0, f"the first restart took {took:.2f} s"
    status = daemon.client.status("web").containers[0]
    assert (status.restarts, status.last[0].exit_code) == (1, 137)


def test_the_second_crash_waits_ten_seconds(daemon: Daemon, busybox: str) -> None:
    before = apply(daemon, busybox)
    os.kill(before, signal.SIGKILL)
    again = wait_for(lambda: now if (now := pid(daemon)) and now != before else None)
    os.kill(again, signal.SIGKILL)
    waiting = wait_for(lambda: each if (each := daemon.client.status("web").containers[0]).retry_at else None)
    assert (waiting.state, waiting.reason) == ("waiting", "CrashLoopBackOff")
    assert "exit code 137" in waiting.message
    answer = daemon.tank("why", "web").stdout.decode()
    assert "CrashLoopBackOff" in answer
    assert "137" in answer


def test_a_flushed_address_comes_back_within_a_second(daemon: Daemon, busybox: str, neighbour: Neighbour) -> None:
    nic = {"name": "eth0", "parent": neighbour.parent, "ip": f"{neighbour.prefix}.5/24"}
    httpd = [{"name": "app", "image": busybox, "command": ["httpd", "-f", "-p", "80", "-h", "/www"]}]
    before = apply(daemon, busybox, network={"nics": [nic]}, containers=httpd)
    wait_for(lambda: neighbour.fetch(f"http://{neighbour.prefix}.5/"))
    namespace = f"--net={daemon.run}/pods/{uid(daemon)}/ns/net"
    subprocess.run(["nsenter", namespace, "ip", "address", "flush", "dev", "eth0"], check=True)
    show = ["nsenter", namespace, "ip", "-o", "address", "show", "dev", "eth0"]
    wait_for(lambda: f"{neighbour.prefix}.5/24" in subprocess.run(show, capture_output=True, text=True).stdout, 5)
    assert neighbour.fetch(f"http://{neighbour.prefix}.5/") is not None
    assert pid(daemon) == before


def test_a_deleted_namespace_pin_is_pinned_again_without_a_restart(daemon: Daemon, busybox: str) -> None:
    before = apply(daemon, busybox)
    pin = Path(f"{daemon.run}/pods/{uid(daemon)}/ns/net")
    subprocess.run(["umount", str(pin)], check=True)
    pin.unlink()
    target = os.readlink(f"/proc/{before}/ns/net")
    wait_for(lambda: pin.exists() and f"net:[{pin.stat().st_ino}]" == target, 40)
    assert pid(daemon) == before


def test_a_new_volume_in_memory_reaches_its_container_while_another_runs_on(daemon: Daemon, busybox: str) -> None:
    base = {"image": busybox, "command": ["sleep", "999"]}
    side = {"name": "side", **base, "mounts": [{"volume": "cache", "path": "/cache"}]}
    apply(daemon, busybox, containers=[{"name": "app", **base}, {"name": "side", **base}])
    before, old_side = pid(daemon), pid(daemon, "side")
    volumes = [{"name": "cache", "source": {"tmpfs": {"size": "1MiB"}}}]
    daemon.client.apply({"name": "web", "grace": 1, "containers": [{"name": "app", **base}, side], "volumes": volumes})
    wait_for(lambda: (now := pid(daemon, "side")) and now != old_side, 20)
    assert pid(daemon) == before
    assert b" /cache " in daemon.client.exec("web", ["cat", "/proc/mounts"], container="side").stdout
    assert "SandboxRepaired" not in {each.reason for each in daemon.client.events()}


@pytest.mark.parametrize("network", ["host", "loopback"])
def test_a_lost_shm_is_made_again_once_and_blocks_no_start(daemon: Daemon, busybox: str, network: str) -> None:
    base = {"image": busybox, "command": ["sleep", "999"]}
    more = {"network": "host"} if network == "host" else {}
    apply(daemon, busybox, containers=[{"name": "app", **base}, {"name": "side", **base}], **more)
    before, old_side = pid(daemon), pid(daemon, "side")
    subprocess.run(["umount", f"{daemon.run}/pods/{uid(daemon)}/shm"], check=True)
    os.kill(old_side, signal.SIGKILL)
    wait_for(lambda: (now := pid(daemon, "side")) and now != old_side, 20)
    assert daemon.client.exec("web", ["sh", "-c", "echo x > /dev/shm/x"], container="side").exit_code == 0
    assert pid(daemon) == before
    said = wait_for(lambda: [each for each in daemon.client.events() if each.reason == "SandboxRepaired"])
    assert [(each.count, each.message) for each in said] == [(1, "gone from the sandbox: shm")]


def test_another_size_of_a_volume_in_memory_is_taken_and_its_files_stay(daemon: Daemon, busybox: str) -> None:
    mounts = [{"volume": "cache", "path": "/cache"}]
    containers = [{"name": "app", "image": busybox, "command": ["sleep", "999"], "mounts": mounts}]

    def sized(size: str) -> dict[str, Any]:
        volume = {"name": "cache", "source": {"tmpfs": {"size": size} if size else {}}}
        return {"name": "web", "grace": 1, "containers": containers, "volumes": [volume]}

    def kilobytes() -> int:
        said = daemon.client.exec("web", ["df", "-k", "/cache"]).stdout.decode()
        return int(said.splitlines()[-1].split()[1])

    before = apply(daemon, busybox, **sized("1MiB"))
    daemon.client.exec("web", ["sh", "-c", "head -c 600000 /dev/zero > /cache/kept"])
    for size, wanted in (("4MiB", 4096), ("1MiB", 1024)):
        daemon.client.apply(sized(size))
        after = wait_for(lambda: now if (now := pid(daemon)) and now != before else None, 20)  # noqa: B023
        assert kilobytes() == wanted
        before = after
    daemon.client.apply(sized("64KiB"))
    wait_for(lambda: "it holds" in daemon.client.status("web").message, 20)
    assert pid(daemon) == before
    daemon.client.apply(sized(""))
    wait_for(lambda: (now := pid(daemon)) and now != before, 20)
    assert kilobytes() > 4096
    assert daemon.client.exec("web", ["wc", "-c", "/cache/kept"]).stdout.startswith(b"600000")


def test_a_container_whose_monitor_was_killed_is_replaced(daemon: Daemon, busybox: str) -> None:
    before = apply(daemon, busybox)
    monitor = int(next(Path(f"{daemon.run}/pods/{uid(daemon)}").rglob("conmon.pid")).read_text())
    os.kill(monitor, signal.SIGKILL)
    wait_for(lambda: (now := pid(daemon)) and now != before, 40)
    wait_for(lambda: not os.path.exists(f"/proc/{before}"))


def test_a_limits_change_restarts_nothing(daemon: Daemon, busybox: str) -> None:
    before = apply(daemon, busybox)
    limits = {"memory": "64MiB", "pids": 50, "cpu": 0.5}
    container = {"name": "app", "image": busybox, "command": ["sleep", "999"], "limits": limits}
    plan = daemon.client.plan({"name": "web", "grace": 1, "containers": [container]})
    assert {step.impact for step in plan.steps} <= {"live", "none"}
    assert [(each.path, each.after, each.impact) for each in plan.changes] == [
        ("containers[app].limits.memory", 2**26, "live"),
        ("containers[app].limits.pids", 50, "live"),
        ("containers[app].limits.cpu", [50_000, 100_000], "live"),
    ]
    apply(daemon, busybox, containers=[container])
    wait_for(lambda: daemon.client.status("web").observed_revision == daemon.client.status("web").revision)
    groups = Path("/sys/fs/cgroup")
    found = [*groups.glob(f"**/tank-{daemon.installation}/*/app/pids.max")]
    wait_for(lambda: found and found[0].read_text().strip() == "50")
    assert pid(daemon) == before


def test_only_the_changed_container_of_a_pod_is_replaced(daemon: Daemon, busybox: str) -> None:
    def two(word: str) -> list[dict[str, Any]]:
        base = {"image": busybox, "command": ["sleep", "999"]}
        return [{"name": "app", **base}, {"name": "side", **base, "env": {"WORD": word}}]

    before = apply(daemon, busybox, containers=two("one"))
    side = pid(daemon, "side")
    daemon.client.apply({"name": "web", "grace": 1, "containers": two("two")})
    wait_for(lambda: (now := pid(daemon, "side")) and now != side)
    daemon.client.wait("web", "ready")
    assert pid(daemon) == before
    assert daemon.client.exec("web", ["sh", "-c", "echo $WORD"], container="side").stdout == b"two\n"


def test_the_containers_of_a_pod_share_network_ipc_and_name_and_no_root(daemon: Daemon, busybox: str) -> None:
    base = {"image": busybox, "command": ["sleep", "999"]}
    apply(daemon, busybox, containers=[{"name": "app", **base}, {"name": "side", **base}])
    one, two = pid(daemon), pid(daemon, "side")
    same = {kind: os.readlink(f"/proc/{one}/ns/{kind}") == os.readlink(f"/proc/{two}/ns/{kind}") for kind in KINDS}
    assert same == {"net": True, "ipc": True, "uts": True, "mnt": False, "pid": False}
    daemon.client.exec("web", ["sh", "-c", "echo mine > /only; echo ours > /dev/shm/both"])
    assert daemon.client.exec("web", ["cat", "/dev/shm/both"], container="side").stdout == b"ours\n"
    assert daemon.client.exec("web", ["cat", "/only"], container="side").exit_code == 1


KINDS = ("net", "ipc", "uts", "mnt", "pid")


def test_an_update_whose_image_cannot_be_had_leaves_the_old_one_running(daemon: Daemon, busybox: str) -> None:
    before = apply(daemon, busybox)
    missing = busybox.rpartition(":")[0] + ":no-such-tag"
    daemon.client.apply({"name": "web", "grace": 1, "containers": [{"name": "app", "image": missing}]})
    status = wait_for(lambda: each if (each := daemon.client.status("web")).reason == "ImagePullBackOff" else None)
    assert status.phase == "running"
    assert "no-such-tag" in status.message
    assert pid(daemon) == before
    daemon.client.rollback("web")
    wait_for(lambda: not daemon.client.status("web").reason)
    assert pid(daemon) == before


def test_a_script_whose_interpreter_is_no_text_ends_its_container_and_nothing_else(
    daemon: Daemon, short_tmp: Path
) -> None:
    root = short_tmp / "root"
    for name in ("bin", "dev", "etc", "proc", "sys"):
        (root / name).mkdir(parents=True)
    (root / "bin/odd").write_bytes(b"#!/\xff\xfe\n")
    (root / "bin/odd").chmod(0o755)
    container = {"name": "app", "image": {"rootfs": str(root)}, "command": ["odd"]}
    daemon.client.apply({"name": "web", "restart": "never", "containers": [container]})
    status = wait_for(lambda: each if (each := daemon.client.status("web")).phase == "failed" else None)
    end = status.containers[0].last[0]
    assert (end.exit_code, end.reason) == (127, "StartError")
    wait_for(lambda: any("which is missing" in each.message for each in daemon.client.events()))


def test_a_stop_is_a_signal_and_a_grace(daemon: Daemon, busybox: str) -> None:
    script = "trap 'echo caught; exit 0' TERM; echo ready; while :; do sleep 0.1; done"
    apply(daemon, busybox, containers=[{"name": "app", "image": busybox, "command": ["sh", "-c", script]}])
    wait_for(lambda: b"ready" in daemon.tank("logs", "web").stdout)
    changed = {"name": "app", "image": busybox, "command": ["sleep", "99"]}
    daemon.client.apply({"name": "web", "grace": 20, "containers": [changed]})
    wait_for(lambda: daemon.client.status("web").containers[0].restarts == 1)
    end = daemon.client.status("web").containers[0].last[0]
    assert end.exit_code == 0
    assert b"caught" in daemon.tank("logs", "web").stdout


def test_c3_10_a_program_that_cannot_see_its_stop_signal_is_named(daemon: Daemon, busybox: str) -> None:
    apply(daemon, busybox, grace=0.2)
    daemon.client.delete("web")
    daemon.client.wait("web", "gone", timeout=20)
    wait_for(lambda: "StopSignalIgnored" in {each.reason for each in daemon.client.events()})


def test_with_a_reaper_it_sees_it(daemon: Daemon, busybox: str) -> None:
    container = {"name": "app", "image": busybox, "command": ["sleep", "999"], "reaper": True}
    apply(daemon, busybox, grace=60, containers=[container])
    daemon.client.delete("web")
    daemon.client.wait("web", "gone", timeout=20)
    assert "StopSignalIgnored" not in {each.reason for each in daemon.client.events()}
