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
from tests.property import parts
from tests.property.parts import durations, ids, modes, names, sizes, some, words

label_words = st.from_regex(r"[A-Za-z0-9._/:-]{0,12}", fullmatch=True)
restarts = st.sampled_from(["always", "on_failure", "never"])
references = st.sampled_from(
    ["nginx", "nginx:1.27", "nginx:latest", "ghcr.io/acme/api@sha256:" + "a1" * 32, "127.0.0.1:5000/x:1", "localhost/y"]
)
images = references | st.just({"rootfs": "/srv/root"})
paths = st.lists(names, min_size=1, max_size=3).map(lambda steps: "/data/" + "/".join(steps))
positive_durations = st.sampled_from([1, "500ms", "10s"]) | st.floats(0.001, 10)


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
            seccomp=st.sampled_from(["default", "unconfined", "/etc/tank/profile.json"]),
            no_new_privileges=st.booleans(),
            read_only_root=st.booleans(),
            non_root=st.booleans(),
            unmask=st.lists(st.sampled_from(["ALL", "/proc/kcore", "/sys/firmware"]), max_size=2, unique=True),
        )
    )
    if found.get("privileged"):
        found.pop("seccomp", None)
    dropped = draw(capabilities)
    return {**found, "cap_drop": [each for each in dropped if each not in found.get("cap_add", [])]}


sources = (
    st.sampled_from(
        ["managed", {"managed": {}}, {"managed": {"shared": True}}, {"empty": {}}, {"tmpfs": {}}, {"host": "/srv/x"}]
    )
    | st.builds(lambda size: {"tmpfs": {"size": size}}, sizes)
    | parts.file_sources
    | parts.joined(parts.only("image", references), some(pull=st.sampled_from(["always", "never"])))
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
        long = {"volume": volume, "path": path, "read_only": read_only}
        extra = some(
            sub_path=names,
            propagation=st.sampled_from(["private", "slave"]),
            allow=st.lists(st.sampled_from(["suid", "dev"]), max_size=2, unique=True),
        )
        found.append(draw(st.just(short) | parts.joined(st.just(long), extra)))
    return found


@st.composite
def init_containers(draw: st.DrawFn, name: str, known: list[str]) -> dict[str, Any]:
    """A container called `name` that mounts some of the known volumes, without what an init container cannot have."""
    image = draw(images)
    argv = st.lists(st.sampled_from(["/bin/sh", "-c", "exit 3", "$(A)"]), max_size=3)
    found: dict[str, Any] = draw(
        some(
            command=argv,
            args=argv,
            env=parts.env,
            env_from=parts.env_from,
            working_dir=paths,
            user=st.sampled_from(["1000", "1000:1000", "www-data", "app:app"]),
            groups=st.lists(ids, max_size=3, unique=True),
            limits=parts.limits,
            devices=parts.devices,
            termination_message=st.sampled_from(["/dev/termination-log", "/tmp/why"]),
            oom=st.sampled_from(["group", "single"]),
            tty=st.booleans(),
            stdin=st.booleans(),
            stop_signal=st.sampled_from([*SIGNALS, "SIGTERM", "15", 10, "SIGRTMIN+3", "RTMAX-1"]),
            reaper=st.booleans(),
            security=securities(),
            ulimits=ulimits,
            size=sizes,
            **({} if isinstance(image, dict) else {"pull": st.sampled_from(["always", "if_missing", "never"])}),
        )
    )
    return {"name": name, "image": image, "mounts": draw(mounts(known)), **found}


@st.composite
def containers(draw: st.DrawFn, name: str, known: list[str]) -> dict[str, Any]:
    """A container with all that it may have."""
    extra = some(restart=restarts, probes=parts.probes, hooks=parts.hooks)
    return {**draw(init_containers(name, known)), **draw(extra)}


@st.composite
def inits(draw: st.DrawFn, name: str, known: list[str]) -> dict[str, Any]:
    """An entry of `init`: plain, or a sidecar."""
    sidecar = {"restart": "always", **draw(some(probes=parts.probes, hooks=parts.hooks))}
    return {**draw(init_containers(name, known)), **draw(st.sampled_from([{}, sidecar]))}


rates = some(**{"in": st.sampled_from(["10M", 8000]), "out": st.just("1Gbit")})


@st.composite
def nics(draw: st.DrawFn, index: int) -> dict[str, Any]:
    """The nic of this index: its addresses are of a subnet of its own; only the first has gateways."""
    host = draw(st.integers(2, 200))
    four, six = f"10.0.{index}.{host}", f"fd00:{index}::{host:x}"
    ip = draw(st.sampled_from([f"{four}/24", (four, 24), [f"{four}/24", [six, 64]]]))
    gateways = [f"10.0.{index}.1"] if index == 0 else []
    if isinstance(ip, list) and gateways:
        gateways = draw(st.sampled_from([gateways, [*gateways, "fe80::1"]]))
    if draw(st.booleans()) and gateways:
        return {
            "name": f"eth{index}",
            "ip": {"pool": draw(st.sampled_from(["default", "lan"]))},
            **draw(some(rate=rates)),
        }
    extra: dict[str, Any] = draw(
        some(
            mode=st.just("macvlan"),
            rate=rates,
            parent=st.sampled_from(["auto", "eth0", "enp3s0.100"]),
            mtu=st.integers(1280, 9000),
            mac=st.integers(0, 255).map(lambda last: f"02:00:00:00:{index:02x}:{last:02X}"),
            routes=st.just([{"to": "192.168.0.0/16", "via": f"10.0.{index}.1"}, {"to": "172.16.0.0/12"}]),
        )
    )
    routed = {"gateway": gateways[0] if len(gateways) == 1 else gateways} if gateways else {}
    return {"name": f"eth{index}", "ip": ip, **routed, **extra}


addresses = st.builds(str, st.ip_addresses(v=4, network=ipaddress.ip_network("10.0.0.0/8")))


ports = st.sampled_from(
    [[], ["8080:80"], ["127.0.0.1:53:53/udp", "9000-9002:9000-9002"], [{"host": 1, "container": 2, "name": "web"}]]
)
rules = st.sampled_from(
    [
        {"from": "10.0.0.0/8"},
        {"from": {"pods": {"app": "web"}}, "ports": [80]},
        {"from": {"cidr": "fd00::/8"}, "ports": []},
    ]
)


@st.composite
def networks(draw: st.DrawFn) -> Any:
    """None, host, or up to three nics."""
    word = draw(st.sampled_from(["none", "host", "own"]))
    if word != "own":
        return word
    found = [draw(nics(index)) for index in range(draw(st.integers(0, 3)))]
    extra = some(
        dns=st.lists(addresses, max_size=3), search=st.just(["lan.internal"]), allow=st.lists(rules, max_size=2)
    )
    bridged = any(isinstance(each["ip"], dict) for each in found)
    return {"nics": found, **draw(extra), **(draw(some(ports=ports)) if bridged else {})}


@st.composite
def pod_mappings(draw: st.DrawFn) -> dict[str, Any]:
    """A sound pod as a person would write it, shorthands and all."""
    known = draw(st.lists(names, max_size=3, unique=True))
    called = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    first = draw(st.integers(0, len(called) - 1))  # so many of them are of init
    extra = draw(
        some(
            restart=restarts,
            backoff=some(
                initial=positive_durations, factor=st.floats(1, 5), reset_after=positive_durations, max=st.just("1d")
            ),
            grace=durations,
            labels=st.dictionaries(names, label_words, max_size=2),
            annotations=st.dictionaries(names, words, max_size=2),
            hostname=names,
            hosts=st.dictionaries(names, addresses, max_size=2),
            network=networks(),
            deadline=positive_durations,
            share_pid=st.booleans(),
            users=st.sampled_from(["host", "auto"]),
            sysctls=st.dictionaries(st.sampled_from(["kernel.shmmax", "fs.mqueue.msg_max"]), st.integers(0, 9)),
        )
    )
    if extra.get("network") == "host":
        extra.pop("users", None)
    made = [draw((inits if at < first else containers)(name, known)) for at, name in enumerate(called)]
    for each in made if extra.get("share_pid") else ():
        each.pop("reaper", None)
    return {
        "name": draw(names),
        "init": made[:first],
        "containers": made[first:],
        "volumes": [draw(volumes(name)) for name in known],
        **extra,
    }


def pods() -> st.SearchStrategy[Pod]:
    """Sound pods as values."""
    return pod_mappings().map(parse_pod)
