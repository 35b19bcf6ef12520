"""The floor of a start: conmon, `crun create` and `crun start` of a container with the same isolation, and no more.

No image, no overlay, no record, no network: what no orchestrator over these two programs can go below.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import wait_for

CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SETGID"]


@dataclass(frozen=True, slots=True)
class Floor:
    """`rootfs` is shared by all starts; `group` is the control group above theirs."""

    directory: Path
    rootfs: Path
    group: str

    @property
    def crun(self) -> list[str]:
        """The runtime with its directory."""
        return ["crun", f"--root={self.directory}/crun", "--cgroup-manager=cgroupfs"]

    def start(self) -> str:
        """One container, running; answers with its id."""
        name = secrets.token_hex(4)
        bundle = self.directory / name
        bundle.mkdir(parents=True)
        (bundle / "config.json").write_text(json.dumps(self._config(name)))
        sync = os.open(bundle / "sync", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            environment = {"PATH": os.environ["PATH"], "_OCI_SYNCPIPE": str(sync)}
            subprocess.run(self._conmon(name, bundle), env=environment, pass_fds=[sync], cwd=bundle, check=True)
        finally:
            os.close(sync)
        wait_for((bundle / "sync").read_bytes, what="the monitor")
        subprocess.run([*self.crun, "start", name], check=True)
        return name

    def remove(self, name: str) -> None:
        """End it and take it away."""
        subprocess.run([*self.crun, "delete", "--force", name], check=True, capture_output=True)
        wait_for((self.directory / "exits" / name).exists, what="the monitor's last word")
        shutil.rmtree(self.directory / name)

    def _conmon(self, name: str, bundle: Path) -> list[str]:
        runtime = [f"--runtime-arg={argument}" for argument in self.crun[1:]]
        files = ["-p", f"{bundle}/pidfile", "-l", f"k8s-file:{bundle}/log", "--exit-dir", f"{self.directory}/exits"]
        ids = ["-c", name, "-u", name, "-n", name]
        program = shutil.which("crun") or "crun"
        return [
            "conmon",
            "--api-version",
            "1",
            *ids,
            "-r",
            program,
            "-b",
            str(bundle),
            "--full-attach",
            *runtime,
            *files,
        ]

    def _config(self, name: str) -> dict[str, object]:
        sets = ("bounding", "effective", "permitted")
        process = {
            "args": ["/bin/sleep", "100000"],
            "cwd": "/",
            "env": ["PATH=/bin"],
            "user": {"uid": 0, "gid": 0},
            "capabilities": dict.fromkeys(sets, CAPABILITIES),
            "noNewPrivileges": True,
        }
        mounts = [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "ro"]},
        ]
        kinds = ("pid", "mount", "ipc", "uts", "network")
        linux = {"namespaces": [{"type": kind} for kind in kinds], "cgroupsPath": f"{self.group}/{name}"}
        root = {"path": str(self.rootfs), "readonly": True}
        return {"ociVersion": "1.0.2", "process": process, "root": root, "mounts": mounts, "linux": linux}
