"""Unpacking layers for real: what honest ones become, and what hostile ones do not get (S01-S06)."""

from __future__ import annotations

import asyncio
import gzip
import os
import zlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from tank.errors import PullFailed
from tank.host import space
from tank.image.extract import Bounds, Extractor
from tank.image.stream import Reader
from tank.image.tarball import entries
from tank.image.unpack import Unpacked, unpack
from tests import archives
from tests.archives import archive, base256, directory, extended, gzipped, hardlink, member, symlink
from tests.trees import Node, tree
from tests.waiting import wait_until

pytestmark = pytest.mark.system

ROOMY = Bounds(stream=2**32, entries=100_000)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A tree beside the layer that nothing in a layer may touch."""
    outside = tmp_path / "outside"
    (outside / "etc").mkdir(parents=True)
    (outside / "secret").write_text("canary")
    (outside / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\n")
    (outside / "link").symlink_to("secret")
    return outside


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    """An empty layer directory."""
    path = tmp_path / "layer"
    path.mkdir(mode=0o700)
    return path


async def pieces(data: bytes, length: int = 65_536) -> AsyncIterator[bytes]:
    for at in range(0, len(data), length):
        yield data[at : at + length]


async def unpacked(data: bytes, stage: Path, bounds: Bounds = ROOMY) -> Unpacked:
    return await unpack(pieces(gzipped(data)), stage, bounds)


def extracted(data: bytes, stage: Path) -> None:
    """The extractor alone, in this very process: its own care must do without the confinement."""
    root = os.open(stage, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        parts = iter((data, b""))
        reader = Reader(lambda: next(parts, b""))
        extractor = Extractor(root, ROOMY)
        try:
            extractor.run(entries(reader), reader)
        finally:
            extractor.tree.forget()
    finally:
        os.close(root)


def names(found: Iterable[str]) -> set[str]:
    return {name for name in found if name != "."}


def attacks(out: bytes) -> dict[str, list[bytes]]:
    """Archives that try to write, link or read outside. `out` is the canary's absolute path."""
    up = b"../outside"
    deep = b"/".join([b".."] * 30) + out
    evil = b"evil"
    return {
        "climb": [member(up + b"/evil", data=evil)],
        "climb far": [member(deep + b"/evil", data=evil)],
        "climb inside a name": [directory(b"a"), member(b"a/../../outside/evil", data=evil)],
        "climb in a long name": [archives.long_name(up + b"/evil"), member(b"x", data=evil)],
        "climb in a pax path": [member(b"x", data=evil, pax={b"path": up + b"/evil"})],
        "climb in a prefix": [member(b"evil", data=evil, prefix=up)],
        "climb in a directory": [directory(up + b"/d")],
        "climb in a symlink's own name": [symlink(up + b"/l", b"/")],
        "climb in a whiteout": [member(up + b"/.wh.secret")],
        "climb in a whiteout's target": [member(b".wh...")],
        "whiteout of the parent": [directory(b"a"), member(b"a/.wh...")],
        "absolute": [member(out + b"/evil", data=evil)],
        "absolute over a file": [member(out + b"/secret", data=evil)],
        "absolute with slashes": [member(b"//" + out + b"//evil", data=evil)],
        "symlink, absolute": [symlink(b"a", out), member(b"a/evil", data=evil)],
        "symlink, relative": [symlink(b"a", up), member(b"a/evil", data=evil)],
        "symlink, far": [symlink(b"a", deep), member(b"a/evil", data=evil)],
        "symlink to root": [symlink(b"a", b"/"), member(b"a" + out + b"/evil", data=evil)],
        "symlink chain": [symlink(b"a", b"b"), symlink(b"b", b"c"), symlink(b"c", out), member(b"a/evil", data=evil)],
        "symlink in the middle": [directory(b"d"), symlink(b"d/a", up), directory(b"d/a/x"), member(b"d/a/x/evil")],
        "symlink over a symlink": [symlink(b"a", b"."), symlink(b"a/b", out), member(b"b/evil", data=evil)],
        "symlink loop": [symlink(b"a", b"b"), symlink(b"b", b"a"), member(b"a/evil", data=evil)],
        "symlink to itself": [symlink(b"a", b"a"), member(b"a/evil", data=evil)],
        "symlink that grows": [symlink(b"a", b"a/a"), member(b"a/evil", data=evil)],
        "symlink of a thousand steps": [symlink(b"a", b"/".join([b"a"] * 1000)), member(b"a/evil")],
        "symlink to proc": [symlink(b"a", b"/proc/self/root"), member(b"a" + out + b"/evil", data=evil)],
        "symlink to the working directory": [symlink(b"a", b"/proc/self/cwd/.."), member(b"a/outside/evil")],
        "file over a symlink": [symlink(b"a", out + b"/secret"), member(b"a", data=evil)],
        "directory over a symlink": [symlink(b"a", out), directory(b"a"), member(b"a/evil", data=evil)],
        "directory through a symlink": [symlink(b"a", out), directory(b"a/etc", mode=0o777, uid=1000)],
        "mode through a symlink": [symlink(b"a", out), directory(b"a/", mode=0o777)],
        "symlink replaced after use": [directory(b"a"), member(b"a/x"), symlink(b"a", out), member(b"a/evil")],
        "symlink over a parent in use": [
            directory(b"a/b"),
            member(b"a/b/x"),
            symlink(b"a", out),
            member(b"a/b/evil", data=evil),
            member(b"a/etc/passwd", data=evil),
        ],
        "root as a symlink": [symlink(b".", out), member(b"evil", data=evil)],
        "root as a file": [member(b"./", data=evil)],
        "hard link, absolute": [hardlink(b"h", out + b"/secret"), member(b"h", data=evil)],
        "hard link, climbing": [hardlink(b"h", up + b"/secret"), member(b"h", data=evil)],
        "hard link through a symlink": [symlink(b"a", out), hardlink(b"h", b"a/secret"), member(b"h", data=evil)],
        "hard link to a symlink": [symlink(b"a", out + b"/secret"), hardlink(b"h", b"a"), member(b"h", data=evil)],
        "hard link to a symlinked parent": [symlink(b"a", out), hardlink(b"h", b"a"), member(b"h/evil", data=evil)],
        "hard link to a directory": [directory(b"d"), hardlink(b"h", b"d")],
        "hard link to proc": [hardlink(b"h", b"/proc/self/mem")],
        "hard link to nothing": [hardlink(b"h", b"missing")],
        "hard link to itself": [hardlink(b"h", b"h")],
        "hard link to a whiteout": [member(b".wh.a"), hardlink(b"h", b".wh.a")],
        "opaque through a symlink": [symlink(b"a", out), member(b"a/.wh..wh..opq")],
        "whiteout through a symlink": [symlink(b"a", out), member(b"a/.wh.secret")],
        "whiteout under a whiteout": [member(b".wh.a/.wh.b")],
        "opaque marker as a directory": [directory(b"d/.wh..wh..opq")],
        "whiteout as a symlink": [symlink(b".wh.a", out)],
        "whiteout as a device": [member(b".wh.a", archives.CHARACTER, device=(1, 3))],
        "device 0:0 as a whiteout": [member(b"a", archives.CHARACTER, device=(0, 0))],
        "the disk as a device": [member(b"disk", archives.BLOCK_DEVICE, device=(254, 0)), member(b"disk/evil")],
        "kernel memory as a device": [member(b"kmem", archives.CHARACTER, device=(1, 2), mode=0o666)],
        "device of a wild number": [member(b"d", archives.CHARACTER, device=(base256(-1, 8), 3))],
        "fifo as a parent": [member(b"f", archives.FIFO), member(b"f/evil")],
        "redirect of the overlay": [directory(b"d", pax={b"SCHILY.xattr.trusted.overlay.redirect": out})],
        "metacopy of the overlay": [member(b"f", pax={b"SCHILY.xattr.trusted.overlay.metacopy": b""})],
        "redirect by a user": [directory(b"d", pax={b"SCHILY.xattr.user.overlay.redirect": out})],
        "redirect, libarchive": [directory(b"d", pax={b"LIBARCHIVE.xattr.trusted.overlay.opaque": b"eQ"})],
        "global path": [extended({b"path": up + b"/evil"}, b"g"), member(b"x", data=evil)],
        "two names": [archives.long_name(up + b"/evil"), member(b"x", pax={b"path": b"fine"})],
        "name cut by a NUL": [member(b"x", pax={b"path": up + b"/evil\0fine"})],
        "deep": [directory(b"/".join([b"d"] * 256))],
        "unknown type": [member(b"x", b"~", data=evil)],
    }


CASES = sorted(attacks(b"/x"))


def test_there_are_sixty_attacks() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("confined", [True, False], ids=["confined", "bare"])
async def test_an_attack_changes_nothing_outside(case: str, confined: bool, canary: Path, stage: Path) -> None:
    before, data = tree(canary), archive(*attacks(os.fsencode(canary))[case])

    try:
        if confined:
            await unpacked(data, stage)
        else:
            extracted(data, stage)
    except PullFailed:
        pass

    assert tree(canary) == before
    assert all("overlay" not in name for node in tree(stage).values() for name, _ in node.xattrs)


REFUSED = {
    "climb": "lead out",
    "climb in a pax path": "lead out",
    "whiteout of the parent": "not a whiteout",
    "root as a symlink": "root is not a directory",
    "symlink loop": "symbolic links",
    "hard link to nothing": "No such file",
    "hard link to a directory": "Operation not permitted",
    "hard link to proc": "No such file",
    "opaque marker as a directory": "not a plain file",
    "whiteout as a symlink": "not a plain file",
    "fifo as a parent": "not a directory",
    "deep": "too deep",
    "unknown type": "unknown type",
}


@pytest.mark.parametrize("case", REFUSED)
async def test_an_attack_is_refused_with_its_reason(case: str, stage: Path) -> None:
    with pytest.raises(PullFailed, match=REFUSED[case]):
        await unpacked(archive(*attacks(b"/x")[case]), stage)


async def test_an_absolute_link_as_parent_leads_to_the_same_place_inside(stage: Path) -> None:
    made = await unpacked(archive(symlink(b"lib", b"/usr/lib"), member(b"lib/x.so", data=b"x")), stage)

    assert names(tree(stage)) == {"lib", "usr", "usr/lib", "usr/lib/x.so"}
    assert set(made.implicit) == {"usr", "usr/lib"}


async def test_everything_an_honest_layer_says_of_a_file_is_kept(stage: Path) -> None:
    capability = b"\x01\x00\x00\x02\x00\x20\x00\x00" + bytes(12)
    data = archive(
        directory(b"./", mode=0o755, mtime=7),
        directory(b"bin", mode=0o751, uid=1, gid=2, mtime=1_000_000_000),
        member(b"bin/su", data=b"su", mode=0o4755, mtime=5),
        member(
            b"bin/ping", data=b"ping", uid=3, gid=4, mode=0o755, pax={b"SCHILY.xattr.security.capability": capability}
        ),
        member(b"bin/noted", pax={b"SCHILY.xattr.user.note": b"\0\xff", b"mtime": b"1.000000009"}),
        hardlink(b"bin/ping6", b"bin/ping"),
        symlink(b"sh", b"bin/dash", uid=5, gid=6, mtime=9),
        directory(b"tmp", mode=0o1777),
        directory(b"set", mode=0o2775, gid=7),
        member(b"set/inside", data=b"i"),
        member(b"null", archives.CHARACTER, device=(1, 3), mode=0o666),
        member(b"disk", archives.BLOCK_DEVICE, device=(8, 1), mode=0o660, gid=6),
        member(b"pipe", archives.FIFO, mode=0o600),
        member(b"old", mtime=base256(-86_400, 12)),
        member(b"zero", archives.CHARACTER, device=(0, 0)),
    )
    await unpacked(data, stage)
    found = tree(stage)

    def brief(node: Node) -> tuple[object, ...]:
        return (node.kind, node.mode, node.uid, node.gid, node.mtime, node.links, node.xattrs)

    second = 10**9
    assert {name: brief(node) for name, node in found.items()} == {
        ".": ("directory", 0o755, 0, 0, 7 * second, 1, ()),
        "bin": ("directory", 0o751, 1, 2, second * second, 1, ()),
        "bin/su": ("file", 0o4755, 0, 0, 5 * second, 1, ()),
        "bin/ping": ("file", 0o755, 3, 4, 0, 2, (("security.capability", capability),)),
        "bin/ping6": ("file", 0o755, 3, 4, 0, 2, (("security.capability", capability),)),
        "bin/noted": ("file", 0o644, 0, 0, second + 9, 1, (("user.note", b"\0\xff"),)),
        "sh": ("link", 0o777, 5, 6, 9 * second, 1, ()),
        "tmp": ("directory", 0o1777, 0, 0, 0, 1, ()),
        "set": ("directory", 0o2775, 0, 7, 0, 1, ()),
        "set/inside": ("file", 0o644, 0, 0, 0, 1, ()),
        "null": ("char", 0o666, 0, 0, 0, 1, ()),
        "disk": ("block", 0o660, 0, 6, 0, 1, ()),
        "pipe": ("fifo", 0o600, 0, 0, 0, 1, ()),
        "old": ("file", 0o644, 0, 0, -86_400 * second, 1, ()),
    }
    assert (found["sh"].content, found["null"].content, found["disk"].content) == ("bin/dash", "1:3", "8:1")


async def test_a_sparse_file_keeps_its_holes(stage: Path) -> None:
    pax = {b"GNU.sparse.size": b"100000000", b"GNU.sparse.name": b"s", b"GNU.sparse.map": b"0,3,50000000,3"}
    await unpacked(archive(member(b"x", data=b"abcdef", pax=pax)), stage)

    info = (stage / "s").stat()
    assert (info.st_size, info.st_blocks * 512 < 2**20) == (100_000_000, True)
    with (stage / "s").open("rb") as file:
        file.seek(50_000_000)
        assert file.read(4) == b"def\0"


LAST_WINS = {
    "file, file": ([member(b"a", data=b"1"), member(b"a", data=b"22")], {"a": "file"}),
    "file, directory": ([member(b"a"), directory(b"a"), member(b"a/b")], {"a": "directory", "a/b": "file"}),
    "directory, file": ([directory(b"a"), member(b"a/b"), directory(b"a/c"), member(b"a")], {"a": "file"}),
    "directory, link": ([directory(b"a"), member(b"a/b"), symlink(b"a", b"c")], {"a": "link"}),
    "directory, directory": ([directory(b"a"), member(b"a/b"), directory(b"a")], {"a": "directory", "a/b": "file"}),
    "link, file": ([symlink(b"a", b"b"), member(b"a")], {"a": "file"}),
    "fifo, device": (
        [member(b"a", archives.FIFO), member(b"a", archives.CHARACTER, device=(1, 3))],
        {"a": "char"},
    ),
    "hard link, hard link": ([member(b"a"), hardlink(b"b", b"a"), hardlink(b"b", b"a")], {"a": "file", "b": "file"}),
    "file, hard link": ([member(b"a"), member(b"b"), hardlink(b"b", b"a")], {"a": "file", "b": "file"}),
    "remade directory": (
        [directory(b"a/b/c"), member(b"a/b/c/d"), member(b"a"), directory(b"a/b"), member(b"a/b/e")],
        {"a": "directory", "a/b": "directory", "a/b/e": "file"},
    ),
}


@pytest.mark.parametrize("case", [case for case in LAST_WINS if case != "remade directory"])
async def test_of_two_members_of_one_name_the_last_wins(case: str, stage: Path) -> None:
    members, kinds = LAST_WINS[case]
    await unpacked(archive(*members), stage)

    assert {name: node.kind for name, node in tree(stage).items() if name != "."} == kinds


async def test_a_file_does_not_become_a_parent_unasked(stage: Path) -> None:
    with pytest.raises(PullFailed, match="not a directory"):
        await unpacked(archive(*LAST_WINS["remade directory"][0]), stage)


async def test_a_very_deep_tree_can_be_replaced(stage: Path) -> None:
    chain = [directory(b"/".join([b"d"] * 250)), symlink(b"s", b"/".join([b"d"] * 250))]
    chain += [directory(b"s/" + b"/".join([b"e"] * 250)), member(b"d", data=b"now a file")]
    await unpacked(archive(*chain), stage)

    assert (stage / "d").read_text() == "now a file"


WHITEOUTS = {
    "alone": ([member(b"d/.wh.a")], {"d/a"}, []),
    "in the root": ([member(b".wh.a")], {"a"}, []),
    "before a file of the same layer": ([member(b".wh.a"), member(b"a")], set(), []),
    "after a file of the same layer": ([member(b"a"), member(b".wh.a")], set(), []),
    "before a directory": ([member(b".wh.a"), directory(b"a"), member(b"a/b")], set(), ["a"]),
    "after a directory": ([directory(b"a"), member(b"a/b"), member(b".wh.a")], set(), ["a"]),
    "before a file below": ([member(b".wh.a"), member(b"a/b")], set(), ["a"]),
    "opaque": ([directory(b"d"), member(b"d/.wh..wh..opq"), member(b"d/new")], set(), ["d"]),
    "opaque before its directory": ([member(b"d/.wh..wh..opq"), directory(b"d")], set(), ["d"]),
    "opaque root": ([member(b".wh..wh..opq")], set(), [""]),
    "opaque, then gone": ([directory(b"d"), member(b"d/.wh..wh..opq"), member(b"d")], set(), []),
    "a hard link of AUFS": ([hardlink(b".wh.a", b".wh..wh.aufs")], {"a"}, []),
    "leftovers of AUFS": (
        [member(b".wh..wh.aufs"), directory(b".wh..wh.plnk"), member(b".wh..wh.plnk/1.2")],
        set(),
        [],
    ),
}


@pytest.mark.parametrize("case", WHITEOUTS)
async def test_whiteouts_hide_what_lies_below_and_nothing_beside(case: str, stage: Path) -> None:
    members, devices, opaque = WHITEOUTS[case]
    made = await unpacked(archive(*members), stage)
    found = tree(stage)

    whiteouts = {name for name, node in found.items() if node.kind == "char" and node.content == "0:0"}
    assert (whiteouts, list(made.opaque)) == (devices, opaque)
    assert not any(".wh." in name for name in found)


async def test_an_implicit_parent_is_plain_and_noted_until_it_gets_an_entry(stage: Path) -> None:
    made = await unpacked(archive(member(b"a/b/c"), directory(b"a", mode=0o700, mtime=3)), stage)
    found = tree(stage)

    assert made.implicit == ("a/b",)
    assert (found["a"].mode, found["a"].mtime) == (0o700, 3 * 10**9)
    assert (found["a/b"].mode, found["a/b"].uid, found["a/b"].mtime) == (0o755, 0, 0)


def zeroes(count: int) -> bytes:
    """A gzip of an archive with one file of `count` zeroes, made without holding them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    out = [packer.compress(archives.header(b"zeroes", size=count))]
    block = bytes(2**20)
    out += [packer.compress(block) for _ in range(count // 2**20)]
    return b"".join([*out, packer.compress(archives.END), packer.flush()])


async def test_a_bomb_is_refused_by_the_bytes_that_come_out(stage: Path) -> None:
    bomb = zeroes(2**29)
    bounds = Bounds(stream=2**26, entries=100)

    with pytest.raises(PullFailed, match="more than 67108864 bytes"):
        await unpack(pieces(bomb), stage, bounds)


async def test_a_layer_larger_than_the_free_space_is_refused_before_it_is_written(stage: Path) -> None:
    free = space.look(stage).free
    with pytest.raises(PullFailed, match="are kept free"):
        await unpack(pieces(zeroes(2**22)), stage, Bounds(stream=2**40, entries=100, kept=free - 2**21))

    assert not (stage / "zeroes").exists()


async def test_more_files_than_allowed_are_refused(stage: Path) -> None:
    data = archive(*(member(b"%d" % number) for number in range(50)))

    with pytest.raises(PullFailed, match="more than 20 files"):
        await unpacked(data, stage, Bounds(stream=2**30, entries=20))


async def test_the_unpacker_holds_no_more_than_it_must(stage: Path) -> None:
    """Half a gigabyte of zeroes goes through in less memory than S03 allows."""
    usage = await peak_memory(zeroes(2**29), stage)

    assert usage < 100 * 2**20


async def peak_memory(data: bytes, stage: Path) -> int:
    """The high-water mark of the unpacker, read from its status while it waits for the last piece."""
    peaks: list[int] = []

    async def watched() -> AsyncIterator[bytes]:
        async for piece in pieces(data[:-100]):
            yield piece
        await wait_until((stage / "zeroes").exists)
        peaks.append(high_water())
        yield data[-100:]

    await unpack(watched(), stage, ROOMY)
    return peaks[0]


def high_water() -> int:
    """VmHWM of our child that runs the unpacker."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    for pid in children:
        if b"tank.image.untar" in Path(f"/proc/{pid}/cmdline").read_bytes():
            status = Path(f"/proc/{pid}/status").read_text()
            return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    raise AssertionError("no unpacker runs")


async def test_the_unpacker_is_confined_while_it_works(stage: Path) -> None:
    seen: dict[str, str] = {}
    data = gzip.compress(archive(member(b"a", data=os.urandom(300_000))))

    async def watched() -> AsyncIterator[bytes]:
        yield data[:200_000]
        await wait_until((stage / "a").exists)
        [pid] = [
            pid
            for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            if b"tank.image.untar" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        status = dict(
            line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
        )
        seen.update({key: status[key] for key in ("CapEff", "CapBnd", "NoNewPrivs", "Uid")})
        seen["net"] = os.readlink(f"/proc/{pid}/ns/net")
        seen["mounts"] = Path(f"/proc/{pid}/mountinfo").read_text()
        seen["descriptors"] = " ".join(sorted(os.listdir(f"/proc/{pid}/fd"), key=int))
        yield data[200_000:]

    await unpack(watched(), stage, ROOMY)

    [mount] = seen["mounts"].splitlines()
    assert int(seen["CapEff"], 16) == int(seen["CapBnd"], 16) == sum(1 << bit for bit in (0, 1, 3, 4, 27, 31))
    assert (seen["NoNewPrivs"], seen["Uid"].split()) == ("1", ["65534", "65534", "65534", "0"])  # files are root's
    assert seen["net"] != os.readlink("/proc/self/ns/net")
    assert {"nosuid", "nodev", "noexec"} <= set(mount.split()[5].split(","))


async def test_a_source_that_fails_ends_the_unpacker(stage: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield gzipped(archive(member(b"a")))[:20]
        raise PullFailed("ErrImagePull", "the registry is gone")

    with pytest.raises(PullFailed, match="the registry is gone"):
        await unpack(broken(), stage, ROOMY)


async def test_a_cancelled_unpacking_leaves_no_process(stage: Path) -> None:
    started = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield gzipped(archive(member(b"a")))[:20]
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(unpack(endless(), stage, ROOMY))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
