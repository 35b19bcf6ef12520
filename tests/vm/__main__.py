"""`./dev vm`: Tank under systemd, on control groups of version 2 alone, through reboots and a power cut.

A virtual machine without hardware help: some ten minutes. Every step prints how long it took, in our seconds, which
are several times those of a real machine. Ends with 1 at the first step that does not hold, after showing why.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.vm import boots, lan, limits, quotas, story
from tests.vm.guest import Guest
from tests.vm.machine import Machine
from tests.vm.root import base, run
from tests.vm.users import a_pod_has_ids_of_its_own

ROOT = Path(__file__).parents[2]
PARTS = ("tank", "pyproject.toml", "README.md", "LICENSE")
STEPS = (
    story.it_is_a_machine_of_version_two,
    story.tank_is_installed_and_started,
    story.the_doctor_finds_nothing_wrong,
    quotas.a_container_is_held_to_its_size,
    story.a_pod_runs_within_its_limits,
    story.a_command_runs_in_it_and_its_log_is_told,
    story.limits_change_while_it_runs,
    story.the_main_process_out_of_memory_is_told,
    story.a_child_out_of_memory_takes_the_container_along,
    limits.every_limit_is_set_changed_and_taken_off,
    limits.what_the_machine_has_not_is_refused,
    limits.a_disk_weight_counts_once_a_disk_goes_by_weights,
    limits.memory_that_can_be_pushed_out_is_cut,
    limits.memory_in_use_is_not_cut,
    limits.with_single_a_child_is_killed_alone,
    limits.it_is_told_whose_memory_was_used_up,
    story.a_run_once_pod_finishes,
    a_pod_has_ids_of_its_own,
    lan.there_is_a_neighbour,
    lan.an_ipvlan_pod_has_the_mac_of_its_parent,
    lan.an_address_that_a_neighbour_has_is_waited_for,
    lan.two_ipvlan_pods_reach_each_other_and_come_back,
    lan.one_parent_carries_one_kind,
    lan.the_host_and_a_macvlan_pod_reach_each_other,
    boots.the_daemon_is_restarted,
    boots.the_daemon_is_killed,
    boots.the_manager_reads_its_units_again,
    boots.the_machine_is_rebooted,
    boots.pods_of_a_stopped_daemon_are_told_to_end_at_a_reboot,
    boots.the_power_is_cut,
    story.it_is_not_uninstalled_while_pods_run,
    story.it_is_uninstalled,
)


def wheel(directory: Path) -> Path:
    """Tank as a wheel in a tar, which the machine sees as its second disk."""
    for part in PARTS:
        source, target = ROOT / part, directory / "source" / part
        target.parent.mkdir(exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--wheel-dir", directory / "wheel", directory / "source")
    run("tar", "--create", "--file", directory / "payload", "--directory", directory / "wheel", ".")
    return directory / "payload"


def tell(guest: Guest) -> None:
    """What a person needs who asks why."""
    try:
        print(guest.try_sh("tank list; tank why web; journalctl -b --no-pager -u tank -n 40", 60).out)
    except Exception as error:  # noqa: BLE001 - the machine may be dead; what is known already is told
        print(error)


def main() -> int:
    """Take the steps in order."""
    began = time.monotonic()
    found = base()
    print(f"{time.monotonic() - began:7.1f} s  the disk is there", flush=True)
    directory = Path(tempfile.mkdtemp(prefix="tank-vm-", dir="/var/tmp"))
    machine = Machine(found, directory, wheel(directory))
    guest = Guest(machine)
    try:
        machine.power_on()
        for step in STEPS:
            since = time.monotonic()
            said = step(guest)
            words = step.__name__.replace("_", " ") + (f": {said}" if said else "")
            print(f"{time.monotonic() - since:7.1f} s  {words}", flush=True)
    except Exception:  # noqa: BLE001 - told, and then the exit code says it
        traceback.print_exc()
        tell(guest)
        return 1
    finally:
        machine.cut_power()
        shutil.rmtree(directory)
    print(f"{time.monotonic() - began:7.1f} s  all of it")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as failed:
        sys.exit(str(failed))
