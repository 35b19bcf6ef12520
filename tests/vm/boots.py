"""What ends and begins again: the daemon, the service manager, the machine."""

from __future__ import annotations

import re
import time

from tests.vm.guest import Guest

_MARKS = "/var/lib/tank/volumes/data/marks"


def the_daemon_is_restarted(guest: Guest) -> str:
    return _unnoticed(guest, "systemctl restart tank")


def the_daemon_is_killed(guest: Guest) -> str:
    return _unnoticed(guest, "systemctl kill -s KILL tank; sleep 0.2; systemctl start tank")


def the_manager_reads_its_units_again(guest: Guest) -> str:
    limits = guest.group("web", "app", "memory.max")
    said = _unnoticed(guest, "systemctl daemon-reload; systemctl daemon-reexec")
    assert guest.group("web", "app", "memory.max") == limits
    return said


def _unnoticed(guest: Guest, script: str) -> str:
    """Do it and see that no pod noticed: the same processes, no event, the same attempts."""
    pids, events, restarts = guest.pids(), guest.events(), guest.container("web")["restarts"]
    assert "web/app" in pids
    guest.sh(script)
    guest.until("the daemon", lambda: guest.try_sh("tank info").code == 0)
    guest.sh("sleep 2")
    assert guest.pids() == pids
    assert guest.events() == events
    assert guest.container("web")["restarts"] == restarts
    return f"pid {pids['web/app']} as before, {len(events)} events as before"


def the_machine_is_rebooted(guest: Guest) -> str:
    boot, restarts = _boot_id(guest), guest.container("web")["restarts"]
    guest.machine.send("sleep 0.5; systemctl reboot")
    took = _next_boot(guest, boot)
    # It was told to end, was given its three seconds, and its disk was still there.
    assert _marks(guest)[-3:] == [f"term {boot}", f"bye {boot}", f"start {_boot_id(guest)}"], _marks(guest)
    said = guest.sh("journalctl -b -1 --no-pager -o short-monotonic -u tank -u tank-pods")
    assert "the system goes down: stopping all pods" in said, said
    _in_order(guest, "Stopped tank.service", "Stopped tank-pods.service", "Unmounting run-tank-exits.mount")
    ended = guest.container("web")["last"][0]
    assert ended["exit_code"] == 7, ended
    _all_as_wanted(guest, restarts)
    return f"{took:.0f} s; the daemon took {_seconds(said):.1f} s to stop"


def _in_order(guest: Guest, *said: str) -> None:
    """What the manager said, last in the boot before, came in this order."""
    journal = guest.sh("journalctl -b -1 --no-pager -o cat _PID=1")
    places = [journal.rfind(each) for each in said]
    assert -1 not in places, said
    assert places == sorted(places), journal[-4000:]


def _seconds(journal: str) -> float:
    began, ended = (
        float(re.findall(rf"^\[ *([\d.]+)\].* {word} tank\.service", journal, re.MULTILINE)[-1])
        for word in ("Stopping", "Stopped")
    )
    return ended - began


def pods_of_a_stopped_daemon_are_told_to_end_at_a_reboot(guest: Guest) -> str:
    """Nobody but systemd is there to do it: its unit's processes get the signal, and the time."""
    boot, restarts = _boot_id(guest), guest.container("web")["restarts"]
    guest.sh("systemctl stop tank")
    guest.machine.send("sleep 0.5; systemctl reboot")
    took = _next_boot(guest, boot)
    assert _marks(guest)[-3:] == [f"term {boot}", f"bye {boot}", f"start {_boot_id(guest)}"], _marks(guest)
    ended = guest.container("web")["last"][0]
    assert ended["exit_code"] in (7, None), ended
    _all_as_wanted(guest, restarts)
    return f"{took:.0f} s; exit code {ended['exit_code']}"


def the_power_is_cut(guest: Guest) -> str:
    boot, restarts = _boot_id(guest), guest.container("web")["restarts"]
    guest.sh("sync")
    began = time.monotonic()
    guest.machine.cut_power()
    assert guest.machine.power_on() != boot
    guest.until("the pod", lambda: "web/app" in _pids(guest))
    assert _marks(guest)[-2:] == [f"start {boot}", f"start {_boot_id(guest)}"], _marks(guest)
    ended = guest.container("web")["last"][0]
    assert (ended["exit_code"], ended["reason"]) == (None, "Rebooted"), ended
    _all_as_wanted(guest, restarts)
    return f"{time.monotonic() - began:.0f} s; exit code unknown"


def _next_boot(guest: Guest, boot: str) -> float:
    began = time.monotonic()
    while guest.machine.booted() == boot:  # the agent may be started again on its way down
        pass
    guest.until("the pod", lambda: "web/app" in _pids(guest))
    return time.monotonic() - began


def _all_as_wanted(guest: Guest, restarts: int) -> None:
    """One more start, without a wait, since a reboot is no crash; what had run its course rests."""
    guest.until("readiness", lambda: guest.json("status web")["ready"])
    assert guest.container("web")["restarts"] == restarts + 1, guest.container("web")
    assert guest.json("status job")["phase"] == "succeeded"
    assert guest.sh("cat /var/lib/tank/volumes/job-data/count").split() == ["ran"]
    assert guest.group("web", "app", "pids.max") == "40"


def _pids(guest: Guest) -> dict[str, int]:
    return guest.pids() if guest.try_sh("tank info").code == 0 else {}


def _boot_id(guest: Guest) -> str:
    return guest.sh("cat /proc/sys/kernel/random/boot_id").strip()


def _marks(guest: Guest) -> list[str]:
    return guest.sh(f"cat {_MARKS}").splitlines()
