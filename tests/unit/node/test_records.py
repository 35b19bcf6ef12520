"""The records on disk: what is written is read, what is damaged is kept, what a crash leaves is no obstacle."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tank.config import Settings
from tank.model.pod import Container, Pod
from tank.model.record import Address, Attempt, ContainerRecord, Exit, PodRecord, Stop, Trouble
from tank.node.records import Records
from tests.property.strategies import pods

UID = "0123456789ab"
BOOT = "6fd1f0b0-9c5f-4a8d-8a43-0f8f2f0b1c2d"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
numbers = st.integers(0, 2**53)
seconds = st.floats(0, 1e12, allow_nan=False)
troubles = st.builds(
    Trouble,
    reason=texts,
    message=texts,
    failures=numbers,
    retry_at=seconds,
    boot_id=texts,
    delay=seconds,
    at=seconds,
    digest=texts,
)
exits = st.builds(
    Exit,
    attempt=numbers,
    code=st.none() | st.integers(0, 255),
    reason=texts,
    message=texts,
    started_at=st.none() | seconds,
    finished_at=seconds,
    ran=seconds,
    finished_boot=seconds,
    boot_id=texts,
    oom_killed=st.booleans(),
    child_oom_kills=numbers,
    stopped=st.booleans(),
)
stops = st.builds(Stop, deadline=seconds, boot_id=texts, grace=seconds, signalled=st.booleans())


def attempts_of(pod: Pod) -> st.SearchStrategy[Attempt]:
    return st.builds(
        Attempt,
        number=numbers,
        boot_id=texts,
        spec=st.sampled_from(pod.containers),
        digest=texts,
        tuning=texts,
        revision=numbers,
        restarts=numbers,
        image=texts,
        created_at=seconds,
        pid=st.none() | numbers,
        start_time=st.none() | numbers,
        started_at=st.none() | seconds,
        started_boot=st.none() | seconds,
        stop=st.none() | stops,
    )


@st.composite
def written(draw: st.DrawFn) -> tuple[PodRecord, ContainerRecord]:
    """The records of a pod and of one of its containers, with everything that may stand in them."""
    spec = draw(pods())
    attempt = draw(st.none() | attempts_of(spec))
    name = attempt.spec.name if attempt else spec.containers[0].name
    container = ContainerRecord(
        name=name,
        attempt=attempt,
        last_number=draw(numbers),
        restart_count=draw(numbers),
        failures=draw(numbers),
        failures_digest=draw(texts),
        cleared=draw(numbers),
        exits=tuple(draw(st.lists(exits, max_size=3))),
        trouble=draw(st.none() | troubles),
    )
    addresses = st.builds(Address, nic=texts, ip=texts, mac=texts)
    names = [each.name for each in spec.containers]
    pod = replace(
        a_pod(spec),
        revision=draw(numbers),
        addresses=tuple(draw(st.lists(addresses, max_size=2))),
        network_ready=draw(st.booleans()),
        trouble=draw(st.none() | troubles),
        deleting=draw(st.booleans()),
        pins=draw(st.dictionaries(st.sampled_from(names), texts)),
        restarts=draw(st.dictionaries(st.sampled_from(names), numbers)),
    )
    return pod, container


def a_pod(spec: Pod | None = None) -> PodRecord:
    spec = spec or Pod(name="web", containers=(Container(name="main", image="docker.io/library/x:1"),))
    fixed: dict[str, Any] = {"installation": "abcdef", "sandbox_digest": "s", "boot_id": BOOT, "created_at": 1.0}
    return PodRecord(uid=UID, name=spec.name, revision=1, spec=spec, **fixed)


def records(directory: Path) -> Records:
    """As a new daemon reads them."""
    made = Records(Settings(data_dir=directory, run_dir=directory / "run"))
    made.load()
    return made


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(written())
def test_a_new_daemon_reads_what_the_last_one_wrote(tmp_path: Path, both: tuple[PodRecord, ContainerRecord]) -> None:
    pod, container = both
    writer = records(tmp_path)
    asyncio.run(writer.save_pod(pod))
    asyncio.run(writer.save_container(UID, container))

    reader = records(tmp_path)

    assert (reader.pod(UID), reader.containers(UID)[container.name], reader.damaged) == (pod, container, [])
    asyncio.run(reader.drop_container(UID, container.name))
    asyncio.run(reader.forget(UID))


def test_records_are_for_root_alone(tmp_path: Path) -> None:
    writer = records(tmp_path)
    asyncio.run(writer.save_pod(a_pod()))
    asyncio.run(writer.save_container(UID, ContainerRecord(name="main")))

    top = tmp_path / "pods" / UID
    modes = [path.stat().st_mode & 0o777 for path in (top, top / "pod.json", top / "containers/main.json")]

    assert modes == [0o700, 0o600, 0o600]


@pytest.mark.parametrize("text", [b"", b"{", b"null", b"\xff\xfe", b'{"name": "web"}'])
def test_a_damaged_record_is_kept_aside_and_told(tmp_path: Path, text: bytes) -> None:
    asyncio.run(records(tmp_path).save_pod(a_pod()))
    path = tmp_path / "pods" / UID / "pod.json"
    path.write_bytes(text)

    reader = records(tmp_path)

    assert (reader.pod(UID), reader.damaged) == (None, [path.with_name("pod.json.damaged")])
    assert reader.damaged[0].read_bytes() == text


def test_a_field_of_a_newer_version_does_not_make_a_record_unreadable(tmp_path: Path) -> None:
    asyncio.run(records(tmp_path).save_container(UID, ContainerRecord(name="main", restart_count=3)))
    path = tmp_path / "pods" / UID / "containers/main.json"
    path.write_bytes(path.read_bytes().replace(b"{", b'{"mood":"good",', 1))

    assert records(tmp_path).containers(UID)["main"].restart_count == 3


def test_what_a_crash_in_the_middle_of_a_write_left_is_no_record_and_no_obstacle(tmp_path: Path) -> None:
    asyncio.run(records(tmp_path).save_pod(a_pod()))
    top = tmp_path / "pods" / UID
    (top / ".pod.json.tmp").write_bytes(b'{"uid": "01')

    reader = records(tmp_path)
    found = reader.pod(UID), reader.damaged
    asyncio.run(reader.forget(UID))

    assert found == (a_pod(), [])
    assert not top.exists()


def test_the_pods_record_is_the_last_to_go(tmp_path: Path) -> None:
    writer = records(tmp_path)
    asyncio.run(writer.save_pod(a_pod()))
    asyncio.run(writer.save_container(UID, ContainerRecord(name="main")))
    (tmp_path / "pods" / UID / "containers/main.json").unlink()
    (tmp_path / "pods" / UID / "containers/main.json").mkdir()  # something that unlink refuses

    with pytest.raises(OSError, match="directory"):
        asyncio.run(writer.forget(UID))

    assert (tmp_path / "pods" / UID / "pod.json").exists()


def test_forgetting_may_be_repeated(tmp_path: Path) -> None:
    writer = records(tmp_path)
    asyncio.run(writer.save_pod(a_pod()))

    asyncio.run(writer.forget(UID))
    asyncio.run(writer.forget(UID))

    assert (records(tmp_path).pods(), writer.pods()) == ({}, {})
