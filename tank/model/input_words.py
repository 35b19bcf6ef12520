"""The words of inputs: names and keys of secrets and configs, paths below a volume, facts of the pod (C7, C10).

Each function answers the canonical form, or raises `Refused`.
"""

from __future__ import annotations

import re

from tank.model import words
from tank.model.faults import Refused, did_you_mean, quoted
from tank.model.units import parse_size

FACTS = ("name", "uid", "node", "ip", "ips", "host_ip")  # besides labels['KEY'] and annotations['KEY']
LIMITS = (
    "limits.memory",
    "limits.memory_high",
    "limits.memory_low",
    "limits.swap",
    "limits.pids",
    "limits.cpu",
    "limits.cpu_weight",
    "limits.io_weight",
)
_FACTS_WANTED = "name, uid, node, ip, ips, host_ip, labels['KEY'], annotations['KEY'] or a limit such as limits.memory"


def input_name(text: str) -> str:
    """The name of a secret or config: DNS labels parted by dots, at most 253 characters."""
    if len(text) <= 253 and all(re.fullmatch(words.DNS_LABEL, each) for each in text.split(".")):
        return text
    near = re.sub(r"[^a-z0-9.]+", "-", text[:200].lower()).strip("-.")
    hint = f"did you mean '{near}'?" if near and near != text else ""
    raise Refused(f"{quoted(text)} is not a name: lower-case letters, digits, '-' and '.' inside, at most 253", hint)


def input_key(text: str) -> str:
    """One key of a secret or config."""
    if re.fullmatch(r"[A-Za-z0-9._-]{1,253}", text) and not text.startswith("..") and text != ".":
        return text
    raise Refused(f"{quoted(text)} is not a key: letters, digits, '.', '_' and '-', at most 253")


def key_of(text: str) -> dict[str, str]:
    """`NAME/KEY`; `NAME` alone is the key of the same name, as `tank secret set NAME` makes it."""
    name, slash, key = text.partition("/")
    return {"name": input_name(name), "key": input_key(key if slash else name)}


def relative_path(text: str) -> str:
    """A path below a volume: relative, without '..' (C10)."""
    if text.startswith("/"):
        raise Refused(f"{quoted(text)} must be a relative path", f"did you mean '{text.strip('/')}'?")
    if ".." in text.split("/"):
        raise Refused(f"{quoted(text)} must not contain '..'")
    path = words.absolute_path(f"/{text}")[1:]
    if not path:
        raise Refused("a path below the volume cannot be empty")
    return path


def file_path(text: str) -> str:
    """Where a key becomes a file. Names that begin with '..' are those of the machinery that changes files at once."""
    path = relative_path(text)
    if path.startswith(".."):
        raise Refused(f"{quoted(text)} must not begin with '..'")
    return path


def fact(text: str) -> str:
    """A fact of the pod: `name`, `labels['tier']`, `limits.memory` (C7)."""
    if text in FACTS or text in LIMITS:
        return text
    match = re.fullmatch(r"(labels|annotations)\[(['\"]?)([^'\"\]]+)\2\]", text)
    if match:
        return f"{match[1]}['{words.label_key(match[3])}']"
    near = text.removeprefix("metadata.").removeprefix("status.").removeprefix("spec.")
    guess = {"podIP": "ip", "podIPs": "ips", "hostIP": "host_ip", "nodeName": "node"}.get(near, near)
    known = (*FACTS, *LIMITS)
    hint = f"did you mean '{guess}'?" if guess in known else did_you_mean(guess, known)
    raise Refused(f"{quoted(text)} is not a fact of a pod: {_FACTS_WANTED}", hint)


def divisor(value: float | str) -> float:
    """The unit that a limit is told in: `1`, `"1MiB"`, `"1m"` (thousandths)."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}m", value):
        found = int(value[:-1]) / 1000
    else:
        found = float(parse_size(value)) if isinstance(value, str) else float(value)
    if not 0 < found < 2**63:
        raise Refused("must be greater than nothing")
    return found
