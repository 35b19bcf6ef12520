"""Kubernetes documents at the command line: apply, plan, import, export."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.cli.conftest import Daemon, Tank

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  priority: 7
  containers:
  - {name: app, image: "nginx:1.27", tty: yes}
"""
SECRET = """\
apiVersion: v1
kind: Secret
metadata: {name: login}
stringData: {password: hidden}
---
"""
NO_ADDRESS = "spec: its network is none, loopback only: Kubernetes would give it an address"
LOST = f"lost: pod.yaml:4:1: {NO_ADDRESS}\nlost: pod.yaml:5:3: spec.priority: no pod is put before another\n"


@pytest.fixture
def tank(tank: Tank) -> Tank:
    (tank.home / "pod.yaml").write_text(POD)
    return tank


def test_what_is_lost_is_said_while_it_is_applied(tank: Tank, daemon: Daemon) -> None:
    assert tank.says("apply", "-f", "pod.yaml") == (0, "web applied, revision 1\n", LOST)
    assert daemon.node.pods["web"].spec.containers[0].tty is True


def test_a_secret_is_stored_with_its_pod(tank: Tank) -> None:
    (tank.home / "both.yaml").write_text(SECRET + POD)

    code, out, err = tank.says("apply", "-f", "both.yaml")

    assert (code, out.splitlines()) == (0, ["secret/login stored", "web applied, revision 1"])
    assert "hidden" not in out + err


def test_a_plan_says_it_as_well(tank: Tank) -> None:
    code, out, err = tank.says("plan", "-f", "pod.yaml", "-o", "json")

    assert (code, err, len(json.loads(out)["steps"])) == (10, LOST, 1)


def test_an_import_prints_what_may_be_applied(tank: Tank, daemon: Daemon) -> None:
    (tank.home / "two.yaml").write_text(f"{SECRET}{POD}---\n{POD.replace('web', 'other')}")

    code, out, err = tank.says("import", "two.yaml")
    pods = list(yaml.safe_load_all(out))

    assert (code, [pod["name"] for pod in pods], daemon.node.pods) == (0, ["web", "other"], {})
    assert "secret login: not printed" in err
    assert tank("apply", "-f", "-", stdin=out.encode()).returncode == 0


@pytest.mark.parametrize(("output", "wanted"), [("name", "web\n"), ("json", '[\n  {\n    "name": "web",\n')])
def test_an_import_in_other_forms(tank: Tank, output: str, wanted: str) -> None:
    assert tank.says("import", "pod.yaml", "-o", output)[1].startswith(wanted)


def test_faults_stand_at_their_places(tank: Tank) -> None:
    (tank.home / "pod.yaml").write_text(POD.replace("priority: 7", "hostPID: true"))

    code, out, err = tank.says("import", "pod.yaml")

    assert (code, out) == (2, "")
    assert err == "pod.yaml:5:3: spec.hostPID: a pod does not see the machine's processes\n"


def test_a_pod_is_exported_and_comes_back(tank: Tank, daemon: Daemon) -> None:
    tank("apply", "-f", "pod.yaml")
    before = daemon.node.pods["web"].spec

    code, out, err = tank.says("export", "web", "--kube")
    tank("apply", "-f", "-", stdin=out.encode())

    assert (code, err, yaml.safe_load(out)["kind"], daemon.node.pods["web"].spec) == (0, "", "Pod", before)


def test_what_only_an_annotation_says_is_told(tank: Tank) -> None:
    spec = "name: own\ncontainers: [{name: app, image: nginx, reaper: true}]\n"
    tank("apply", "-f", "-", stdin=spec.encode())

    err = tank.says("export", "own", "--kube", "-o", "json")[2]

    assert (
        err == "lost: containers.app.reaper: stands only in the annotation tank/spec, which Kubernetes does not read\n"
    )


def test_an_export_needs_to_know_as_what(tank: Tank) -> None:
    assert tank.says("export", "web")[0] == 2
