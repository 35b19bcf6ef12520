"""`tank status [NAME]`: everything observed, laid out for a person."""

from __future__ import annotations

from tank.cli.text import age, line, phase_tone, print_as, tone
from tank.client.wire import endpoint, quote

TYPE_CHECKING = False  # true for a type checker
if TYPE_CHECKING:
    import argparse
    from typing import Any


def add(parser: argparse.ArgumentParser) -> None:
    """The pod; all of them, when none is named."""
    parser.add_argument("name", metavar="NAME", nargs="?")


def run(options: argparse.Namespace) -> int:
    """Print one status or all."""
    daemon = endpoint(options.host)
    if options.name:
        found = daemon.json("GET", f"/v1/pods/{quote(options.name)}/status")
    else:
        found = daemon.json("GET", "/v1/pods")
    pods = [found] if options.name else found
    if options.output in ("json", "yaml"):
        print_as(options.output, found)
    elif options.output == "name":
        print("\n".join(line(pod["name"]) for pod in pods))
    else:
        print("\n\n".join(render(pod, options.color) for pod in pods))
    return 0


def render(pod: dict[str, Any], color: bool = False) -> str:
    """One pod."""
    phase = tone(line(pod["phase"]), phase_tone(pod["phase"], pod["ready"]), color)
    lines = [f"{tone(line(pod['name']), 'bold', color)}  {phase}{_because(pod)}"]
    lines.append(_field("revision", _revision(pod)))
    if pod.get("created_at"):
        lines.append(_field("created", f"{age(pod['created_at'])} ago"))
    for each in pod["addresses"]:
        told = [line(each[key]) for key in ("nic", "ip", "mac") if each.get(key)]
        told += [f"({line(each['source'])})"] if each.get("source") else []
        lines.append(_field("address", " ".join(told)))
    for each in pod["init"]:
        lines += _container(each, "sidecar" if each.get("sidecar") else "init", color)
    for each in pod["containers"]:
        lines += _container(each, "container", color)
    unmet = [each for each in pod["conditions"] if each["status"] != "true"]
    for each in unmet:
        lines.append(_field("not " + line(each["type"]), line(_words(each["reason"], each["message"]))))
    return "\n".join(lines)


def _revision(pod: dict[str, Any]) -> str:
    if pod["observed_revision"] in (pod["revision"], 0):
        return str(pod["revision"])
    return f"{pod['revision']} (running: {pod['observed_revision']})"


def _container(each: dict[str, Any], kind: str, color: bool) -> list[str]:
    shade = {"running": "green" if each["ready"] else "yellow", "terminated": "dim"}.get(each["state"], "yellow")
    lines = [f"  {kind} {line(each['name'])}  {tone(line(each['state']), shade, color)}{_because(each)}"]
    lines.append(_field("image", line(each["image"]) + _about(each), 4))
    if each.get("pid"):
        lines.append(_field("pid", f"{each['pid']}, for {age(each['started_at'])}", 4))
    if each["state"] == "running" and not (each["ready"] or each["reason"]):
        lines.append(_field("health", "started, not ready" if each["started"] else "not started yet", 4))
    if each.get("exit_code") is not None:
        lines.append(_field("exit code", _exit(each), 4))
    if each["restarts"]:
        lines.append(_field("restarts", str(each["restarts"]), 4))
    if each.get("retry_at"):
        lines.append(_field("next try", line(each["retry_at"]), 4))
    for name, value in (each.get("actual") or {}).items():
        lines.append(_field("limit", f"{line(name)} is {line(value)} now, not as the spec says", 4))
    if each.get("privileged"):
        lines.append(_field("security", "privileged", 4))
    if each.get("child_oom_kills"):
        lines.append(_field("oom kills", f"{each['child_oom_kills']} of its children", 4))
    for end in each["last"][:3]:
        ended = f", {age(end['finished_at'])} ago" if end.get("finished_at") else ""
        message = f": {line(end['message'])}" if end.get("message") else ""
        memory = ", out of memory" if end.get("oom_killed") and end["reason"] != "OOMKilled" else ""
        lines.append(_field("before", f"{line(end['reason'])}, exit code {_code(end)}{memory}{ended}{message}", 4))
    return lines


def _about(each: dict[str, Any]) -> str:
    """What is known of an image beside its name; that it was accepted unasked is no news."""
    trust = each.get("image_trust", "")
    told = [line(each.get("image_digest", ""))[:19], line(trust) if trust != "accepted" else ""]
    shown = ", ".join(text for text in told if text)
    return f" ({shown})" if shown else ""


def _exit(each: dict[str, Any]) -> str:
    signal = f" (signal {each['signal']})" if each.get("signal") else ""
    return f"{each['exit_code']}{signal}" + (", out of memory" if each.get("oom_killed") else "")


def _code(end: dict[str, Any]) -> str:
    return "unknown" if end["exit_code"] is None else str(end["exit_code"])


def _because(each: dict[str, Any]) -> str:
    words = line(_words(each.get("reason", ""), each.get("message", "")))
    return f"  {words}" if words else ""


def _words(reason: str, message: str) -> str:
    return ": ".join(part for part in (reason, message) if part)


def _field(name: str, value: str, indent: int = 2) -> str:
    return f"{' ' * indent}{name + ':':<11} {value}"
