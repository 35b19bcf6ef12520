"""The few words that a service says to systemd and asks of it. Without systemd all of them are no-ops."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from tank.errors import TankError
from tank.host import process

_SYSTEMD = Path("/run/systemd/system")


def notify(state: str) -> None:
    """Send `state` (READY=1, STOPPING=1, STATUS=…) to the service manager (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    name = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.connect(name)
        sender.send(state.encode())


def _is_here() -> bool:
    """As sd_booted(3) has it."""
    return _SYSTEMD.is_dir()


async def is_stopping() -> bool:
    """Whether the whole system is going down; false where there is no systemd."""
    if not _is_here():
        return False
    try:
        # The command ends with 1 for every state but "running", so the word counts and not the code.
        child = await process.spawn(["systemctl", "is-system-running"], stdout=process.PIPE)
        out, _ = await child.communicate()
    except (OSError, TankError):
        return False
    return out.decode(errors="replace").strip() == "stopping"
