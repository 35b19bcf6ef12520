"""Random sound pods: as people write them (`pod_mappings`), and as values (`pods`).

Small on purpose: a few names from a small alphabet, so that volumes meet mounts and shrunk examples read well.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from hypothesis import strategies as st

from tank.model.parse import parse_pod
from tank.model.pod import Pod
from tank.model.words import CAPABILITIES, RLIMITS, SIGNALS

Strategy = st.SearchStrategy[Any]

names = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
words = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"], max_codepoint=0xFFFF), max_size=12)
label_words = st.from_regex(r"[A-Za-z0-9._/:-]{0,12}", fullmatch=True)
restarts = st.sampled_from(["always", "on_failure", "never"])
references = st.sampled_from(
    ["nginx", "nginx:1.27", "nginx:latest", "ghcr.io/acme/api@sha256:" + "a1" * 32, "127.0.0.1:5000/x:1", "localhost/y"]
)
images = references | st.just({"rootfs": "/srv/root"})
ids = st.integers(0, 70_000)
paths = st.lists(names, min_size=1, max_size=3).map(lambda steps: "/data/" + "/".join(steps))
durations = st.sampled_from([0, 1, 2.5, "500ms", "10s", "1h30m", 1e-05]) | st.floats(0, 86_400)
positive_durations = st.sampled_from([1, "500ms", "10s"]) | st.floats(0.001, 10)
sizes = st.integers(2**20, 2**40) | st.sampled_from(["64MiB", "64Mi", "100M", "1.5GiB", "1e9"])
cpus = st.sampled_from([0.5, 1, "500m", "0.25", [50_000, 100_000], (20_000, 10_000)]) | st.floats(0.01, 64)
modes = st.sampled_from(["0750", "750", "1777", "0000"])


def some(**fields: Strategy) -> Strategy:
    """A mapping with any of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


env = st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,6}", fullmatch=True), words, max_size=3) | st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(["A", "B"]), "value": words}), max_size=3
)
limits = some(memory=sizes, pids=st.integers(1, 4096), cpu=cpus)
capabilities = st.lists(st.sampled_from(sorted(CAPABILITIES)), max_size=3, unique=True)
unlimited = st.sampled_from(["unlimited", -1, 2**64 - 1])
ulimits = st.dictionaries(
    st.sampled_from(RLIMITS),
    st.integers(0, 2**30) | unlimited | st.tuples(st.integers(0, 99), st.integers(99, 10_000) | unlimited),
    max_size=2,
)


@st.composite
def securities(draw: st.DrawFn) -> dict[str, Any]:
    """Privileges; nothing is both added and dropped."""
    found: dict[str, Any] = draw(
        some(
            privileged=st.booleans(),
            cap_add=capabilities,
            seccomp=st.sampled_from(["default", "unconfined"]),
            no_new_privileges=st.booleans(),
            read_only_root=st.booleans(),
            unmask=st.lists(st.sampled_from(["ALL", "/proc/kcore", "/sys/firmware"]), max_size=2, unique=True),
        )
    )
    dropped = draw(capabilities)
    return {**found, "cap_drop": [each for each in dropped if each not in found.get("cap_add", [])]}


sources = (
    st.sampled_from(
        ["managed", {"managed": {}}, {"managed": {"shared": True}}, {"empty": {}}, {"tmpfs": {}}, {"host": "/srv/x"}]
    )
    | st.builds(lambda size: {"tmpfs": {"size": size}}, sizes)
    | st.builds(
        lambda kind: {"host": "/srv/x", "kind": kind},
        st.sampled_from(["directory", "file", "socket", "directory_or_create", "file_or_create"]),
    )
)


@st.composite
def volumes(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """A volume called `name`, with an owner only where it may have one."""
    source = draw(sources)
    own = source == "managed" or "managed" in source or "empty" in source
    extra = draw(some(owner=ids, group=ids, mode=modes)) if own else {}
    return {"name": name, "source": source, **extra}


@st.composite
def mounts(draw: st.DrawFn, known: list[str]) -> list[Any]:
    """Mounts of the known volumes, each at a path of its own, some in short form."""
    found: list[Any] = []
    for path in draw(st.lists(paths, max_size=3, unique=True)) if known else []:
        volume, read_only = draw(st.sampled_from(known)), draw(st.booleans())
        short = f"{volume}:{path}" + (":ro" if read_only else "")
        found.append(draw(st.sampled_from([short, {"volume": volume, "path": path, "read_only": read_only}])))
    return found


@st.composite
def containers(draw: st.DrawFn, name: str, known: list[str]) -> dict[str, Any]:
    """A container called `name` that mounts some of the known volumes."""
    image = draw(images)
    argv = st.lists(st.sampled_from(["/bin/sh", "-c", "exit 3", "$(A)"]), max_size=3)
    found: dict[str, Any] = draw(
        some(
            command=argv,
            args=argv,
            env=env,
            working_dir=paths,
            user=st.sampled_from(["1000", "1000:1000", "www-data", "app:app"]),
            groups=st.lists(ids, max_size=3, unique=True),
            limits=limits,
            restart=restarts,
            tty=st.booleans(),
            stdin=st.booleans(),
            stop_signal=st.sampled_from([*SIGNALS, "SIGTERM", "15", 10, "SIGRTMIN+3", "RTMAX-1"]),
            reaper=st.booleans(),
            security=securities(),
            ulimits=ulimits,
            **({} if isinstance(image, dict) else {"pull": st.sampled_from(["always", "if_missing", "never"])}),
        )
    )
    return {"name": name, "image": image, "mounts": draw(mounts(known)), **found}


@st.composite
def nics(draw: st.DrawFn, index: int) -> dict[str, Any]:
    """The nic of this index: its addresses are of a subnet of its own; only the first has gateways."""
    host = draw(st.integers(2, 200))
    four, six = f"10.0.{index}.{host}", f"fd00:{index}::{host:x}"
    ip = draw(st.sampled_from([f"{four}/24", (four, 24), [f"{four}/24", [six, 64]]]))
    gateways = [f"10.0.{index}.1"] if index == 0 else []
    if isinstance(ip, list) and gateways:
        gateways = draw(st.sampled_from([gateways, [*gateways, "fe80::1"]]))
    extra: dict[str, Any] = draw(
        some(
            mode=st.just("macvlan"),
            parent=st.sampled_from(["auto", "eth0", "enp3s0.100"]),
            mtu=st.integers(1280, 9000),
            mac=st.integers(0, 255).map(lambda last: f"02:00:00:00:{index:02x}:{last:02X}"),
            routes=st.just([{"to": "192.168.0.0/16", "via": f"10.0.{index}.1"}, {"to": "172.16.0.0/12"}]),
        )
    )
    routed = {"gateway": gateways[0] if len(gateways) == 1 else gateways} if gateways else {}
    return {"name": f"eth{index}", "ip": ip, **routed, **extra}


addresses = st.builds(str, st.ip_addresses(v=4, network=ipaddress.ip_network("10.0.0.0/8")))


@st.composite
def networks(draw: st.DrawFn) -> Any:
    """None, host, or up to three nics."""
    word = draw(st.sampled_from(["none", "host", "own"]))
    if word != "own":
        return word
    found = [draw(nics(index)) for index in range(draw(st.integers(0, 3)))]
    return {"nics": found, **draw(some(dns=st.lists(addresses, max_size=3), search=st.just(["lan.internal"])))}


@st.composite
def pod_mappings(draw: st.DrawFn) -> dict[str, Any]:
    """A sound pod as a person would write it, shorthands and all."""
    known = draw(st.lists(names, max_size=3, unique=True))
    called = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    extra = draw(
        some(
            restart=restarts,
            backoff=some(initial=positive_durations, factor=st.floats(1, 5), reset_after=positive_durations),
            grace=durations,
            labels=st.dictionaries(names, label_words, max_size=2),
            annotations=st.dictionaries(names, words, max_size=2),
            hostname=names,
            hosts=st.dictionaries(names, addresses, max_size=2),
            network=networks(),
        )
    )
    return {
        "name": draw(names),
        "containers": [draw(containers(name, known)) for name in called],
        "volumes": [draw(volumes(name)) for name in known],
        **extra,
    }


def pods() -> st.SearchStrategy[Pod]:
    """Sound pods as values."""
    return pod_mappings().map(parse_pod)
