"""Kubernetes documents run: init containers, sidecars, probes, variables, files, users, jobs; and the way back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.daemon import Daemon
from tests.waiting import wait_for

pytestmark = pytest.mark.system

SERVICE = """\
apiVersion: v1
kind: ConfigMap
metadata: {{name: settings}}
data:
  COLOR: blue
  page.txt: "a page\\n"
---
apiVersion: v1
kind: Secret
metadata: {{name: login}}
data: {{password: aHVudGVyMg==}}
---
apiVersion: v1
kind: Pod
metadata:
  name: web
  labels: {{tier: front}}
spec:
  terminationGracePeriodSeconds: 2
  tolerations: [{{key: example, operator: Exists}}]
  securityContext: {{runAsUser: 1000, runAsGroup: 3000, fsGroup: 2000}}
  initContainers:
  - name: write
    image: {image}
    command: [sh, -c, "cat /config/page.txt >/pages/index.html"]
    volumeMounts:
    - {{name: pages, mountPath: /pages}}
    - {{name: config, mountPath: /config}}
  - name: side
    image: {image}
    restartPolicy: Always
    command: [sh, -c, "touch /pages/side; exec sleep 999"]
    startupProbe: {{exec: {{command: [test, -e, /pages/side]}}, periodSeconds: 1}}
    volumeMounts: [{{name: pages, mountPath: /pages}}]
  containers:
  - name: app
    image: {image}
    command: [httpd, -f, -p, "8080", -h, /pages]
    ports: [{{name: http, containerPort: 8080}}]
    env:
    - {{name: POD, valueFrom: {{fieldRef: {{fieldPath: metadata.name}}}}}}
    - {{name: TIER, valueFrom: {{fieldRef: {{fieldPath: "metadata.labels['tier']"}}}}}}
    - {{name: PASSWORD, valueFrom: {{secretKeyRef: {{name: login, key: password}}}}}}
    - {{name: MEMORY, valueFrom: {{resourceFieldRef: {{resource: limits.memory, divisor: 1Mi}}}}}}
    - {{name: BOTH, value: "$(POD) $(COLOR)"}}
    envFrom: [{{configMapRef: {{name: settings}}}}]
    resources: {{limits: {{memory: 64Mi}}}}
    readinessProbe: {{httpGet: {{path: /, port: http}}, periodSeconds: 1}}
    livenessProbe: {{tcpSocket: {{port: http}}}}
    volumeMounts:
    - {{name: pages, mountPath: /pages, readOnly: yes}}
    - {{name: login, mountPath: /login}}
  volumes:
  - {{name: pages, emptyDir: {{}}}}
  - {{name: config, configMap: {{name: settings}}}}
  - {{name: login, secret: {{secretName: login, defaultMode: 0400}}}}
"""
JOB = """\
apiVersion: batch/v1
kind: Job
metadata: {{name: sum}}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{{name: sum, image: "{image}", command: [sh, -c, "echo $((6 * 7))"]}}]
"""
NONSENSE = """\
apiVersion: v1
kind: Pod
metadata: {{name: nosy}}
spec:
  hostPID: true
  containers: [{{name: app, image: "{image}"}}]
"""


def apply(daemon: Daemon, directory: Path, text: str) -> tuple[int, str, str]:
    """Apply a text and wait; the exit code and both outputs."""
    file = directory / "documents.yaml"
    file.write_text(text)
    done = daemon.tank("apply", "-f", str(file), "--wait", "--timeout", "60s")
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_a_service_with_all_that_it_takes(daemon: Daemon, busybox: str, short_tmp: Path) -> None:
    code, _, err = apply(daemon, short_tmp, SERVICE.format(image=busybox))
    assert code == 0, err
    assert "lost: " in err
    assert "spec.tolerations: there is one machine" in err
    told = daemon.client.exec(
        "web", ["sh", "-c", "echo $POD $TIER $PASSWORD $MEMORY $BOTH; id -u; id -G; cat /login/password"]
    )
    assert told.stdout.decode().splitlines() == [
        "web front hunter2 64 web blue",
        "1000",
        "3000 2000",
        "hunter2",
    ]
    page = daemon.client.exec("web", ["sh", "-c", "wget -qO- http://127.0.0.1:8080/; ls -lnd /pages"])
    assert page.stdout.decode().splitlines()[0] == "a page"
    assert page.stdout.decode().splitlines()[1].split()[0::3][:2] == ["drwxrwsrwx", "2000"]
    shown = daemon.json("status", "web")
    assert [each["name"] for each in shown["init"]] == ["write", "side"]


def test_an_exported_pod_is_applied_again_and_nothing_happens(daemon: Daemon, busybox: str, short_tmp: Path) -> None:
    apply(daemon, short_tmp, SERVICE.format(image=busybox))
    before = daemon.json("status", "web")
    exported = daemon.tank("export", "web", "--kube").stdout.decode()
    file = short_tmp / "exported.yaml"
    file.write_text(exported)
    assert daemon.tank("plan", "-f", str(file)).returncode == 0
    assert daemon.tank("apply", "-f", str(file), "--wait").returncode == 0
    after = daemon.json("status", "web")
    assert (after["revision"], after["containers"][0]["pid"]) == (before["revision"], before["containers"][0]["pid"])


def test_a_job_runs_once(daemon: Daemon, busybox: str, short_tmp: Path) -> None:
    code, _, err = apply(daemon, short_tmp, JOB.format(image=busybox))
    assert code == 0, err
    assert daemon.json("status", "sum")["phase"] == "succeeded"
    assert wait_for(lambda: daemon.tank("logs", "sum").stdout, what="the sum") == b"42\n"


def test_what_cannot_be_honoured_keeps_the_whole_file_from_being_applied(
    daemon: Daemon, busybox: str, short_tmp: Path
) -> None:
    code, out, err = apply(daemon, short_tmp, SERVICE.format(image=busybox) + "---\n" + NONSENSE.format(image=busybox))
    assert (code, out) == (2, "")
    assert "spec.hostPID: a pod does not see the machine's processes" in err
    assert json.loads(daemon.tank("list", "-o", "json").stdout) == []
