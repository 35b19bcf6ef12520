"""What the clients ask about volumes, as values (see `tank.client.calls`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tank.client.calls import Call
from tank.client.values import read
from tank.client.wire import quote
from tank.model.volumes import VolumeStatus


def path(name: str, verb: str = "") -> str:
    """Where a volume is spoken to."""
    return f"/v1/volumes/{quote(name)}" + (f"/{verb}" if verb else "")


def list_() -> Call[list[VolumeStatus]]:
    """Every managed volume."""
    return Call(path="/v1/volumes", decode=lambda body: [status(each) for each in body])


def inspect(name: str) -> Call[VolumeStatus]:
    """One volume."""
    return Call(path=path(name), decode=status)


def delete(name: str) -> Call[VolumeStatus]:
    """Remove a volume and all in it."""
    return Call(method="DELETE", path=path(name), decode=status)


def status(body: Mapping[str, Any]) -> VolumeStatus:
    """A volume as the daemon tells of it."""
    users = {name: tuple(body.get(name, ())) for name in ("used_by", "mounted_by")}
    return read(VolumeStatus, body, **users)
