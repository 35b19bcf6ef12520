"""Who gets which address of a pool, and what is remembered of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tank.errors import Waiting
from tank.model.pools import Pool
from tank.net.book import BookFile, Lease
from tank.net.choosing import choose, room
from tank.net.leases import Leases, unique_local, with_gateways

POOL = Pool(name="lan", mode="macvlan", subnets=("10.0.0.0/28",), gateways=("10.0.0.1",))


def leases(directory: Path, *occupied: str) -> Leases:
    return Leases(BookFile(directory / "net" / "leases.json"), "ab12cd", lambda: occupied)


def test_the_lowest_free_one_is_taken_and_never_the_gateway() -> None:
    assert choose(POOL, "10.0.0.0/28", set(), ()) == "10.0.0.2"
    assert choose(POOL, "10.0.0.0/28", {"10.0.0.2"}, ()) == "10.0.0.3"


def test_the_one_it_had_last_comes_first_while_it_is_free() -> None:
    assert choose(POOL, "10.0.0.0/28", set(), ("10.0.0.9",)) == "10.0.0.9"
    assert choose(POOL, "10.0.0.0/28", {"10.0.0.9"}, ("10.0.0.9",)) == "10.0.0.2"


def test_the_hosts_own_address_among_the_pods_is_never_handed_out() -> None:
    pool = Pool(name="lan", mode="macvlan", subnets=("10.0.0.0/28",), shims=("10.0.0.1",))

    assert choose(pool, "10.0.0.0/28", set(), ("10.0.0.1",)) == "10.0.0.2"
    assert room(pool, "10.0.0.0/28") == 13


def test_what_others_had_rests_as_long_as_there_is_another() -> None:
    resting = ["10.0.0.3", "10.0.0.2"]
    assert choose(POOL, "10.0.0.0/28", set(), (), resting) == "10.0.0.4"
    full = {f"10.0.0.{each}" for each in range(4, 15)}
    assert choose(POOL, "10.0.0.0/28", full, (), resting) == "10.0.0.3"
    assert choose(POOL, "10.0.0.0/28", full | {"10.0.0.2", "10.0.0.3"}, (), resting) is None


def test_what_became_the_gateway_is_given_to_nobody_who_had_it() -> None:
    assert choose(POOL, "10.0.0.0/28", set(), ("10.0.0.1",)) == "10.0.0.2"


def test_an_address_of_a_pod_that_is_gone_goes_to_another_last(tmp_path: Path) -> None:
    book = leases(tmp_path)
    (first,) = book.take(POOL, uid="1" * 12, pod="one", nic="eth0")
    book.release("1" * 12)
    assert book.take(POOL, uid="2" * 12, pod="two", nic="eth0") != (first,)
    assert book.take(POOL, uid="3" * 12, pod="one", nic="eth0") == (first,)


def test_what_a_spec_states_is_nobody_elses(tmp_path: Path) -> None:
    book = leases(tmp_path)
    state = partial(book.take, POOL, uid="1" * 12, pod="db", nic="eth0", gives=False)
    assert state(stated={"eth0": ["10.0.0.2"]}) == ()
    assert book.take(POOL, uid="2" * 12, pod="web", nic="eth0") == ("10.0.0.3/28",)
    with pytest.raises(Waiting, match=r"cannot use 10.0.0.3: pod web has it of pool lan"):
        state(stated={"eth0": ["10.0.0.3"]})
    state(stated={"eth0": ["10.0.0.4"]})
    book.settle("1" * 12, {("lan", "eth0", "10.0.0.4")})
    assert {each.address for each in book.all()} == {"10.0.0.3", "10.0.0.4"}


def test_what_it_had_is_its_own_until_the_change_is_carried_out(tmp_path: Path) -> None:
    book = leases(tmp_path)
    state = partial(book.take, POOL, uid="1" * 12, pod="db", gives=False)
    state(nic="eth0", stated={"eth0": ["10.0.0.2"]})
    state(nic="eth0", stated={"eth0": ["10.0.0.3"]})
    assert book.take(POOL, uid="2" * 12, pod="web", nic="eth0") == ("10.0.0.4/28",)
    state(nic="lan0", stated={"lan0": ["10.0.0.3"]})  # the interface is called otherwise
    book.settle("1" * 12, {("lan", "lan0", "10.0.0.3")})
    assert [(each.nic, each.address) for each in book.all()] == [("eth0", "10.0.0.4"), ("lan0", "10.0.0.3")]
    assert book.take(POOL, uid="3" * 12, pod="late", nic="eth0") == ("10.0.0.2/28",)


def test_what_somebody_else_has_is_given_when_no_other_is_left(tmp_path: Path) -> None:
    book = leases(tmp_path)
    take = partial(book.take, POOL, uid="1" * 12, pod="web", nic="eth0")
    given_last = [take()[0]]
    for _ in range(13):
        book.shun("lan", given_last[-1].partition("/")[0])
        assert book.all() == ()
        given_last += book.draft().take(POOL, uid="1" * 12, pod="web", nic="eth0")
        assert take() == (given_last[-1],)

    assert given_last == [f"10.0.0.{each}/28" for each in (*range(2, 15), 2)]


def test_what_is_to_be_avoided_is_asked_for_when_one_is_chosen(tmp_path: Path) -> None:
    book, answers = leases(tmp_path), iter([["10.0.0.2"]])
    take = partial(book.take, POOL, uid="1" * 12, pod="web", nic="eth0", avoid=lambda: next(answers))
    assert [take(), take()] == [("10.0.0.3/28",)] * 2


def test_a_draft_changes_nothing_that_is_written_down(tmp_path: Path) -> None:
    book = leases(tmp_path)
    held = book.take(POOL, uid="1" * 12, pod="db", nic="eth0", stated={"eth0": ["10.0.0.5"]})
    draft = book.draft()
    assert draft.take(POOL, uid="1" * 12, pod="db", nic="eth0", stated={"eth0": ["10.0.0.6"]}) == held
    assert draft.resolved(Pool(name="default")).subnets == ("10.61.0.0/16", unique_local("ab12cd"))
    assert "10.0.0.6" in {each.address for each in draft.all()}
    again = leases(tmp_path, "10.61.0.0/16")
    assert {each.address for each in again.all()} == {each.address for each in book.all()} == {"10.0.0.2", "10.0.0.5"}
    assert again.resolved(Pool(name="default")).subnets[0] == "10.62.0.0/16"


def test_an_address_stated_beside_the_given_one_changes_that_one_never(tmp_path: Path) -> None:
    book = leases(tmp_path)
    take = partial(book.take, POOL, uid="1" * 12, pod="db", nic="eth0")
    assert [take(), take(stated={"eth0": ["10.0.0.14"]}), take()] == [("10.0.0.2/28",)] * 3
    book.settle("1" * 12, {("lan", "eth0", "10.0.0.2")})
    assert [each.address for each in book.all()] == ["10.0.0.2"]


def test_only_the_stated_range_is_handed_out() -> None:
    pool = Pool(name="lan", subnets=("10.0.0.0/24",), ranges=(("10.0.0.200", "10.0.0.201"),))
    assert choose(pool, "10.0.0.0/24", set(), ("10.0.0.9",)) == "10.0.0.200"
    assert choose(pool, "10.0.0.0/24", {"10.0.0.200", "10.0.0.201"}, ()) is None


@given(st.sets(st.integers(1, 14)))
def test_a_free_address_is_found_exactly_while_there_is_one(taken: set[int]) -> None:
    found = choose(POOL, "10.0.0.0/28", {f"10.0.0.{each}" for each in taken}, ())
    free = [f"10.0.0.{each}" for each in range(2, 15) if each not in taken]
    assert found == (free[0] if free else None)


def test_a_small_pool_lasts_for_ever(tmp_path: Path) -> None:
    book = leases(tmp_path)
    for turn in range(100):
        uid = f"{turn:012x}"
        assert book.take(POOL, uid=uid, pod=f"pod{turn % 20}", nic="eth0") != ()
        assert book.take(POOL, uid=uid, pod=f"pod{turn % 20}", nic="eth0") == book.take(
            POOL, uid=uid, pod=f"pod{turn % 20}", nic="eth0"
        )
        book.release(uid)
    assert book.all() == ()


def test_a_full_pool_says_so(tmp_path: Path) -> None:
    book = leases(tmp_path)
    for turn in range(13):
        book.take(POOL, uid=f"{turn:012x}", pod=f"p{turn}", nic="eth0")
    with pytest.raises(Waiting, match=r"no address is left in pool lan \(10.0.0.0/28\)"):
        book.take(POOL, uid="f" * 12, pod="late", nic="eth0")


def test_what_was_given_is_known_after_a_restart(tmp_path: Path) -> None:
    given_first = leases(tmp_path).take(POOL, uid="1" * 12, pod="web", nic="eth0")
    again = leases(tmp_path)
    assert again.take(POOL, uid="1" * 12, pod="web", nic="eth0") == given_first
    assert again.take(POOL, uid="2" * 12, pod="web", nic="eth0") != given_first


def test_a_damaged_book_is_set_aside_and_the_records_say_the_rest(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "leases.json").write_text("{")
    book = leases(tmp_path)
    assert book.all() == ()
    held = Lease(pool="default", address="10.61.0.7", uid="1" * 12, pod="web", nic="eth0")
    book.adopt([(held, 16)])
    assert (tmp_path / "net" / "leases.json.damaged").read_text() == "{"
    assert book.resolved(Pool(name="default")).subnets == ("10.61.0.0/16",)
    assert book.take(book.resolved(Pool(name="default")), uid="1" * 12, pod="web", nic="eth0") == ("10.61.0.7/16",)


def test_the_default_pool_avoids_what_the_host_has(tmp_path: Path) -> None:
    book = leases(tmp_path, "10.61.0.0/16", "10.62.4.0/24", "0.0.0.0/0", "fe80::/64")
    found = book.resolved(Pool(name="default"))
    assert found.subnets == ("10.63.0.0/16", unique_local("ab12cd"))
    assert found.gateways[0] == "10.63.0.1"
    assert leases(tmp_path).resolved(Pool(name="default")) == found


def test_a_bridge_is_the_gateway_of_its_pods() -> None:
    assert with_gateways(Pool(name="b", subnets=("10.1.0.0/24", "fd00::/64"))).gateways == ("10.1.0.1", "fd00::1")
    stated = Pool(name="b", subnets=("10.1.0.0/24",), gateways=("10.1.0.9",))
    assert with_gateways(stated).gateways == ("10.1.0.9",)
