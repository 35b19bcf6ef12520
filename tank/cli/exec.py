"""`tank exec NAME -- CMD…`: a command beside the container's own.

Without `-t` standard output and errors stay apart and every byte passes as it is. The exit code is the command's:
128 + N for signal N, 126 not executable, 127 not found; 125 is Tank's own failure.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tank.cli.main import report
from tank.errors import InvalidSpec, TankError

if TYPE_CHECKING:
    import argparse

TAKES_COMMAND = True
TANK_FAILED = 125


def add(parser: argparse.ArgumentParser) -> None:
    """Where and how."""
    parser.add_argument("-i", "--stdin", action="store_true", help="pass standard input on")
    parser.add_argument("-t", "--tty", action="store_true", help="give it a terminal")
    parser.add_argument("-c", "--container", metavar="C", help="in this container; else the first")
    parser.add_argument("-e", "--env", action="append", default=[], metavar="K=V", help="set a variable")
    parser.add_argument("-w", "--workdir", metavar="DIR", help="run in this directory")
    parser.add_argument("-u", "--user", metavar="USER", help="run as uid, uid:gid or a name")
    parser.add_argument("name", metavar="NAME")


def run(options: argparse.Namespace) -> int:
    """Run it to its end."""
    if not options.command:
        raise InvalidSpec((), "exec what? (tank exec NAME -- CMD…)")
    variables = dict(_variable(each) for each in options.env)
    try:
        return _run(options, variables)
    except TankError as error:
        report(error)
        return TANK_FAILED


def _run(options: argparse.Namespace, variables: dict[str, str]) -> int:
    from tank.client import sessions, terminal
    from tank.client.wire import endpoint

    asked = sessions.request(options.command, env=variables, cwd=options.workdir, user=options.user)
    asked |= {"tty": options.tty, "stdin": options.stdin}
    interactive = options.tty and options.stdin and terminal.both_ends()
    stream = sessions.start(endpoint(options.host), options.name, options.container, asked)
    code = sessions.interact(stream) if interactive else sessions.pipe(stream, stdin=options.stdin)
    if stream.error:  # 126 and 127 are the command's fault, and its codes
        report(stream.error)
    return code or 0


def _variable(text: str) -> tuple[str, str]:
    """`K=V`, or `K` alone for what it is here."""
    name, sign, value = text.partition("=")
    if not name or (not sign and name not in os.environ):
        raise InvalidSpec((), f"-e {text}: expected K=V, or the name of a variable that is set")
    return name, value if sign else os.environ[name]
