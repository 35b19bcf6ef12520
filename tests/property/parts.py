"""Random sound parts of pods: probes, hooks, inputs, devices and limits."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Strategy = st.SearchStrategy[Any]

names = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
words = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"], max_codepoint=0xFFFF), max_size=12)
durations = st.sampled_from([0, 1, 2.5, "500ms", "10s", "1h30m", 1e-05]) | st.floats(0, 86_400)
periods = st.sampled_from([1, 2.5, "10s", "1h30m"]) | st.floats(1, 86_400)
sizes = st.integers(2**20, 2**40) | st.sampled_from(["64MiB", "64Mi", "100M", "1.5GiB", "1e9"])
cpus = st.sampled_from([0.5, 1, "500m", "0.25", [50_000, 100_000], (20_000, 10_000)]) | st.floats(0.01, 64)
modes = st.sampled_from(["0750", "750", "1777", "0000"])
ids = st.integers(0, 70_000)
ports = st.integers(1, 65_535)
argv = st.lists(st.sampled_from(["/bin/sh", "-c", "exit 3", "$(A)"]), min_size=1, max_size=3)
keys = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,6}", fullmatch=True)
signals = st.sampled_from(["HUP", "SIGUSR1", 15, "SIGRTMIN+3"])


def some(**fields: Strategy) -> Strategy:
    """A mapping with any of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


def joined(*parts: Strategy) -> Strategy:
    """One mapping of several."""
    return st.tuples(*parts).map(lambda found: {name: each for part in found for name, each in part.items()})


def only(name: str, value: Strategy) -> Strategy:
    """A mapping of one field."""
    return st.fixed_dictionaries({name: value})


http = st.fixed_dictionaries(
    {"port": ports},
    optional={
        "path": st.sampled_from(["/", "/healthz?full=1"]),
        "host": st.sampled_from(["localhost", "10.0.0.9", "FD00::1"]),
        "scheme": st.sampled_from(["http", "https"]),
        "headers": st.dictionaries(st.sampled_from(["Host", "X-A"]), st.sampled_from(["", "a b"]), max_size=2),
    },
)
grpc = st.fixed_dictionaries({"port": ports}, optional={"service": st.sampled_from(["", "a.B"])})
actions = only("exec", argv) | only("http", http) | only("tcp", ports) | only("grpc", grpc)
asked = some(delay=durations, period=periods, timeout=periods, failures=st.integers(1, 9))
killing = joined(actions, asked, some(grace=durations))
probes = some(startup=killing, live=killing, ready=joined(actions, asked, some(successes=st.integers(1, 9))))
hook = only("exec", argv) | only("http", http) | only("sleep", st.just(0))
hooks = some(post_start=hook, pre_stop=hook)

limits = some(
    memory=st.just("4TiB"),
    memory_high=sizes,
    memory_low=sizes | st.just(0),
    swap=sizes | st.just(0),
    pids=st.integers(1, 4096),
    cpu=cpus,
    cpu_weight=st.integers(1, 10_000),
    cpuset=st.sampled_from(["0", "0-3,8", "3,1,2"]),
    io_weight=st.integers(1, 10_000),
)
devices = st.lists(
    st.sampled_from(
        ["/dev/fuse", "/dev/kvm:rw", "/dev/x:/dev/y:r", "vendor.com/gpu=0", {"path": "/dev/snd"}, {"name": "v.com/a=b"}]
    ),
    max_size=3,
    unique_by=str,
)

changes = some(on_change=st.sampled_from(["nothing", "restart"]))
keyed = (
    names
    | st.builds("{}/{}".format, names, keys)
    | st.fixed_dictionaries({"name": names, "key": keys}, optional={"optional": st.booleans()})
)
facts = st.sampled_from(["name", "uid", "ip", "labels['a/b']", "annotations[x]", "limits.pids"])
told = st.fixed_dictionaries({"field": st.sampled_from(["limits.memory", "limits.cpu"])}, optional={"divisor": sizes})
variable_sources = joined(only("secret", keyed) | only("config", keyed) | only("field", facts) | told, changes)
variables = st.sampled_from(["A", "B", "_C"])
env = st.dictionaries(variables, words | only("from", variable_sources), max_size=3) | st.lists(
    joined(only("name", variables), only("value", words) | only("from", variable_sources)), max_size=3
)
env_from = st.lists(
    joined(
        only("secret", names) | only("config", names),
        changes,
        some(prefix=st.sampled_from(["", "A_"]), optional=st.booleans()),
    ),
    max_size=2,
)

reactions = st.sampled_from(["nothing", "restart"]) | only("signal", signals) | only("exec", argv)
_files = some(
    keys=st.lists(keys, min_size=1, max_size=3) | st.dictionaries(keys, st.just("x/y"), max_size=1),
    optional=st.booleans(),
    mode=modes,
    owner=ids,
    group=ids,
    on_change=reactions,
)


def _of(what: str) -> Strategy:
    nested = joined(only("name", names), _files)
    return joined(only(what, names), _files) | only(what, nested)


file_sources = _of("secret") | _of("config")
