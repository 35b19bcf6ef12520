"""Twenty specs as people get them wrong, with two to five faults each: every one is reported, and nothing else."""

from __future__ import annotations

import pytest

from tank.errors import InvalidSpec
from tank.model.parse import parse_documents

SPECS: dict[str, tuple[str, list[str]]] = {
    "typing errors": (
        """
        nmae: web
        containers:
        - name: app
          imgae: nginx:1.27
          comand: [sleep, "1"]
        """,
        ["nmae", "name", "containers[0].imgae", "containers[0].comand", "containers[0].image"],
    ),
    "kubernetes by heart": (
        """
        name: web
        restartPolicy: Always
        containers:
        - name: app
          image: nginx
          imagePullPolicy: Always
          volumeMounts: [{name: data, mountPath: /x}]
          resources: {limits: {cpu: 1}}
        """,
        [
            "restartPolicy",
            "containers[0].imagePullPolicy",
            "containers[0].volumeMounts",
            "containers[0].resources",
        ],
    ),
    "compose by heart": (
        """
        services: {app: {image: nginx}}
        name: web
        restart: unless-stopped
        """,
        ["services", "restart", "containers"],
    ),
    "numbers without quotes": (
        """
        name: web
        containers:
        - {name: app, image: x, user: 1000, env: {PORT: 8080, DEBUG: true}, command: [sleep, 5]}
        """,
        [
            "containers[0].user",
            "containers[0].env.PORT",
            "containers[0].env.DEBUG",
            "containers[0].command[1]",
        ],
    ),
    "names": (
        """
        name: Web_Server
        containers: [{name: my app, image: x}, {name: "", image: x}]
        volumes: [{name: Data}]
        """,
        ["name", "containers[0].name", "containers[1].name", "volumes[0].name"],
    ),
    "said twice": (
        """
        name: web
        containers: [{name: a, image: x}, {name: a, image: y}]
        volumes: [{name: v}, {name: v}]
        network: {nics: [{name: e, ip: 10.0.0.5/24}, {name: e, ip: 10.0.0.5/24}]}
        """,
        ["containers[1].name", "volumes[1].name", "network.nics[1].name", "network.nics[1].ip"],
    ),
    "mounts": (
        """
        name: web
        volumes: [{name: data}]
        containers:
        - {name: app, image: x, mounts: ["date:/x", "data:/x", "data:y", "data:/proc"]}
        """,
        [
            "containers[0].mounts[0].volume",
            "containers[0].mounts[1].path",
            "containers[0].mounts[2]",
            "containers[0].mounts[3]",
        ],
    ),
    "units": (
        """
        name: web
        grace: 30
        backoff: {initial: 10, max: 5 minutes}
        containers: [{name: app, image: x, limits: {memory: 512m, cpu: half, pids: -1}}]
        """,
        [
            "backoff.max",
            "containers[0].limits.memory",
            "containers[0].limits.cpu",
            "containers[0].limits.pids",
        ],
    ),
    "addresses": (
        """
        name: web
        containers: [{name: app, image: x}]
        network:
          nics:
          - {name: eth0, ip: 10.0.0.256/24}
          - {name: eth1, ip: 10.0.1.5}
          - {name: eth2, ip: 10.0.2.5/24, gateway: 10.0.3.1}
          dns: [resolver.lan]
        """,
        ["network.nics[0].ip", "network.nics[1].ip", "network.nics[2].gateway", "network.dns[0]"],
    ),
    "links": (
        """
        name: web
        containers: [{name: app, image: x}]
        network:
          nics:
          - {name: a-very-long-name, mac: "01:02:03:04:05:06", mtu: 9, ip: 10.0.0.5/24, parent: "eth/0"}
        """,
        [
            "network.nics[0].name",
            "network.nics[0].mac",
            "network.nics[0].mtu",
            "network.nics[0].parent",
        ],
    ),
    "images": (
        """
        name: web
        containers:
        - {name: a, image: "Nginx:1.27"}
        - {name: b, image: "nginx@sha256:123"}
        - {name: c, image: "https://ghcr.io/x"}
        - {name: d, image: {rootfs: srv}}
        - {name: e, image: ""}
        """,
        [f"containers[{index}].image" + (".rootfs" if index == 3 else "") for index in range(5)],
    ),
    "not built yet": (
        """
        name: web
        replicas: 3
        depends_on: [db]
        network: {ports: ["80:80"], nics: [{name: eth0, ip: slaac}]}
        containers: [{name: app, image: x}]
        """,
        ["replicas", "depends_on", "network.ports"],
    ),
    "order": (
        """
        name: web
        init:
        - {name: app, image: x, restart: never}
        - {name: fill, image: x, probes: {live: {tcp: 80}}, mounts: ["dato:/x"]}
        containers: [{name: app, image: x}]
        volumes: [{name: data}]
        """,
        ["init[0].restart", "init[1].mounts[0].volume", "init[1].probes", "containers[0].name"],
    ),
    "probes": (
        """
        name: web
        containers:
        - name: app
          image: x
          probes:
            startup: {tcp: 80, http: {port: 80}}
            live: {exec: "true", period: 100ms}
            ready: {tcp: http, grace: 5}
        """,
        [
            "containers[0].probes.startup",
            "containers[0].probes.live.exec",
            "containers[0].probes.live.period",
            "containers[0].probes.ready.tcp",
            "containers[0].probes.ready.grace",
        ],
    ),
    "hooks": (
        """
        name: web
        grace: 10s
        containers:
        - name: app
          image: x
          hooks:
            post_start: {http: {path: ready}}
            pre_stop: {sleep: 11s}
            preStop: {sleep: 1s}
        """,
        [
            "containers[0].hooks.post_start.http.path",
            "containers[0].hooks.post_start.http.port",
            "containers[0].hooks.pre_stop.sleep",
            "containers[0].hooks.preStop",
        ],
    ),
    "inputs": (
        """
        name: web
        containers:
        - name: app
          image: x
          env:
            A: {from: {secret: db/pass, config: db/pass}}
            B: {from: {field: status.podIP}}
          env_from: [{secrt: db}]
        volumes:
        - {name: s, source: {secret: Db}}
        - {name: c, source: {config: db, keys: {a: ../b}}}
        """,
        [
            "containers[0].env.A.from",
            "containers[0].env.B.from.field",
            "containers[0].env_from[0].secrt",
            "volumes[0].source.secret",
            "volumes[1].source.keys.a",
        ],
    ),
    "the machine": (
        """
        name: web
        network: host
        sysctls: {net.core.somaxconn: 1, kernel.pid_max: 1, kernel.hostname: x}
        containers: [{name: app, image: x, devices: [/tmp/x], limits: {cpuset: 4-2}}]
        """,
        [
            'sysctls["net.core.somaxconn"]',
            'sysctls["kernel.pid_max"]',
            'sysctls["kernel.hostname"]',
            "containers[0].devices[0]",
            "containers[0].limits.cpuset",
        ],
    ),
    "privileges": (
        """
        name: web
        containers:
        - name: app
          image: x
          security: {cap_add: [NET_ADMON], cap_drop: all, seccomp: none, priviliged: true}
        """,
        [
            "containers[0].security.cap_add[0]",
            "containers[0].security.cap_drop",
            "containers[0].security.seccomp",
            "containers[0].security.priviliged",
        ],
    ),
    "limits of the kernel": (
        """
        name: web
        containers:
        - {name: app, image: x, ulimits: {nofiles: 1, core: [2, 1], stack: big}, stop_signal: SIGTRM}
        """,
        [
            "containers[0].ulimits.nofiles",
            "containers[0].ulimits.core",
            "containers[0].ulimits.stack",
            "containers[0].stop_signal",
        ],
    ),
    "volumes": (
        """
        name: web
        containers: [{name: app, image: x}]
        volumes:
        - {name: a, source: tmpfs}
        - {name: b, source: {host: relative}}
        - {name: c, mode: 0750}
        - {name: d, source: {tmpfs: {}}, owner: 5}
        - {name: e, source: {host: /x, empty: {}}}
        """,
        [
            "volumes[0].source",
            "volumes[1].source.host",
            "volumes[2].mode",
            "volumes[3].owner",
            "volumes[4].source",
        ],
    ),
    "shapes": (
        """
        name: [web]
        containers: {name: app, image: x}
        volumes: data
        labels: [a]
        """,
        ["name", "containers", "volumes", "labels"],
    ),
    "nothing filled in": (
        """
        name: web
        containers:
        - name:
          image:
          limits:
        network:
        """,
        ["containers[0].name", "containers[0].image", "containers[0].limits", "network"],
    ),
    "paths": (
        """
        name: web
        containers:
        - {name: app, image: x, working_dir: ../x, mounts: [{volume: v, path: /a/../b}]}
        - {name: b, image: x, working_dir: /proc/self/cwd}
        volumes: [{name: v}]
        """,
        ["containers[0].working_dir", "containers[0].mounts[0].path", "containers[1].working_dir"],
    ),
    "words": (
        """
        name: web
        labels: {"a b": x, c: "d e"}
        hosts: {db: localhost}
        hostname: my_host!
        containers: [{name: app, image: x}]
        """,
        ['labels["a b"]', "labels.c", "hosts.db", "hostname"],
    ),
    "kinds of network": (
        """
        name: web
        network: {mode: host, ports: ["80:80"], nics: [{ip: dhcp, mode: bridge}]}
        containers: [{name: app, image: x}]
        """,
        [
            "network.mode",
            "network.nics[0].name",
            "network.nics[0].ip",
        ],
    ),
}


def test_there_are_more_than_twenty() -> None:
    assert len(SPECS) == 25


@pytest.mark.parametrize(("text", "paths"), SPECS.values(), ids=SPECS.keys())
def test_every_fault_of_a_spec_is_reported_with_its_line(text: str, paths: list[str]) -> None:
    with pytest.raises(InvalidSpec) as error:
        parse_documents(text, "yaml")

    assert 2 <= len(paths) <= 5
    assert sorted(problem.path for problem in error.value.problems) == sorted(paths)
    assert all(problem.line and problem.column and problem.message for problem in error.value.problems)
