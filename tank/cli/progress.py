"""Waiting for pods while saying how far they are.

The daemon does the waiting, in one request; meanwhile a second thread looks at the pods a few times a second. On
a terminal each container has a line that is rewritten in place; elsewhere a line is printed when a state changes.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from typing import Any

from tank.cli.text import line, phase_tone, tell, tone
from tank.client.wire import Endpoint, quote
from tank.errors import Failed, TankError, Timeout

PAUSE = 0.3  # seconds between two looks
MARGIN = 30.0  # seconds more for the wire than for the daemon's own limit
WIDTH = 20  # characters of a bar
_AMOUNT = re.compile(r"(\d{1,9}(?:\.\d)?) of (\d{1,9}(?:\.\d)?) [kMG]?B")
_UP, _CLEAR = "\x1b[{}A", "\x1b[J"


def wait(
    daemon: Endpoint, names: list[str], wanted: str, timeout: float, *, color: bool = False
) -> list[dict[str, Any]]:
    """The statuses once all are as wanted. On Failed and Timeout it first says why, of each that is not."""
    display = Display(set(names), live=sys.stderr.isatty(), color=color and sys.stderr.isatty())
    stop = threading.Event()
    watcher = threading.Thread(target=_look, args=(daemon, display, stop), daemon=True)
    watcher.start()
    query = {"pod": names, "for": wanted, "timeout": timeout}
    try:
        found: list[dict[str, Any]] = daemon.json("GET", "/v1/wait", query, timeout=timeout + MARGIN)
    except (Failed, Timeout):
        _finish(stop, watcher, display)
        explain(daemon, names)
        raise
    finally:
        _finish(stop, watcher, display)
    display.show(found)
    return found


def explain(daemon: Endpoint, names: list[str]) -> None:
    """Why each pod that is neither ready nor done is as it is."""
    from tank.cli.why import render

    for name in names:
        try:
            status = daemon.json("GET", f"/v1/pods/{quote(name)}/status")
            if not status["ready"] and status["phase"] != "succeeded":
                tell(render(daemon.json("GET", f"/v1/pods/{quote(name)}/why")))
        except TankError as error:
            tell(f"{name}: {error.message}")


def _finish(stop: threading.Event, watcher: threading.Thread, display: Display) -> None:
    stop.set()
    watcher.join(5)
    display.clear()


def _look(daemon: Endpoint, display: Display, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            found = daemon.json("GET", "/v1/pods")
        except TankError:
            found = None  # the request that waits will tell
        if found is not None and not stop.is_set():
            display.show(found)
        stop.wait(PAUSE)


class Display:
    """What is shown of some pods on standard error. `live`: rewrite lines in place."""

    def __init__(self, names: set[str], *, live: bool, color: bool) -> None:
        self._names, self._live, self._color = names, live, color
        self._height = 0  # lines that stand on the terminal now
        self._said: dict[str, str] = {}

    def show(self, pods: list[dict[str, Any]]) -> None:
        """Bring it up to date."""
        chosen = [pod for pod in pods if pod["name"] in self._names]
        if self._live:
            self._redraw([text for pod in chosen for text in self._lines(pod)])
            return
        for pod in chosen:
            for key, text in _states(pod):
                if self._said.get(key) != text:
                    self._said[key] = text
                    tell(text)

    def clear(self) -> None:
        """Leave no half-truth behind on the terminal."""
        if self._live:
            self._redraw([])

    def _redraw(self, lines: list[str]) -> None:
        rows = os.get_terminal_size(sys.stderr.fileno()).lines if lines else 0
        shown = lines[: max(1, rows - 2)]
        up = _UP.format(self._height) if self._height else ""
        sys.stderr.write(up + _CLEAR + "".join(f"{text}\n" for text in shown))
        sys.stderr.flush()
        self._height = len(shown)

    def _lines(self, pod: dict[str, Any]) -> list[str]:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
        shade = phase_tone(pod["phase"], pod["ready"])
        lines = []
        for each in [*pod["init"], *pod["containers"]]:
            text = f"{pod['name']}/{each['name']}  {_state(each)}"
            if each.get("message"):
                text += f"  {_bar(each['message'])}{each['message']}"
            lines.append(tone(line(text)[: max(20, columns - 1)], shade, self._color))
        return lines


def _states(pod: dict[str, Any]) -> list[tuple[str, str]]:
    """Key and line of the pod and its containers; messages that change all the time are left out."""
    reason = f" ({pod['reason']})" if pod.get("reason") else ""
    found = [(pod["name"], f"{pod['name']}: {pod['phase']}{reason}")]
    for each in [*pod["init"], *pod["containers"]]:
        name = f"{pod['name']}/{each['name']}"
        found.append((name, f"{name}: {_state(each)}"))
    return found


def _bar(message: str) -> str:
    """A picture of `x of y MB` in a message; nothing for any other."""
    found = _AMOUNT.search(message)
    if found is None or not float(found[2]):
        return ""
    filled = round(WIDTH * min(1.0, float(found[1]) / float(found[2])))
    return f"[{'#' * filled}{'.' * (WIDTH - filled)}] "


def _state(each: dict[str, Any]) -> str:
    words = str(each["state"]) + (", ready" if each["ready"] else "")
    return words + (f" ({each['reason']})" if each.get("reason") else "")
