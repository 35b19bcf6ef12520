"""What a stored spec means, now and after the next release (R21)."""

from __future__ import annotations

import json

from hypothesis import given

from tank.model.desired import Desired
from tank.model.pod import Container, Empty, HostPath, Limits, Network, Nic, Pod, Source, Tmpfs, Volume
from tank.store import rows
from tests.property.strategies import pods

# A pod as schema 1 stores it: only what differs from the defaults.
STORED = {
    "name": "web",
    "containers": [{"name": "main", "image": "docker.io/library/nginx:1", "limits": {"memory": 1048576}}],
    "network": {"nics": [{"name": "eth0", "ip": ["10.0.0.2/24"]}]},
    "volumes": [{"name": "data"}, {"name": "tmp", "source": {"type": "tmpfs"}}],
}
# What was left out there, for as long as schema 1 is read.
MEANT = {
    "restart": "always",
    "backoff": {"initial": 10.0, "factor": 2.0, "max": 300.0, "reset_after": 600.0},
    "grace": 30.0,
    "hostname": None,
}
MEANT_OF_A_CONTAINER: dict[str, object] = {
    "pull": "if_missing",
    "command": [],
    "user": None,
    "restart": None,
    "tty": False,
    "stdin": False,
    "stop_signal": None,
    "reaper": False,
}
MEANT_OF_SECURITY = {
    "privileged": False,
    "cap_add": [],
    "cap_drop": [],
    "seccomp": "default",
    "no_new_privileges": True,
    "read_only_root": False,
}


def stored(spec: Pod) -> rows.Row:
    made = Desired(name=spec.name, uid="a" * 12, revision=1, spec=spec, created_at=1.0)
    return rows.summed(rows.pod_row(made))


@given(pods())
def test_a_stored_spec_is_read_back_as_itself(spec: Pod) -> None:
    assert rows.desired(stored(spec)).spec == spec


def test_a_row_with_any_other_column_is_not_whole() -> None:
    row = stored(Pod(name="web", containers=(Container(name="main", image="x"),)))

    changed = [(*row[:n], "other", *row[n + 1 :]) for n in range(len(row))]

    assert rows.whole(row)
    assert [rows.whole(each) for each in changed] == [False] * len(row)


def test_defaults_are_left_out_so_that_an_older_version_can_read_it() -> None:
    spec = Pod(
        name="web",
        containers=(Container(name="main", image="docker.io/library/nginx:1", limits=Limits(memory=1 << 20)),),
        network=Network(nics=(Nic(name="eth0", ip=("10.0.0.2/24",)),)),
        volumes=(Volume(name="data"), Volume(name="tmp", source=Tmpfs())),
    )

    assert json.loads(stored(spec)[3]) == STORED


def test_the_forms_of_a_volume_stay_apart() -> None:
    forms: tuple[Source, ...] = (Tmpfs(), Empty(), HostPath(path="/srv"))
    volumes = tuple(Volume(name=f"v{n}", source=each) for n, each in enumerate(forms))
    spec = Pod(name="web", containers=(Container(name="main", image="x"),), volumes=volumes)

    assert rows.desired(stored(spec)).spec.volumes == volumes


def test_what_schema_one_left_out_still_means_the_same() -> None:
    spec = Pod.model_validate_json(json.dumps(STORED)).model_dump(mode="json")

    container = spec["containers"][0]
    assert {key: spec[key] for key in MEANT} == MEANT
    assert {key: container[key] for key in MEANT_OF_A_CONTAINER} == MEANT_OF_A_CONTAINER
    assert {key: container["security"][key] for key in MEANT_OF_SECURITY} == MEANT_OF_SECURITY
    assert spec["volumes"][0]["source"] == {"type": "managed", "shared": False}
