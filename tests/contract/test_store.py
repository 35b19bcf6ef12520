"""What every store promises, line by line of the protocol, asked of each implementation alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path

import pytest

from tank.errors import Conflict, NotFound, Unavailable
from tank.model.desired import Desired, Event
from tank.model.pod import Container, Pod
from tank.store.base import Change, Put, Store, Watch
from tank.store.decide import EVENT_AGE, KEPT_EVENTS, KEPT_EVENTS_OF_POD, KEPT_REVISIONS
from tank.store.memory import MemoryStore
from tank.store.sqlite import SqliteStore

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made: Store = MemoryStore() if request.param == "memory" else await SqliteStore.open(tmp_path / "store.db")
    yield made
    await made.close()


def pod(name: str = "web", *containers: Container, **labels: str) -> Pod:
    return Pod(name=name, containers=containers or (container(),), labels=labels)


def container(name: str = "main", image: str = "docker.io/library/nginx:1", **fields: object) -> Container:
    return Container.model_validate({"name": name, "image": image, **fields})


_made = iter(range(1, 1_000_000))


def a_put(spec: Pod | None = None, *, expected: int | None = None, pins: Mapping[str, str] | None = None) -> Put:
    return Put(spec=spec or pod(), uid=f"{next(_made):012x}", expected=expected, pins=pins)


async def put(
    store: Store, spec: Pod | None = None, *, expected: int | None = None, pins: Mapping[str, str] | None = None
) -> Desired:
    (stored,) = await store.put([a_put(spec, expected=expected, pins=pins)], 1.0)
    return stored


def an_event(message: str = "it started", *, name: str = "web", at: float = 5.0) -> Event:
    return Event(
        id=0,
        pod=name,
        uid="0" * 12,
        container="main",
        type="Normal",
        reason="Started",
        message=message,
        count=1,
        first=at,
        last=at,
    )


async def counter(store: Store) -> int:
    return (await store.read()).revision


async def told(store: Store, watch: Watch) -> list[Change]:
    """What the watch has to tell up to now; a pod that is put marks the place."""
    marker = await put(store, pod(f"marker-{next(_made)}"))
    changes: list[Change] = []
    async for change in watch:
        if change.name == marker.name:
            return changes
        changes.append(change)
    raise AssertionError("the watch ended")


# Reading


async def test_a_new_store_is_empty_and_fresh(store: Store) -> None:
    contents = await store.read()

    assert (contents.revision, contents.pods, contents.tombstones, contents.fresh) == (0, {}, {}, True)


async def test_a_pod_is_read_as_it_was_put(store: Store) -> None:
    stored = await put(store, pod("web", container(limits={"memory": 1 << 40}, ulimits={"nofile": (1, 2)})))

    assert await store.get("web") == stored
    assert (await store.read()).pods == {"web": stored}


async def test_an_unknown_pod_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound, match="web"):
        await store.get("web")


async def test_contents_that_were_read_do_not_change_any_more(store: Store) -> None:
    await put(store)
    before = await store.read()

    await store.delete("web", None, 2.0)

    assert list(before.pods) == ["web"]


# Putting


async def test_a_new_pod_has_the_given_uid_and_the_next_number(store: Store) -> None:
    spec = pod("b")
    await put(store, pod("a"))

    (stored,) = await store.put([Put(spec=spec, uid="abcdefabcdef")], 17.5)

    assert stored == Desired(name="b", uid="abcdefabcdef", revision=2, spec=spec, created_at=17.5)


async def test_a_changed_spec_is_a_new_revision_of_the_same_pod(store: Store) -> None:
    first = await put(store)

    second = await put(store, pod("web", tier="front"))

    assert (second.uid, second.created_at) == (first.uid, first.created_at)
    assert (first.revision, second.revision) == (1, 2)


async def test_an_equal_spec_is_no_revision_and_changes_nothing(store: Store) -> None:
    first = await put(store, pod("web", tier="front"))

    again = await put(store, pod("web", tier="front"))

    assert again == first
    assert await counter(store) == 1
    assert len(await store.history("web")) == 1


async def test_an_equal_spec_with_other_pins_is_a_revision(store: Store) -> None:
    await put(store, pins={"main": "sha256:a"})

    same = await put(store, pins={"main": "sha256:a"})
    other = await put(store, pins={"main": "sha256:b"})

    assert (same.revision, other.revision, other.pins) == (1, 2, {"main": "sha256:b"})


async def test_all_are_put_or_none(store: Store) -> None:
    await put(store, pod("b"))

    with pytest.raises(Conflict):
        await store.put([a_put(pod("a")), a_put(pod("b", new="yes"), expected=0), a_put(pod("c"))], 2.0)

    assert list((await store.read()).pods) == ["b"]
    assert await counter(store) == 1
    assert await store.history("a") == ()


async def test_several_are_put_in_their_order(store: Store) -> None:
    stored = await store.put([a_put(pod("b")), a_put(pod("a")), a_put(pod("b", more="yes"))], 2.0)

    assert [(each.name, each.revision) for each in stored] == [("b", 1), ("a", 2), ("b", 3)]
    assert stored[0].uid == stored[2].uid


async def test_putting_nothing_changes_nothing(store: Store) -> None:
    assert await store.put([], 1.0) == ()
    assert await counter(store) == 0


async def test_expecting_no_pod_conflicts_with_one(store: Store) -> None:
    await put(store, expected=0)

    with pytest.raises(Conflict, match="in use"):
        await put(store, expected=0)


async def test_expecting_the_current_revision_succeeds_and_an_older_one_conflicts(store: Store) -> None:
    first = await put(store)
    await put(store, pod("web", v="2"), expected=first.revision)

    with pytest.raises(Conflict, match="at revision 2"):
        await put(store, pod("web", v="3"), expected=first.revision)


async def test_expecting_a_revision_of_no_pod_conflicts(store: Store) -> None:
    with pytest.raises(Conflict, match="does not exist"):
        await put(store, expected=4)


async def test_the_expected_revision_is_that_of_the_spec_not_of_a_restart(store: Store) -> None:
    first = await put(store)
    await store.restart("web", ["main"], pull=False)

    second = await put(store, pod("web", v="2"), expected=first.revision)

    assert second.restarts == {"main": 1}


async def test_a_uid_is_never_given_twice(store: Store) -> None:
    first = await put(store, pod("a"))

    with pytest.raises(Conflict, match="uid"):
        await store.put([Put(spec=pod("b"), uid=first.uid)], 1.0)
    await store.delete("a", None, 1.0)
    with pytest.raises(Conflict, match="uid"):
        await store.put([Put(spec=pod("a"), uid=first.uid)], 1.0)


# Pins


async def test_a_pin_stands_beside_the_pod_and_in_its_history(store: Store) -> None:
    first = await put(store)

    await store.pin("web", first.revision, "main", "sha256:a")

    assert (await store.get("web")).pins == {"main": "sha256:a"}
    assert (await store.history("web"))[0].pins == {"main": "sha256:a"}
    assert (await store.get("web")).revision == first.revision


async def test_a_pin_of_a_passed_revision_has_no_effect(store: Store) -> None:
    first = await put(store)
    await put(store, pod("web", v="2"))
    before = await counter(store)

    await store.pin("web", first.revision, "main", "sha256:a")
    await store.pin("nobody", first.revision, "main", "sha256:a")
    await store.pin("web", first.revision + 1, "nobody", "sha256:a")

    assert (await store.get("web")).pins == {}
    assert await counter(store) == before


async def test_the_same_pin_again_changes_nothing(store: Store) -> None:
    first = await put(store)
    await store.pin("web", first.revision, "main", "sha256:a")
    before = await counter(store)

    await store.pin("web", first.revision, "main", "sha256:a")

    assert await counter(store) == before


async def test_pins_are_carried_over_where_image_and_pull_stay(store: Store) -> None:
    spec = pod("web", container("same"), container("image"), container("pull"), container("gone"))
    first = await put(store, spec)
    for name in ("same", "image", "pull", "gone"):
        await store.pin("web", first.revision, name, f"sha256:{name}")

    changed = container("same", command=("sleep",)), container("image", "other"), container("pull", pull="never")
    second = await put(store, pod("web", *changed, container("new")))

    assert second.pins == {"same": "sha256:same"}
    assert (await store.history("web"))[0].pins == {"same": "sha256:same"}


async def test_given_pins_take_the_place_of_the_old_ones(store: Store) -> None:
    await put(store, pins={"main": "sha256:a"})

    second = await put(store, pod("web", v="2"), pins={"main": "sha256:b"})
    third = await put(store, pod("web", v="3"), pins={})

    assert (second.pins, third.pins) == ({"main": "sha256:b"}, {})


# Restarting


async def test_a_restart_raises_the_counter_of_each_container_and_is_no_revision(store: Store) -> None:
    first = await put(store, pod("web", container("a"), container("b")))

    await store.restart("web", ["a"], pull=False)
    second = await store.restart("web", ["a", "b"], pull=False)

    assert (second.restarts, second.pulls, second.revision) == ({"a": 2, "b": 1}, {}, first.revision)
    assert await store.get("web") == second
    assert len(await store.history("web")) == 1


async def test_a_restart_with_pull_lays_the_pin_aside_until_there_is_another(store: Store) -> None:
    first = await put(store, pod("web", container("a"), container("b")), pins={"a": "sha256:a", "b": "sha256:b"})
    await store.restart("web", ["a"], pull=True)
    again = await store.restart("web", ["a"], pull=True)
    changed = await put(store, pod("web", container("a"), container("b"), v="2"))
    assert again.pins == changed.pins == {"before:a": "sha256:a", "b": "sha256:b"}
    assert (await store.history("web"))[0].pins == {"b": "sha256:b"}

    await store.pin("web", changed.revision, "a", "sha256:a")
    assert (await store.get("web")).pins == {"a": "sha256:a", "b": "sha256:b"}
    await store.restart("web", ["a"], pull=True)
    other = await put(store, pod("web", container("a", "docker.io/library/nginx:2"), container("b")))
    assert (other.pins, first.pins) == ({"b": "sha256:b"}, {"a": "sha256:a", "b": "sha256:b"})


async def test_a_restart_with_pull_drops_the_pin_but_history_keeps_it(store: Store) -> None:
    await put(store, pod("web", container("a"), container("b")), pins={"a": "sha256:a", "b": "sha256:b"})

    second = await store.restart("web", ["a"], pull=True)

    assert (second.restarts, second.pulls) == ({"a": 1}, {"a": 1})
    assert second.pins == {"before:a": "sha256:a", "b": "sha256:b"}
    assert (await store.history("web"))[0].pins == {"a": "sha256:a", "b": "sha256:b"}


async def test_a_restart_of_the_unknown_is_not_found_and_changes_nothing(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.restart("web", ["main"], pull=False)
    first = await put(store)
    with pytest.raises(NotFound, match="other"):
        await store.restart("web", ["main", "other"], pull=False)

    assert await store.get("web") == first


async def test_counters_outlive_a_changed_spec(store: Store) -> None:
    await put(store)
    await store.restart("web", ["main"], pull=True)

    second = await put(store, pod("web", v="2"))

    assert (second.restarts, second.pulls) == ({"main": 1}, {"main": 1})


# Deleting


async def test_a_deleted_pod_leaves_a_tombstone(store: Store) -> None:
    first = await put(store)

    stone = await store.delete("web", 2.5, 9.0)

    contents = await store.read()
    assert (stone.uid, stone.name, stone.grace, stone.at) == (first.uid, "web", 2.5, 9.0)
    assert (contents.pods, contents.tombstones) == ({}, {first.uid: stone})


async def test_deleting_the_unknown_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.delete("web", None, 1.0)


async def test_deleting_by_another_uid_conflicts(store: Store) -> None:
    first = await put(store)

    with pytest.raises(Conflict):
        await store.delete("web", None, 1.0, uid="f" * 12)

    assert (await store.delete("web", None, 1.0, uid=first.uid)).uid == first.uid


async def test_a_name_is_free_again_while_the_old_pod_terminates(store: Store) -> None:
    first = await put(store)
    await store.restart("web", ["main"], pull=True)
    await store.delete("web", None, 1.0)

    second = await put(store, expected=0)

    contents = await store.read()
    assert second.uid != first.uid
    assert (second.restarts, second.pulls, second.pins) == ({}, {}, {})
    assert (list(contents.pods), list(contents.tombstones)) == (["web"], [first.uid])


@pytest.mark.parametrize(
    ("grace", "asked", "left"), [(None, 5.0, 5.0), (10.0, 5.0, 5.0), (5.0, 5.0, 5.0), (5.0, 10.0, 5.0), (9.0, 0.0, 0.0)]
)
async def test_a_grace_is_only_ever_shortened(store: Store, grace: float | None, asked: float, left: float) -> None:
    uid = (await put(store)).uid
    await store.delete("web", grace, 1.0)

    await store.shorten(uid, asked)

    assert (await store.read()).tombstones[uid].grace == left


async def test_shortening_what_is_not_there_changes_nothing(store: Store) -> None:
    await store.shorten("f" * 12, 1.0)

    assert await counter(store) == 0


async def test_a_burial_forgets_the_tombstone_and_may_be_repeated(store: Store) -> None:
    uid = (await put(store)).uid
    await store.delete("web", None, 1.0)

    await store.bury(uid)
    after = await counter(store)
    await store.bury(uid)

    assert (await store.read()).tombstones == {}
    assert await counter(store) == after


# History


async def test_history_is_newest_first_with_time_and_origin(store: Store) -> None:
    one, two = pod("web", v="1"), pod("web", v="2")
    await store.put([Put(spec=one, uid="a" * 12)], 1.0)
    await store.put([Put(spec=two, uid="b" * 12, origin="rollback", pins={"main": "sha256:x"})], 2.0)

    kept = await store.history("web")

    assert [(each.revision, each.spec, each.at, each.origin) for each in kept] == [
        (2, two, 2.0, "rollback"),
        (1, one, 1.0, "apply"),
    ]
    assert [(each.name, each.uid) for each in kept] == [("web", "a" * 12)] * 2
    assert [each.pins for each in kept] == [{"main": "sha256:x"}, {}]


async def test_history_of_the_unknown_is_empty(store: Store) -> None:
    assert await store.history("web") == ()


async def test_history_outlives_the_pod(store: Store) -> None:
    first = await put(store)
    await store.delete("web", None, 1.0)
    await store.bury(first.uid)
    second = await put(store, pod("web", v="2"))

    assert [each.uid for each in await store.history("web")] == [second.uid, first.uid]


async def test_the_newest_hundred_revisions_of_a_pod_are_kept(store: Store) -> None:
    await put(store, pod("other"))
    for number in range(KEPT_REVISIONS + 5):
        await put(store, pod("web", v=str(number)))

    kept = await store.history("web")

    assert [each.spec.labels["v"] for each in kept] == [str(n) for n in range(104, 4, -1)]
    assert len(await store.history("other")) == 1


# Recovery


def taken_back(name: str = "web", uid: str = "a" * 12, revision: int = 40) -> Desired:
    return Desired(
        name=name,
        uid=uid,
        revision=revision,
        spec=pod(name),
        created_at=3.0,
        restarts={"main": 7},
        pulls={"main": 1},
        pins={"main": "sha256:a"},
    )


async def test_adopted_pods_are_as_they_were_and_the_counter_rises_above_them(store: Store) -> None:
    wanted = [taken_back("a", "a" * 12, 40), taken_back("b", "b" * 12, 12)]

    await store.adopt(wanted, 50.0)

    contents = await store.read()
    assert contents.pods == {each.name: each for each in wanted}
    assert (await put(store, pod("c"))).revision > 40
    (kept,) = await store.history("a")
    assert (kept.revision, kept.origin, kept.at, kept.pins) == (40, "import", 50.0, {"main": "sha256:a"})


async def test_adopting_ends_freshness_even_with_nothing_to_take_back(store: Store) -> None:
    await put(store)
    before = (await store.read()).fresh

    await store.adopt([], 1.0)

    assert (before, (await store.read()).fresh) == (True, False)


async def test_adopting_again_changes_nothing(store: Store) -> None:
    await store.adopt([taken_back()], 1.0)
    before = await store.read()

    await store.adopt([taken_back()], 2.0)

    assert await store.read() == before
    assert len(await store.history("web")) == 1


async def test_what_is_declared_or_deleted_already_is_not_adopted(store: Store) -> None:
    declared = await put(store, pod("web"))
    gone = await put(store, pod("gone"))
    await store.delete("gone", None, 1.0)

    await store.adopt([taken_back("web"), taken_back("gone", gone.uid)], 2.0)

    assert (await store.read()).pods == {"web": declared}


# Watching


async def test_a_watch_tells_what_happened_since_and_then_what_comes(store: Store) -> None:
    await put(store, pod("a"))
    await put(store, pod("b"))
    async with aclosing(store.watch(1)) as watch:
        past = await anext(watch)
        await put(store, pod("c"))

        assert [past, await anext(watch)] == [Change(revision=2, name="b"), Change(revision=3, name="c")]


async def test_every_kind_of_write_is_told_and_numbered_once(store: Store) -> None:
    async with aclosing(store.watch(0)) as watch:
        first = await put(store)
        changes = [await anext(watch)]
        await store.restart("web", ["main"], pull=False)
        changes.append(await anext(watch))
        await store.pin("web", first.revision, "main", "sha256:a")
        changes.append(await anext(watch))
        await store.delete("web", 9.0, 1.0)
        changes.append(await anext(watch))
        await store.shorten(first.uid, 1.0)
        changes.append(await anext(watch))
        await store.bury(first.uid)
        changes.append(await anext(watch))

    assert changes == [Change(revision=n, name="web", deleted=n > 3) for n in range(1, 7)]
    assert await counter(store) == 6


async def test_a_burial_under_a_new_pod_of_the_name_is_no_deletion_of_it(store: Store) -> None:
    first = await put(store)
    await store.delete("web", None, 1.0)
    await put(store)
    async with aclosing(store.watch(await counter(store))) as watch:
        await store.bury(first.uid)

        assert await anext(watch) == Change(revision=4, name="web", deleted=False)


async def test_what_changed_nothing_is_not_told(store: Store) -> None:
    await put(store)
    async with aclosing(store.watch(await counter(store))) as watch:
        await put(store)
        await store.bury("f" * 12)
        await store.add_event(an_event())
        await store.mark_seeded("web", "sha256:s")
        with pytest.raises(Conflict):
            await put(store, expected=0)

        assert await told(store, watch) == []


async def test_a_late_watch_is_told_only_the_last_change_of_a_name(store: Store) -> None:
    await put(store, pod("a"))
    await put(store, pod("b"))
    await store.restart("a", ["main"], pull=False)
    await store.delete("b", None, 1.0)
    async with aclosing(store.watch(0)) as watch:
        assert await told(store, watch) == [
            Change(revision=3, name="a"),
            Change(revision=4, name="b", deleted=True),
        ]


async def test_a_slow_watch_holds_one_change_for_each_name(store: Store) -> None:
    await put(store)
    async with aclosing(store.watch(await counter(store))) as watch:
        for _ in range(50):
            await store.restart("web", ["main"], pull=False)

        assert await told(store, watch) == [Change(revision=51, name="web")]


async def test_a_watch_sees_what_happens_between_its_making_and_its_first_reading(store: Store) -> None:
    await put(store, pod("a"))
    async with aclosing(store.watch(0)) as watch:
        await put(store, pod("b"))
        await store.restart("a", ["main"], pull=False)

        assert await told(store, watch) == [Change(revision=2, name="b"), Change(revision=3, name="a")]


async def test_a_number_from_another_life_of_the_store_hides_nothing(store: Store) -> None:
    await put(store, pod("a"))
    async with aclosing(store.watch(1_000)) as watch:
        await put(store, pod("b"))

        assert [each.name for each in await told(store, watch)] == ["a", "b"]


async def test_closing_a_watch_frees_a_waiting_reader(store: Store) -> None:
    watch = store.watch(0)
    reader = asyncio.ensure_future(anext(watch, None))
    await asyncio.sleep(0)

    await watch.aclose()
    await watch.aclose()

    assert await asyncio.wait_for(reader, 5) is None
    assert [each async for each in watch] == []


async def test_a_cancelled_reader_loses_no_change(store: Store) -> None:
    async with aclosing(store.watch(0)) as watch:
        reader = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0)
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        await put(store)

        assert await anext(watch) == Change(revision=1, name="web")


async def test_closing_the_store_ends_its_watches(store: Store) -> None:
    watch = store.watch(0)
    reader = asyncio.ensure_future(anext(watch, None))
    await asyncio.sleep(0)

    await store.close()

    assert await asyncio.wait_for(reader, 5) is None


async def test_no_watch_loses_the_last_change_under_concurrent_writes(store: Store) -> None:
    async def follow(watch: Watch) -> list[Change]:
        changes: list[Change] = []
        async with aclosing(watch):
            async for change in watch:
                changes.append(change)
                if change.name == "end":
                    break
        return changes

    async def write(name: str) -> None:
        await put(store, pod(name))
        for _ in range(5):
            await store.restart(name, ["main"], pull=False)

    readers = [asyncio.ensure_future(follow(store.watch(0))) for _ in range(3)]
    await asyncio.gather(*(write(f"p{n}") for n in range(20)))
    late = asyncio.ensure_future(follow(store.watch(0)))
    await put(store, pod("end"))

    seen = await asyncio.wait_for(asyncio.gather(*readers, late), 20)
    numbers = [[each.revision for each in one] for one in seen]
    assert numbers == [sorted(set(one)) for one in numbers]
    last = {each.name: each.revision for each in seen[3]}
    assert [{each.name: each.revision for each in one} for one in seen] == [last] * 4


# Concurrency


async def test_sixty_four_clients_at_once_get_every_number_once(store: Store) -> None:
    async def client(number: int) -> list[int]:
        one = await put(store, pod(f"p{number}"), expected=0)
        two = await put(store, pod(f"p{number}", v="2"), expected=one.revision)
        await store.add_event(an_event("same for all"))
        return [one.revision, two.revision]

    numbers = await asyncio.gather(*(client(number) for number in range(64)))

    assert sorted(number for both in numbers for number in both) == list(range(1, 129))
    assert len((await store.read()).pods) == 64
    assert [each.count for each in await store.events()] == [64]


async def test_of_many_writers_of_one_revision_one_wins(store: Store) -> None:
    first = await put(store)

    tries = [put(store, pod("web", v=str(n)), expected=first.revision) for n in range(64)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)

    won = [each for each in outcomes if isinstance(each, Desired)]
    assert [type(each) for each in outcomes if each not in won] == [Conflict] * 63
    assert [await store.get("web")] == won


async def test_a_writer_reads_his_own_write(store: Store) -> None:
    async def client(name: str) -> bool:
        stored = await put(store, pod(name))
        return await store.get(name) == stored

    assert all(await asyncio.gather(*(client(f"p{n}") for n in range(64))))


async def test_a_write_whose_caller_went_away_is_whole_or_absent(store: Store) -> None:
    writing = asyncio.ensure_future(store.put([a_put(pod("a")), a_put(pod("b"))], 1.0))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    await put(store, pod("c"))

    assert sorted((await store.read()).pods) in (["c"], ["a", "b", "c"])


# Events


async def test_an_event_is_numbered_and_told(store: Store) -> None:
    await store.add_event(an_event())

    (event,) = await store.events()
    assert (event.pod, event.message, event.count, event.first, event.id > 0) == ("web", "it started", 1, 5.0, True)


async def test_an_equal_event_is_counted_under_a_new_id(store: Store) -> None:
    await store.add_event(an_event(at=1.0))
    await store.add_event(an_event("another", at=2.0))
    before = {each.message: each.id for each in await store.events()}
    await store.add_event(an_event(at=3.0))

    other, counted = await store.events()
    assert (counted.count, counted.first, counted.last) == (2, 1.0, 3.0)
    assert (other.id, counted.id > max(before.values())) == (before["another"], True)


async def test_events_are_the_newest_oldest_first_of_one_pod_and_after_an_id(store: Store) -> None:
    for number in range(6):
        await store.add_event(an_event(str(number), name="even" if number % 2 == 0 else "odd"))
    ids = [each.id for each in await store.events()]

    assert [each.message for each in await store.events()] == list("012345")
    assert [each.message for each in await store.events("odd")] == list("135")
    assert [each.message for each in await store.events(limit=2)] == list("45")
    assert [each.message for each in await store.events(after=ids[2])] == list("345")
    assert [each.message for each in await store.events("even", after=ids[0], limit=1)] == ["4"]
    assert await store.events(limit=0) == ()


async def test_old_events_are_forgotten(store: Store) -> None:
    await store.add_event(an_event("old", at=0.0))
    await store.add_event(an_event("young", at=EVENT_AGE - 1))
    await store.add_event(an_event("new", at=EVENT_AGE + 1))

    assert [each.message for each in await store.events()] == ["young", "new"]


async def test_the_number_of_events_is_bounded(store: Store) -> None:
    surplus = 20
    for start in range(0, KEPT_EVENTS + surplus, 1_000):
        numbers = range(start, min(start + 1_000, KEPT_EVENTS + surplus))
        told = [an_event(str(number), name=f"pod-{number % 20}") for number in numbers]
        await asyncio.gather(*(store.add_event(each) for each in told))

    kept = await store.events(limit=2 * KEPT_EVENTS)
    assert (len(kept), kept[0].message) == (KEPT_EVENTS, str(surplus))


async def test_a_pod_that_tells_much_displaces_nobody_elses_events(store: Store) -> None:
    await store.add_event(an_event("quiet", name="other"))
    await asyncio.gather(*(store.add_event(an_event(str(number))) for number in range(KEPT_EVENTS_OF_POD + 5)))
    await store.add_event(an_event("5"))  # counted again, not one more

    kept = await store.events("web", limit=2 * KEPT_EVENTS)
    assert (len(kept), kept[0].message, kept[-1].count) == (KEPT_EVENTS_OF_POD, "6", 2)
    assert [each.message for each in await store.events("other")] == ["quiet"]


# Seeds


async def test_a_seed_is_remembered_by_name_and_digest(store: Store) -> None:
    await store.mark_seeded("web", "sha256:a")
    await store.mark_seeded("web", "sha256:a")

    asked = [("web", "sha256:a"), ("web", "sha256:b"), ("db", "sha256:a")]
    assert [await store.seeded(*each) for each in asked] == [True, False, False]


# Closing


async def test_a_closed_store_is_unavailable_and_may_be_closed_again(store: Store) -> None:
    await store.close()
    await store.close()

    with pytest.raises(Unavailable):
        await store.read()
    with pytest.raises(Unavailable):
        await put(store)
    with pytest.raises(Unavailable):
        store.watch(0)
