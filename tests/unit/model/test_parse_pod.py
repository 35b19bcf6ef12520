"""What a pod may say, each shorthand in its canonical form, and each value that is refused."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any

import pytest

from tank.errors import InvalidSpec, Problem
from tank.model.dump import dump_pod
from tank.model.faults import MOST
from tank.model.parse import Defaults, parse_pod
from tank.model.plain import MAX_TEXT, MAX_VALUES
from tank.model.pod import Backoff, Container, Cpu, Limits, Managed, Mount, Network, Pod, Volume

DIGEST = "sha256:" + "ab" * 32


def pod(**fields: Any) -> dict[str, Any]:
    """The smallest pod, with these fields."""
    return {"name": "web", "containers": [{"name": "app", "image": "nginx:1.27"}], **fields}


def container(**fields: Any) -> dict[str, Any]:
    """A pod whose one container has these fields, and a volume to mount."""
    return pod(containers=[{"name": "app", "image": "nginx:1.27", **fields}], volumes=[{"name": "data"}])


def nic(**fields: Any) -> dict[str, Any]:
    """A pod with one interface that has these fields."""
    return pod(network={"nics": [{"name": "eth0", "ip": "10.0.0.5/24", **fields}]})


def volume(**fields: Any) -> dict[str, Any]:
    """A pod with one volume that has these fields."""
    return pod(volumes=[{"name": "data", **fields}])


def refused(mapping: Any) -> list[Problem]:
    """Every fault of a mapping."""
    with pytest.raises(InvalidSpec) as error:
        parse_pod(mapping)
    return list(error.value.problems)


def told(mapping: Any) -> list[str]:
    """Every fault of a mapping, as people see it."""
    return [str(problem) for problem in refused(mapping)]


def test_the_example_that_every_reader_sees_first() -> None:
    parsed = parse_pod(
        {
            "name": "web",
            "restart": "always",
            "network": {
                "nics": [{"name": "eth0", "parent": "eth0", "ip": ("10.0.0.5", 24), "gateway": "10.0.0.1"}],
                "dns": ["10.0.0.1"],
            },
            "containers": [{"name": "app", "image": "nginx:1.27"}],
        }
    )

    assert dump_pod(parsed) == {
        "name": "web",
        "containers": [
            {
                "name": "app",
                "image": "nginx:1.27",
                "pull": "if_missing",
                "tty": False,
                "stdin": False,
                "reaper": False,
                "security": {
                    "privileged": False,
                    "seccomp": "default",
                    "no_new_privileges": True,
                    "read_only_root": False,
                    "non_root": False,
                },
                "termination_message": "/dev/termination-log",
                "oom": "group",
            }
        ],
        "network": {
            "nics": [
                {"name": "eth0", "mode": "macvlan", "parent": "eth0", "ip": ["10.0.0.5/24"], "gateway": "10.0.0.1"}
            ],
            "dns": ["10.0.0.1"],
        },
        "restart": "always",
        "backoff": {"initial": 10.0, "factor": 2.0, "max": 300.0, "reset_after": 600.0},
        "grace": 30.0,
        "share_pid": False,
        "users": "host",
    }


def test_everything_but_names_and_image_has_a_default() -> None:
    assert parse_pod(pod()) == Pod(name="web", containers=(Container(name="app", image="nginx:1.27"),))


SHORTHANDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (container(env={"A": "1", "B": ""}), {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": ""}]}),
    (
        container(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]),
        {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
    ),
    (
        container(mounts=["data:/x"]),
        {"mounts": [{"volume": "data", "path": "/x", "read_only": False, "propagation": "private"}]},
    ),
    (
        container(mounts=["data:/x:ro"]),
        {"mounts": [{"volume": "data", "path": "/x", "read_only": True, "propagation": "private"}]},
    ),
    (
        container(mounts=["data:/x:rw"]),
        {"mounts": [{"volume": "data", "path": "/x", "read_only": False, "propagation": "private"}]},
    ),
    (
        container(mounts=[{"volume": "data", "path": "//x/./y/"}]),
        {"mounts": [{"volume": "data", "path": "/x/y", "read_only": False, "propagation": "private"}]},
    ),
    (container(limits={"cpu": 0.5}), {"limits": {"cpu": [50_000, 100_000]}}),
    (container(limits={"cpu": "500m"}), {"limits": {"cpu": [50_000, 100_000]}}),
    (container(limits={"cpu": [20_000, 10_000]}), {"limits": {"cpu": [20_000, 10_000]}}),
    (container(limits={"memory": "64Mi", "pids": 9}), {"limits": {"memory": 64 * 2**20, "pids": 9}}),
    (container(ulimits={"nofile": 65536}), {"ulimits": {"nofile": [65536, 65536]}}),
    (container(ulimits={"RLIMIT_CORE": [0, "unlimited"]}), {"ulimits": {"core": [0, "unlimited"]}}),
    (container(ulimits={"stack": -1}), {"ulimits": {"stack": ["unlimited", "unlimited"]}}),
    (container(stop_signal="term"), {"stop_signal": "SIGTERM"}),
    (container(stop_signal="SIGHUP"), {"stop_signal": "SIGHUP"}),
    (container(stop_signal=15), {"stop_signal": "SIGTERM"}),
    (container(stop_signal="15"), {"stop_signal": "SIGTERM"}),
    (container(stop_signal="SIGRTMIN+3"), {"stop_signal": "SIGRTMIN+3"}),
    (container(stop_signal=37), {"stop_signal": "SIGRTMIN+3"}),
    (container(stop_signal="RTMIN"), {"stop_signal": "SIGRTMIN"}),
    (container(stop_signal=34), {"stop_signal": "SIGRTMIN"}),
    (container(stop_signal="RTMAX-1"), {"stop_signal": "SIGRTMIN+29"}),
    (container(stop_signal="SIGPOLL"), {"stop_signal": "SIGIO"}),
    (container(working_dir="/a//b/"), {"working_dir": "/a/b"}),
    (container(working_dir="/"), {"working_dir": "/"}),
    (container(user="1000:www-data"), {"user": "1000:www-data"}),
    (container(groups=[1, 2, 1]), {"groups": [1, 2]}),
    (container(command=[]), {}),
    (container(image={"rootfs": "/srv/x/"}), {"image": {"rootfs": "/srv/x"}, "pull": None}),
    (container(image="nginx"), {"image": "nginx", "pull": "always"}),
    (container(image="nginx:latest"), {"image": "nginx:latest", "pull": "always"}),
    (container(image=f"nginx@{DIGEST}"), {"image": f"nginx@{DIGEST}", "pull": "if_missing"}),
    (container(image="nginx", pull="never"), {"image": "nginx", "pull": "never"}),
]


@pytest.mark.parametrize(("mapping", "canonical"), SHORTHANDS)
def test_a_shorthand_of_a_container_has_one_long_form(mapping: dict[str, Any], canonical: dict[str, Any]) -> None:
    plain = dump_pod(parse_pod(container()))["containers"][0]
    expected = {key: each for key, each in {**plain, **canonical}.items() if each is not None}

    assert dump_pod(parse_pod(mapping))["containers"][0] == expected


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("NET_ADMIN", "CAP_NET_ADMIN"),
        ("CAP_NET_ADMIN", "CAP_NET_ADMIN"),
        ("cap_net_admin", "CAP_NET_ADMIN"),
        ("all", "ALL"),
        ("syslog", "CAP_SYSLOG"),
    ],
)
def test_a_capability_is_written_with_its_prefix(written: str, canonical: str) -> None:
    parsed = parse_pod(container(security={"cap_add": [written, canonical], "unmask": ["ALL", "/proc/kcore/"]}))

    assert (parsed.containers[0].security.cap_add, parsed.containers[0].security.unmask) == (
        (canonical,),
        ("ALL", "/proc/kcore"),
    )


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("10.0.0.5/24", ("10.0.0.5/24",)),
        (["10.0.0.5", 24], ("10.0.0.5/24",)),
        (("10.0.0.5", 24), ("10.0.0.5/24",)),
        (["10.0.0.5/24"], ("10.0.0.5/24",)),
        (["10.0.0.5/24", "FD00:0::5/64"], ("10.0.0.5/24", "fd00::5/64")),
        ([("10.0.0.5", 24), ("fd00::5", 64)], ("10.0.0.5/24", "fd00::5/64")),
        ("10.0.0.0/31", ("10.0.0.0/31",)),
        ("10.0.0.5/32", ("10.0.0.5/32",)),
        ("fd00::/127", ("fd00::/127",)),
    ],
)
def test_an_address_has_several_forms(written: Any, canonical: tuple[str, ...]) -> None:
    network = parse_pod(nic(ip=written)).network

    assert isinstance(network, Network)
    assert network.nics[0].ip == canonical


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("10.0.0.1", "10.0.0.1"),
        (["10.0.0.1"], "10.0.0.1"),
        (["10.0.0.1", "fe80::1"], ["10.0.0.1", "fe80::1"]),
        (["fd00::1"], "fd00::1"),
    ],
)
def test_a_gateway_is_one_or_one_for_each_family(written: Any, canonical: Any) -> None:
    parsed = parse_pod(nic(ip=["10.0.0.5/24", "fd00::5/64"], gateway=written))

    assert dump_pod(parsed)["network"]["nics"][0]["gateway"] == canonical


@pytest.mark.parametrize(
    ("source", "canonical", "kind"),
    [
        ("managed", "managed", "managed"),
        ({"managed": {}}, "managed", "managed"),
        ({"managed": {"shared": False}}, "managed", "managed"),
        ({"managed": {"shared": True}}, {"managed": {"shared": True}}, "managed"),
        ({"host": "/srv/"}, {"host": "/srv"}, "host"),
        ({"host": "/srv", "kind": "file"}, {"host": "/srv", "kind": "file"}, "host"),
        ({"tmpfs": {}}, {"tmpfs": {}}, "tmpfs"),
        ({"tmpfs": {"size": "64MiB"}}, {"tmpfs": {"size": 67108864}}, "tmpfs"),
        ({"empty": {}}, {"empty": {}}, "empty"),
        ({"image": "nginx"}, {"image": "nginx", "pull": "always"}, "image"),
        ({"image": "nginx:1", "pull": "never"}, {"image": "nginx:1", "pull": "never"}, "image"),
    ],
)
def test_a_source_is_written_as_people_write_it(source: Any, canonical: Any, kind: str) -> None:
    parsed = parse_pod(volume(source=source))

    assert (dump_pod(parsed)["volumes"][0]["source"], parsed.volumes[0].source.type) == (canonical, kind)


def test_a_volume_is_managed_unless_it_says_otherwise_and_may_have_an_owner() -> None:
    parsed = parse_pod(volume(owner=1000, group=1001, mode="750"))

    assert parsed.volumes[0] == Volume(name="data", source=Managed(), owner=1000, group=1001, mode="0750")


def test_the_rest_of_a_pod() -> None:
    parsed = parse_pod(
        pod(
            restart="on_failure",
            backoff={"initial": "1s", "factor": 3, "max": "1m", "reset_after": 60},
            grace="1m",
            labels={"app.kubernetes.io/name": "web", "empty": ""},
            annotations={"note": "several\nlines, and anything"},
            hostname="Web.lan",
            hosts={"DB.lan": "10.0.0.9"},
        )
    )

    assert parsed == Pod(
        name="web",
        containers=(Container(name="app", image="nginx:1.27"),),
        restart="on_failure",
        backoff=Backoff(initial=1.0, factor=3.0, max=60.0, reset_after=60.0),
        grace=60.0,
        labels={"app.kubernetes.io/name": "web", "empty": ""},
        annotations={"note": "several\nlines, and anything"},
        hostname="web.lan",
        hosts={"db.lan": "10.0.0.9"},
    )


def test_an_empty_list_of_name_servers_is_not_the_same_as_none_given() -> None:
    empty, absent = parse_pod(pod(network={"dns": []})), parse_pod(pod(network={}))

    assert (parse_pod(dump_pod(empty)), parse_pod(dump_pod(absent))) == (empty, absent)
    assert empty != absent


def test_host_networking_may_have_a_host_name() -> None:
    assert parse_pod(pod(network="host", hostname="here")).hostname == "here"


def test_a_machine_can_have_a_grace_of_its_own() -> None:
    defaults = Defaults(grace=5.0)

    assert [parse_pod(each, defaults).grace for each in (pod(), pod(grace=9), Pod(**built()))] == [5.0, 9.0, 5.0]


def built() -> dict[str, Any]:
    """The fields of a Pod made in Python, lists where they are handier."""
    return {"name": "web", "containers": [Container(name="app", image="nginx")]}


def test_a_pod_made_in_python_gets_the_defaults_that_depend() -> None:
    parsed = parse_pod(Pod(**built()))

    assert (parsed.containers[0].pull, parse_pod(Pod(**built(), grace=7.0)).grace) == ("always", 7.0)


def test_a_pull_policy_set_in_python_stays() -> None:
    made = Pod(name="web", containers=(Container(name="app", image="nginx", pull="if_missing"),))

    assert parse_pod(made).containers[0].pull == "if_missing"


def test_a_pod_made_in_python_is_checked_too() -> None:
    made = Pod(
        name="web",
        containers=(
            Container(
                name="app", image="nginx", mounts=(Mount(volume="data", path="/x"),), limits=Limits(cpu=Cpu(quota=1))
            ),
        ),
    )

    assert [problem.path for problem in refused(made)] == ["containers[0].limits.cpu", "containers[0].mounts[0].volume"]


def test_values_of_other_types_that_mean_the_same_are_taken() -> None:
    class Word(str, Enum):  # noqa: UP042 (the old kind is still met)
        ALWAYS = "always"

    mapping: Mapping[str, Any] = MappingProxyType(pod(restart=Word.ALWAYS, labels=MappingProxyType({"a": "b"})))

    assert dump_pod(parse_pod(mapping)) == dump_pod(parse_pod(pod(restart="always", labels={"a": "b"})))


def test_the_container_is_found_by_its_name_and_has_a_policy() -> None:
    parsed = parse_pod(
        pod(containers=[{"name": "a", "image": "x:1"}, {"name": "b", "image": "x:1", "restart": "never"}])
    )

    assert [parsed.restart_of(each) for each in parsed.containers] == ["always", "never"]
    assert (parsed.container("b"), parsed.container("c")) == (parsed.containers[1], None)


LATER = ["depends_on", "replicas", "update", "schedule", "place"]


@pytest.mark.parametrize("field", LATER)
def test_a_field_of_a_pod_that_is_not_built_yet_says_so(field: str) -> None:
    assert told(pod(**{field: 1})) == [f"{field}: not supported yet"]


NOT_YET: list[tuple[dict[str, Any], str]] = [
    (pod(dependsOn=[]), "dependsOn: not supported yet ('depends_on')"),
    ({"apiVersion": "v1", "kind": "CronJob"}, "kind: a CronJob cannot be honoured: schedules are not supported yet"),
]


@pytest.mark.parametrize(("mapping", "fault"), NOT_YET)
def test_a_value_that_is_not_built_yet_says_so(mapping: dict[str, Any], fault: str) -> None:
    assert told(mapping) == [fault]


def test_one_hundred_faults_are_shown_and_the_rest_is_counted() -> None:
    problems = refused(pod(**{f"x{index}": 1 for index in range(MOST + 20)}))

    assert (len(problems), str(problems[-1])) == (MOST + 1, "20 more faults are not shown")


def test_a_bomb_of_values_is_refused_with_one_line() -> None:
    assert told(pod(labels={"a": ["x"] * (MAX_VALUES + 9)})) == [
        f"holds more than {MAX_VALUES} values or {MAX_TEXT} bytes of text"
    ]


def test_a_bomb_of_text_is_refused_s29() -> None:
    assert told(container(env={f"A{index}": "x" * 2**17 for index in range(10)}))[0] == (
        f"holds more than {MAX_VALUES} values or {MAX_TEXT} bytes of text"
    )


def test_a_mapping_that_holds_itself_is_refused() -> None:
    mapping = pod()
    mapping["labels"] = mapping

    assert any("nested deeper than 32 levels" in each for each in told(mapping))
