"""The weights of a group for CPU and disk time, written and read back.

Disk time is shared out by whoever orders a disk's requests: the BFQ scheduler, or version 2's cost model. Without
either a weight would change nothing, which is why it is refused.
"""

from __future__ import annotations

from pathlib import Path

from tank.host import files
from tank.host.control import Control, number, offer, put, text
from tank.model.weights import DEFAULT, bfq, from_bfq, shares, weight_of

_BLOCK = Path("/sys/block")
_NO_DISK = "no disk of this machine has the bfq scheduler"


def set_cpu(control: Control, weight: int | None) -> bool:
    """Make a CPU weight hold; false: there is no such controller. Raises OSError."""
    directory = control.directory("cpu")
    if directory is None:
        return False
    if control.is_v2("cpu"):
        put(directory / "cpu.weight", str(weight or DEFAULT))
    else:
        put(directory / "cpu.shares", str(shares(weight or DEFAULT)))
    return True


def read_cpu(control: Control) -> int | None:
    """The CPU weight that holds. Raises OSError."""
    directory = control.directory("cpu")
    if directory is None:
        return None
    if control.is_v2("cpu"):
        return number(directory / "cpu.weight")
    found = number(directory / "cpu.shares")
    return None if found is None else weight_of(found)


def set_io(control: Control, weight: int | None) -> bool:
    """Make a disk weight hold with whoever takes one; false: nobody does. Raises OSError."""
    wanted = weight or DEFAULT
    if (directory := control.directory("io")) is not None:
        by_cost = offer(directory / "io.weight", f"default {wanted}")
        return offer(directory / "io.bfq.weight", str(bfq(wanted))) or by_cost
    directory = control.directory("blkio")
    return directory is not None and offer(directory / "blkio.bfq.weight", str(bfq(wanted)))


def read_io(control: Control) -> int | None:
    """The disk weight that holds. Raises OSError."""
    if (directory := control.directory("io")) is not None:
        word = text(directory / "io.weight").partition("\n")[0].removeprefix("default ")
        return int(word) if word.isdigit() else _read_bfq(directory / "io.bfq.weight")
    directory = control.directory("blkio")
    return None if directory is None else _read_bfq(directory / "blkio.bfq.weight")


def _read_bfq(path: Path) -> int | None:
    word = text(path).partition("\n")[0].removeprefix("default ")
    return from_bfq(int(word)) if word.isdigit() else None


def is_near(weight: int, found: int | str) -> bool:
    """Whether what was read is the weight, as far as a scheduler tells weights apart."""
    return isinstance(found, int) and bfq(found) == bfq(weight)


def why_no_io(control: Control, block: Path = _BLOCK) -> str:
    """Why a disk weight would change nothing here; empty when some disk goes by weights. Raises OSError."""
    schedulers = [text(block / disk / "queue/scheduler") for disk in files.names(block)]
    by_bfq = any("[bfq]" in each for each in schedulers)
    tree = control.groups.hierarchies
    if tree.is_v2("io"):
        assert tree.v2 is not None
        by_cost = "enable=1" in text(tree.v2 / "io.cost.qos")
        return "" if by_bfq or by_cost else f"{_NO_DISK} or a cost model (io.cost.qos)"
    if "blkio" not in tree.v1:
        return "this machine has no control group controller for disks"
    return "" if by_bfq else _NO_DISK
