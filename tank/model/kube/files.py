"""ConfigMaps and Secrets as volumes of files (C10)."""

from __future__ import annotations

from typing import Any

from tank.model.kube.nouns import FLAG, MAPPING, MAPPINGS, TEXT, Fate, Kept, Never, Noun, Used, chosen, items
from tank.model.kube.places import Draft, Place
from tank.model.kube.quantities import MODE

_SHARED: dict[str, Fate] = {
    "items": Used(MAPPINGS, "`keys`"),
    "defaultMode": Used(MODE, "`mode`"),
    "optional": Kept("optional", FLAG, "`optional`"),
}
CONFIG = Noun("a configMap", {"name": Kept("config", doc="`config`"), **_SHARED})
SECRET = Noun("a secret", {"secretName": Kept("secret", doc="`secret`"), **_SHARED})
ITEM = Noun("an item", {"key": Used(TEXT, required=True), "path": Used(TEXT, required=True), "mode": Used(MODE)})
PROJECTED = Noun(
    "a projected volume", {"sources": Used(MAPPINGS, "one, several are refused"), "defaultMode": Used(MODE, "`mode`")}
)
PROJECTION = Noun(
    "a source",
    {
        "configMap": Used(MAPPING, "`config`"),
        "secret": Used(MAPPING, "`secret`"),
        "downwardAPI": Never("files of facts about the pod are not supported", suggestion="variables can hold them"),
        "serviceAccountToken": Never("there is no Kubernetes to speak to", unless=()),
        "clusterTrustBundle": Never("there is no cluster that one could trust", unless=()),
        "podCertificate": Never("there is no cluster that would sign it", unless=()),
    },
)
_PROJECTED = {
    name: Noun(f"a {name}", {"name": Kept(ours), **{key: _SHARED[key] for key in ("items", "optional")}})
    for name, ours in (("configMap", "config"), ("secret", "secret"))
}


def config(value: Any, place: Place, source: Draft, fs_group: int | None) -> None:
    """A volume of a ConfigMap's keys."""
    _written(CONFIG, value, place, source, fs_group=fs_group)


def secret(value: Any, place: Place, source: Draft, fs_group: int | None) -> None:
    """A volume of a Secret's keys."""
    _written(SECRET, value, place, source, fs_group=fs_group)


def projected(value: Any, place: Place, source: Draft, fs_group: int | None) -> None:
    """One source is a volume of its own; several in one directory are not possible here."""
    found = PROJECTED.read(value, place)
    sources = items(found.get("sources"), place.at("sources"))
    named = [(PROJECTION.read(each, here), here) for each, here in sources]
    if len(sources) != 1:
        place.at("sources").refuse("several sources in one volume are not supported", "make a volume of each")
    for each, here in named:
        name = chosen(each, tuple(PROJECTION.fields), here, "a source")
        if name and len(sources) == 1:
            mode = found.get("defaultMode")
            _written(_PROJECTED[name], each[name], here.at(name), source, fs_group=fs_group, mode=mode)


def _written(
    noun: Noun, value: Any, place: Place, source: Draft, *, fs_group: int | None, mode: str | None = None
) -> None:
    found = noun.read(value, place, source)
    modes = {found.get("defaultMode", mode or "0644")}
    listed = [(ITEM.read(each, here), here) for each, here in items(found.get("items"), place.at("items"))]
    if listed:
        modes = {each.get("mode", next(iter(modes))) for each, _ in listed}
    for each, here in listed:
        keys = source.below("keys", place.at("items"))
        if each.get("key") in keys.fields:
            here.refuse("one key cannot become two files", "make a second volume of it")
        elif "key" in each:
            keys.put(each["key"], each.get("path", each["key"]), here)
    if len(modes) > 1:
        place.at("items").refuse("the files of a volume have one mode", "make a volume of each")
    shown = modes.pop()
    if fs_group is not None:
        source.put("group", fs_group, place)
        shown = f"{int(shown, 8) | 0o440:04o}"
    source.put("mode", shown, place)
