"""`tank logs NAME`: the output of a container over all its restarts.

What the container wrote to standard output and errors goes to ours. Where a new attempt begins, a marker goes to
standard error. On a terminal, colours pass and all else that steers a terminal does not, but with `--raw`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from tank.cli.durations import since, whole
from tank.cli.text import colored, line, tell
from tank.client.wire import endpoint, quote

if TYPE_CHECKING:
    import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """Which lines."""
    parser.add_argument("-f", "--follow", action="store_true", help="go on with new lines, through restarts")
    parser.add_argument("-c", "--container", metavar="C", help="of this container; else the first")
    parser.add_argument("--tail", type=whole, metavar="N", help="only the last N lines")
    parser.add_argument("--since", type=since, metavar="D", help="only after a time: 10m ago, or RFC 3339")
    parser.add_argument("--previous", action="store_true", help="of the attempt before the current one")
    parser.add_argument("--timestamps", action="store_true", help="with the time of each line")
    parser.add_argument("--raw", action="store_true", help="every byte as it is, also on a terminal")
    parser.add_argument("name", metavar="NAME")


def run(options: argparse.Namespace) -> int:
    """Print lines until there are no more, or for ever with -f."""
    query = {"container": options.container, "tail": options.tail, "since": options.since}
    query |= {"previous": options.previous, "follow": options.follow}
    printer = Printer(options)
    for each in endpoint(options.host).lines(f"/v1/pods/{quote(options.name)}/logs", query):
        printer.show(each)
    return 0


class Printer:
    """Puts each line where it belongs."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._attempt: int | None = None
        self._clean = {stream: stream.isatty() and not options.raw for stream in (sys.stdout, sys.stderr)}
        self._prompt = options.follow or sys.stdout.isatty()

    def show(self, each: dict[str, Any]) -> None:
        """One line."""
        if self._options.output == "json":
            import json

            print(json.dumps(each), flush=self._prompt)
            return
        if self._attempt not in (None, each["attempt"]):
            sys.stdout.flush()
            tell(f"--- {line(self._options.name)}: attempt {each['attempt']} ---")
        self._attempt = each["attempt"]
        self._write(each)

    def _write(self, each: dict[str, Any]) -> None:
        stream = sys.stderr if each["stream"] == "stderr" else sys.stdout
        text = colored(each["text"]) if self._clean[stream] else each["text"]
        stamp = f"{each['time']} " if self._options.timestamps else ""
        end = "" if each.get("partial") else "\n"
        if stream is sys.stderr:
            sys.stdout.flush()  # so that they stand in the order they were written in
        stream.buffer.write(f"{stamp}{text}{end}".encode("utf-8", "surrogateescape"))
        if self._prompt or stream is sys.stderr:
            stream.flush()
