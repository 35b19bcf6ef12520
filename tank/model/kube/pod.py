"""A pod: its metadata and its spec."""

from __future__ import annotations

from typing import Any

from tank.model.faults import quoted
from tank.model.grammar import ListOf
from tank.model.kube.container import RESTART, Around, container
from tank.model.kube.nouns import (
    FLAG,
    LABELS,
    MAPPING,
    MAPPINGS,
    TEXT,
    TEXTS,
    Kept,
    Lost,
    Never,
    Noun,
    Passed,
    Used,
    items,
    one_of,
    seconds,
)
from tank.model.kube.patch import ANNOTATION
from tank.model.kube.places import Draft, Place
from tank.model.kube.security import apparmor, pod_security
from tank.model.kube.volumes import volumes

NAMESPACE = "default"
_PLACEMENT = "there is one machine, so there is nothing to choose"
_PRIORITY = "no pod is put before another"
_ACCOUNT = "there is no Kubernetes to speak to"
_OWN_MIND = "what is stated is kept, whoever stated it"
_NO_ADDRESS = "its network is none, loopback only: Kubernetes would give it an address"
_HOST_RESOLVER = "there is no cluster's DNS: the host's name servers are used"
_DNS_POLICY = one_of({each: each for each in ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")})

METADATA = Noun(
    "the metadata",
    {
        "name": Used(TEXT, "`name`"),
        "generateName": Used(TEXT, "refused where there is no `name`"),
        "namespace": Used(TEXT, "lost, but for `default`; told to variables"),
        "labels": Used(LABELS, "`labels`"),
        "annotations": Used(LABELS, "`annotations`"),
        "ownerReferences": Lost(_OWN_MIND),
        "finalizers": Lost(_OWN_MIND),
        **dict.fromkeys(
            (
                "uid",
                "resourceVersion",
                "generation",
                "creationTimestamp",
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
                "managedFields",
                "selfLink",
            ),
            Passed(),
        ),
    },
)
SPEC = Noun(
    "a pod's spec",
    {
        "containers": Used(ListOf(MAPPING, least=1), "`containers`", required=True),
        "initContainers": Used(MAPPINGS, "`init`"),
        "volumes": Used(MAPPINGS, "`volumes`"),
        "restartPolicy": Kept("restart", RESTART, "`restart`"),
        "terminationGracePeriodSeconds": Kept("grace", seconds(), "`grace`"),
        "activeDeadlineSeconds": Kept("deadline", seconds(), "`deadline`"),
        "hostname": Kept("hostname", TEXT, "`hostname`"),
        "hostnameOverride": Kept("hostname", TEXT, "`hostname`"),
        "hostAliases": Used(MAPPINGS, "`hosts`"),
        "hostNetwork": Used(FLAG, "`network: host`"),
        "dnsConfig": Used(MAPPING, "`network.dns`, `network.search`"),
        "dnsPolicy": Used(_DNS_POLICY, "`None`: `dnsConfig` alone counts; `ClusterFirst` is lost"),
        "shareProcessNamespace": Kept("share_pid", FLAG, "`share_pid`"),
        "hostUsers": Used(FLAG, "`users`"),
        "securityContext": Used(MAPPING, "see below"),
        "os": Used(MAPPING, "linux alone"),
        "affinity": Lost(_PLACEMENT),
        "nodeName": Lost(_PLACEMENT),
        "nodeSelector": Lost(_PLACEMENT),
        "tolerations": Lost(_PLACEMENT),
        "topologySpreadConstraints": Lost(_PLACEMENT),
        "schedulerName": Lost(_PLACEMENT, unless=("default-scheduler",)),
        "schedulingGates": Lost("it is not held back: there is no scheduler"),
        "schedulingGroup": Lost(_PLACEMENT),
        "workloadRef": Lost(_PLACEMENT),
        "evictionResponders": Lost("nothing is evicted"),
        "overhead": Lost(_PLACEMENT),
        "priority": Lost(_PRIORITY, unless=(0,)),
        "priorityClassName": Lost(_PRIORITY),
        "preemptionPolicy": Lost(_PRIORITY),
        "serviceAccountName": Used(TEXT, "lost; told to variables"),
        "serviceAccount": Used(TEXT, "lost; told to variables"),
        "automountServiceAccountToken": Lost(_ACCOUNT, unless=(False,)),
        "enableServiceLinks": Lost("there are no services, so no variables tell of them", unless=(False,)),
        "imagePullSecrets": Lost("images are pulled with the credentials of this machine: see tank image login"),
        "subdomain": Lost("there is no cluster's DNS, so no name below it"),
        "setHostnameAsFQDN": Never("there is no cluster's domain"),
        "hostPID": Never("a pod does not see the machine's processes"),
        "hostIPC": Never("a pod does not share the machine's IPC"),
        "ephemeralContainers": Never("containers are not added to a pod that runs"),
        "readinessGates": Never("nobody here sets further conditions of a pod"),
        "resourceClaims": Never("devices by claim are not supported", suggestion="see devices in the spec's reference"),
        "resources": Never("resources of the whole pod are not supported", suggestion="state them for each container"),
        "runtimeClassName": Never("one runtime runs all pods of this machine"),
    },
)
ALIAS = Noun("a host alias", {"ip": Used(TEXT, required=True), "hostnames": Used(TEXTS)})
DNS = Noun(
    "the resolver",
    {
        "nameservers": Used(TEXTS, "`network.dns`"),
        "searches": Used(TEXTS, "`network.search`"),
        "options": Lost("options of the resolver are not kept"),
    },
)
OS = Noun("the operating system", {"name": Used(one_of({"linux": "linux", "windows": "windows"}), required=True)})
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_PROFILES = {"runtime/default": "RuntimeDefault", "unconfined": "Unconfined"}


def names(value: Any, place: Place) -> dict[str, Any]:
    """What an object's metadata say, its namespace told where it is another one."""
    found = METADATA.read(value, place)
    if "generateName" in found and "name" not in found:
        place.at("generateName").refuse("Tank makes up no names", "write name")
    if found.get("namespace", "") not in ("", NAMESPACE):
        place.at("namespace").lose("names are the machine's: there are no namespaces")
    return found


def named(found: dict[str, Any], place: Place) -> bool:
    """Whether the metadata have a name; a fault where not."""
    if "name" not in found and not place.at("generateName").spot.faulty and not place.at("name").spot.faulty:
        place.at("name").spot.fault("the metadata needs this field")
    return "name" in found


def labelled(found: dict[str, Any], place: Place, draft: Draft) -> None:
    """Labels and annotations, but those that a tool left for itself or that are no annotations at all."""
    if found.get("labels"):
        draft.put("labels", found["labels"], place.at("labels"), same=True)
    kept, here = {}, place.at("annotations")
    for name, each in found.get("annotations", {}).items():
        if name.startswith(_APPARMOR):
            apparmor({"type": _PROFILES.get(each, "Localhost")}, here.at(name))
        elif name not in (_APPLIED, ANNOTATION):
            kept[name] = each
    if kept:
        draft.put("annotations", kept, here, same=True)


def spec(value: Any, place: Place, draft: Draft, namespace: str) -> None:
    """Write what a pod's spec says."""
    found = SPEC.read(value, place, draft)
    host_network = _network(found, place, draft)
    _hosts(found.get("hostAliases"), place.at("hostAliases"), draft)
    if "hostUsers" in found:
        draft.put("users", "host" if found["hostUsers"] else "auto", place.at("hostUsers"))
    if "os" in found and OS.read(found["os"], place.at("os")).get("name") == "windows":
        place.at("os").refuse("Tank runs on Linux")
    security = pod_security(found.get("securityContext", {}), place.at("securityContext"), draft)
    around = Around(
        namespace=namespace,
        account=_account(found, place),
        host_network=host_network,
        pod=draft,
        security=security,
        storage=volumes(found.get("volumes"), place.at("volumes"), draft, security.fs_group),
    )
    for name, ours in (("initContainers", "init"), ("containers", "containers")):
        for each, here in items(found.get(name), place.at(name)):
            container(each, here, draft.append(ours, here), around)


def _account(found: dict[str, Any], place: Place) -> str:
    """The service account, which is no more than a word here."""
    given = [name for name in ("serviceAccountName", "serviceAccount") if found.get(name)]
    for name in given:
        place.at(name).lose(_ACCOUNT)
    return str(found[given[0]]) if given else "default"


def _network(found: dict[str, Any], place: Place, draft: Draft) -> bool:
    """The network, and whether it is the host's."""
    policy, config = found.get("dnsPolicy", ""), found.get("dnsConfig", {})
    if policy.startswith("Cluster"):
        place.at("dnsPolicy").lose(_HOST_RESOLVER)
    if found.get("hostNetwork"):
        draft.put("network", "host", place.at("hostNetwork"))
        if config:
            place.at("dnsConfig").refuse("a pod on the host's network has the host's resolver")
        return True
    here = place.at("dnsConfig")
    dns = DNS.read(config, here)
    for name, ours in (("nameservers", "dns"), ("searches", "search")):
        if name in dns or policy == "None":
            draft.below("network", here).put(ours, dns.get(name, []), here.at(name), same=True)
            if policy != "None":
                here.at(name).lose("they replace the host's own, and are not added to them")
    return False


def _hosts(value: Any, place: Place, draft: Draft) -> None:
    for each, here in items(value, place):
        found, hosts = ALIAS.read(each, here), draft.below("hosts", place)
        for name, at in items(found.get("hostnames"), here.at("hostnames")):
            if hosts.fields.get(name, found.get("ip")) != found.get("ip"):
                at.refuse(f"{quoted(name)} has one address in a pod of Tank's")
            elif "ip" in found:
                hosts.put(name, found["ip"], at)


def told_network(patch: dict[str, Any], place: Place, draft: Draft) -> None:
    """Say that the pod has no address, unless it was given one or asked for none."""
    network = draft.fields.get("network", {})
    if network != "host" and "nics" not in network and "network" not in patch:
        place.lose(_NO_ADDRESS)
