"""What a pod may say: the table of its fields."""

from __future__ import annotations

from tank.model import addresses, kernel_words, words
from tank.model.container_fields import CONTAINER, NAME, RESTART
from tank.model.grammar import Field, ListOf, MapOf, Record, Scalar, choice, flag, text
from tank.model.network_fields import POD_NETWORK
from tank.model.quantities import duration, number
from tank.model.volume_fields import VOLUME

MAX_CONTAINERS = 100

BACKOFF = Record(
    "the backoff",
    {
        "initial": Field(duration(0.001), "The wait after the first, immediate restart.", default="10s"),
        "factor": Field(number(1, 100), "Each wait is this many times the one before.", default=2),
        "max": Field(duration(0.001), "The longest wait.", default="5m"),
        "reset_after": Field(duration(0.001), "A run of this length starts the curve afresh.", default="10m"),
    },
)

_LABEL_VALUE = text(words.label_value, maxLength=253)


SYSCTL_VALUE = Scalar(
    (str, int), kernel_words.sysctl_value, {"type": ["string", "integer"]}, "a string or a whole number"
)


def _address(value: str) -> str:
    return addresses.address(value)


POD = Record(
    "a pod",
    {
        "name": Field(NAME, "Unique on the machine; a DNS label.", required=True),
        "containers": Field(
            ListOf(CONTAINER, least=1, most=MAX_CONTAINERS),
            "Run together in one sandbox: one network, IPC and host name.",
            required=True,
        ),
        "init": Field(
            ListOf(CONTAINER, most=MAX_CONTAINERS),
            "Run first, one after another; with restart: always it goes on running beside the containers.",
        ),
        "network": Field(POD_NETWORK, "none (loopback only), host, or interfaces of its own.", default="none"),
        "volumes": Field(ListOf(VOLUME), "Storage that containers mount by name."),
        "restart": Field(RESTART, "What follows an exit.", default="always"),
        "backoff": Field(BACKOFF, "How long to wait between restarts."),
        "grace": Field(duration(), "The time between the stop signal and the kill.", default="30s"),
        "deadline": Field(duration(0.001), "The pod fails when it has been active this long."),
        "labels": Field(MapOf(words.label_key, _LABEL_VALUE), "Short strings that pods can be selected by."),
        "annotations": Field(MapOf(words.label_key, text()), "Free strings, kept and never read."),
        "hostname": Field(text(words.uts_name), "The host name inside. Default: the pod's name."),
        "hosts": Field(
            MapOf(words.host_name, Scalar((str,), _address, {"type": "string"})),
            "Further lines of /etc/hosts: name to address.",
        ),
        "share_pid": Field(flag(), "One PID namespace for all containers.", default=False),
        "users": Field(
            choice("host", "auto"),
            "auto: ids of its own, without power on the host. Default: the machine's, which is host unless it says so.",
            default="host",
        ),
        "sysctls": Field(
            MapOf(kernel_words.sysctl_name, SYSCTL_VALUE, most=200), "Kernel settings of the pod's own namespaces."
        ),
    },
    later=frozenset({"depends_on", "replicas", "update", "schedule", "place"}),
    foreign={
        "restartPolicy": "restart",
        "restart_policy": "restart",
        "terminationGracePeriodSeconds": "grace",
        "stop_grace_period": "grace",
        "hostAliases": "hosts",
        "extra_hosts": "hosts",
        "initContainers": "init",
        "services": "containers",
        "container": "containers",
        "volume": "volumes",
        "networks": "network",
        "activeDeadlineSeconds": "deadline",
        "shareProcessNamespace": "share_pid",
        "userns": "users",
        "hostUsers": "users",
        "sysctl": "sysctls",
    },
)
