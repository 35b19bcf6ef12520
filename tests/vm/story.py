"""From a bare Debian to pods that run, and back. Each function is a step; it answers with numbers worth printing."""

from __future__ import annotations

from typing import Any

from tests.vm.guest import PODS_GROUP, Guest

MIB = 2**20
ROOTFS = {"rootfs": "/srv/busybox"}
_EAT = "dd if=/dev/zero of=/dev/null bs=200M count=1"
LIMITS = {"memory": "64MiB", "pids": 40, "cpu": [50_000, 100_000]}

# Says when it is told to end, takes three seconds over it, and ends with a code of its own.
_FAREWELL = """
trap 'echo "term $(cat /proc/sys/kernel/random/boot_id)" >>/data/marks; sleep 3;
echo "bye $(cat /proc/sys/kernel/random/boot_id)" >>/data/marks; sync; exit 7' TERM
echo "start $(cat /proc/sys/kernel/random/boot_id)" >>/data/marks; echo hello from web
while :; do sleep 1 & wait $!; done
"""


def web(**limits: Any) -> dict[str, Any]:
    """The pod that runs through it all."""
    container = {
        "name": "app",
        "image": ROOTFS,
        "command": ["sh", "-c", _FAREWELL],
        "mounts": ["data:/data"],
        "limits": limits or LIMITS,
    }
    return {"name": "web", "grace": 30, "volumes": [{"name": "data"}], "containers": [container]}


def once(name: str, script: str, **container: Any) -> dict[str, Any]:
    """A pod that runs once."""
    whole = {"name": "main", "image": ROOTFS, "command": ["sh", "-c", script], **container}
    return {"name": name, "restart": "never", "containers": [whole], "volumes": [{"name": f"{name}-data"}]}


def it_is_a_machine_of_version_two(guest: Guest) -> str:
    assert guest.sh("stat -fc %T /sys/fs/cgroup").strip() == "cgroup2fs"
    assert guest.sh("awk '$3 == \"cgroup\"' /proc/mounts") == ""
    assert guest.sh("cat /proc/1/comm").strip() == "systemd"
    state = guest.sh("systemctl is-system-running --wait || true").strip()
    assert state == "running", guest.sh("systemctl --failed --no-pager")
    return guest.sh("uname -r; systemctl --version | head -n 1").replace("\n", " ").strip()


def tank_is_installed_and_started(guest: Guest) -> None:
    """The last steps of `./dev install`: the packages and the virtual environment are on the disk already."""
    guest.sh("mkdir -p /srv/wheel && tar xf /dev/vdb -C /srv/wheel")
    guest.sh("/opt/tank/bin/pip install --quiet --no-index --no-deps --compile /srv/wheel/*.whl", 600)
    guest.sh("ln -sfn /opt/tank/bin/tank /usr/local/bin/tank")
    guest.sh("/opt/tank/bin/tank install", 600)
    for unit in ("tank.service", "tank-pods.service"):
        assert guest.sh(f"systemctl is-active {unit}; systemctl is-enabled {unit}").split() == ["active", "enabled"]
    guest.sh("systemctl start tank")
    guest.sh("systemd-analyze verify tank.service tank-pods.service")


def the_doctor_finds_nothing_wrong(guest: Guest) -> str:
    found = {each["check"]: each for each in guest.json("doctor")}
    assert found["control groups"]["message"] == "version 2"
    wrong = {name: each for name, each in found.items() if each["verdict"] != "ok"}
    assert set(wrong) <= {"crun"}, wrong  # Debian mends its own crun without a new version number
    return f"{len(found)} findings"


def a_pod_runs_within_its_limits(guest: Guest) -> str:
    done = guest.apply(web(), "--wait", "--timeout", "2m")
    assert done.code == 0, done.err
    files = ("memory.max", "memory.swap.max", "pids.max", "cpu.max", "memory.oom.group")
    found = [guest.group("web", "app", file) for file in files]
    assert found == [str(64 * MIB), "0", "40", "50000 100000", "1"], found
    uid, pid = guest.json("status web")["uid"], guest.pids()["web/app"]
    place = guest.sh(f"cat /proc/{pid}/cgroup").strip()
    assert place == f"0::/system.slice/tank-pods.service/{uid}/app", place
    (monitor,) = guest.sh(f"find {PODS_GROUP}/{uid}/_monitor -name cgroup.procs | xargs cat").split()
    assert guest.sh(f"cat /proc/{monitor}/comm").strip() == "conmon"
    assert guest.sh("cat /proc/$(systemctl show -P MainPID tank)/cgroup").strip() == "0::/system.slice/tank.service"
    return " ".join(f"{name}={value!r}" for name, value in zip(files, found, strict=True))


def a_command_runs_in_it_and_its_log_is_told(guest: Guest) -> None:
    done = guest.try_sh("tank exec web -- sh -c 'hostname; exit 3'")
    assert (done.code, done.out) == (3, "web\n"), done
    assert guest.sh("tank logs web").splitlines() == ["hello from web"]


def limits_change_while_it_runs(guest: Guest) -> None:
    before = guest.pids()
    assert guest.apply(web(memory="96MiB", pids=50, cpu=0.25), "--wait").code == 0

    def changed() -> bool:
        found = [guest.group("web", "app", file) for file in ("memory.max", "pids.max", "cpu.max")]
        return found == [str(96 * MIB), "50", "25000 100000"]

    guest.until("the new limits", changed)
    assert guest.apply(web(pids=50), "--wait").code == 0
    guest.until("no limit", lambda: guest.group("web", "app", "memory.max") == "max")
    assert guest.apply(web(), "--wait").code == 0
    guest.until("the first limits", lambda: guest.group("web", "app", "memory.max") == str(64 * MIB))
    assert guest.pids() == before
    assert guest.container("web")["restarts"] == 0


def the_main_process_out_of_memory_is_told(guest: Guest) -> None:
    spec = once("hog", f"exec {_EAT}", limits={"memory": "32MiB"})
    assert guest.apply(spec).code == 0
    guest.sh("tank wait hog --for failed")
    found = guest.container("hog")
    assert (found["exit_code"], found["oom_killed"], found["reason"]) == (137, True, "OOMKilled"), found
    guest.sh("tank delete hog --wait")


def a_child_out_of_memory_takes_the_container_along(guest: Guest) -> None:
    script = f"sleep 600 & {_EAT}; echo survived; sleep 600"
    assert guest.apply(once("family", script, limits={"memory": "32MiB"})).code == 0
    guest.sh("tank wait family --for failed")
    found = guest.container("family")
    assert (found["exit_code"], found["oom_killed"], found["reason"]) == (137, True, "OOMKilled"), found
    assert found["child_oom_kills"] >= 1, found
    assert guest.sh("tank logs family") == ""
    guest.sh("tank delete family --wait")


def a_run_once_pod_finishes(guest: Guest) -> None:
    spec = once("job", "echo ran >>/data/count; exit 0", mounts=["job-data:/data"])
    assert guest.apply(spec, "--wait").code == 0
    assert guest.json("status job")["phase"] == "succeeded"


def it_is_not_uninstalled_while_pods_run(guest: Guest) -> None:
    before = guest.pids()
    done = guest.try_sh("tank uninstall")
    assert done.code == 1, done
    assert "web" in done.err, done
    guest.sh("systemctl stop tank")
    done = guest.try_sh("tank uninstall")
    assert done.code == 1, done
    guest.sh("systemctl start tank")
    assert guest.pids() == before


def it_is_uninstalled(guest: Guest) -> None:
    guest.sh("tank delete web job --wait")
    guest.sh("tank uninstall")
    assert guest.sh("ls /etc/systemd/system/tank* 2>/dev/null || true") == ""
    assert guest.try_sh(f"test -e {PODS_GROUP}").code != 0
    assert guest.sh("ls /var/lib/tank/volumes").split() == ["data", "job-data"]
    assert guest.sh("awk '/tank/' /proc/mounts") == ""
    assert guest.sh("pidof conmon crun || true") == ""
