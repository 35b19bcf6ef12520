"""Probes and hooks (C2, C3): each shorthand in its canonical form, and each value that is refused."""

# ruff: noqa: E501 (tables: one row a line)

from __future__ import annotations

from typing import Any

import pytest

from tank.model.dump import dump_pod
from tank.model.health import GrpcAction, Hook, Hooks, HttpAction, Probe, Probes
from tank.model.parse import Defaults, parse_pod
from tests.unit.model.test_parse_pod import container, pod, told

DEFAULTS = {"delay": 0.0, "period": 10.0, "timeout": 1.0, "successes": 1, "failures": 3}


def live(**probe: Any) -> dict[str, Any]:
    """A container with this live probe."""
    return container(probes={"live": probe})


PROBES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"exec": ["true"]}, {"exec": ["true"]}),
    ({"tcp": 80}, {"tcp": 80}),
    ({"http": {"port": 80}}, {"http": {"port": 80, "path": "/", "scheme": "http"}}),
    (
        {"http": {"port": 80, "path": "/a?b=1", "host": "WWW.lan", "scheme": "https", "headers": {"X-A": "b"}}},
        {"http": {"port": 80, "path": "/a?b=1", "host": "www.lan", "scheme": "https", "headers": {"X-A": "b"}}},
    ),
    ({"http": {"port": 80, "host": "FD00::1"}}, {"http": {"port": 80, "path": "/", "host": "fd00::1", "scheme": "http"}}),
    ({"grpc": {"port": 5}}, {"grpc": {"port": 5, "service": ""}}),
    ({"grpc": {"port": 5, "service": "a.B"}}, {"grpc": {"port": 5, "service": "a.B"}}),
    ({"tcp": 1, "period": "1m", "timeout": 5, "failures": 9, "delay": "5s"}, {"tcp": 1, "period": 60.0, "timeout": 5.0, "failures": 9, "delay": 5.0}),
    ({"tcp": 1, "grace": 0}, {"tcp": 1, "grace": 0.0}),
]  # fmt: skip


@pytest.mark.parametrize(("written", "canonical"), PROBES)
def test_a_probe_is_stored_in_its_long_form(written: dict[str, Any], canonical: dict[str, Any]) -> None:
    dumped = dump_pod(parse_pod(live(**written)))["containers"][0]["probes"]

    assert dumped == {"live": {**DEFAULTS, **canonical}}


def test_only_readiness_may_need_several_successes_c2() -> None:
    parsed = parse_pod(container(probes={"startup": {"tcp": 1}, "ready": {"tcp": 2, "successes": 3}}))

    assert parsed.containers[0].probes == Probes(startup=Probe(tcp=1), ready=Probe(tcp=2, successes=3))


@pytest.mark.parametrize(
    ("written", "hook"),
    [
        ({"exec": ["a", "b"]}, Hook(exec=("a", "b"))),
        ({"http": {"port": 80}}, Hook(http=HttpAction(port=80))),
        ({"sleep": "5s"}, Hook(sleep=5.0)),
    ],
)
def test_a_hook_runs_a_program_asks_or_waits(written: dict[str, Any], hook: Hook) -> None:
    parsed = parse_pod(container(hooks={"post_start": written, "pre_stop": written}))

    assert parsed.containers[0].hooks == Hooks(post_start=hook, pre_stop=hook)


def test_a_sidecar_has_probes_and_hooks_c4() -> None:
    sidecar = {"name": "log", "image": "x:1", "restart": "always", "probes": {"live": {"grpc": {"port": 1}}}}

    parsed = parse_pod(pod(init=[sidecar]))

    assert parsed.init[0].probes == Probes(live=Probe(grpc=GrpcAction(port=1)))


FAULTS: list[tuple[dict[str, Any], str]] = [  # faults below containers[0]
    (live(), "probes.live: a probe needs one of exec, http, tcp, grpc"),
    (live(tcp=1, exec=["a"]), "probes.live: a probe has one of exec, http, tcp, grpc, found exec and tcp"),
    (live(exec=[]), "probes.live.exec: needs at least 1 item, found 0"),
    (live(exec=[""]), "probes.live.exec[0]: the name of a program cannot be empty"),
    (live(exec="true"), "probes.live.exec: expected a list, found a string (write a list, one word an item, such as ['/bin/sh', '-c', '…'])"),
    (live(tcp=0), "probes.live.tcp: must lie between 1 and 65535"),
    (live(tcp="80"), "probes.live.tcp: a port is a whole number or a name (did you mean 80?)"),
    (live(tcp="web"), "probes.live.tcp: no port is called 'web' (network.ports names none: write its number)"),
    (live(tcp={"port": 80}), "probes.live.tcp: expected a port's number, or the name of one of network.ports, found a mapping"),
    (live(tcpSocket={"port": 80}), "probes.live.tcpSocket: unknown field of a probe (did you mean 'tcp'?)"),
    (live(http={}), "probes.live.http.port: an http request needs this field"),
    (live(http={"port": 80, "path": "x"}), "probes.live.http.path: 'x' is not a path of a URL: printable ASCII after '/' (did you mean '/x'?)"),
    (live(http={"port": 80, "path": "/a b"}), "probes.live.http.path: '/a b' is not a path of a URL: printable ASCII after '/'"),
    (live(http={"port": 80, "host": "a b"}), "probes.live.http.host: 'a b' is not a host name"),
    (live(http={"port": 80, "scheme": "HTTPS"}), "probes.live.http.scheme: must be one of http, https, found 'HTTPS' (did you mean 'https'?)"),
    (live(http={"port": 80, "headers": {"A B": "c"}}), "probes.live.http.headers[\"A B\"]: 'A B' is not the name of a header"),
    (live(http={"port": 80, "headers": {"A": "b\nC: d"}}), "probes.live.http.headers.A: a header's value is printable ASCII, at most 4096 characters"),
    (live(tcp=1, period=0.5), "probes.live.period: must be at least 1s"),
    (live(tcp=1, timeout="500ms"), "probes.live.timeout: must be at least 1s"),
    (live(tcp=1, failures=0), "probes.live.failures: must lie between 1 and 10000"),
    (live(tcp=1, successes=2), "probes.live.successes: must be 1 for live (C2)"),
    (live(tcp=1, initialDelaySeconds=2), "probes.live.initialDelaySeconds: unknown field of a probe (did you mean 'delay'?)"),
    (container(probes={"startup": {"tcp": 1, "successes": 2}}), "probes.startup.successes: must be 1 for startup (C2)"),
    (container(probes={"ready": {"tcp": 1, "grace": 1}}), "probes.ready.grace: only startup and live have one: nothing is killed"),
    (container(probes={"liveness": {"tcp": 1}}), "probes.liveness: unknown field of the probes (did you mean 'live'?)"),
    (container(livenessProbe={}), "livenessProbe: unknown field of a container (did you mean 'probes'?)"),
    (container(hooks={"pre_stop": {}}), "hooks.pre_stop: a hook needs one of exec, http, sleep"),
    (container(hooks={"pre_stop": {"sleep": -1}}), "hooks.pre_stop.sleep: a duration cannot be negative"),
    (container(hooks={"pre_stop": {"exec": [""]}}), "hooks.pre_stop.exec[0]: the name of a program cannot be empty"),
    (container(hooks={"preStop": {"sleep": 1}}), "hooks.preStop: unknown field of the hooks (did you mean 'pre_stop'?)"),
    (container(lifecycle={}), "lifecycle: unknown field of a container (did you mean 'hooks'?)"),
]  # fmt: skip


@pytest.mark.parametrize(("mapping", "fault"), FAULTS, ids=range(len(FAULTS)))
def test_a_fault_of_a_probe_or_hook(mapping: dict[str, Any], fault: str) -> None:
    assert told(mapping) == [f"containers[0].{fault}"]


def test_a_probe_whose_action_is_misspelt_is_blamed_once() -> None:
    assert told(live(htpp={"port": 80})) == [
        "containers[0].probes.live.htpp: unknown field of a probe (did you mean 'http'?)"
    ]


def test_a_wait_before_the_stop_fits_into_the_grace_c3_2() -> None:
    waiting = [{"name": "app", "image": "x:1", "hooks": {"pre_stop": {"sleep": "20s"}}}]
    fault = "containers[0].hooks.pre_stop.sleep: cannot be longer than the pod's grace, which it is part of"

    assert told(pod(containers=waiting, grace="10s")) == [fault]
    assert parse_pod(pod(containers=waiting), Defaults()).grace == 30.0
    assert parse_pod(pod(containers=waiting)).grace == 30.0


INIT: list[tuple[dict[str, Any], str]] = [
    ({"restart": "never"}, "restart: never is not for an init container (always makes it a sidecar; without the field it follows the pod's)"),
    ({"restart": "on_failure"}, "restart: on_failure is not for an init container (always makes it a sidecar; without the field it follows the pod's)"),
    ({"restart": "alwys"}, "restart: must be one of always, on_failure, never, found 'alwys' (did you mean 'always'?)"),
    ({"probes": {"ready": {"tcp": 1}}}, "probes: an init container has no probes (restart: always makes it a sidecar, which has)"),
    ({"hooks": {"pre_stop": {"sleep": 1}}}, "hooks: an init container has no hooks (restart: always makes it a sidecar, which has)"),
    ({"name": "app"}, ""),
    ({"mounts": ["data:/x"]}, "mounts[0].volume: the pod has no volume 'data' (the pod has no volumes)"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "fault"), INIT, ids=range(len(INIT)))
def test_a_fault_of_an_init_container_c4(fields: dict[str, Any], fault: str) -> None:
    mapping = pod(init=[{"name": "fill", "image": "x:1", **fields}])

    expected = f"init[0].{fault}" if fault else "containers[0].name: another container is called 'app' already"
    assert told(mapping) == [expected]
