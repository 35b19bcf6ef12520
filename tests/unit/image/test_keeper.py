"""The keeper takes away what it is told to, and nothing that a pull, a lookup or another image still counts on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tank.image import chain, inventory
from tank.image.blobs import Blobs, LayerRecord
from tank.image.claims import Claims
from tank.image.collect import Goal
from tank.image.keeper import Keeper
from tests.property.test_collection import DIGESTS, LAYERS, Heap, diff_id, documents

NOW = 100_000.0


@pytest.fixture
def keeper(blobs: Blobs) -> Keeper:
    return Keeper(blobs, Claims(lambda: NOW), lambda: NOW, Heap(lambda: False))


def keep_layer(blobs: Blobs, name: str) -> None:
    stage = blobs.stage()
    blobs.name_layer(stage, LayerRecord(size=1, entries=1), (), diff_id(name))


def keep(blobs: Blobs, *names: str) -> None:
    """Have these images here, as they were left an hour ago."""
    for name in names:
        for each in LAYERS[name]:
            keep_layer(blobs, each)
        for data in documents(name):
            blobs.write(data)
        blobs.remember(f"test/{name}:1", DIGESTS[name])
    for directory in (blobs.documents, blobs.layers):
        for path in directory.iterdir():
            os.utime(path, (NOW - 3600, NOW - 3600))


def layers(blobs: Blobs) -> set[str]:
    return {each for each in "abcd" if blobs.layer(diff_id(each)) is not None}


def test_an_image_goes_with_the_layers_that_no_other_has(blobs: Blobs, keeper: Keeper) -> None:
    keep(blobs, "p", "q")
    assert keeper.remove(inventory.take(blobs), [DIGESTS["p"]]) == (DIGESTS["p"],)
    assert layers(blobs) == {"b", "c"}
    assert [each.references for each in inventory.take(blobs).images] == [("test/q:1",)]


def test_a_layer_that_a_pull_counts_on_stays(blobs: Blobs, keeper: Keeper) -> None:
    keep(blobs, "p")
    keeper.claims.begin("flight", DIGESTS["q"], [diff_id(each)[7:] for each in LAYERS["q"]])
    keeper.remove(inventory.take(blobs), [DIGESTS["p"]], asked=True)
    assert layers(blobs) == {"b"}


def test_an_image_that_is_brought_again_stays_whoever_asks(blobs: Blobs, keeper: Keeper) -> None:
    keep(blobs, "p")
    keeper.claims.begin("flight", DIGESTS["p"], ())
    assert keeper.remove(inventory.take(blobs), [DIGESTS["p"]], asked=True) == ()


async def test_an_image_that_was_looked_up_goes_only_when_a_person_asks(blobs: Blobs, keeper: Keeper) -> None:
    keep(blobs, "p")
    keeper.claims.lease(DIGESTS["p"], ())
    assert keeper.remove(await keeper.look(), [DIGESTS["p"]]) == ()
    assert keeper.remove(await keeper.look(), [DIGESTS["p"]], asked=True) == (DIGESTS["p"],)


async def test_a_sweep_takes_what_is_of_no_image_once_it_is_old(blobs: Blobs, keeper: Keeper) -> None:
    keep(blobs, "p", "q")
    (blobs.documents / DIGESTS["p"][7:]).unlink()
    seen = await keeper.look()
    assert keeper.sweep(seen, ()) == 2  # a layer, and the configuration
    assert layers(blobs) == {"b", "c"}
    keep_layer(blobs, "d")
    os.utime(blobs.layers / f"{diff_id('d')[7:]}.json", (NOW - 60, NOW - 60))
    assert keeper.sweep(await keeper.look(), ()) == 0


def noted(blobs: Blobs, name: str) -> set[Path]:
    """Notes on what each layer of an image is on top of those below, as they were made an hour ago."""
    for chain_id in chain.ids([diff_id(each) for each in LAYERS[name]]):
        blobs.chain(chain_id).write_text(diff_id(LAYERS[name][0]))
        os.utime(blobs.chain(chain_id), (NOW - 3600, NOW - 3600))
    return set(blobs.chains.iterdir())


def test_notes_on_layers_go_with_the_last_image_that_has_them(blobs: Blobs, keeper: Keeper) -> None:
    keep(blobs, "p", "q")
    of_p = noted(blobs, "p")
    of_q = noted(blobs, "q") - of_p
    keeper.remove(inventory.take(blobs), [DIGESTS["p"]], asked=True)
    assert set(blobs.chains.iterdir()) == of_q
    keeper.remove(inventory.take(blobs), [DIGESTS["q"]], asked=True)
    assert list(blobs.chains.iterdir()) == []


def test_a_note_that_a_pull_counts_on_stays(blobs: Blobs, keeper: Keeper) -> None:
    keep(blobs, "p")
    notes = noted(blobs, "p")
    keeper.claims.begin("flight", DIGESTS["q"], [each.name for each in notes])
    keeper.remove(inventory.take(blobs), [DIGESTS["p"]], asked=True)
    assert set(blobs.chains.iterdir()) == notes


async def test_a_sweep_takes_notes_of_no_image(blobs: Blobs, keeper: Keeper) -> None:
    keep(blobs, "p")
    notes = noted(blobs, "p")
    blobs.chain(diff_id("d")).write_text(diff_id("d"))
    os.utime(blobs.chain(diff_id("d")), (NOW - 3600, NOW - 3600))
    assert keeper.sweep(await keeper.look(), ()) == 1
    assert set(blobs.chains.iterdir()) == notes


async def test_a_sweep_knows_that_it_is_out_of_date(blobs: Blobs, keeper: Keeper) -> None:
    keep(blobs, "p")
    (blobs.documents / DIGESTS["p"][7:]).unlink()
    seen = await keeper.look()
    keeper.claims.lease(DIGESTS["q"], ())
    assert keeper.sweep(seen, ()) == 0


def test_an_image_that_runs_and_cannot_be_read_stops_all_collecting(blobs: Blobs) -> None:
    keep(blobs, "p")
    seen = inventory.take(blobs)
    assert Keeper.unread(seen, {DIGESTS["p"]}) == ""
    assert Keeper.unread(seen, {DIGESTS["p"], DIGESTS["q"]}) == DIGESTS["q"]


async def test_layers_as_they_came_go_when_space_is_wanted_unless_they_are_in_use(blobs: Blobs, keeper: Keeper) -> None:
    paths = [blobs.packed / ("1" * 64), blobs.packed / ("2" * 64), blobs.parts / ("3" * 64), blobs.parts / ("4" * 64)]
    for each in paths:
        each.write_bytes(b"x" * 5000)
        os.utime(each, (NOW - 3600, NOW - 3600))
    seen = await keeper.look()
    assert keeper.thin(seen, Goal()) == (0, Goal())
    with keeper.claims.using(paths[::2]):
        assert keeper.thin(seen, Goal(size=50_000, entries=5)) == (2, Goal(size=50_000 - 2 * 8192, entries=3))
        assert [path.exists() for path in paths] == [True, False, True, False]
    assert keeper.thin(seen, Goal(size=50_000))[0] >= 2
    assert not any(path.exists() for path in paths)


def test_a_copy_that_is_read_outlives_its_image(blobs: Blobs, keeper: Keeper) -> None:
    keep(blobs, "p")
    copies = [blobs.packed / diff_id(each)[7:] for each in LAYERS["p"]]
    for each in copies:
        each.touch()
    with keeper.claims.using(copies[:1]):
        assert keeper.remove(inventory.take(blobs), [DIGESTS["p"]], asked=True) == (DIGESTS["p"],)
    assert [each.exists() for each in copies] == [True, False]


async def test_an_image_that_came_while_somebody_looked_stays_whoever_asks(blobs: Blobs, keeper: Keeper) -> None:
    for again in (False, True):
        keep(blobs, "p")
        if again:
            keeper.claims.lease(DIGESTS["p"], ())
        keeper.claims.begin("flight", DIGESTS["p"], ())
        seen = await keeper.look()
        if not keeper.claims.renew(DIGESTS["p"]):
            keeper.claims.lease(DIGESTS["p"], ())
        keeper.claims.end("flight")
        assert keeper.remove(seen, [DIGESTS["p"]], asked=True) == ()
        assert keeper.remove(await keeper.look(), [DIGESTS["p"]], asked=True) == (DIGESTS["p"],)
