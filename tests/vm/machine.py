"""A virtual machine under qemu, in software, driven through a serial port."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.vm.root import Base

BOOT_SECONDS = 300.0
ACCELERATION = os.environ.get("TANK_VM_ACCEL", "tcg")
COMMAND_LINE = "console=ttyS0 quiet panic=5 systemd.show_status=yes"


class NoAnswer(Exception):
    """The machine did not say in time what was waited for."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a script in the machine ended."""

    code: int
    out: str
    err: str


class Machine:
    """One machine with a disk of its own. `payload` is a tar that it sees as its second disk."""

    def __init__(self, base: Base, directory: Path, payload: Path) -> None:
        self._base, self._directory, self._payload = base, directory, payload
        self._disk, self._console = directory / "disk", directory / "console"
        self._process: subprocess.Popen[bytes] | None = None
        self._asked = 0
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", base.disk, self._disk], check=True)

    @property
    def console(self) -> str:
        """What the kernel and systemd said, of all boots."""
        return self._console.read_text(errors="replace") if self._console.exists() else ""

    def power_on(self) -> str:
        """Start it; answers with the id of the boot once it can be talked to."""
        path = self._directory / "serial"
        path.unlink(missing_ok=True)
        with (self._directory / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(path), stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=True
            )
        self._socket = socket.socket(socket.AF_UNIX)
        self._connect(path)
        self._lines = self._read()
        return self.booted()

    def _command(self, serial: Path) -> list[str]:
        word = "qemu-system-x86_64 -nodefaults -no-user-config -display none -nic none -machine q35 -smp 2 -m 1024"
        drives = [f"file={self._disk},format=raw,if=virtio", f"file={self._payload},format=raw,if=virtio,readonly=on"]
        command = [*shlex.split(word), "-accel", ACCELERATION, "-cpu", "Nehalem" if ACCELERATION == "tcg" else "host"]
        command += ["-kernel", str(self._base.kernel), "-initrd", str(self._base.initrd), "-append", COMMAND_LINE]
        command += [part for drive in drives for part in ("-drive", drive)]
        command += ["-chardev", f"file,id=console,path={self._console},append=on", "-serial", "chardev:console"]
        return [*command, "-chardev", f"socket,id=agent,path={serial},server=on,wait=off", "-serial", "chardev:agent"]

    def _connect(self, path: Path) -> None:
        deadline = time.monotonic() + 20
        while True:
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise NoAnswer((self._directory / "qemu.log").read_text())
            try:
                return self._socket.connect(str(path))
            except OSError:
                time.sleep(0.05)

    def booted(self, seconds: float = BOOT_SECONDS) -> str:
        """Wait for the next boot; its id."""
        self._socket.settimeout(seconds)
        return str(next(line["boot"] for line in self._lines if "boot" in line))

    def run(self, script: str, seconds: float = 300.0) -> Done:
        """Run it with sh in the machine. Raises NoAnswer."""
        self.send(script)
        self._socket.settimeout(seconds)
        answer = next(line for line in self._lines if line.get("id") == str(self._asked))
        return Done(answer["code"], answer["out"], answer["err"])

    def send(self, script: str) -> None:
        """Have it run and wait for nothing."""
        self._asked += 1
        self._socket.sendall(json.dumps({"id": str(self._asked), "run": script}).encode() + b"\n")

    def _read(self) -> Iterator[dict[str, Any]]:
        rest = b""
        while True:
            try:
                got = self._socket.recv(65536)
            except TimeoutError as error:
                raise NoAnswer(f"no answer; the console's end:\n{self.console[-1500:]}") from error
            if not got:
                raise NoAnswer(f"the machine is off; the console's end:\n{self.console[-1500:]}")
            *lines, rest = (rest + got).split(b"\n")
            for line in lines:
                try:
                    value = json.loads(line)
                except ValueError:  # noise of a terminal that was being opened or closed
                    continue
                if isinstance(value, dict):
                    yield value

    def cut_power(self) -> None:
        """As if the plug were pulled: what the machine had not written is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._socket.close()


def can_run() -> bool:
    """Whether qemu is here."""
    return shutil.which("qemu-system-x86_64") is not None
