"""Runs in the virtual machine: takes a line of JSON from the second serial port, runs it with sh, answers with a line.

It says hello with the boot's id when it starts, so that the other end knows of every boot. Standard library only.
"""

from __future__ import annotations

import json
import os
import subprocess
import tty
from pathlib import Path
from typing import BinaryIO

PORT = "/dev/ttyS1"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def answer(asked: dict[str, str]) -> dict[str, object]:
    """Run one script; a script that never ends is the other end's fault."""
    done = subprocess.run(["/bin/sh", "-c", asked["run"]], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    said = {"out": done.stdout.decode(errors="replace"), "err": done.stderr.decode(errors="replace")}
    return {"id": asked["id"], "code": done.returncode, **said}


def say(port: BinaryIO, value: dict[str, object]) -> None:
    """One line, after an end of line that sets it apart from what a dying agent had begun."""
    port.write(b"\n" + json.dumps(value).encode() + b"\n")
    port.flush()


def main() -> None:
    """Until it is killed."""
    with open(PORT, "r+b", buffering=0) as raw:
        tty.setraw(raw.fileno())
        say(raw, {"boot": BOOT_ID.read_text().strip()})
        rest = b""
        while True:
            rest += os.read(raw.fileno(), 4096)
            *lines, rest = rest.split(b"\n")
            for line in lines:
                if line.startswith(b"{"):
                    say(raw, answer(json.loads(line)))


if __name__ == "__main__":
    main()
