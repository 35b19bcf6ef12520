"""What can only be judged by looking at several fields of one container.

Works on the canonical plain values, of which faulty parts are missing or BAD.
"""

from __future__ import annotations

from typing import Any

from tank.model.faults import BAD, Spot, quoted

Draft = dict[str, Any]


def check_container(container: Draft, spot: Spot) -> None:
    """Report every fault that shows only between the fields of a container."""
    security = container.get("security", {})
    _check_image(container, spot)
    _check_command(container.get("command", []), spot.at("command"))
    _check_capabilities(security, spot.at("security"))
    _check_privileged(container, security, spot)
    _check_limits(container.get("limits", {}), spot.at("limits"))
    _check_probes(container.get("probes", {}), spot.at("probes"))
    for name, hook in container.get("hooks", {}).items():
        _check_command(hook.get("exec", []), spot.at("hooks", name, "exec"))
    _check_devices(container, spot)


def check_init(container: Draft, spot: Spot) -> None:
    """Report what an entry of `init` cannot have (C4)."""
    restart = container.get("restart")
    if restart not in (None, "always"):
        hint = "always makes it a sidecar; without the field it follows the pod's"
        spot.at("restart").fault(f"{restart} is not for an init container", hint)
    if restart == "always" or spot.at("restart").faulty:
        return
    for name in ("probes", "hooks"):
        if container.get(name):
            spot.at(name).fault(f"an init container has no {name}", "restart: always makes it a sidecar, which has")


def _check_image(container: Draft, spot: Spot) -> None:
    if isinstance(container.get("image"), dict) and "pull" in container:
        spot.at("pull").fault("a rootfs is never pulled")


def _check_command(command: list[Any], spot: Spot) -> None:
    if command and command[0] == "":
        spot.at(0).fault("the name of a program cannot be empty")


def _check_capabilities(security: Draft, spot: Spot) -> None:
    both = [each for each in security.get("cap_add", []) if each in security.get("cap_drop", [])]
    for each in both:
        if isinstance(each, str):
            spot.at("cap_drop").fault(f"{each} is both added and dropped")


def _check_privileged(container: Draft, security: Draft, spot: Spot) -> None:
    """A privileged container has no filter, and only it may change the mounts of the host."""
    privileged = security.get("privileged", False)
    if privileged and security.get("seccomp", "").startswith("/"):
        spot.at("security", "seccomp").fault("a privileged container has no filter of system calls")
    for index, mount in enumerate(container.get("mounts", [])):
        if mount is not BAD and mount.get("propagation") == "shared" and not privileged:
            here = spot.at("mounts", index, "propagation")
            here.fault("shared is for privileged containers only: mounts made inside appear on the host")


def _check_limits(limits: Draft, spot: Spot) -> None:
    most = limits.get("memory")
    for name in ("memory_high", "memory_low"):
        if most is not None and limits.get(name, 0) > most:
            spot.at(name).fault("cannot exceed memory")


def _check_probes(probes: Draft, spot: Spot) -> None:
    for name, probe in probes.items():
        _check_command(probe.get("exec", []), spot.at(name, "exec"))
        if name == "ready" and "grace" in probe:
            spot.at(name, "grace").fault("only startup and live have one: nothing is killed")
        if name != "ready" and probe.get("successes", 1) != 1:
            spot.at(name, "successes").fault(f"must be 1 for {name} (C2)")


def _check_devices(container: Draft, spot: Spot) -> None:
    seen: set[str] = set()
    for index, device in enumerate(container.get("devices", [])):
        if device is BAD:
            continue
        here, named = spot.at("devices", index), "name" in device
        for field in ("target", "access") if named else ():
            if field in device:
                here.at(field).fault("a CDI device says itself how it is used")
        place = device.get("name") or device.get("target") or device.get("path")
        if place in seen:
            here.fault(f"{quoted(place)} is given twice")
        seen |= {place} if place else set()
