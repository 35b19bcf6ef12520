"""Variables and files of secrets and configs (C7, C10): each shorthand, and each value that is refused."""

# ruff: noqa: E501 (tables: one row a line)

from __future__ import annotations

from typing import Any

import pytest

from tank.model.dump import dump_pod
from tank.model.inputs import ConfigFiles, EnvFrom, Reaction, SecretFiles
from tank.model.parse import parse_pod
from tests.unit.model.test_parse_pod import container, told, volume


def secret(name: str, key: str, *, optional: bool = False) -> dict[str, Any]:
    """The long form of a variable's source."""
    return {"secret": {"name": name, "key": key, "optional": optional}, "on_change": "nothing"}


SOURCES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"secret": "db"}, secret("db", "db")),
    ({"secret": "db/password"}, secret("db", "password")),
    ({"secret": {"name": "db", "key": "password"}}, secret("db", "password")),
    ({"secret": {"name": "db", "key": "password", "optional": True}}, secret("db", "password", optional=True)),
    ({"config": "app.conf/PORT", "on_change": "restart"}, {"config": {"name": "app.conf", "key": "PORT", "optional": False}, "on_change": "restart"}),
    ({"field": "name"}, {"field": "name", "on_change": "nothing"}),
    ({"field": "labels['example.org/tier']"}, {"field": "labels['example.org/tier']", "on_change": "nothing"}),
    ({"field": "annotations[tier]"}, {"field": "annotations['tier']", "on_change": "nothing"}),
    ({"field": "limits.memory", "divisor": "1MiB"}, {"field": "limits.memory", "divisor": 1048576.0, "on_change": "nothing"}),
    ({"field": "limits.cpu", "divisor": "1m"}, {"field": "limits.cpu", "divisor": 0.001, "on_change": "nothing"}),
    ({"field": "limits.cpu", "divisor": 0.5}, {"field": "limits.cpu", "divisor": 0.5, "on_change": "nothing"}),
]  # fmt: skip


@pytest.mark.parametrize(("written", "canonical"), SOURCES)
def test_a_source_of_a_variable_has_one_long_form(written: dict[str, Any], canonical: dict[str, Any]) -> None:
    forms: list[Any] = [{"A": {"from": written}}, [{"name": "A", "from": written}], [{"name": "A", "from": canonical}]]

    dumped = [dump_pod(parse_pod(container(env=each)))["containers"][0]["env"] for each in forms]

    assert dumped == [[{"name": "A", "from": canonical}]] * 3


def test_a_mapping_of_variables_keeps_its_order() -> None:
    env = parse_pod(container(env={"B": "1", "A": {"from": {"secret": "db"}}, "C": ""})).containers[0].env

    assert [(each.name, each.value) for each in env] == [("B", "1"), ("A", None), ("C", "")]


def test_whole_secrets_and_configs_become_variables() -> None:
    written = [{"secret": "db", "prefix": "DB_"}, {"config": "app.conf", "optional": True, "on_change": "restart"}]

    parsed = parse_pod(container(env_from=written))

    assert parsed.containers[0].env_from == (
        EnvFrom(secret="db", prefix="DB_"),
        EnvFrom(config="app.conf", optional=True, on_change="restart"),
    )


FILES: list[tuple[Any, Any, dict[str, Any]]] = [
    ({"secret": "db"}, SecretFiles(name="db"), {"secret": "db", "optional": False, "mode": "0644", "on_change": "nothing"}),
    ({"secret": {"name": "db"}}, SecretFiles(name="db"), {"secret": "db", "optional": False, "mode": "0644", "on_change": "nothing"}),
    ({"secret": "db", "keys": ["a", "b", "a"]}, SecretFiles(name="db", keys={"a": "a", "b": "b"}), {"secret": "db", "keys": {"a": "a", "b": "b"}, "optional": False, "mode": "0644", "on_change": "nothing"}),
    ({"config": {"name": "app", "keys": {"a": "etc/./a"}, "mode": "440"}}, ConfigFiles(name="app", keys={"a": "etc/a"}, mode="0440"), {"config": "app", "keys": {"a": "etc/a"}, "optional": False, "mode": "0440", "on_change": "nothing"}),
    ({"config": {"name": "app"}, "optional": True, "owner": 1, "group": 2}, ConfigFiles(name="app", optional=True, owner=1, group=2), {"config": "app", "optional": True, "mode": "0644", "owner": 1, "group": 2, "on_change": "nothing"}),
    ({"config": "app", "on_change": "restart"}, ConfigFiles(name="app", on_change=Reaction(restart=True)), {"config": "app", "optional": False, "mode": "0644", "on_change": "restart"}),
    ({"config": "app", "on_change": "nothing"}, ConfigFiles(name="app"), {"config": "app", "optional": False, "mode": "0644", "on_change": "nothing"}),
    ({"config": "app", "on_change": {"signal": 1}}, ConfigFiles(name="app", on_change=Reaction(signal="SIGHUP")), {"config": "app", "optional": False, "mode": "0644", "on_change": {"signal": "SIGHUP"}}),
    ({"config": "app", "on_change": {"exec": ["nginx", "-s", "reload"]}}, ConfigFiles(name="app", on_change=Reaction(exec=("nginx", "-s", "reload"))), {"config": "app", "optional": False, "mode": "0644", "on_change": {"exec": ["nginx", "-s", "reload"]}}),
]  # fmt: skip


@pytest.mark.parametrize(("written", "source", "canonical"), FILES, ids=range(len(FILES)))
def test_files_of_inputs_have_one_long_form(written: Any, source: Any, canonical: Any) -> None:
    parsed = parse_pod(volume(source=written))

    assert (parsed.volumes[0].source, dump_pod(parsed)["volumes"][0]["source"]) == (source, canonical)


def test_a_mount_shows_a_part_of_a_volume_c10() -> None:
    mount = {"volume": "data", "path": "/x", "sub_path": "a/./b//c/", "propagation": "slave", "allow": ["dev", "dev"]}

    assert dump_pod(parse_pod(container(mounts=[mount])))["containers"][0]["mounts"] == [
        {
            "volume": "data",
            "path": "/x",
            "read_only": False,
            "sub_path": "a/b/c",
            "propagation": "slave",
            "allow": ["dev"],
        }
    ]


def var(**source: Any) -> dict[str, Any]:
    """A container with one variable from this source."""
    return container(env={"A": {"from": source}})


def mount(**fields: Any) -> dict[str, Any]:
    """A container with one mount that has these fields."""
    return container(mounts=[{"volume": "data", "path": "/x", **fields}])


def files(**source: Any) -> dict[str, Any]:
    """A pod with a volume of this source."""
    return volume(source=source)


_FACTS = "name, uid, node, ip, ips, host_ip, labels['KEY'], annotations['KEY'] or a limit such as limits.memory"
FAULTS: list[tuple[dict[str, Any], str]] = [
    (var(), "containers[0].env.A.from: a variable's source needs one of secret, config, field"),
    (var(secret="a", config="b"), "containers[0].env.A.from: a variable's source has one of secret, config, field, found secret and config"),
    (var(secret="Db"), "containers[0].env.A.from.secret: 'Db' is not a name: lower-case letters, digits, '-' and '.' inside, at most 253 (did you mean 'db'?)"),
    (var(secret="db/"), "containers[0].env.A.from.secret: '' is not a key: letters, digits, '.', '_' and '-', at most 253"),
    (var(secret="db/a/b"), "containers[0].env.A.from.secret: 'a/b' is not a key: letters, digits, '.', '_' and '-', at most 253"),
    (var(secret={"name": "db"}), "containers[0].env.A.from.secret.key: a key of a secret needs this field"),
    (var(secret=5), "containers[0].env.A.from.secret: expected the name of a secret, 'NAME/KEY' or a mapping, found a whole number"),
    (var(secretKeyRef={}), "containers[0].env.A.from.secretKeyRef: unknown field of a variable's source (did you mean 'secret'?)"),
    (var(field="metadata.name"), f"containers[0].env.A.from.field: 'metadata.name' is not a fact of a pod: {_FACTS} (did you mean 'name'?)"),
    (var(field="status.podIP"), f"containers[0].env.A.from.field: 'status.podIP' is not a fact of a pod: {_FACTS} (did you mean 'ip'?)"),
    (var(field="limits.memroy"), f"containers[0].env.A.from.field: 'limits.memroy' is not a fact of a pod: {_FACTS} (did you mean 'limits.memory'?)"),
    (var(field="labels['a b']"), "containers[0].env.A.from.field: 'a b' is not a label's name: letters, digits, '.', '_', '/' and '-', at most 253"),
    (var(field="limits.cpu", divisor=0), "containers[0].env.A.from.divisor: must be greater than nothing"),
    (var(field="name", divisor=2), "containers[0].env.A.from.divisor: only a limit is told in units"),
    (container(env=[{"name": "A", "from": {"secret": "x", "divisor": 2}}]), "containers[0].env[0].from.divisor: only a limit is told in units"),
    (container(env=[{"name": "A", "value": "x", "from": {"field": "name"}}]), "containers[0].env[0]: a variable has one of value, from, found value and from"),
    (container(env={"A": {"valueFrom": {}}}), "containers[0].env.A.valueFrom: unknown field of a variable (did you mean 'from'?)|containers[0].env.A.from: a variable needs this field"),
    (var(secret="x", on_change="reload"), "containers[0].env.A.from.on_change: must be one of nothing, restart, found 'reload'"),
    (container(env_from=[{}]), "containers[0].env_from[0]: a source of variables needs one of secret, config"),
    (container(env_from=[{"secret": "x", "prefix": "A="}]), "containers[0].env_from[0].prefix: 'A=' is not a variable's name: printable ASCII without '=', at most 255"),
    (container(env_from=[{"secretRef": {}}]), "containers[0].env_from[0].secretRef: unknown field of a source of variables (did you mean 'secret'?)"),
    (files(secret="a_b"), "volumes[0].source.secret: 'a_b' is not a name: lower-case letters, digits, '-' and '.' inside, at most 253 (did you mean 'a-b'?)"),
    (files(secret={}), "volumes[0].source.secret.name: a secret needs this field"),
    (files(secret={"name": "a", "mode": "0400"}, mode="0400"), "volumes[0].source.mode: is given twice: here and below secret"),
    (files(secret="a", keys=[]), "volumes[0].source.keys: needs at least 1 item, found 0"),
    (files(secret="a", keys="a"), "volumes[0].source.keys: expected a list of keys or a mapping from key to path, found a string"),
    (files(secret="a", keys=["../a"]), "volumes[0].source.keys[0]: '../a' is not a key: letters, digits, '.', '_' and '-', at most 253"),
    (files(secret="a", keys={"a": "/b"}), "volumes[0].source.keys.a: '/b' must be a relative path (did you mean 'b'?)"),
    (files(secret="a", keys={"a": "b/../../c"}), "volumes[0].source.keys.a: 'b/../../c' must not contain '..'"),
    (files(secret="a", keys={"a": "..data"}), "volumes[0].source.keys.a: '..data' must not begin with '..'"),
    (files(secret="a", keys={"a": "x", "b": "./x"}), "volumes[0].source.keys.b: another key is at 'x' already, or above or below it"),
    (files(secret="a", keys={"a": "x/y", "b": "x"}), "volumes[0].source.keys.b: another key is at 'x' already, or above or below it"),
    (files(secret="a", mode=420), "volumes[0].source.mode: expected a string such as '0750', found a whole number (put it in quotes)"),
    (files(secret="a", on_change="reload"), "volumes[0].source.on_change: must be nothing, restart, {signal: NAME} or {exec: [..]}, found 'reload'"),
    (files(secret="a", on_change={}), "volumes[0].source.on_change: a reaction needs one of signal, exec"),
    (files(secret="a", on_change={"signal": "HPU"}), "volumes[0].source.on_change.signal: 'HPU' is not a signal (did you mean 'HUP'?)"),
    (files(secret="a", config="b"), "volumes[0].source: has more than one source: secret, config"),
    (files(configMap="b"), "volumes[0].source: needs one of managed, host, tmpfs, image, empty, secret, config (did you mean 'config'?)"),
    (volume(source={"secret": "a"}, owner=5), "volumes[0].owner: only a managed or empty volume has one, not secret (write it beside secret)"),
    (mount(sub_path="/a"), "containers[0].mounts[0].sub_path: '/a' must be a relative path (did you mean 'a'?)"),
    (mount(sub_path="a/../../b"), "containers[0].mounts[0].sub_path: 'a/../../b' must not contain '..'"),
    (mount(sub_path="."), "containers[0].mounts[0].sub_path: a path below the volume cannot be empty"),
    (mount(propagation="rshared"), "containers[0].mounts[0].propagation: must be one of private, slave, shared, found 'rshared' (did you mean 'shared'?)"),
    (mount(propagation="shared"), "containers[0].mounts[0].propagation: shared is for privileged containers only: mounts made inside appear on the host"),
    (mount(allow=["exec"]), "containers[0].mounts[0].allow[0]: must be one of suid, dev, found 'exec'"),
]  # fmt: skip


@pytest.mark.parametrize(("mapping", "fault"), FAULTS, ids=range(len(FAULTS)))
def test_a_fault_of_an_input(mapping: dict[str, Any], fault: str) -> None:
    assert told(mapping) == fault.split("|")
