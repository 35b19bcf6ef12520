"""Users, groups and privileges, of the pod and of a container, which has the last word (C9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tank.model.kube.nouns import (
    FLAG,
    ID,
    IDS,
    MAPPING,
    MAPPINGS,
    TEXT,
    TEXTS,
    Fate,
    Kept,
    Lost,
    Never,
    Noun,
    Used,
    items,
    one_of,
)
from tank.model.kube.places import Draft, Place

SECCOMP_DIR = "/var/lib/kubelet/seccomp/"
_SELINUX = "Tank sets no SELinux labels"
_PROFILE = one_of({"RuntimeDefault": "default", "Unconfined": "unconfined", "Localhost": "localhost"})
_NON_ROOT = "what the image's user is cannot be checked"

_SHARED: dict[str, Fate] = {  # by the pod for all its containers, or by one of them
    "runAsUser": Used(ID, "`user`"),
    "runAsGroup": Used(ID, "`user`, beside runAsUser"),
    "runAsNonRoot": Used(FLAG, "checked against runAsUser"),
    "seccompProfile": Used(MAPPING, "`security.seccomp`"),
    "appArmorProfile": Used(MAPPING, "RuntimeDefault is lost, Localhost is refused"),
    "seLinuxOptions": Never(_SELINUX),
    "windowsOptions": Never("Tank runs on Linux"),
}
POD_SECURITY = Noun(
    "the pod's security context",
    {
        **_SHARED,
        "supplementalGroups": Used(IDS, "`groups` of every container"),
        "supplementalGroupsPolicy": Used(
            one_of({"Merge": "Merge", "Strict": "Strict"}), "Strict only beside runAsUser and runAsGroup"
        ),
        "fsGroup": Used(ID, "`groups`; `group` and `mode` of volumes"),
        "fsGroupChangePolicy": Lost("a volume gets its group when it is made, and is never gone through afterwards"),
        "sysctls": Used(MAPPINGS, "`sysctls`"),
        "seLinuxChangePolicy": Never(_SELINUX),
    },
)
CONTAINER_SECURITY = Noun(
    "a container's security context",
    {
        **_SHARED,
        "privileged": Kept("privileged", FLAG, "`security.privileged`"),
        "allowPrivilegeEscalation": Used(FLAG, "`security.no_new_privileges`, the other way round"),
        "readOnlyRootFilesystem": Kept("read_only_root", FLAG, "`security.read_only_root`"),
        "capabilities": Used(MAPPING, "`security.cap_add`, `security.cap_drop`"),
        "procMount": Used(one_of({"Default": False, "Unmasked": True}), "`security.unmask`"),
    },
)
CAPABILITIES = Noun(
    "the capabilities",
    {
        "add": Kept("cap_add", TEXTS, "`security.cap_add`"),
        "drop": Kept("cap_drop", TEXTS, "`security.cap_drop`"),
    },
)
SYSCTL = Noun("a sysctl", {"name": Used(TEXT, required=True), "value": Used(TEXT, required=True)})
SECCOMP = Noun("a seccomp profile", {"type": Used(_PROFILE, required=True), "localhostProfile": Used(TEXT)})
APPARMOR = Noun("an AppArmor profile", {"type": Used(_PROFILE, required=True), "localhostProfile": Used(TEXT)})

Said = Mapping[str, tuple[Any, Place]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSecurity:
    """What the pod says for all its containers. `groups`: theirs beside those of their user."""

    said: Said = field(default_factory=dict)
    groups: tuple[int, ...] = ()
    groups_place: Place | None = None
    fs_group: int | None = None
    strict: Place | None = None  # where only the stated groups are asked for


def pod_security(value: Any, place: Place, draft: Draft) -> PodSecurity:
    """What holds for all containers; what holds for the pod itself is written."""
    found = POD_SECURITY.read(value, place)
    for each, here in items(found.get("sysctls"), place.at("sysctls")):
        sysctl = SYSCTL.read(each, here)
        if "name" in sysctl:
            draft.below("sysctls", place.at("sysctls")).put(sysctl["name"], sysctl.get("value", ""), here)
    groups = [each for each, _ in items(found.get("supplementalGroups"), place)]
    groups += [found["fsGroup"]] if "fsGroup" in found else []
    return PodSecurity(
        said=_said(found, place),
        groups=tuple(dict.fromkeys(groups)),
        groups_place=place.at("supplementalGroups" if "supplementalGroups" in found else "fsGroup"),
        fs_group=found.get("fsGroup"),
        strict=place.at("supplementalGroupsPolicy") if found.get("supplementalGroupsPolicy") == "Strict" else None,
    )


def _said(found: Mapping[str, Any], place: Place) -> Said:
    return {name: (found[name], place.at(name)) for name in _SHARED if name in found}


def container_security(value: Any, place: Place, draft: Draft, pod: PodSecurity) -> None:
    """The container's own words, else the pod's. Escalation is allowed where nobody forbids it, as there."""
    security = draft.below("security", place)
    found = CONTAINER_SECURITY.read(value, place, security)
    said = {**pod.said, **_said(found, place)}
    CAPABILITIES.read(found.get("capabilities", {}), place.at("capabilities"), security)
    allowed, here = found.get("allowPrivilegeEscalation", True), place.at("allowPrivilegeEscalation")
    security.put("no_new_privileges", not allowed, here)
    if not allowed and found.get("privileged"):
        here.refuse("a privileged container can always escalate")
    if found.get("procMount"):
        security.put("unmask", ["ALL"], place.at("procMount"))
    if "seccompProfile" in said:
        _seccomp(*said["seccompProfile"], security)
    if "appArmorProfile" in said:
        apparmor(*said["appArmorProfile"])
    _user(said, draft, pod)


def _user(said: Said, draft: Draft, pod: PodSecurity) -> None:
    user, place = said.get("runAsUser", (None, None))
    group, group_place = said.get("runAsGroup", (None, None))
    if place is not None:
        draft.put("user", f"{user}" if group is None else f"{user}:{group}", place)
    elif group_place is not None:
        group_place.refuse("a group alone cannot be given", "state runAsUser beside it")
    if pod.groups and pod.groups_place:
        draft.put("groups", list(pod.groups), pod.groups_place)
    if pod.strict is not None and group is None:
        pod.strict.refuse("the groups of the image's user are taken as well", "state runAsUser and runAsGroup")
    wanted, here = said.get("runAsNonRoot", (False, None))
    if wanted and here and not user:
        why = "runAsUser is 0" if user == 0 else _NON_ROOT
        here.refuse(f"cannot run as another than root: {why}", "state a runAsUser that is not 0")


def _seccomp(value: Any, place: Place, security: Draft) -> None:
    found = SECCOMP.read(value, place)
    kind, path = found.get("type"), found.get("localhostProfile", "")
    if kind == "localhost":
        security.put("seccomp", SECCOMP_DIR + path.lstrip("/"), place.at("localhostProfile"))
    elif kind:
        security.put("seccomp", kind, place)


def apparmor(value: Any, place: Place) -> None:
    """Tank confines by seccomp and capabilities alone. The default profile is what silence means there as well."""
    kind = APPARMOR.read(value, place).get("type")
    if kind == "localhost":
        place.refuse("Tank applies no AppArmor profiles")
    elif kind == "default":
        place.lose("no AppArmor profile is applied; seccomp and capabilities hold")
