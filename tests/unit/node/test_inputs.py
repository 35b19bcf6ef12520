"""Secrets and configs between the store and those who make containers: what is given, and what is said of the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from tank.errors import Failed, InvalidSpec, NotFound, Waiting
from tank.host import clock
from tank.model.desired import Desired
from tank.model.facts import Input
from tank.model.parse import parse_pod
from tank.model.stored import InputVersion
from tank.node.input_verbs import InputVerbs
from tank.node.inputs import NoInputs, StoredInputs
from tank.store.base import Put
from tank.store.memory import MemoryStore
from tank.store.seal import KeyFile

SPEC = parse_pod(
    {
        "name": "web",
        "containers": [
            {"name": "a", "image": "x:1", "env_from": [{"secret": "db"}]},
            {"name": "b", "image": "x:1", "mounts": ["cfg:/in"]},
        ],
        "volumes": [{"name": "cfg", "source": {"config": "app"}}],
    }
)


class Machine:
    """A store, a key file, and what stands over them."""

    def __init__(self, top: Path) -> None:
        self.store, self.key = MemoryStore(), KeyFile(path=top / "key")
        self.conditions: dict[str, str] = {}
        self.verbs = InputVerbs(self.store, self.key, clock.now, self.conditions)
        self.inputs = StoredInputs(self.store, self.key)

    async def pod(self) -> Desired:
        (stored,) = await self.store.put([Put(spec=SPEC, uid="a" * 12)], 1.0)
        return stored


@pytest.fixture
async def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    await made.verbs.set("secret", "db", {"pw": b"\x00x"})
    await made.verbs.set("config", "app", {"mode": b"one"})
    return made


async def test_a_container_is_given_what_it_uses_and_no_more(machine: Machine) -> None:
    pod = await machine.pod()
    first, second = [await machine.inputs.give(pod, each) for each in SPEC.containers]
    files, facts = await machine.inputs.files(pod), await machine.inputs.facts(pod)

    assert first.values == {"secret/db": {"pw": b"\x00x"}}
    assert second.values == files.values == {"config/app": {"mode": b"one"}}
    assert {key: each.keys for key, each in facts.items()} == {"secret/db": {"pw"}, "config/app": {"mode"}}
    assert {**first.versions, **second.versions} == {key: each.version for key, each in facts.items()}


async def test_what_is_not_there_is_left_out_and_told(machine: Machine) -> None:
    pod = await machine.pod()
    await machine.verbs.delete("secret", "db", force=True)

    assert (await machine.inputs.give(pod, SPEC.containers[0])).values == {}
    assert (await machine.inputs.facts(pod))["secret/db"] == Input()


async def test_a_machine_without_any_has_none() -> None:
    pod = Desired(name="web", uid="a" * 12, revision=1, spec=SPEC, created_at=0.0)

    assert await NoInputs().facts(pod) == {"secret/db": Input(), "config/app": Input()}
    assert (await NoInputs().give(pod, SPEC.containers[0])).values == (await NoInputs().files(pod)).values == {}


async def test_a_pod_that_is_held_is_given_the_earlier_version(machine: Machine) -> None:
    pod = await machine.pod()
    await machine.verbs.set("config", "app", {"mode": b"two"})
    (entry,) = await machine.store.history("web")
    (held,) = await machine.store.put([Put(spec=SPEC, uid=pod.uid, pins=entry.pins)], 2.0)

    assert (await machine.inputs.files(held)).values == {"config/app": {"mode": b"one"}}
    assert (await machine.inputs.files(pod)).values == {"config/app": {"mode": b"two"}}


async def test_no_secret_lies_in_the_store_in_the_clear(machine: Machine) -> None:
    await machine.verbs.set("secret", "db", {"pw": b"canary"})
    (version,) = (await machine.store.read()).inputs["secret/db"].versions
    body = await machine.store.input_body("secret/db", version)

    assert b"canary" not in body
    assert b"Y2FuYXJ5" not in body  # as base64


async def test_the_same_again_is_the_same_version_and_no_change(machine: Machine) -> None:
    before = await machine.store.read()

    await machine.verbs.set("secret", "db", {"pw": b"\x00x"})

    assert await machine.store.read() == before


async def test_a_key_that_is_missing_is_told_until_it_is_back(machine: Machine) -> None:
    pod, key = await machine.pod(), machine.key.path.read_bytes()
    machine.key.path.unlink()
    await machine.verbs.look()

    assert str(machine.key.path) in machine.conditions["SecretKeyMissing"]
    with pytest.raises(Waiting, match="cannot read secret db: its key is missing"):
        await machine.inputs.give(pod, SPEC.containers[0])
    with pytest.raises(Failed, match="put it back, or delete every secret"):
        await machine.verbs.set("secret", "other", {"a": b"1"})
    assert (await machine.inputs.give(pod, SPEC.containers[1])).values == {"config/app": {"mode": b"one"}}
    machine.key.path.write_bytes(key)
    await machine.verbs.look()
    assert machine.conditions == {}
    assert (await machine.inputs.give(pod, SPEC.containers[0])).values == {"secret/db": {"pw": b"\x00x"}}


async def test_another_key_is_told_and_what_is_set_anew_is_readable(machine: Machine) -> None:
    pod = await machine.pod()
    await machine.verbs.set("secret", "tls", {"k": b"1"})
    machine.key.path.write_bytes(b"o" * 32)
    await machine.verbs.look()

    assert "not the key of secret db, secret tls" in machine.conditions["SecretKeyWrong"]
    with pytest.raises(Waiting, match="secret db: it was encrypted with another key"):
        await machine.inputs.give(pod, SPEC.containers[0])
    await machine.verbs.set("secret", "db", {"pw": b"y"})
    assert (await machine.inputs.give(pod, SPEC.containers[0])).values == {"secret/db": {"pw": b"y"}}
    await machine.verbs.delete("secret", "tls")
    assert machine.conditions == {}


async def test_a_key_that_is_none_is_told(machine: Machine) -> None:
    machine.key.path.write_bytes(b"nonsense")
    await machine.verbs.look()

    assert "expected 64 hex digits" in machine.conditions["SecretKeyWrong"]


async def test_a_key_is_made_anew_when_no_secret_is_left(machine: Machine) -> None:
    machine.key.path.unlink()
    await machine.verbs.delete("secret", "db")

    await machine.verbs.set("secret", "db", {"pw": b"z"})

    assert machine.conditions == {}


@pytest.mark.parametrize("body", [b"{}", b"", b"no json", b'["a"]', b'{"mode": "!"}'])
async def test_a_damaged_config_is_told_and_given_to_nobody(machine: Machine, body: bytes) -> None:
    pod = await machine.pod()
    (version,) = (await machine.store.read()).inputs["config/app"].versions
    machine.store._bodies["config/app", version] = body

    with pytest.raises(Waiting, match="config app: what is stored is damaged; set it again"):
        await machine.inputs.files(pod)
    with pytest.raises(Failed, match="damaged"):
        await machine.verbs.get("config", "app")


async def test_a_lost_body_is_told(machine: Machine) -> None:
    pod = await machine.pod()
    machine.store._bodies.clear()

    with pytest.raises(Waiting, match="config app"):
        await machine.inputs.files(pod)


async def test_all_that_is_wrong_is_said_at_once(machine: Machine) -> None:
    with pytest.raises(InvalidSpec) as caught:
        await machine.verbs.set("secret", "No Name", {"a/b": b"", "..x": b"y" * (2**20 + 1)})

    assert [each.path for each in caught.value.problems] == ["name", "key", "key", ""]
    with pytest.raises(NotFound):
        await machine.verbs.get("secret", "No Name")


async def test_what_was_lost_with_the_database_is_named_until_it_is_set(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    await machine.pod()
    await machine.verbs.look(lost=True)

    said = machine.conditions["InputsLost"]
    await machine.verbs.set("config", "app", {"mode": b""})
    left = machine.conditions["InputsLost"]
    await machine.verbs.set("secret", "db", {"pw": b""})

    assert ("config app, secret db" in said, "config app" in left) == (True, False)
    assert machine.conditions == {}


async def test_a_secret_of_an_unknown_form_is_not_guessed_at(machine: Machine) -> None:
    pod = await machine.pod()
    mark = machine.key.read()
    assert mark is not None
    made = InputVersion(version="v9", sizes={}, at=1.0, sealed=mark.mark)
    await machine.store.set_input("secret/db", made, b"{}")

    with pytest.raises(Waiting, match="damaged, or of another key"):
        await machine.inputs.give(pod, SPEC.containers[0])
