"""One fault each: every value that is refused, with its path, its cause and a suggestion where one is near."""

# ruff: noqa: E501 (tables: one row a line)

from __future__ import annotations

import datetime
from typing import Any

import pytest

from tests.unit.model.test_parse_pod import container, nic, pod, told, volume

LONG = "x" * 64
APP: list[tuple[dict[str, Any], str]] = [  # faults below containers[0]
    ({"name": "App"}, "name: 'App' is not a name: lower-case letters, digits and '-' inside, at most 63 (did you mean 'app'?)"),
    ({"name": ""}, "name: '' is not a name: lower-case letters, digits and '-' inside, at most 63"),
    ({"name": LONG}, f"name: '{LONG[:59]}…' is not a name: lower-case letters, digits and '-' inside, at most 63 (did you mean '{LONG[:63]}'?)"),
    ({"name": "a/../b"}, "name: 'a/../b' is not a name: lower-case letters, digits and '-' inside, at most 63 (did you mean 'a-b'?)"),
    ({"name": "a\n"}, r"name: 'a\n' is not a name: lower-case letters, digits and '-' inside, at most 63 (did you mean 'a'?)"),
    ({"name": 5}, "name: expected a string, found a whole number (put it in quotes)"),
    ({"name": None}, "name: expected a string, found nothing"),
    ({"name": True}, "name: expected a string, found true or false (put it in quotes)"),
    ({"image": ""}, "image: an image reference cannot be empty"),
    ({"image": 1}, "image: expected an image reference or {rootfs: /path}, found a whole number"),
    ({"image": {}}, "image.rootfs: an image needs this field"),
    ({"image": {"rootfs": "x"}}, "image.rootfs: 'x' must be an absolute path (did you mean '/x'?)"),
    ({"image": {"rootfs": "/x"}, "pull": "never"}, "pull: a rootfs is never pulled"),
    ({"pull": "allways"}, "pull: must be one of always, if_missing, never, prefer_fresh, found 'allways' (did you mean 'always'?)"),
    ({"pull": "If-Missing"}, "pull: must be one of always, if_missing, never, prefer_fresh, found 'If-Missing' (did you mean 'if_missing'?)"),
    ({"command": "sleep 1"}, "command: expected a list, found a string (write a list, one word an item, such as ['/bin/sh', '-c', '…'])"),
    ({"command": ["sleep", 1]}, "command[1]: expected a string, found a whole number (put it in quotes)"),
    ({"command": [""]}, "command[0]: the name of a program cannot be empty"),
    ({"args": {"a": 1}}, "args: expected a list, found a mapping (write a list, one word an item, such as ['/bin/sh', '-c', '…'])"),
    ({"args": ["a\0b"]}, "args[0]: holds the control character U+0000"),
    ({"args": ["\x1b[31m"]}, "args[0]: holds the control character U+001B"),
    ({"args": ["\ud800"]}, "args[0]: holds the control character U+D800"),
    ({"env": "A=1"}, "env: expected a mapping or a list, found a string (write NAME: value, one a line)"),
    ({"env": {"A": 1}}, "env.A: expected a string or {from: …}, found a whole number (put it in quotes)"),
    ({"env": {"A": True}}, "env.A: expected a string or {from: …}, found true or false (put it in quotes)"),
    ({"env": {"A": None}}, "env.A: expected a string or {from: …}, found nothing"),
    ({"env": {"A=B": "1"}}, "env[\"A=B\"]: 'A=B' is not a variable's name: printable ASCII without '=', at most 255"),
    ({"env": {"": "1"}}, "env[\"\"]: '' is not a variable's name: printable ASCII without '=', at most 255"),
    ({"env": {"Ä": "1"}}, 'env["\\u00c4"]: \'Ä\' is not a variable\'s name: printable ASCII without \'=\', at most 255'),
    ({"env": ["A=1"]}, "env[0]: expected a mapping (a variable), found a string"),
    ({"env": [{"name": "A"}]}, "env[0]: a variable needs one of value, from"),
    ({"env": {1: "x"}}, "env[\"1\"]: a field's name must be a string, found a whole number (put it in quotes)"),
    ({"working_dir": "x"}, "working_dir: 'x' must be an absolute path (did you mean '/x'?)"),
    ({"working_dir": ""}, "working_dir: '' must be an absolute path"),
    ({"working_dir": "/a/../b"}, "working_dir: '/a/../b' must not contain '..'"),
    ({"working_dir": "/proc/self/fd/8"}, "working_dir: a working directory below /proc is refused: it could lead out of the container"),
    ({"working_dir": "/proc"}, "working_dir: a working directory below /proc is refused: it could lead out of the container"),
    ({"working_dir": "//./proc/1"}, "working_dir: a working directory below /proc is refused: it could lead out of the container"),
    ({"working_dir": "/a\nb"}, r"working_dir: '/a\nb' has a line end or tab in it"),
    ({"working_dir": "/a" * 65}, f"working_dir: '{('/a' * 65)[:59]}…' is too long or too deep for a path"),
    ({"working_dir": "/" + "a" * 256}, f"working_dir: '/{'a' * 58}…' is too long or too deep for a path"),
    ({"user": "-x"}, "user: '-x' is not a user: uid, uid:gid, name or name:group"),
    ({"user": "a:b:c"}, "user: 'a:b:c' is not a user: uid, uid:gid, name or name:group"),
    ({"user": "4294967295"}, "user: a user or group id is at most 4294967294"),
    ({"user": "0:4294967295"}, "user: a user or group id is at most 4294967294"),
    ({"user": 1000}, "user: expected a string, found a whole number (put it in quotes)"),
    ({"groups": [-1]}, "groups[0]: must lie between 0 and 4294967294"),
    ({"groups": ["wheel"]}, "groups[0]: expected a whole number, found a string"),
    ({"groups": [True]}, "groups[0]: expected a whole number, found true or false"),
    ({"mounts": ["data"]}, "mounts[0]: 'data' is not a mount: 'volume:/path' or 'volume:/path:ro'"),
    ({"mounts": ["data:/x:rx"]}, "mounts[0]: 'data:/x:rx' is not a mount: 'volume:/path' or 'volume:/path:ro'"),
    ({"mounts": [":/x"]}, "mounts[0]: ':/x' is not a mount: 'volume:/path' or 'volume:/path:ro'"),
    ({"mounts": ["data::ro"]}, "mounts[0]: 'data::ro' is not a mount: 'volume:/path' or 'volume:/path:ro'"),
    ({"mounts": ["data:x"]}, "mounts[0]: 'x' must be an absolute path (did you mean '/x'?)"),
    ({"mounts": [5]}, "mounts[0]: expected a mount such as 'data:/var/lib/app:ro' or a mapping, found a whole number"),
    ({"mounts": ["dato:/x"]}, "mounts[0].volume: the pod has no volume 'dato' (did you mean 'data'?)"),
    ({"mounts": ["data:/x", "data:/x/"]}, "mounts[1].path: something is mounted at '/x' already"),
    ({"mounts": ["data:/"]}, "mounts[0]: a volume cannot be mounted over the root (use image: {rootfs: …} for a root of your own)"),
    ({"mounts": ["data:/proc/1"]}, "mounts[0]: a volume cannot be mounted over '/proc/1': the kernel's files belong there"),
    ({"mounts": ["data:/sys"]}, "mounts[0]: a volume cannot be mounted over '/sys': the kernel's files belong there"),
    ({"mounts": ["data:/dev/shm"]}, "mounts[0]: a volume cannot be mounted over '/dev/shm': the kernel's files belong there"),
    ({"mounts": [{"volume": "data", "path": "/etc/hosts"}]}, "mounts[0].path: '/etc/hosts' is written by tank (see hosts, hostname and network.dns)"),
    ({"mounts": [{"volume": "data", "path": "/x", "ro": True}]}, "mounts[0].ro: unknown field of a mount (did you mean 'read_only'?)"),
    ({"limits": {"memory": "64m"}}, "limits.memory: 'm' is not a unit of size (did you mean '64M' or '64Mi'?)"),
    ({"limits": {"memory": "1k"}}, "limits.memory: must be at least 512KiB"),
    ({"limits": {"memory": True}}, "limits.memory: expected a size such as 268435456 or '256MiB', found true or false (put it in quotes)"),
    ({"limits": {"pids": 0}}, "limits.pids: must lie between 1 and 4194304"),
    ({"limits": {"pids": 1.5}}, "limits.pids: expected a whole number, found a number"),
    ({"limits": {"cpu": 0}}, "limits.cpu: a share of cpu lies between 0.01 and 10000 cores"),
    ({"limits": {"cpu": {}}}, "limits.cpu: expected a share of cpu such as 0.5 or '500m', found a mapping"),
    ({"limits": {"cpus": 1}}, "limits.cpus: unknown field of the limits (did you mean 'cpu'?)"),
    ({"limits": []}, "limits: expected a mapping (the limits), found a list"),
    ({"restart": "unless-stopped"}, "restart: must be one of always, on_failure, never, found 'unless-stopped'"),
    ({"tty": "no"}, "tty: expected true or false, found a string"),
    ({"stdin": 1}, "stdin: expected true or false, found a whole number"),
    ({"stop_signal": "TREM"}, "stop_signal: 'TREM' is not a signal (did you mean 'TERM'?)"),
    ({"stop_signal": 0}, "stop_signal: a signal's number lies between 1 and 31, or 34 and 64"),
    ({"stop_signal": 33}, "stop_signal: a signal's number lies between 1 and 31, or 34 and 64"),
    ({"stop_signal": "65"}, "stop_signal: a signal's number lies between 1 and 31, or 34 and 64"),
    ({"stop_signal": "RTMIN+31"}, "stop_signal: 'RTMIN+31' is not a signal: real-time signals are SIGRTMIN to SIGRTMIN+30"),
    ({"stop_signal": []}, "stop_signal: expected a signal such as TERM or 15, found a list"),
    ({"security": {"cap_add": ["NET_ADMN"]}}, "security.cap_add[0]: 'NET_ADMN' is not a capability (did you mean 'NET_ADMIN'?)"),
    ({"security": {"cap_add": ["KILL"], "cap_drop": ["CAP_KILL"]}}, "security.cap_drop: CAP_KILL is both added and dropped"),
    ({"security": {"seccomp": "off"}}, "security.seccomp: must be default, unconfined or the absolute path of a profile, found 'off'"),
    ({"security": {"unmask": ["proc"]}}, "security.unmask[0]: 'proc' must be an absolute path (did you mean '/proc'?)"),
    ({"security": {"readOnlyRootFilesystem": True}}, "security.readOnlyRootFilesystem: unknown field of the security settings (did you mean 'read_only_root'?)"),
    ({"ulimits": {"nofiles": 1}}, "ulimits.nofiles: 'nofiles' is not a resource limit (did you mean 'nofile'?)"),
    ({"ulimits": {"nofile": 1, "RLIMIT_NOFILE": 1}}, "ulimits.RLIMIT_NOFILE: 'nofile' is given twice"),
    ({"ulimits": {"nofile": [2, 1]}}, "ulimits.nofile: the soft limit cannot exceed the hard one"),
    ({"ulimits": {"nofile": [1]}}, "ulimits.nofile: expected a number, 'unlimited' or [soft, hard]"),
    ({"ulimits": {"nofile": [1, 2.5]}}, "ulimits.nofile: expected a number, 'unlimited' or [soft, hard]"),
    ({"ulimits": {"nofile": "many"}}, "ulimits.nofile: expected a number, 'unlimited' or [soft, hard]"),
    ({"ulimits": {"nofile": -2}}, "ulimits.nofile: expected a number, 'unlimited' or [soft, hard]"),
    ({"ulimits": {"nofile": 2**64}}, "ulimits.nofile: expected a number, 'unlimited' or [soft, hard]"),
    ({"ulimits": {"nofile": None}}, "ulimits.nofile: expected a number, 'unlimited' or [soft, hard], found nothing"),
    ({"ulimits": 5}, "ulimits: expected a mapping, found a whole number"),
    ({"entrypoint": []}, "entrypoint: unknown field of a container (did you mean 'command'?)"),
    ({"workingDir": "/"}, "workingDir: unknown field of a container (did you mean 'working_dir'?)"),
    ({"stop-signal": "TERM"}, "stop-signal: unknown field of a container (did you mean 'stop_signal'?)"),
    ({"mount": []}, "mount: unknown field of a container (did you mean 'mounts'?)"),
    ({"zzz": 1}, "zzz: unknown field of a container"),
    ({"a b": 1}, '["a b"]: unknown field of a container'),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "fault"), APP)
def test_a_fault_of_a_container(fields: dict[str, Any], fault: str) -> None:
    joint = "" if fault.startswith("[") else "."

    assert told(container(**fields)) == [f"containers[0]{joint}{fault}"]


NIC: list[tuple[dict[str, Any], str]] = [  # faults below network.nics[0]
    ({"name": "eth0:1"}, "name: 'eth0:1' is not an interface's name: letters, digits, '_', '.' and '-', at most 15"),
    ({"name": "a" * 16}, f"name: '{'a' * 16}' is not an interface's name: letters, digits, '_', '.' and '-', at most 15"),
    ({"name": "lo"}, "name: 'lo' is the kernel's own and cannot name an interface"),
    ({"name": "../x"}, "name: '../x' is not an interface's name: letters, digits, '_', '.' and '-', at most 15"),
    ({"mode": "macvlen"}, "mode: must be one of macvlan, bridge, ipvlan, found 'macvlen' (did you mean 'macvlan'?)"),
    ({"parent": "eth 0"}, "parent: 'eth 0' is not an interface's name: letters, digits, '_', '.' and '-', at most 15"),
    ({"ip": "10.0.0.5"}, "ip: '10.0.0.5' needs a prefix (did you mean '10.0.0.5/24'?)"),
    ({"ip": "fd00::5"}, "ip: 'fd00::5' needs a prefix (did you mean 'fd00::5/64'?)"),
    ({"ip": "10.0.0.300/24"}, "ip: '10.0.0.300' is not an IP address"),
    ({"ip": "10.0.0.5/33"}, "ip: the prefix length of '10.0.0.5' lies between 1 and 32"),
    ({"ip": "10.0.0.5/x"}, "ip: 'x' is not a prefix length"),
    ({"ip": "10.0.0.5/255.255.255.0"}, "ip: '255.255.255.0' is not a prefix length"),
    ({"ip": "10.0.0.5/0"}, "ip: the prefix length of '10.0.0.5' lies between 1 and 32"),
    ({"ip": "10.0.0.0/24"}, "ip: '10.0.0.0' is the network's own address (10.0.0.0/24 is the network)"),
    ({"ip": "10.0.0.255/24"}, "ip: '10.0.0.255' is the broadcast address of 10.0.0.0/24"),
    ({"ip": "127.0.0.1/8"}, "ip: '127.0.0.1' cannot be the address of an interface"),
    ({"ip": "224.0.0.1/24"}, "ip: '224.0.0.1' cannot be the address of an interface"),
    ({"ip": "0.0.0.0/24"}, "ip: '0.0.0.0' cannot be the address of an interface"),
    ({"ip": "::/64"}, "ip: '::' cannot be the address of an interface"),
    ({"ip": "255.255.255.255/32"}, "ip: '255.255.255.255' cannot be the address of an interface"),
    ({"ip": "fe80::1%eth0/64"}, "ip: 'fe80::1%eth0' must not have a zone"),
    ({"ip": ["10.0.0.5", 33]}, "ip: the prefix length of '10.0.0.5' lies between 1 and 32"),
    ({"ip": ["10.0.0.5/24", 24]}, "ip: '10.0.0.5/24' is not an IP address (did you mean '10.0.0.5'?)"),
    ({"ip": []}, "ip: needs between 1 and 64 addresses"),
    ({"ip": 5}, "ip: expected an address such as '10.0.0.5/24' or ['10.0.0.5', 24], {pool: NAME}, dhcp or slaac, found a whole number"),
    ({"ip": [5]}, "ip[0]: expected an address such as '10.0.0.5/24' or ['10.0.0.5', 24], {pool: NAME}, dhcp or slaac, found a whole number"),
    ({"ip": ["10.0.0.5/24", "10.0.0.5/16"]}, "ip: the address 10.0.0.5 is used twice in the pod"),
    ({"gateway": "10.0.1.1"}, "gateway: 10.0.1.1 is not in 10.0.0.0/24"),
    ({"gateway": "fd00::1"}, "gateway: fd00::1 is not in 10.0.0.0/24"),
    ({"gateway": "10.0.0.5"}, "gateway: 10.0.0.5 is the interface's own address"),
    ({"gateway": "10.0.0.1/24"}, "gateway: '10.0.0.1/24' is not an IP address (did you mean '10.0.0.1'?)"),
    ({"gateway": ["10.0.0.1", "10.0.0.2"]}, "gateway: a pod has one default route for IPv4, and there is one already"),
    ({"gateway": ["10.0.0.1"] * 3}, "gateway: needs at most 2 items, found 3"),
    ({"gateway": ["10.0.0.1", "x"]}, "gateway[1]: 'x' is not an IP address"),
    ({"mac": "02:00:00:00:00"}, "mac: '02:00:00:00:00' is not a MAC such as '02:00:5e:10:00:01'"),
    ({"mac": "01:00:00:00:00:01"}, "mac: '01:00:00:00:00:01' is a group address, which no interface can have"),
    ({"mac": "00-00-00-00-00-00"}, "mac: a MAC cannot be all zeros"),
    ({"mtu": 67}, "mtu: must lie between 68 and 65535"),
    ({"mtu": 1000, "ip": "fd00::5/64"}, "mtu: IPv6 needs at least 1280"),
    ({"mtu": 1000, "ip": ["dhcp", "slaac"]}, "mtu: IPv6 needs at least 1280"),
    ({"routes": [{}]}, "routes[0].to: a route needs this field"),
    ({"routes": ["10.0.0.0/8"]}, "routes[0]: expected a mapping (a route), found a string"),
    ({"routes": [{"to": "10.1.0.1/16"}]}, "routes[0].to: '10.1.0.1/16' is not a network (did you mean '10.1.0.0/16'?)"),
    ({"routes": [{"to": "10.1.0.1"}]}, "routes[0].to: '10.1.0.1' is not a network (did you mean '10.1.0.1/32'?)"),
    ({"routes": [{"to": "east"}]}, "routes[0].to: 'east' is not a network such as '10.1.0.0/16'"),
    ({"routes": [{"to": "0.0.0.0/0"}]}, "routes[0].to: this is the default route (use gateway)"),
    ({"routes": [{"to": "10.1.0.0/16", "via": "10.2.0.1"}]}, "routes[0].via: 10.2.0.1 is not in 10.0.0.0/24"),
    ({"routes": [{"to": "fd01::/64", "via": "10.0.0.1"}]}, "routes[0].via: 10.0.0.1 is of another family than fd01::/64"),
    ({"routes": [{"to": "10.1.0.0/16"}] * 2}, "routes[1].to: there is a route to 10.1.0.0/16 already"),
    ({"routes": [{"to": "fe80::%1/64"}]}, "routes[0].to: 'fe80::%1/64' must not have a zone"),
    ({"interface": "eth0"}, "interface: unknown field of a nic"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "fault"), NIC)
def test_a_fault_of_a_nic(fields: dict[str, Any], fault: str) -> None:
    assert told(nic(**fields)) == [f"network.nics[0].{fault}"]


def two(**fields: Any) -> dict[str, Any]:
    """A pod with two interfaces, the second with these fields."""
    first = {"name": "eth0", "ip": "10.0.0.5/24", "gateway": "10.0.0.1", "mac": "02:00:00:00:00:01"}
    return pod(network={"nics": [first, {"name": "eth1", "ip": "10.1.0.5/24", **fields}]})


PODS: list[tuple[Any, str]] = [
    (5, "expected a mapping (a pod), found a whole number"),
    (None, "expected a mapping (a pod), found nothing"),
    ("web", "expected a mapping (a pod), found a string"),
    ([], "expected a mapping (a pod), found a list"),
    ("\0", "holds the control character U+0000"),
    (pod(name="web_1"), "name: 'web_1' is not a name: lower-case letters, digits and '-' inside, at most 63 (did you mean 'web-1'?)"),
    (pod(name="-web"), "name: '-web' is not a name: lower-case letters, digits and '-' inside, at most 63 (did you mean 'web'?)"),
    (pod(containers=[]), "containers: needs at least 1 item, found 0"),
    (pod(containers={}), "containers: expected a list, found a mapping"),
    (pod(containers=["nginx"]), "containers[0]: expected a mapping (a container), found a string"),
    (pod(containers=[{"name": "a", "image": "x"}] * 2), "containers[1].name: another container is called 'a' already"),
    (pod(restart="no"), "restart: must be one of always, on_failure, never, found 'no'"),
    (pod(grace=-1), "grace: a duration cannot be negative"),
    (pod(grace="10"), "grace: expected a duration such as 10, '500ms', '10s' or '1h30m', found '10' (did you mean '10s'?)"),
    (pod(backoff={"initial": 0}), "backoff.initial: must be at least 1ms"),
    (pod(backoff={"factor": 0.5}), "backoff.factor: must lie between 1 and 100"),
    (pod(backoff={"factor": float("nan")}), "backoff.factor: must lie between 1 and 100"),
    (pod(backoff={"factor": "2"}), "backoff.factor: expected a number, found a string"),
    (pod(backoff={"initial": "10m"}), "backoff.max: cannot be shorter than initial"),
    (pod(backoff={"initial": "10m", "max": "x"}), "backoff.max: expected a duration such as 10, '500ms', '10s' or '1h30m', found 'x'"),
    (pod(labels={"-a": "b"}), "labels[\"-a\"]: '-a' is not a label's name: letters, digits, '.', '_', '/' and '-', at most 253"),
    (pod(labels={"a": "b c"}), "labels.a: a label's value is printable ASCII without spaces or any of ',=!()', at most 253 characters"),
    (pod(labels={"a": "b,c"}), "labels.a: a label's value is printable ASCII without spaces or any of ',=!()', at most 253 characters"),
    (pod(labels={"a": 1}), "labels.a: expected a string, found a whole number (put it in quotes)"),
    (pod(labels={f"a{n}": "" for n in range(1001)}), "labels: has at most 1000 entries, found 1001"),
    (pod(annotations={"a": datetime.date(2026, 1, 1)}), "annotations.a: expected a string, found a date"),
    (pod(hostname="a_b!"), "hostname: 'a_b!' is not a host name"),
    (pod(hostname="a." * 33), "hostname: a host name of a pod has at most 63 characters"),
    (pod(hosts={"db": "here"}), "hosts.db: 'here' is not an IP address"),
    (pod(hosts={"d b": "10.0.0.1"}), "hosts[\"d b\"]: 'd b' is not a host name"),
    (pod(hosts={"db": "fe80::1%eth0"}), "hosts.db: 'fe80::1%eth0' must not have a zone"),
    (pod(network="bridge"), "network: must be one of none, host, found 'bridge'"),
    (pod(network=[]), "network: expected none, host or a mapping, found a list"),
    (pod(network={"nic": []}), "network.nic: unknown field of a network (did you mean 'nics'?)"),
    (pod(network={"dns": ["10.0.0.1"] * 4}), "network.dns: needs at most 3 items, found 4"),
    (pod(network={"dns": "10.0.0.1"}), "network.dns: expected a list, found a string"),
    (pod(network={"search": ["a b"]}), "network.search[0]: 'a b' is not a host name"),
    (pod(network={"search": [".".join(["a" * 60] * 4)] * 9}), "network.search: has at most 2048 characters in all"),
    (two(name="eth0"), "network.nics[1].name: another nic is called 'eth0' already"),
    (two(ip="10.0.0.5/16"), "network.nics[1].ip: the address 10.0.0.5 is used twice in the pod"),
    (two(mac="02-00-00-00-00-01"), "network.nics[1].mac: another nic has the MAC '02:00:00:00:00:01' already"),
    (two(gateway="10.1.0.1"), "network.nics[1].gateway: a pod has one default route for IPv4, and there is one already"),
    (pod(volumes=["data"]), "volumes[0]: expected a mapping (a volume), found a string"),
    (pod(volumes=[{"name": "a"}, {"name": "a"}]), "volumes[1].name: another volume is called 'a' already"),
    (volume(source=5), "volumes[0].source: expected managed or a mapping such as {host: /path}, found a whole number"),
    (volume(source="tmpfs"), "volumes[0].source: must be managed or a mapping such as {host: /path} (write {tmpfs: {}})"),
    (volume(source="manage"), "volumes[0].source: must be managed or a mapping such as {host: /path} (did you mean 'managed'?)"),
    (volume(source={}), "volumes[0].source: needs one of managed, host, tmpfs, image, empty, secret, config"),
    (volume(source={"hots": "/x"}), "volumes[0].source: needs one of managed, host, tmpfs, image, empty, secret, config (did you mean 'host'?)"),
    (volume(source={"host": "/x", "tmpfs": {}}), "volumes[0].source: has more than one source: host, tmpfs"),
    (volume(source={"host": "x"}), "volumes[0].source.host: 'x' must be an absolute path (did you mean '/x'?)"),
    (volume(source={"host": "/x", "kind": "dir"}), "volumes[0].source.kind: must be one of directory, file, socket, directory_or_create, file_or_create, found 'dir'"),
    (volume(source={"host": "/x", "type": "file"}), "volumes[0].source.type: unknown field of a host source (did you mean 'kind'?)"),
    (volume(source={"tmpfs": None}), "volumes[0].source.tmpfs: expected a mapping (a tmpfs source), found nothing"),
    (volume(source={"tmpfs": {"size": 1}}), "volumes[0].source.tmpfs.size: must be at least 4KiB"),
    (volume(source={"empty": {"size": 1}}), "volumes[0].source.empty.size: unknown field of an empty source"),
    (volume(mode=750), "volumes[0].mode: expected a string such as '0750', found a whole number (put it in quotes)"),
    (volume(mode="0850"), "volumes[0].mode: '0850' is not a mode: three or four octal digits such as '0750'"),
    (volume(mode="rwx"), "volumes[0].mode: 'rwx' is not a mode: three or four octal digits such as '0750'"),
    (volume(source={"host": "/x"}, mode="0750"), "volumes[0].mode: only a managed or empty volume has one, not host"),
    (volume(source={"tmpfs": {}}, owner=1), "volumes[0].owner: only a managed or empty volume has one, not tmpfs"),
    (volume(owner="root"), "volumes[0].owner: expected a whole number, found a string"),
    (pod(terminationGracePeriodSeconds=5), "terminationGracePeriodSeconds: unknown field of a pod (did you mean 'grace'?)"),
    (pod(**{"a\x1bb": 5}), 'holds the control character U+001B'),
    (pod(**{"x" * 90: 5}), f'["{"x" * 63}"]: unknown field of a pod'),
]  # fmt: skip


@pytest.mark.parametrize(("mapping", "fault"), PODS, ids=range(len(PODS)))
def test_a_fault_of_a_pod(mapping: Any, fault: str) -> None:
    assert told(mapping) == [fault]


def test_a_pod_without_anything_needs_its_name_and_containers() -> None:
    assert told({}) == ["name: a pod needs this field", "containers: a pod needs this field"]


def test_a_mount_is_not_blamed_for_volumes_that_could_not_be_read() -> None:
    mounting = {"name": "app", "image": "x:1", "mounts": ["data:/x"]}

    volumes: list[Any] = [{}, [{}], [5]]

    unread = [told(pod(containers=[mounting], volumes=each)) for each in volumes]

    assert unread == [
        ["volumes: expected a list, found a mapping"],
        ["volumes[0].name: a volume needs this field"],
        ["volumes[0]: expected a mapping (a volume), found a string".replace("a string", "a whole number")],
    ]


def test_two_faulty_capabilities_are_not_taken_for_the_same() -> None:
    assert [each.partition(":")[0] for each in told(container(security={"cap_add": ["A"], "cap_drop": ["B"]}))] == [
        "containers[0].security.cap_add[0]",
        "containers[0].security.cap_drop[0]",
    ]


def test_a_mount_in_a_pod_without_volumes_says_so() -> None:
    mounting = {"name": "app", "image": "x:1", "mounts": ["data:/x"]}

    assert told(pod(containers=[mounting])) == [
        "containers[0].mounts[0].volume: the pod has no volume 'data' (the pod has no volumes)"
    ]


def test_a_faulty_nic_or_route_does_not_hide_the_next() -> None:
    network = {"nics": [5, {"name": "eth0", "ip": "10.0.0.5/24", "routes": [5, {"to": "0.0.0.0/0"}]}]}

    assert [each.partition(":")[0] for each in told(pod(network=network))] == [
        "network.nics[0]",
        "network.nics[1].routes[0]",
        "network.nics[1].routes[1].to",
    ]
